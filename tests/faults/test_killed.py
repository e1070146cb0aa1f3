"""A node whose power is cut: what it had said before holds afterwards."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.faults.conftest import words
from tests.running import RunningNode, Visitor, running_node

pytestmark = pytest.mark.slow
PATIENCE_S = 120


@contextmanager
def visited(directory: Path) -> Iterator[tuple[RunningNode, Visitor]]:
    with running_node(directory, *words(directory)) as node:
        visitor = node.enter()
        try:
            yield node, visitor
        finally:
            visitor.client.close()


def wait(holds: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < end, "it never happened"
        Event().wait(0.2)


def recorded(visitor: Visitor) -> dict[str, str]:
    return {
        camera["camera_id"]: camera["recorded_until"]
        for camera in visitor.get("/health")["cameras"]
        if camera["recorded_until"]
    }


def test_after_a_power_cut_every_alarm_and_every_promised_second_is_there(tmp_path):
    with visited(tmp_path) as (node, visitor):
        wait(lambda: bool(visitor.get("/alarms")["items"]))
        wait(lambda: len(recorded(visitor)) == 2)
        (raised, *_) = visitor.get("/alarms")["items"]
        path = f"/alarms/{raised['alarm_id']}/acknowledge"
        seen = visitor.post(path, {"version": raised["version"]}).json()
        alarms = {a["alarm_id"]: a for a in visitor.get("/alarms")["items"]}
        promised = recorded(visitor)
        node.kill()

    with visited(tmp_path) as (_, visitor):
        for alarm_id, before in alarms.items():
            after = visitor.get(f"/alarms/{alarm_id}")
            assert after["raised_at"] == before["raised_at"]
        again = visitor.get(f"/alarms/{raised['alarm_id']}")
        assert again["acknowledged_by"] == seen["acknowledged_by"]
        waiting = {k for k, a in alarms.items() if a["acknowledged_by"] is None}
        assert waiting <= {a["alarm_id"] for a in visitor.get("/alarms")["items"]}
        for camera_id, until in promised.items():
            end = datetime.fromisoformat(until)
            span = {
                "start": (end - timedelta(seconds=2)).isoformat(),
                "end": (end + timedelta(seconds=2)).isoformat(),
            }
            answer = visitor.client.get(
                f"/api/v1/cameras/{camera_id}/timeline", params=span
            )
            spans = answer.raise_for_status().json()["spans"]
            assert any(
                datetime.fromisoformat(s["start"])
                < end
                <= datetime.fromisoformat(s["end"]) + timedelta(milliseconds=1)
                for s in spans
            ), (camera_id, until, spans)


def test_the_worker_of_a_running_node_is_replaced(node: RunningNode, visitor: Visitor):
    wait(lambda: all(w["process_id"] for w in visitor.get("/health")["workers"]))
    victim = visitor.get("/health")["workers"][0]
    os.kill(victim["process_id"], signal.SIGKILL)

    def replaced() -> bool:
        now = visitor.get("/health")["workers"][0]
        return now["restarts"] == victim["restarts"] + 1 and bool(now["process_id"])

    wait(replaced)
    assert node.process.poll() is None


def test_the_coast_that_dies_comes_back(node: RunningNode, visitor: Visitor):
    """Its cameras are live again on the same ports."""

    def coasts() -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                parts = (entry / "cmdline").read_bytes().split(b"\0")
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if (
                b"almenara.simulation.serve" in parts
                and int(parent) == node.process.pid
            ):
                found.append(int(entry.name))
        return found

    def live() -> set[str]:
        cameras = visitor.get("/health")["cameras"]
        return {c["camera_id"] for c in cameras if c["state"] == "live"}

    wait(lambda: len(live()) == 2)
    (coast,) = coasts()
    os.kill(coast, signal.SIGKILL)
    wait(lambda: len(live()) < 2)
    wait(lambda: len(live()) == 2)
    assert coasts() != [coast]
