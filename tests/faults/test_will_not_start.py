"""What keeps a node from starting is one line that says the cure, and never a trace."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import words
from tests.running import RunningNode

pytestmark = pytest.mark.slow


def started(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "almenara.node.cli", *command],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1
    (said,) = ended.stderr.strip().splitlines()
    assert "Traceback" not in said
    return said


def test_a_port_in_use(node: RunningNode, tmp_path: Path):
    port = node.address.rpartition(":")[2]
    ended = started("demo", "--port", port, "--directory", str(tmp_path))

    said = line(ended)
    assert port in said
    assert "--port" in said


def test_a_store_that_is_none(tmp_path: Path):
    (tmp_path / "almenara.db").write_bytes(b"not a database at all" * 400)

    assert "almenara.db" in line(started(*words(tmp_path)))


def test_a_store_that_another_node_uses(node: RunningNode):
    said = line(started(*words(node.directory)))

    assert str(node.directory) in said


def test_a_directory_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()

    assert "file" in line(started(*words(tmp_path / "file" / "deeper")))


def test_a_coast_that_is_none(tmp_path: Path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("seed = -1\n")
    ended = started(
        "demo", "--scenario", str(wrong), "--port", "0", "--directory", str(tmp_path)
    )

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "wrong: seed" in ended.stderr
