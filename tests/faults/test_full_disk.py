"""Disks that are full, read-only or slow; each is a real file system of its own.

What must go goes, oldest first; what is held stays; what cannot be recorded is a gap
with its cause; and recording goes on when there is room again.
"""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from almenara.core.errors import StoreFullError
from almenara.core.time import EPOCH, ManualClock
from almenara.incidents.stores import StoreFacts
from almenara.node.storage import Storage
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.areas import Area, Areas
from almenara.recording.files import Files
from almenara.recording.index import Hold, SegmentState
from almenara.recording.janitor import Reserve
from almenara.recording.purge import Ballast, PurgeJournal, PurgePlan
from almenara.recording.reconcile import reconcile
from almenara.recording.recorder import WAITING_BYTES, Recorder
from tests.conftest import NOON
from tests.power.cuts import FAR, holes, whole
from tests.power.writers import GROUP, STREAMS, packets

pytestmark = pytest.mark.slow
MIB = 1024**2
STREAM = STREAMS[0]
PICTURE_BYTES = 40_000
LONG = timedelta(days=30)


@contextmanager
def volume(place: Path, *, size_mib: int) -> Iterator[Path]:
    """A disk of its own; skips where this user may not have one."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, check=False).returncode:  # noqa: S603
        pytest.skip("no right to mount: tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S603, S607


@dataclass(kw_only=True)
class Watch:
    """Recorder, index and storage as a node has them, driven by hand."""

    store: Store
    areas: Areas
    reserve: Reserve
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    index: SqlSegmentIndex = field(init=False)
    recorder: Recorder = field(init=False)
    storage: Storage = field(init=False)

    def __post_init__(self) -> None:
        self.index = SqlSegmentIndex(self.store, before_hold=self.reserve.plan.protect)
        self.recorder = Recorder(self.areas, self.index, self.clock)
        self.storage = Storage(
            self.areas,
            self.index,
            self.clock,
            reserve=self.reserve,
            keep_for=LONG,
            written_bytes=self.recorder.written_bytes,
        )
        self.recorder.expect(STREAM)
        self._film = packets(STREAM, NOON, picture_bytes=PICTURE_BYTES)

    def live(self, seconds: int) -> None:
        """Record, and look after the disks, for some seconds of the clock."""
        for n in range(seconds * GROUP):
            self.recorder.put(next(self._film))
            self.recorder.settle()
            self.clock.advance(timedelta(seconds=1) / GROUP)
            if n % GROUP == 0:
                self.settle()
                self.recorder.tick()
            if n % (2 * GROUP) == 0:
                self.storage.look()

    def settle(self) -> None:
        self.store.submit(lambda _: None).exception()
        self.recorder.settle()

    def hold(self, start_s: int, end_s: int) -> None:
        at = self.clock.now()
        held = Hold(
            hold_id=f"{start_s}",
            stream_id=None,
            start=NOON + timedelta(seconds=start_s),
            end=NOON + timedelta(seconds=end_s),
            ground="a case",
        )
        self.index.place_hold(held, at).result()

    def hold_without_end(self) -> None:
        """Fill the store itself, a row at a time."""
        for n in count(1):
            self.hold(n, n + 1)

    def causes(self) -> list[str]:
        return [gap.cause for gap in self.index.gaps(STREAM, EPOCH, FAR)]

    def facts(self, name: str) -> StoreFacts:
        return next(f for f in self.storage.facts() if f.store_id == name)

    def is_recording(self) -> bool:
        return self.recorder.states()[0].is_recording


@contextmanager
def watch(
    media: Path, data: Path, *, ballast_mib: int = 8, percent: float = 10.0
) -> Iterator[Watch]:
    area = Area(
        area_id="main",
        directory=media,
        keep_free_percent=percent,
        shares_store=media.parent == data,
    )
    reserve = Reserve(
        plan=PurgePlan(),
        journal=PurgeJournal(data / "purge.journal"),
        ballast=Ballast(data / "ballast", ballast_mib * MIB),
    )
    reserve.prepare()
    with open_store(data / "store.db") as store:
        yield Watch(store=store, areas=Areas.of([area]), reserve=reserve)


def filler(folder: Path, *, leave_bytes: int = 0) -> Path:
    """Take all room but some."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        found = os.statvfs(folder)
        left = found.f_bavail * found.f_frsize - leave_bytes
        try:
            while left > 0:
                left -= file.write(bytes(min(left, 64 * 1024)))
        except OSError:
            pass
    return path


def test_a_full_disk_loses_its_oldest_and_never_what_is_held(tmp_path: Path):
    with (
        volume(tmp_path / "disk", size_mib=48) as disk,
        watch(disk / "media", tmp_path / "data") as node,
    ):
        node.live(70)
        node.hold(0, 30)
        (first, *_) = node.index.segments(STREAM, EPOCH, FAR)
        node.live(400)

        assert len(node.index.tombstones()) >= 2
        assert first in node.index.segments_in([SegmentState.SEALED]) or (
            first.segment_id in node.index.held()
        )
        assert Files(disk / "media").size_bytes(first.place) == first.size_bytes or (
            first.state is SegmentState.OPEN
        )
        assert node.causes() == []
        assert list(holes(node.index)) == []
        assert node.is_recording()
        assert node.storage.hours_left() is not None


