"""All faults at once, each with place, finding, expectation and cure."""

import json
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.errors import ConfigError, Fault
from almenara.incidents.thresholds import DEFAULT
from almenara.node.config import Config, Mode, load, load_or_safe, reference
from almenara.node.config.loading import LAST_GOOD, read_draft
from almenara.node.config.rules import limits_of
from almenara.node.store.place import Server

ZONE = '[zone.bay]\nname = "Bay"\nvertices = [[36, -5.4], [36, -5.3], [36.1, -5.3]]\n'


@pytest.fixture
def file(tmp_path: Path):
    def file_(text: str | bytes) -> Path:
        path = tmp_path / "almenara.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return file_


def faults_of(path: Path, environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as refused:
        load(path, environ or {})
    return refused.value.faults


def test_an_empty_file_is_a_good_one_and_its_folders_lie_beside_it(file, tmp_path):
    config = load(file(""), {})

    assert config.mode is Mode.LIVE
    assert config.store_place == tmp_path / "data/almenara.db"
    assert config.recording.directory == tmp_path / "data/recordings"


SERVERS = {
    "password in it": ("postgresql://a:b@/d", "password"),
    "no database": ("postgresql://a@h/", "postgresql://user@host"),
    "another engine": ("mysql://a@h/d", "postgresql://user@host"),
    "no address": ("postgresql://[::1/d", "Mend the address"),
    "driver words": ("postgresql://a@/d?options=-cfsync=off", "Take options out"),
    "open network": ("postgresql://a@db.example/d", "sslmode=verify-full"),
    "weak network": ("postgresql://a@db.example/d?sslmode=require", "verify-full"),
}


@pytest.mark.parametrize(("url", "cure"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_is_not_safely_named_is_refused(file, url: str, cure: str):
    (fault, *_) = faults_of(file(f'[store]\nurl = "{url}"'))

    assert cure in str(fault)
    assert "a:b" not in str(fault)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://almenara@127.0.0.1/almenara",
        "postgresql://almenara@/almenara?host=/run/postgresql",
        "postgresql://almenara@db.example/almenara?sslmode=verify-full",
    ],
)
def test_a_server_may_be_the_store(file, tmp_path: Path, url: str):
    config = load(file(f'[store]\nurl = "{url}"\npassword_file = "secret"'), {})

    secret = tmp_path / "secret"
    assert config.store_place == Server(url=url, password_file=secret)


def test_no_file_at_all_means_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load(None, {}).console.port == 8080


BAD = {
    "unknown key": ("[console]\nprot = 1", "2: console.prot", "Write port instead"),
    "unknown section": ("[recoring]\na = 1", "recoring", "Write recording instead"),
    "too long": ("[recording]\nkeep_days = 91", "2: recording.keep_days", "at most 90"),
    "too short": ("recording.keep_days = 0", "1: recording.keep_days", "at least 1"),
    "text for number": ('[console]\nport = "80"', "2: console.port", "whole number"),
    "number for text": ("[centre]\nname = 7", "2: centre.name", "text in quotes"),
    "truth for number": ("[watch]\nworkers = true", "2: watch.workers", "whole"),
    "no port": ("[console]\nport = 65536", "2: console.port", "at most 65535"),
    "endless": ("[watch]\nlooks_per_s = inf", "2: watch.looks_per_s", "finite"),
    "unknown mode": ('mode = "prod"', "1: mode", "'live', 'demo' or 'test'"),
    "unknown tongue": ('[centre]\nlanguage = "de"', "2: centre.language", "ar|en"),
    "no network": ('[stations]\nnetworks = ["x"]', "2: stations.networks.0", "/24"),
    "a host": ('[stations]\nnetworks = ["192.0.2.9/24"]', "networks.0", "192.0.2.0/24"),
    "everything": ('[stations]\nnetworks = ["0.0.0.0/0"]', "networks.0", "at most /8"),
    "own address": ('[stations]\nnetworks = ["127.0.0.0/8"]', "toml: found", "demo"),
    "swapped": (ZONE.replace("[36,", "[136,", 1), "3: zone.bay.vertices.0", "first"),
    "two corners": (
        ZONE.replace(", [36.1, -5.3]", ""),
        "3: zone.bay.vertices",
        "three corners",
    ),
    "crossed": (
        ZONE.replace("[36.1, -5.3]", "[36.1, -5.4], [36.1, -5.3], [35, -5.4]"),
        "3: zone.bay.vertices",
        "do not cross",
    ),
    "nameless": (ZONE.replace('name = "Bay"\n', ""), "1: zone.bay.name", "Add a line"),
    "key in a zone": (ZONE + "nmae = 1\n", "4: zone.bay.nmae", "Write name instead"),
    "zone's name": (ZONE.replace("bay", "Bay_1"), "zone.Bay_1", "the form"),
    "words for a threshold": (
        '[rules.adrift]\nsustained_s = "b"',
        "2: rules.adrift.sustained_s",
        "a number",
    ),
    "unknown threshold": (
        "[rules.adrift]\nsustained_min = 5",
        "2: rules.adrift.sustained_min",
        "Write sustained_s instead",
    ),
    "improbable": ("[rules.zone]\nraise = 80", "2: rules.zone.raise", "at most 1"),
    "twice": ("[watch]\n[watch]", "2: found", "Mend this line"),
    "half a line": ("[watch]\nworkers =", "2: found", "key = value"),
    "a table as value": ("console = 1", "1: console", "table of keys"),
    "not UTF-8": (b"# ca\xf1on", "almenara.toml: found", "Save the file as UTF-8"),
}


@pytest.mark.parametrize(("text", "place", "cure"), BAD.values(), ids=BAD)
def test_a_fault_names_its_line_what_was_expected_and_the_cure(file, text, place, cure):
    (fault,) = faults_of(file(text))

    assert place in str(fault)
    assert cure in str(fault)
    assert fault.cure.endswith((".", ")."))


@pytest.mark.parametrize(("text", "place", "cure"), BAD.values(), ids=BAD)
def test_whatever_is_wrong_there_is_something_to_start_with(file, text, place, cure):
    del place, cure
    config, faults = load_or_safe(file(text), {})

    assert faults
    assert config.console.host == "127.0.0.1"


def test_all_faults_are_named_at_once(file):
    text = "[console]\nprot = 1\nport = 99999\n[recording]\nkeep_days = 0\n"

    assert len(faults_of(file(text))) == 3


@pytest.mark.parametrize(
    "text",
    [
        'centre.name = "rtsp://admin:hunter2@192.0.2.1/"',
        '[peer.tanger]\nurl = "https://admin:hunter2@192.0.2.1/"',
        '[console]\npassword = "hunter2"',
        '[console]\nhsot = "secret hunter2"',
    ],
)
def test_a_password_is_refused_and_never_repeated(file, text):
    faults = faults_of(file(text))

    assert faults
    assert "hunter2" not in " ".join(map(str, faults))


def test_the_environment_comes_before_the_file_and_is_named_when_wrong(file):
    path = file("[console]\nport = 9000\n")
    right = {"ALMENARA__CONSOLE__PORT": "9001", "ALMENARA__CENTRE__NAME": "Tarifa"}

    assert load(path, right).console.port == 9001
    assert load(path, right).centre.name == "Tarifa"
    (fault,) = faults_of(path, {"ALMENARA__CONSOLE__PROT": "1"})
    assert fault.place == "environment ALMENARA__CONSOLE__PROT: console.prot"


def test_a_broken_file_starts_with_the_last_good_one(file, tmp_path):
    (tmp_path / "data").mkdir()
    load_or_safe(file('[console]\nhost = "0.0.0.0"\nport = 9000\n'), {})

    config, faults = load_or_safe(file("[console]\nport = "), {})

    assert len(faults) == 1
    assert (config.console.host, config.console.port) == ("0.0.0.0", 9000)  # noqa: S104  # compared, not bound
    assert (tmp_path / "data" / LAST_GOOD).is_file()


def test_the_last_good_copy_is_found_in_the_folder_that_a_broken_file_names(
    file, tmp_path
):
    (tmp_path / "elsewhere").mkdir()
    where = '[store]\ndirectory = "elsewhere"\n[console]\nport = '
    load_or_safe(file(where + "9000\n"), {})

    assert load_or_safe(file(where), {})[0].console.port == 9000


def test_without_a_copy_what_is_sound_is_used_and_the_console_is_on_loopback(file):
    text = '[console]\nhost = "0.0.0.0"\nport = 9000\n[recording]\nkeep_days = 900\n'

    config, _ = load_or_safe(file(text), {})

    assert (config.console.host, config.console.port) == ("127.0.0.1", 9000)
    assert config.recording.keep_days == 30


def test_a_copy_that_cannot_be_kept_does_not_keep_the_watch_from_starting(
    file, tmp_path
):
    (tmp_path / "data" / LAST_GOOD).mkdir(parents=True)

    assert load_or_safe(file(""), {})[1] == ()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_whatever_keeps_the_watch_from_starting(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("config") / "almenara.toml"
    path.write_bytes(text)

    config, _ = load_or_safe(path, {})

    assert isinstance(config, Config)


def test_a_closed_ring_of_corners_is_opened(file):
    zone = ZONE.replace("[36.1, -5.3]]", "[36.1, -5.3], [36, -5.4]]")

    (watched,) = load(file(zone), {}).zones

    assert len(watched.vertices) == 3


def test_the_example_says_the_defaults():
    lines = [line.removeprefix("# ") for line in reference.example().splitlines()]
    settings = [line for line in lines if line.startswith("[") or " = " in line]
    settings = [
        line for line in settings if "<" not in line and not line.startswith("Over")
    ]
    raw = tomllib.loads("\n".join(settings))
    assert raw.pop("zone")
    assert raw["recording"].pop("areas")

    assert Config.model_validate(raw) == Config()


def test_every_key_has_a_text_and_explains_itself(file):
    path = file("[recording]\nkeep_days = 14\n")
    config, draft = load(path, {}), read_draft(path, {})

    known = reference.keys()
    for key in known:
        assert key.text.endswith("."), key.name
        assert key.text in (reference.explain(key.name, draft, config) or "")
    said = reference.explain("recording.keep_days", draft, config) or ""
    assert said.startswith(f"recording.keep_days = 14\nfrom: {path}:2\n")
    assert reference.explain("recording.keep_dais", draft, config) is None


def test_a_threshold_that_is_said_differs_and_the_others_are_the_defaults(file):
    config = load(file("[rules.closing]\nsustained_s = 120\nwithin_deg = 20\n"), {})

    assert limits_of(config) == replace(
        DEFAULT, closing_sustained=timedelta(minutes=2), closing_within_deg=20.0
    )
    assert limits_of(Config()) == DEFAULT


def test_the_schema_knows_every_section():
    schema = reference.schema()

    assert set(schema["properties"]) == set(Config.model_fields)
    json.dumps(schema)
