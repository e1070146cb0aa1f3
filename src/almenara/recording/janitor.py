"""Carries out what retention decided, in the order that survives a crash.

Row doomed, with a second look at the holds in the same transaction; file unlinked; its
directory made durable; rows dropped and the tombstone kept. A crash between any two
steps leaves a doomed row, which the next start finishes.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from almenara.core.errors import RecordingError
from almenara.core.ids import SegmentId
from almenara.core.time import Clock
from almenara.evidence.retention import DeletionPlan, Segment, plan_deletions
from almenara.recording.files import Files
from almenara.recording.index import SegmentIndex, SegmentRecord, SegmentState

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXPIRED_PER_HOUR = 0.05
"""Of a store, by age alone: a clock that is wrong gets noticed before all is gone."""

HOUR_S = 3_600.0
WAIT_S = 60.0
BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What one round did."""

    plan: DeletionPlan
    deleted: int
    freed_bytes: int


class Janitor:
    """Deletes recordings of one target; blocking, so call it in a thread of its own."""

    def __init__(
        self,
        directory: Path,
        index: SegmentIndex,
        clock: Clock,
        *,
        target_id: str | None = None,
        files: Files | None = None,
    ) -> None:
        self._target_id = target_id
        self._files = files or Files(directory)
        self._index = index
        self._clock = clock
        self._expired: deque[tuple[float, int]] = deque()
        """When by the monotonic clock, and how many bytes, within the last hour."""

    def tidy(self, *, keep_for: timedelta, keep_free_bytes: int = 0) -> Cleaning:
        """Delete what is too old, and the oldest of the rest if the disk is too full.

        Args:
            keep_for: Legal retention period.
            keep_free_bytes: Space that must stay free; held footage goes not even then.

        Raises:
            RecordingError: The store or the disk refused; what was doomed is finished
                later.
        """
        sealed = [
            segment
            for segment in self._index.segments_in([SegmentState.SEALED])
            if self._target_id in (None, segment.target_id)
        ]
        total_bytes = sum(segment.size_bytes for segment in sealed)
        plan = plan_deletions(
            [
                Segment(
                    segment_id=segment.segment_id,
                    ended_at=segment.ended_at,
                    size_bytes=segment.size_bytes,
                )
                for segment in sealed
            ],
            now=self._clock.now(),
            keep_for=keep_for,
            need_bytes=max(0, keep_free_bytes - self._files.free_bytes()),
            on_hold=self._index.held(),
            expire_at_most_bytes=self._allowance(total_bytes),
        )
        if plan.shortfall_bytes:
            log.error("recordings_too_large", missing_bytes=plan.shortfall_bytes)
        self._expired.append((self._clock.monotonic_s(), plan.expired_bytes))
        gone = self._delete(plan.expired, "expired")
        gone += self._delete(plan.crowded_out, "space")
        freed_bytes = sum(segment.size_bytes for segment in gone)
        return Cleaning(plan=plan, deleted=len(gone), freed_bytes=freed_bytes)

    def _allowance(self, total_bytes: int) -> int:
        """How much may still expire within this hour."""
        since_s = self._clock.monotonic_s() - HOUR_S
        while self._expired and self._expired[0][0] <= since_s:
            self._expired.popleft()
        recent_bytes = sum(size for _, size in self._expired)
        share = EXPIRED_PER_HOUR * (total_bytes + recent_bytes)
        return max(0, round(share) - recent_bytes)

    def _delete(
        self, segment_ids: Sequence[SegmentId], reason: str
    ) -> list[SegmentRecord]:
        gone: list[SegmentRecord] = []
        for start in range(0, len(segment_ids), BATCH):
            batch = segment_ids[start : start + BATCH]
            doomed = answered(self._index.doom(batch, reason, self._clock.now()))
            for segment in doomed:
                finish(self._files, self._index, segment)
            gone += doomed
        return gone


def finish(files: Files, index: SegmentIndex, segment: SegmentRecord) -> None:
    """Delete a doomed segment's file and rows; safe to repeat from any step.

    Raises:
        RecordingError: The disk or the store refused.
    """
    try:
        if not files.unlink(segment.place):
            log.warning("doomed_file_gone", segment_id=segment.segment_id)
    except OSError as error:
        raise RecordingError(f"{segment.segment_id}: {error}") from error
    answered(index.bury(segment.segment_id))


def answered(answer: "Future[T]") -> T:
    """What the index answers; for threads that have nothing else to do."""
    return answer.result(WAIT_S)
