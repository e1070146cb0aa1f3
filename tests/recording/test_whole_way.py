"""From packets to a file and back, with a real store, real files and real kills."""

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from almenara.core.media import Codec, LiveFragment, LiveInit, Packet
from almenara.core.time import ManualClock
from almenara.node.store.database import Store, open_store
from almenara.node.store.place import Place
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.files import Files
from almenara.recording.fmp4 import found_fragments
from almenara.recording.index import SegmentState
from almenara.recording.janitor import Janitor
from almenara.recording.live import LiveHub
from almenara.recording.playback import Playback
from almenara.recording.reconcile import reconcile
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.recording.films import FPS, STREAM, film

SECOND = timedelta(seconds=1)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with open_store(place) as opened:
        yield opened


@pytest.fixture
def index(store: Store) -> SqlSegmentIndex:
    return SqlSegmentIndex(store)


def record(
    packets: tuple[Packet, ...],
    folder: Path,
    index: SqlSegmentIndex,
    clock: ManualClock,
    files: Files | None = None,
) -> None:
    with Recorder(folder, index, clock, files=files) as recorder:
        recorder.expect(STREAM)
        for packet in packets:
            recorder.put(packet)
    index.settle()


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("b_frames", [0, 2])
async def test_what_was_sent_is_what_is_played(
    tmp_path: Path,
    index: SqlSegmentIndex,
    clock: ManualClock,
    codec: Codec,
    b_frames: int,
):
    packets = film(6, codec=codec, b_frames=b_frames)
    record(packets, tmp_path, index, clock)

    playback = Playback(tmp_path, index)
    pieces = [piece async for piece in playback.clip(STREAM, NOON, NOON + 60 * SECOND)]
    with av.open(io.BytesIO(b"".join(pieces)), "r") as container:
        frames = list(container.decode(video=0))

    assert len(frames) == len(packets)
    times = [float(frame.time or 0.0) for frame in frames]
    steps = {round(b - a, 3) for a, b in pairwise(times)}
    assert steps == {1 / FPS}


@pytest.mark.slow
def test_every_nal_unit_is_kept_byte_for_byte(
    tmp_path: Path, index: SqlSegmentIndex, clock: ManualClock
):
    packets = film(4)
    record(packets, tmp_path, index, clock)

    kept = b"".join(Files(tmp_path).read(place) for place in Files(tmp_path).places())

    at = 0
    for packet in packets:
        for unit in packet.nal_units:
            at = kept.index(len(unit).to_bytes(4, "big") + unit, at)


@pytest.mark.slow
def test_an_index_row_implies_its_bytes(
    tmp_path: Path, index: SqlSegmentIndex, clock: ManualClock
):
    record(film(5), tmp_path, index, clock)
    files = Files(tmp_path)

    for segment in index.segments_in([SegmentState.SEALED]):
        whole = files.read(segment.place)
        for row in index.fragments(segment.segment_id):
            part = whole[row.offset_bytes : row.offset_bytes + row.length_bytes]
            assert len(found_fragments(part)) == 1
            assert hashlib.sha256(part[-found_size(part) :]).digest() == row.sha256


def found_size(part: bytes) -> int:
    """Bytes of ``moof`` and ``mdat``: what is left after the ``uuid`` box."""
    return len(part) - int.from_bytes(part[:4], "big")


class FailingFiles(Files):
    """Runs out of space at its ``n``-th write, and has none from then on."""

    def __init__(self, root: Path, fails_at: int) -> None:
        super().__init__(root)
        self._left = fails_at

    def sync(self, fd: int) -> None:
        self._left -= 1
        if self._left <= 0:
            raise OSError(28, "No space left on device")
        super().sync(fd)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_nothing_is_acknowledged_that_could_not_be_synced(
    tmp_path: Path, index: SqlSegmentIndex, clock: ManualClock, nth: int
):
    record(film(6), tmp_path, index, clock, FailingFiles(tmp_path, nth))

    gaps = index.gaps(STREAM, NOON - SECOND, NOON + 60 * SECOND)
    assert "disk_full" in {gap.cause for gap in gaps}
    files = Files(tmp_path)
    for segment in index.segments_in(list(SegmentState)):
        size_bytes = files.size_bytes(segment.place)
        for row in index.fragments(segment.segment_id):
            assert size_bytes is not None
            assert row.offset_bytes + row.length_bytes <= size_bytes


WRITER = """
import sys
from pathlib import Path
from almenara.node.clock import SystemClock
from almenara.node.store.database import open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.recorder import Recorder
from tests.recording.films import film
folder = Path(sys.argv[1])
told = lambda stream, until: print(until.isoformat(), flush=True)
with open_store(folder / "store.db") as store:
    with Recorder(folder / "media", SqlSegmentIndex(store), SystemClock(),
                  on_durable=told) as recorder:
        for packet in film(400):
            recorder.put(packet)
        sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged", [1, 2, 5, 9, 30])
def test_what_was_acknowledged_survives_a_kill(
    tmp_path: Path, clock: ManualClock, acknowledged: int
):
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().strip() for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        said += [line.strip() for line in child.stdout]
        child.wait()
    until = max(line for line in said if line)

    with open_store(tmp_path / "store.db") as store:
        index = SqlSegmentIndex(store)
        reconcile(tmp_path / "media", index, clock)
        last_end = index.last_end(STREAM)
        files = Files(tmp_path / "media")
        assert not index.segments_in([SegmentState.OPEN])
        for segment in index.segments_in([SegmentState.SEALED]):
            whole = files.read(segment.place)
            for row in index.fragments(segment.segment_id):
                part = whole[row.offset_bytes : row.offset_bytes + row.length_bytes]
                assert hashlib.sha256(part[-found_size(part) :]).digest() == row.sha256
    assert last_end is not None
    assert last_end.isoformat() >= until


@pytest.mark.slow
def test_what_has_to_make_room_goes_and_leaves_a_tombstone(
    tmp_path: Path, index: SqlSegmentIndex, clock: ManualClock
):
    record(film(4), tmp_path, index, clock)
    [before] = Files(tmp_path).places()

    Janitor(tmp_path, index, clock).tidy(keep_for=timedelta(days=1))
    assert Files(tmp_path).places() == [before]

    Janitor(tmp_path, index, clock).tidy(
        keep_for=timedelta(days=1), keep_free_bytes=2**60
    )
    assert Files(tmp_path).places() == []
    assert len(index.tombstones()) == 1


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_viewer_begins_with_a_key_picture(clock: ManualClock):
    hub = LiveHub(clock)
    packets = film(2)
    for packet in packets[: FPS + 5]:
        hub.put(packet)

    watching = hub.watch(STREAM)
    first = [await anext(watching) for _ in range(4)]
    await watching.aclose()

    init, key, *rest = first
    assert isinstance(init, LiveInit)
    assert isinstance(key, LiveFragment)
    assert key.is_key
    assert all(isinstance(m, LiveFragment) and not m.is_key for m in rest)
