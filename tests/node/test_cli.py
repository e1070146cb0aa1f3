"""The real command in a process of its own: one clear line, the right exit status."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from almenara.node.cli.talk import SpokenGroup

ALMENARA = str(Path(sys.executable).with_name("almenara"))
PASSWORD = "hunter2"  # noqa: S105  # planted, to see whether it comes out
STATIONS = """\
[station.tarifa]
name = "Tarifa"
kind = "tower"
position = [36.0012, -5.6098]
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def almenara(tmp_path: Path):
    """Run the command in an empty folder."""

    def almenara_(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ALMENARA__")}
        done = subprocess.run(  # noqa: S603  # our own command
            [ALMENARA, *words],
            cwd=tmp_path,
            env={**clean, "COLUMNS": "100", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return almenara_


def test_the_version_is_data(almenara):
    done = almenara("version")

    assert (done.returncode, done.stdout) == (0, version("almenara") + "\n")


def test_help_names_every_verb(almenara):
    done = almenara("--help")

    for verb in (
        "demo",
        "run",
        "doctor",
        "simulate",
        "config",
        "station",
        "user",
        "audit",
        "alarm",
        "track",
    ):
        assert f" {verb} " in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys, almenara.node.cli; print(*sorted({m.split('.')[0] for m in "
        "sys.modules} & {'numpy', 'av', 'fastapi', 'sqlalchemy', 'pydantic', 'cv2'}))"
    )
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["demo", "--stations", "7"],
        ["demo", "--port", "99999"],
        ["simulate"],
        ["config", "explain"],
        ["user", "add", "ana", "--role", "king"],
    ],
)
def test_misuse_is_two(almenara, words):
    done = almenara(*words)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


def test_a_good_configuration_is_said_to_be_good(almenara, tmp_path):
    (tmp_path / "almenara.toml").write_text("")

    assert almenara("config", "check").stdout == "almenara.toml: good\n"


def test_a_bad_one_is_said_line_by_line_and_no_password_with_it(almenara, tmp_path):
    (tmp_path / "x.toml").write_text(
        "[recording]\nkeep_dais = 3\nkeep_days = 900\n"
        f'[peer.a]\nurl = "https://admin:{PASSWORD}@192.0.2.1/"\n'
    )

    done = almenara("config", "check", "x.toml")

    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert any(line.startswith("x.toml:2: recording.keep_dais: ") for line in lines)
    assert any(line.startswith("x.toml:3: recording.keep_days: ") for line in lines)
    assert PASSWORD not in done.stderr


def test_faults_are_also_for_programs(almenara, tmp_path):
    (tmp_path / "x.toml").write_text("[recording]\nkeep_days = 900\n")

    done = almenara("config", "check", "x.toml", "--json")

    (fault,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(fault) == {"place", "found", "expected", "cure"}


def test_explain_says_value_and_origin(almenara):
    done = almenara("config", "explain", "console.port", ALMENARA__CONSOLE__PORT="9000")

    assert done.stdout.startswith(
        "console.port = 9000\nfrom: environment ALMENARA__CONSOLE__PORT\n"
    )
    assert almenara("config", "explain", "console.prot").returncode == 1


def test_the_schema_is_json(almenara):
    assert json.loads(almenara("config", "schema").stdout)["title"] == "Config"


def test_a_port_in_use_is_said_before_anything_starts(almenara, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = almenara("run", ALMENARA__CONSOLE__PORT=str(port))

    assert done.returncode == 1
    said = "another program listens there; stop it, or choose another port"
    assert done.stderr == f"127.0.0.1:{port}: {said} (--port, console.port)\n"
    assert not (tmp_path / "data").exists()


def test_an_address_this_machine_has_not_is_said(almenara):
    done = almenara("run", ALMENARA__CONSOLE__HOST="192.0.2.1")

    assert done.returncode == 1
    assert "192.0.2.1:8080: " in done.stderr
    assert "console.host" in done.stderr


def test_the_doctor_says_what_is_wrong_and_the_remedy(almenara, tmp_path):
    (tmp_path / "almenara.toml").write_text("[recording]\nkeep_days = 900\n")

    done = almenara("doctor", "--json", NO_COLOR="1")

    findings = json.loads(done.stdout)
    failed = [f for f in findings if f["verdict"] == "fail"]
    assert done.returncode == 1
    assert "configuration" in {f["check"] for f in failed}
    assert all(f["remedy"] for f in findings if f["verdict"] != "ok")


def test_colours_are_left_out_when_asked(almenara):
    assert "\x1b" not in almenara("doctor", NO_COLOR="1", FORCE_COLOR="").stdout


@pytest.mark.parametrize("content", [b"this is no database", None])
def test_a_store_that_cannot_be_read_is_named_and_kept(almenara, tmp_path, content):
    store = tmp_path / "data/almenara.db"
    store.parent.mkdir()
    if content is None:
        store.mkdir()
    else:
        store.write_bytes(content)

    done = almenara("station", "list")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(store) in done.stderr
    assert content is None or store.read_bytes() == content


def test_a_store_of_a_newer_almenara_is_left_alone(almenara, tmp_path):
    store = tmp_path / "data/almenara.db"
    store.parent.mkdir()
    with sqlite3.connect(store) as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('v9999')")
    database.close()

    done = almenara("station", "list")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "newer" in done.stderr


def test_stations_go_in_and_come_out_again(almenara, tmp_path):
    (tmp_path / "st.toml").write_text(STATIONS)

    assert almenara("station", "add", "st.toml").returncode == 0
    assert almenara("station", "add", "st.toml").returncode == 1
    assert almenara("station", "import", "st.toml").returncode == 0

    (row,) = json.loads(almenara("station", "list", "--json").stdout)
    assert row["station"] == "tarifa"
    assert 'name = "Tarifa"' in almenara("station", "export").stdout


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("rtsp://127.0.0.1:554/", "only the simulated coast"),
        ("rtsp://192.0.2.1/", "[stations] networks"),
        ("http://192.0.2.1/", "write rtsp://"),
        ("concat:a|b", "write rtsp://"),
        ("rtsp://169.254.169.254/", "the camera's own"),
        (f"rtsp://admin:{PASSWORD}@192.0.2.1/", "take the name and password out"),
        ("file:/etc/passwd", "[stations] file_folders"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused_with_the_cure(almenara, url, cure):
    done = almenara("station", "probe", url)

    assert done.returncode == 1
    assert "address refused" in done.stderr
    assert cure in done.stderr
    assert PASSWORD not in done.stderr


def test_a_wrong_file_of_stations_changes_nothing(almenara, tmp_path):
    (tmp_path / "st.toml").write_text(STATIONS.replace("36.0012", "136"))

    done = almenara("station", "import", "st.toml")

    assert done.returncode == 1
    assert done.stderr.startswith("st.toml:4: station.tarifa.position: ")
    assert json.loads(almenara("station", "list", "--json").stdout) == []


def test_a_member_gets_a_link_and_no_password_on_a_command_line(almenara):
    added = almenara("user", "add", "ana", "--role", "operator")

    assert added.returncode == 0
    assert added.stdout.startswith("http://127.0.0.1:8080/#")
    assert almenara("user", "add", "ana", "--role", "operator").returncode == 1
    assert almenara("user", "link", "ana").stdout != added.stdout
    assert almenara("user", "disable", "ana", "--yes").returncode == 0
    assert almenara("user", "link", "ana").returncode == 1
    (row,) = json.loads(almenara("user", "list", "--json").stdout)
    assert (row["name"], row["state"]) == ("ana", "disabled")


def test_a_full_disk_is_said_in_one_line_with_the_cure():
    app = typer.Typer(cls=SpokenGroup)

    @app.callback()
    def root() -> None:
        """A group."""

    @app.command()
    def write() -> None:
        Path("/dev/full").write_text("x", "utf-8")

    done = CliRunner().invoke(app, ["write"])

    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1
    assert "the disk is full; free space" in done.output


def test_alarms_are_listed_and_their_load_is_counted(almenara):
    listed = almenara("alarm", "list", "--json")
    load = almenara("alarm", "kpi", "--json", "--days", "7")
    gone = almenara("alarm", "ack", "A1", "--version", "1")

    assert json.loads(listed.stdout) == []
    assert json.loads(load.stdout)["announcements"] == 0
    assert gone.returncode == 1
    assert "no such alarm" in gone.stderr


def test_looks_are_located_and_a_wrong_line_is_named(almenara, tmp_path):
    (tmp_path / "looks.jsonl").write_text('{"camera": "x", "x_px": 1, "y_px": 2}\n')
    done = almenara("track", "locate", "looks.jsonl")

    assert done.returncode == 1
    assert "looks.jsonl:1" in done.stderr
    assert (
        "camera"
        in json.loads(almenara("track", "schema").stdout)["locate"]["properties"]
    )
