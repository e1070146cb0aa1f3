"""What may go when even the store has no room left, and how that survives a crash.

A full store cannot delete: it needs room to write that something is gone. So the oldest
unprotected segments are known beforehand, in memory; their numbers go into a journal
whose blocks were taken long ago, their files go, and only then is the store told, with
the room of its ballast. A hold takes its segments out of the plan under the same lock,
before it is confirmed.

**Source**: docs/design/recording.md, "Full disk"; CRC-32 guards a torn journal.
"""

import os
import struct
import threading
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from almenara.core.ids import SegmentId
from almenara.recording.files import make_folder
from almenara.recording.index import Hold, SegmentRecord

PLANNED = 200
"""Segments that are known to may go."""

SLOTS = 256
HEAD = struct.Struct("<4sHI")
"""Mark, count, CRC-32 of the numbers."""

MARK = b"purg"
JOURNAL_BYTES = HEAD.size + SLOTS * 16
BALLAST_BYTES = 64 * 1024 * 1024
BLOCK = bytes(range(256)) * 4096
"""Written, not sparse, and not all alike: a disk may compress."""


class PurgePlan:
    """The oldest segments that nothing protects; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._segments: list[SegmentRecord] = []
        self._holds: dict[str, Hold] = {}
        """Placed by this process: a plan made from older rows must know of them."""

    def refresh(
        self, sealed: Sequence[SegmentRecord], held: Collection[SegmentId]
    ) -> None:
        """Plan anew from what the index said: ``sealed``, oldest first."""
        with self._lock:
            free = (s for s in sealed if s.segment_id not in held)
            holds = list(self._holds.values())
            fit = (s for s in free if not any(_covers(hold, s) for hold in holds))
            self._segments = [s for s, _ in zip(fit, range(PLANNED), strict=False)]

    def protect(self, hold: Hold) -> None:
        """Call it before a hold is committed; waits for a purge that is under way."""
        with self._lock:
            self._holds[hold.hold_id] = hold
            self._segments = [s for s in self._segments if not _covers(hold, s)]

    @contextmanager
    def taking(self, need_bytes: Mapping[str, int]) -> Iterator[list[SegmentRecord]]:
        """The oldest that free so much in each area; no hold comes in between."""
        with self._lock:
            left = dict(need_bytes)
            taken: list[SegmentRecord] = []
            for segment in self._segments:
                if left.get(segment.target_id, 0) > 0 and len(taken) < SLOTS:
                    left[segment.target_id] -= segment.size_bytes
                    taken.append(segment)
            yield taken
            gone = {segment.segment_id for segment in taken}
            self._segments = [s for s in self._segments if s.segment_id not in gone]


class PurgeJournal:
    """Numbers of segments whose files go before the store knows it.

    The file is made while there is room and overwritten in place afterwards, which
    needs no new block.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Take the blocks, if that was not done long ago.

        Raises:
            OSError: There is no room even for that.
        """
        with suppress(FileNotFoundError):
            if self._path.stat().st_size == JOURNAL_BYTES:
                return
        make_folder(self._path.parent)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(_journal(()))
        _sync(fresh)
        fresh.replace(self._path)
        _sync(self._path.parent)

    def note(self, segment_ids: Sequence[SegmentId]) -> None:
        """Replace what is noted; durable on return.

        Raises:
            OSError: The disk refused; nothing may be unlinked.
            ValueError: Too many.
        """
        if len(segment_ids) > SLOTS:
            raise ValueError(f"{len(segment_ids)} segments, at most {SLOTS}")
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.pwrite(fd, _journal(segment_ids), 0)
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def noted(self) -> list[SegmentId]:
        """What a purge had begun; empty after a cut while noting: nothing went."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        if len(data) != JOURNAL_BYTES:
            return []
        mark, count, crc = HEAD.unpack_from(data)
        numbers = data[HEAD.size : HEAD.size + 16 * count]
        if mark != MARK or count > SLOTS or zlib.crc32(numbers) != crc:
            return []
        return [
            SegmentId(str(uuid.UUID(bytes=numbers[at : at + 16])))
            for at in range(0, len(numbers), 16)
        ]


class Ballast:
    """Room that the store's disk lends to deletions when it is full."""

    def __init__(self, path: Path, size_bytes: int = BALLAST_BYTES) -> None:
        self._path = path
        self.size_bytes = size_bytes

    @property
    def is_whole(self) -> bool:
        try:
            return self._path.stat().st_size == self.size_bytes
        except OSError:
            return False

    def fill(self) -> bool:
        """Write it if it is not there; False if there is no room for it."""
        if self.is_whole:
            return True
        try:
            make_folder(self._path.parent)
            if (self.free_bytes() or 0) < self.size_bytes * 5 // 4:
                return False  # it would be needed again at once
            with self._path.open("wb") as file:
                for start in range(0, self.size_bytes, len(BLOCK)):
                    file.write(BLOCK[: self.size_bytes - start])
                file.flush()
                os.fdatasync(file.fileno())
        except OSError:
            self.drop()  # half of it would only be in the way
            return False
        return True

    def drop(self) -> None:
        """Give its room back."""
        with suppress(OSError):
            self._path.unlink()
            _sync(self._path.parent)

    @property
    def is_needed(self) -> bool:
        """Whether there is so little room that what it lends is wanted now."""
        free_bytes = self.free_bytes()
        return free_bytes is not None and free_bytes < self.size_bytes // 8

    def free_bytes(self) -> int | None:
        """Room on its disk without it; None if the disk does not answer."""
        with suppress(OSError):
            found = os.statvfs(self._path.parent)
            return found.f_bavail * found.f_frsize
        return None


def _covers(hold: Hold, segment: SegmentRecord) -> bool:
    is_of = hold.stream_id is None or hold.stream_id == segment.stream_id
    return is_of and hold.start < segment.ended_at and hold.end > segment.started_at


def _journal(segment_ids: Sequence[SegmentId]) -> bytes:
    numbers = b"".join(uuid.UUID(each).bytes for each in segment_ids)
    head = HEAD.pack(MARK, len(segment_ids), zlib.crc32(numbers))
    return (head + numbers).ljust(JOURNAL_BYTES, b"\0")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
