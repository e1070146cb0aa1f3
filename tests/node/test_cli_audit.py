"""``almenara audit`` in a process of its own, beside a store that another has open."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from almenara.evidence import note
from almenara.node.store.database import open_store
from tests.node.evidence import bend, built, rows

ALMENARA = str(Path(sys.executable).with_name("almenara"))
pytestmark = pytest.mark.slow


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    """A folder with a configuration and a filled store."""
    data = tmp_path / "data"
    data.mkdir()
    built(data)
    (tmp_path / "almenara.toml").write_text('[centre]\nid = "tarifa"\n')
    return tmp_path


def almenara(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603  # our own command
        [ALMENARA, "audit", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_a_good_log_is_good_beside_the_node_that_has_it_open(watch: Path):
    with open_store(watch / "data" / "almenara.db", exclusive=True):
        done = almenara(watch, "verify")

    assert (done.returncode, done.stdout.split()[0]) == (0, "good:")
    assert "nobody outside vouches" in done.stderr


def test_the_first_bad_leaf_is_named_and_the_answer_is_no(watch: Path):
    bend(
        watch / "data" / "almenara.db",
        "update audit set act = 'x' where seq in (3, 4)",
    )

    done, plain = almenara(watch, "verify"), almenara(watch, "verify", "--json")

    found = json.loads(plain.stdout)
    assert (done.returncode, plain.returncode, found["good"]) == (1, 1, False)
    first = found["findings"][0]
    assert done.stdout.startswith(f"log 1, leaf {first['leaf']}: audit/3: act: ")


def test_a_checkpoint_kept_elsewhere_shows_a_log_that_was_cut_short(watch: Path):
    store = watch / "data" / "almenara.db"
    ((size,),) = rows(store, "select max(size) from log_checkpoint")
    (watch / "kept.txt").write_text(almenara(watch, "show", "--checkpoint").stdout)
    assert almenara(watch, "verify", "--against", "kept.txt").returncode == 0
    bend(
        store,
        "delete from log_checkpoint where size = :size",
        "delete from log_leaf where leaf_id >= :size - 1",
        "delete from audit where seq = (select max(seq) from audit)",
        size=size,
    )

    alone = almenara(watch, "verify")
    compared = almenara(watch, "verify", "--against", "kept.txt")

    assert alone.returncode == 0
    assert compared.returncode == 1
    assert "cut short" in compared.stdout


def test_misuse_is_misuse(watch: Path):
    (watch / "none.txt").write_text("nothing")

    assert almenara(watch, "verify", "--against", "none.txt").returncode == 2
    assert almenara(watch, "rotate-key").returncode == 2


def test_no_store_is_said_in_one_line_and_none_is_made(tmp_path: Path):
    done = almenara(tmp_path, "verify")

    assert done.returncode == 1
    assert "there is no store yet" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_key_follows_another_and_the_log_stays_good(watch: Path):
    done = almenara(watch, "rotate-key", "--reason", "a year is over")

    key = note.verifier(done.stdout)
    shown = json.loads(almenara(watch, "show", "--json").stdout)
    assert key.name == "almenara/tarifa/log/1"
    assert [row["key"] for row in shown] == [str(key)]
    assert almenara(watch, "verify").returncode == 0


def test_a_key_that_others_can_read_signs_nothing(watch: Path):
    for file in (watch / "data" / "keys").iterdir():
        file.chmod(0o644)

    done = almenara(watch, "rotate-key", "--reason", "a year is over")

    assert done.returncode == 1
    assert "chmod 600" in done.stderr
