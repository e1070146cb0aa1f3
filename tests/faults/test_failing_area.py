"""A failed disk is told to people; a command takes it back in a running node."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.faults.conftest import words
from tests.running import Visitor, running_node

pytestmark = pytest.mark.slow
PATIENCE_S = 120

SETTINGS = """
[store]
directory = "."

[recording]
directory = "recordings"
"""


def store_alarms(visitor: Visitor) -> list[str]:
    """Areas about which an alarm stands."""
    return [
        alarm["subject"]["id"]
        for alarm in visitor.get("/alarms")["items"]
        if alarm["subject"]["kind"] == "store" and alarm["state"] in ("V", "S", "A")
    ]


def wait(holds: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < end, "it never happened"
        Event().wait(0.2)


def says_failing(visitor: Visitor) -> bool:
    detail = visitor.get("/health")["recorder"]["detail"]
    return "area main failing" in (detail or "")


def test_a_failing_disk_is_an_alarm_until_a_command_takes_it_back(tmp_path: Path):
    (tmp_path / "failing-areas").mkdir()
    (tmp_path / "failing-areas" / "main").write_text("Input/output error", "utf-8")
    settings = tmp_path / "almenara.toml"
    settings.write_text(SETTINGS, "utf-8")
    with ExitStack() as stack:
        node = stack.enter_context(running_node(tmp_path, *words(tmp_path)))
        visitor = node.enter()
        stack.callback(visitor.client.close)
        wait(lambda: store_alarms(visitor) == ["main"])
        wait(lambda: says_failing(visitor))

        take_back = ["area", "take-back", "main", "--config", str(settings)]
        subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "almenara.node.cli", *take_back], check=True
        )
        wait(lambda: store_alarms(visitor) == [])
        wait(lambda: not says_failing(visitor))
