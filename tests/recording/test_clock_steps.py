"""The wall clock is set: nothing overlaps, nothing is lost, nothing expires early."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from almenara.core.media import Packet, TimeSource
from almenara.core.time import EPOCH, ManualClock
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.janitor import Janitor
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.power.cuts import FAR, holes
from tests.power.writers import GROUP, STREAMS, packets

pytestmark = pytest.mark.slow
STREAM = STREAMS[0]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEPS = {
    "an hour on": HOUR,
    "an hour back": -HOUR,
    "ten years back": -3653 * DAY,
    "ten years on": 3653 * DAY,
    "a leap second": timedelta(seconds=-1),
}


class SetClock(ManualClock):
    """A clock whose wall time somebody sets; its monotonic time just goes on."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store.db") as opened:
        yield opened


def arrived(packet: Packet, clock: SetClock) -> Packet:
    """As if it came now, from a camera that does not know the time."""
    return replace(
        packet,
        captured_at=clock.now(),
        captured_by=TimeSource.ARRIVAL,
        received_at=clock.now(),
        received_monotonic_s=clock.monotonic_s(),
    )


def live(recorder: Recorder, clock: SetClock, seconds: int, step: timedelta) -> int:
    """Record; the clock is set half way. Returns how many pictures were sent."""
    sent = 0
    for n, packet in enumerate(islice(packets(STREAM, NOON), seconds * GROUP)):
        if n == seconds * GROUP // 2:
            clock.off += step
        recorder.put(arrived(packet, clock))
        recorder.settle()
        clock.advance(timedelta(seconds=1) / GROUP)
        sent += 1
    recorder.forget(STREAM)
    recorder.settle()
    return sent


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_clock_that_is_set_loses_no_picture_and_nothing_overlaps(
    tmp_path: Path, store: Store, step: timedelta
):
    clock, index = SetClock(NOON), SqlSegmentIndex(store)
    recorder = Recorder(tmp_path / "media", index, clock)
    recorder.expect(STREAM)

    sent = live(recorder, clock, 12, step)
    index.settle()

    spans = index.segments(STREAM, EPOCH, FAR)
    recorded = sum(((s.ended_at - s.started_at) for s in spans), timedelta())
    assert abs(recorded - timedelta(seconds=sent / GROUP)) < timedelta(seconds=1)
    assert list(holes(index)) == []
    assert len({s.run for s in spans}) == 2


def old_footage(folder: Path, store: Store, clock: SetClock) -> SqlSegmentIndex:
    """Some segments, all within what the law allows."""
    index = SqlSegmentIndex(store)
    recorder = Recorder(folder, index, clock)
    recorder.expect(STREAM)
    live(recorder, clock, 200, timedelta())
    index.settle()
    return index


def test_a_clock_set_ten_years_on_expires_nothing_until_it_has_run_on(
    tmp_path: Path, store: Store
):
    clock = SetClock(NOON)
    index = old_footage(tmp_path / "media", store, clock)
    janitor = Janitor(tmp_path / "media", index, clock)
    janitor.tidy(keep_for=30 * DAY)

    clock.off += 3653 * DAY
    for _ in range(29):
        assert janitor.tidy(keep_for=30 * DAY).deleted == 0
        clock.advance(timedelta(minutes=1))

    clock.off -= 3653 * DAY  # somebody has noticed
    clock.advance(HOUR)
    assert janitor.tidy(keep_for=30 * DAY).deleted == 0
    assert index.tombstones() == []


def test_a_clock_that_stays_set_expires_a_twentieth_an_hour(
    tmp_path: Path, store: Store
):
    clock = SetClock(NOON)
    index = old_footage(tmp_path / "media", store, clock)
    janitor = Janitor(tmp_path / "media", index, clock)
    clock.off += 3653 * DAY
    janitor.tidy(keep_for=30 * DAY)

    clock.advance(timedelta(minutes=31))

    assert janitor.tidy(keep_for=30 * DAY).deleted == 1


@pytest.mark.parametrize("step", [-HOUR, -3653 * DAY, HOUR])
def test_other_steps_delete_nothing_early(
    tmp_path: Path, store: Store, step: timedelta
):
    clock = SetClock(NOON)
    index = old_footage(tmp_path / "media", store, clock)
    janitor = Janitor(tmp_path / "media", index, clock)

    clock.off += step

    assert janitor.tidy(keep_for=30 * DAY).deleted == 0
