"""The index of what is recorded, as the recorder needs it; ``node.store`` keeps it.

Every call may come from any thread. What writes answers with a future that is done only
when the row survives a power cut, and rows are written in the order of the calls. An
answer that never came does not mean that nothing was written.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap


class SegmentState(StrEnum):
    """The life of a file."""

    OPEN = "open"
    SEALED = "sealed"
    DOOMED = "doomed"
    """To be deleted: the file may be gone already."""


class Origin(StrEnum):
    """How a segment came to be ours."""

    LIVE = "live"
    RECOVERED = "recovered"
    """Found complete after a crash, with a hash that matched, and no row."""

    REBUILT = "rebuilt"
    """Taken in by a person's order, from what the file says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """One file of at most a minute."""

    segment_id: SegmentId
    stream_id: StreamId
    run: int
    started_at: datetime
    ended_at: datetime
    """Of the last acknowledged fragment."""

    size_bytes: int
    """Init and acknowledged fragments."""

    target_id: str
    init_size_bytes: int
    init_sha256: bytes
    labels: Labels
    state: SegmentState = SegmentState.OPEN
    origin: Origin = Origin.LIVE

    @property
    def place(self) -> tuple[str, str, str]:
        """Two folders and a file name below the target: stream, UTC day, segment."""
        day = self.started_at.strftime("%Y%m%d")
        return self.stream_id, day, f"{self.segment_id}.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentRecord:
    """Some two seconds: the unit of acknowledgement."""

    segment_id: SegmentId
    sequence: int
    offset_bytes: int
    length_bytes: int
    sha256: bytes
    """Of ``moof`` and ``mdat``."""

    started_at: datetime
    ended_at: datetime
    starts_with_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Footage that must stay, recorded already or not yet."""

    hold_id: str
    stream_id: StreamId | None
    """None: every stream."""

    start: datetime
    end: datetime
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is left of a deleted segment."""

    segment_id: SegmentId
    stream_id: StreamId
    started_at: datetime
    ended_at: datetime
    size_bytes: int
    reason: str
    deleted_at: datetime


class SegmentIndex(Protocol):
    """Rows of segments, fragments and gaps."""

    def add(
        self,
        fragment: FragmentRecord,
        *,
        segment: SegmentRecord | None = None,
        gap: Gap | None = None,
    ) -> "Future[None]":
        """Acknowledge a fragment whose bytes are on stable storage.

        Args:
            fragment: Numbered from 0 without a hole; a number out of order is refused.
            segment: The fragment's own, with its first.
            gap: What lies before the fragment; replaces the one with the same start. A
                gap that turned out to have no length is taken away.
        """
        ...

    def seal(
        self, segment_id: SegmentId, size_bytes: int | None = None
    ) -> "Future[None]":
        """No fragment will follow; repeating changes nothing.

        With ``size_bytes`` the rows must end there: where one of them was refused, the
        segment stays open, and the next start takes in what lies in its file.
        """
        ...

    def put_gap(self, stream_id: StreamId, gap: Gap) -> "Future[None]":
        """Note a gap; replaces the end of the one with the same start."""
        ...

    def place_hold(self, hold: Hold, at: datetime) -> "Future[None]":
        """From now on nothing in it can be doomed."""
        ...

    def release_hold(self, hold_id: str, at: datetime) -> "Future[None]":
        """Give it back to retention."""
        ...

    def doom(
        self, segment_ids: Sequence[SegmentId], reason: str, at: datetime
    ) -> "Future[list[SegmentRecord]]":
        """Choose for deletion those that are sealed and that no hold covers.

        Returns:
            The segments doomed now; the others stay.
        """
        ...

    def bury(self, segment_id: SegmentId) -> "Future[None]":
        """The doomed segment's file is gone: drop its rows, keep the tombstone."""
        ...

    def segments(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> list[SegmentRecord]:
        """Open and sealed ones that touch [start, end), by time."""
        ...

    def segments_in(self, states: Collection[SegmentState]) -> list[SegmentRecord]:
        """All in these states, oldest first."""
        ...

    def find(self, segment_id: SegmentId) -> SegmentRecord | None:
        """One segment in any state."""
        ...

    def fragments(self, segment_id: SegmentId) -> list[FragmentRecord]:
        """The acknowledged fragments of a segment, in order."""
        ...

    def gaps(self, stream_id: StreamId, start: datetime, end: datetime) -> list[Gap]:
        """Those that touch [start, end), uncut, by time."""
        ...

    def open_gap(self, stream_id: StreamId) -> Gap | None:
        """The gap that lasts."""
        ...

    def streams(self) -> list[StreamId]:
        """All that were ever recorded or due."""
        ...

    def last_end(self, stream_id: StreamId) -> datetime | None:
        """The end of the last acknowledged fragment; None if there never was one."""
        ...

    def held(self) -> set[SegmentId]:
        """The sealed segments that a hold covers."""
        ...

    def tombstones(self) -> list[Tombstone]:
        """What was deleted, oldest first."""
        ...