def test_where_all_is_held_recording_stops_says_so_and_comes_back(tmp_path: Path):
    with (
        volume(tmp_path / "disk", size_mib=32) as disk,
        watch(disk / "media", tmp_path / "data") as node,
    ):
        node.hold(0, 100_000)
        other = filler(disk, leave_bytes=16 * MIB)
        node.live(140)

        assert not node.is_recording()
        assert node.causes() == ["disk_full"]
        assert node.index.tombstones() == []
        assert node.facts("main").state == "full"
        assert "area main full" in node.storage.notes()

        other.unlink()
        node.live(10)

        assert node.is_recording()
        assert node.facts("main").state == "working"
        assert list(holes(node.index)) == []


def test_a_full_store_gives_its_ballast_and_takes_it_back(tmp_path: Path):
    with (
        volume(tmp_path / "disk", size_mib=32) as disk,
        watch(tmp_path / "media", disk, percent=1.0) as node,
    ):
        node.live(10)
        other = filler(disk)
        with pytest.raises(StoreFullError):
            node.hold_without_end()
        node.live(30)  # its disk is looked at, and the ballast given

        node.hold(200_000, 200_001)
        assert node.is_recording()
        assert node.facts("store").state == "full"

        other.unlink()
        node.live(62)
        assert node.facts("store").state == "working"
        assert node.reserve.ballast.is_whole
        assert list(holes(node.index)) == []


def test_on_one_full_disk_files_go_first_and_the_rows_follow(tmp_path: Path):
    with (
        volume(tmp_path / "disk", size_mib=64) as disk,
        watch(disk / "media", disk) as node,
    ):
        node.live(180)
        node.hold(0, 20)
        held = node.index.held()
        other = filler(disk)
        node.live(60)

        assert node.index.tombstones()
        assert held
        assert held <= node.index.held()
        kept = whole(node.index, Files(disk / "media"))[STREAM]
        rows = node.index.segments(STREAM, EPOCH, NOON + timedelta(seconds=20))
        assert rows
        assert {row.ended_at for row in rows} <= kept
        assert node.reserve.journal.noted() == []
        assert set(node.causes()) <= {"disk_full", "io_error"}
        assert list(holes(node.index)) == []

        other.unlink()
        node.live(12)
        assert node.is_recording()


def test_a_purge_that_was_cut_off_is_finished_at_the_next_start(tmp_path: Path):
    with watch(tmp_path / "media", tmp_path / "data") as node:
        node.live(130)
        node.hold(0, 5)
        sealed = node.index.segments_in([SegmentState.SEALED])
        held = node.index.held()
        gone = next(s for s in sealed if s.segment_id not in held)
        node.reserve.journal.note([s.segment_id for s in (gone, *sealed[:1])])
        Files(tmp_path / "media").unlink(gone.place)

        reconcile(node.areas, node.index, node.clock, journal=node.reserve.journal)

        assert [t.segment_id for t in node.index.tombstones()] == [gone.segment_id]
        assert node.index.held() == held
        assert node.reserve.journal.noted() == []


def test_a_disk_that_turns_read_only_is_told_and_records_again(tmp_path: Path):
    with (
        volume(tmp_path / "disk", size_mib=32) as disk,
        watch(disk / "media", tmp_path / "data") as node,
    ):
        node.live(5)
        node.recorder.forget(STREAM)
        node.settle()
        remount(disk, "ro")
        node.live(20)

        assert not node.is_recording()
        assert node.causes()[-1] == "io_error"
        assert node.facts("main").state == "failing"

        remount(disk, "rw")
        node.live(10)
        assert node.is_recording()
        assert node.facts("main").state == "failing"  # until somebody has looked
        node.areas.take_back("main")
        node.live(3)
        assert node.facts("main").state == "working"
        assert list(holes(node.index)) == []


def remount(disk: Path, how: str) -> None:
    words = ["mount", "-o", f"remount,{how}", str(disk)]
    subprocess.run(words, check=True)  # noqa: S603


class StuckFiles(Files):
    """A disk whose syncs take until somebody lets them go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.may_go = threading.Event()

    def sync(self, fd: int) -> None:
        assert self.may_go.wait(60)
        super().sync(fd)

    def write(self, fd: int, pieces: Sequence[bytes]) -> None:
        super().write(fd, pieces)


def test_a_stuck_disk_stops_nobody_and_what_it_cost_is_a_gap(tmp_path: Path):
    files, clock = StuckFiles(tmp_path / "media"), ManualClock(NOON)
    with open_store(tmp_path / "store.db") as store:
        index = SqlSegmentIndex(store)
        recorder = Recorder(tmp_path / "media", index, clock, files=files)
        with recorder:
            film = packets(STREAM, NOON, picture_bytes=250_000)
            recorder.expect(STREAM)
            for _ in range(40 * GROUP):  # 40 MB: each put returns at once
                recorder.put(next(film))
            waiting = [state.waiting_bytes for state in recorder.states()]
            files.may_go.set()
        index.settle()

        assert all(size_bytes <= 1.5 * WAITING_BYTES for size_bytes in waiting)
        causes = {gap.cause for gap in index.gaps(STREAM, EPOCH, FAR)}
        assert "backpressure" in causes
        assert list(holes(index)) == []
