"""Several disks: which is next, what happens when one refuses, how it comes back."""

import errno
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from almenara.core.errors import RecordingError
from almenara.core.time import EPOCH, ManualClock
from almenara.node.store.database import open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.areas import Area, Areas, self_test
from almenara.recording.files import Files
from almenara.recording.index import SegmentState
from almenara.recording.playback import Playback
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.power.cuts import FAR, holes, whole
from tests.power.writers import GROUP, STREAMS, packets

GIB = 1024**3


class SizedFiles(Files):
    """A disk of a stated size that can be told to refuse."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.free = 50 * GIB
        self.refuses = 0

    def free_bytes(self) -> int:
        return self.free

    def total_bytes(self) -> int:
        return 100 * GIB

    def sync(self, fd: int) -> None:
        if self.refuses:
            raise OSError(self.refuses, "refused by the test")
        super().sync(fd)

    def write(self, fd: int, pieces: Sequence[bytes]) -> None:
        if self.refuses == errno.EROFS:
            raise OSError(self.refuses, "refused by the test")
        super().write(fd, pieces)


def two(
    folder: Path, *, memory: Path | None = None, fast: str = ""
) -> tuple[Areas, dict[str, SizedFiles]]:
    disks: dict[str, SizedFiles] = {}

    def make(root: Path) -> SizedFiles:
        return disks.setdefault(root.name, SizedFiles(root))

    areas = Areas.of(
        [
            Area(
                area_id=name,
                directory=folder / name,
                is_hot=name == fast,
                keep_free_percent=10,
            )
            for name in ("one", "two")
        ],
        memory=memory,
        make_files=make,
    )
    return areas, disks


def test_a_new_file_goes_where_most_room_is(tmp_path: Path):
    areas, disks = two(tmp_path)
    disks["two"].free = 60 * GIB

    assert areas.choose()[0] == "two"


def test_a_fast_disk_is_filled_to_its_floor_first(tmp_path: Path):
    areas, disks = two(tmp_path, fast="one")
    disks["one"].free = 11 * GIB
    assert areas.choose()[0] == "one"

    disks["one"].free = 9 * GIB
    assert areas.choose()[0] == "two"


def test_an_area_that_just_refused_is_asked_last(tmp_path: Path):
    areas, disks = two(tmp_path)
    disks["one"].free = 60 * GIB

    assert areas.choose(["one"])[0] == "two"
    assert areas.choose(["two", "one"])[0] == "one"


def test_nothing_is_deleted_in_one_area_while_another_has_room(tmp_path: Path):
    areas, disks = two(tmp_path)
    disks["one"].free = 5 * GIB
    assert areas.needs() == {}

    disks["two"].free = 6 * GIB
    assert areas.needs() == {"one": 15 * GIB, "two": 14 * GIB}


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_a_disk_that_refuses_costs_no_fragment_while_another_works(
    tmp_path: Path, number: int
):
    areas, disks = two(tmp_path)
    disks["one"].free = 60 * GIB
    clock = ManualClock(NOON)
    with open_store(tmp_path / "store.db") as store:
        index = SqlSegmentIndex(store)
        recorder = Recorder(areas, index, clock)
        recorder.expect(STREAMS[0])
        for n, packet in enumerate(islice(packets(STREAMS[0], NOON), 10 * GROUP)):
            if n == 5 * GROUP + 1:
                disks["one"].refuses = number
            recorder.put(packet)
            recorder.settle()
            clock.advance(timedelta(seconds=1) / GROUP)
        recorder.forget(STREAMS[0])
        recorder.settle()
        index.settle()

        gaps = index.gaps(STREAMS[0], EPOCH, FAR)
        used = {s.target_id for s in index.segments_in([SegmentState.SEALED])}
        kept = set().union(*(whole(index, f)[STREAMS[0]] for _, f in areas))
        pieces = Playback(areas, index).pieces(STREAMS[0], NOON, FAR)
        assert list(holes(index)) == []

    assert [gap.cause for gap in gaps] == ["planned"]
    assert used == {"one", "two"}
    assert len(kept) == len(pieces) == 10
    assert areas.is_failing("one") is (number != errno.ENOSPC)


def test_a_failing_area_is_taken_back_only_after_a_good_test(tmp_path: Path):
    areas, disks = two(tmp_path, memory=tmp_path / "memory")
    areas.failed("one", OSError(errno.EIO, "Input/output error"))
    disks["one"].free, disks["one"].refuses = 90 * GIB, errno.EIO

    assert areas.choose()[0] == "two"
    with pytest.raises(RecordingError, match="one"):
        areas.take_back("one")
    assert areas.is_failing("one")

    disks["one"].refuses = 0
    areas.take_back("one")
    assert areas.choose()[0] == "one"


def test_a_failing_area_stays_so_over_a_restart_until_a_command_takes_it_back(
    tmp_path: Path,
):
    running, _ = two(tmp_path, memory=tmp_path / "memory")
    running.failed("one", OSError(errno.EIO, "Input/output error"))

    restarted, _ = two(tmp_path, memory=tmp_path / "memory")
    assert restarted.is_failing("one")

    restarted.take_back("one")
    assert running.is_failing("one")
    running.look_again()
    assert not running.is_failing("one")


def test_the_last_disk_is_used_again_only_when_it_passes_the_test(tmp_path: Path):
    areas, disks = two(tmp_path)
    for name in disks:
        areas.failed(name, OSError(errno.EIO, "Input/output error"))
        disks[name].refuses = errno.EIO
    with pytest.raises(OSError, match="no area works"):
        areas.choose()

    disks["two"].refuses = 0
    assert areas.choose()[0] == "two"
    assert areas.is_failing("two")  # the alarm stands until a person has looked


def test_a_disk_that_returns_something_else_is_found_out(tmp_path: Path):
    class Liar(Files):
        def read(
            self, place: Sequence[str], offset_bytes: int = 0, length_bytes: int = -1
        ) -> bytes:
            data = bytearray(super().read(place, offset_bytes, length_bytes))
            data[len(data) // 2] ^= 1
            return bytes(data)

    with pytest.raises(RecordingError, match="not what was written"):
        self_test(Liar(tmp_path), "liar")
    self_test(Files(tmp_path), "honest")


def test_an_area_that_is_only_read_gets_nothing_new(tmp_path: Path):
    areas = Areas.of(
        [
            Area(area_id="old", directory=tmp_path / "old", is_recorded=False),
            Area(area_id="new", directory=tmp_path / "new"),
        ]
    )

    assert areas.choose()[0] == "new"
    with pytest.raises(RecordingError, match=r"put it back under recording\.areas"):
        areas.files("gone")
