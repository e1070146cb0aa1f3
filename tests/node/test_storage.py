"""Configured areas, and the command that takes one back."""

import errno
import json
import tomllib
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner

from almenara.core.errors import ConfigError
from almenara.node.cli import app
from almenara.node.config import load
from almenara.node.storage import areas_of
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store

SETTINGS = """
[recording.areas.second]
directory = "second"
tier = "hot"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "almenara.toml"
    path.write_text(SETTINGS, "utf-8")
    return path


def test_the_folder_of_old_stays_and_the_new_one_comes_beside_it(file: Path):
    config = load(file, {})
    areas = areas_of(config.recording, config.store.directory)

    states = {state.area.area_id: state.area for state in areas.states()}
    assert list(states) == ["main", "second"]
    assert states["main"].directory == file.parent / "data" / "recordings"
    assert states["second"].directory == file.parent / "second"
    assert states["second"].is_hot
    assert states["main"].shares_store


def test_nobody_else_is_called_main(file: Path):
    file.write_text(SETTINGS.replace("second]", "main]"), "utf-8")
    assert tomllib.loads(file.read_text("utf-8"))

    with pytest.raises(ConfigError, match="another name"):
        load(file, {})


def test_a_command_takes_a_failing_area_back_and_the_audit_knows(file: Path):
    config = load(file, {})
    areas = areas_of(config.recording, config.store.directory)
    areas.failed("second", OSError(errno.EIO, "Input/output error"))
    runner = CliRunner()
    listed = runner.invoke(app, ["area", "list", "--json", "-c", str(file)])
    rows = {row["area"]: row["state"] for row in json.loads(listed.stdout)}
    assert rows == {"main": "working", "second": "failing"}

    done = runner.invoke(app, ["area", "take-back", "second", "-c", str(file)])

    assert done.exit_code == 0, done.output
    areas.look_again()
    assert not areas.is_failing("second")
    with open_store(config.store_place) as store:
        log = SqlAuditLog(store)
        (row,) = anyio.run(lambda: log.read(limit=9, before_seq=None))
    assert (row.entry.act, row.entry.object.id) == ("area.take_back", "second")


def test_an_area_nobody_knows_is_not_taken_back(file: Path):
    done = CliRunner().invoke(app, ["area", "take-back", "third", "-c", str(file)])

    assert done.exit_code == 1
