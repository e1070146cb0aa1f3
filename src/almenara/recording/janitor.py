"""Carries out what retention decided, in the order that survives a crash.

Row doomed, with a second look at the holds in the same transaction; file unlinked; its
directory made durable; rows dropped and the tombstone kept. A crash between any two
steps leaves a doomed row, which the next start finishes. When the store has no room
even for that row, ``recording.purge`` says what goes first.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from almenara.core.errors import RecordingError, StoreFullError
from almenara.core.ids import SegmentId
from almenara.core.time import EPOCH, Clock
from almenara.evidence.retention import Segment, plan_deletions
from almenara.recording.areas import Areas, as_areas
from almenara.recording.files import Files
from almenara.recording.index import SegmentIndex, SegmentRecord, SegmentState
from almenara.recording.purge import Ballast, PurgeJournal, PurgePlan

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXPIRED_PER_HOUR = 0.05
"""Of a store, by age alone: a clock that is wrong gets noticed before all is gone."""

HOUR_S = 3_600.0
STEP_S = 3_600.0
STEADY_S = 1_800.0
WAIT_S = 60.0
BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What one round did."""

    deleted: int = 0
    freed_bytes: int = 0
    expired_bytes: int = 0
    shortfall_bytes: int = 0
    """Still missing when everything that may go is gone; the operator must know."""

    postponed: int = 0
    """Segments that are too old and wait, because too many went at once."""

    deletable_bytes: int = 0
    """Of what nothing protects and what is left: room that can still be made."""

    held_bytes: int = 0

    def __add__(self, other: "Cleaning") -> "Cleaning":
        return Cleaning(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What helps when the store itself is full."""

    plan: PurgePlan
    journal: PurgeJournal
    ballast: Ballast

    def is_needed(self) -> bool:
        """Whether the store's disk is as good as full, and there is room to lend."""
        return self.ballast.is_whole and self.ballast.is_needed

    def lend(self) -> None:
        """Let a start have the room, where there is no other."""
        if self.is_needed():
            self.ballast.drop()

    def prepare(self) -> None:
        """Take journal and ballast while there is room; a full disk has to wait."""
        with suppress(OSError):
            self.journal.prepare()
        self.ballast.fill()


class Janitor:
    """Deletes recordings; blocking, so call it in a thread of its own."""

    def __init__(
        self,
        media: Path | Areas,
        index: SegmentIndex,
        clock: Clock,
        *,
        files: Files | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        self._areas = as_areas(media, files)
        self._index = index
        self._clock = clock
        self._reserve = reserve
        self._trust = _WallTrust(clock)
        self._expired: deque[tuple[float, int]] = deque()
        """When by the monotonic clock, and how many bytes, within the last hour."""

    def tidy(self, *, keep_for: timedelta, keep_free_bytes: int = 0) -> Cleaning:
        """Delete what is too old, and the oldest of the rest where room is needed.

        Args:
            keep_for: Legal retention period.
            keep_free_bytes: Space that must stay free in each area, beside the floor it
                has of its own; held footage goes not even then.

        Raises:
            RecordingError: The disk refused; what was doomed is finished later.
            StoreError: The store refused, and its reserve did not help.
        """
        needs = self._areas.needs()
        for area_id, files in self._areas:
            with suppress(OSError):
                missing_bytes = keep_free_bytes - files.free_bytes()
                needs[area_id] = max(needs.get(area_id, 0), missing_bytes)
        if self._reserve is not None and self._reserve.is_needed():
            return self._purge(self._reserve, needs)
        try:
            done = self._tidied(keep_for, needs)
        except StoreFullError as error:
            if self._reserve is None:
                raise
            log.error("store_full", reason=str(error))
            return self._purge(self._reserve, needs)
        if self._reserve is not None and not self._reserve.ballast.fill():
            log.error("ballast_missing", reason="no room for it on the store's disk")
        return done

    def _tidied(self, keep_for: timedelta, needs: Mapping[str, int]) -> Cleaning:
        if self._reserve is not None:
            self._reserve.journal.prepare()
            settle(self._reserve.journal, self._areas, self._index, self._clock)
        sealed = self._index.segments_in([SegmentState.SEALED])
        held = self._index.held()
        if self._reserve is not None:
            ours = [s for s in sealed if self._areas.owns(s.target_id)]
            self._reserve.plan.refresh(ours, held)
        left_bytes = self._allowance(sum(segment.size_bytes for segment in sealed))
        left, done = dict(needs), Cleaning()
        for area_id in self._areas.tidied_in_order():
            if self._areas.is_failing(area_id):
                continue  # what cannot be unlinked would only be doomed
            cleaned = self._one_area(
                [segment for segment in sealed if segment.target_id == area_id],
                held,
                keep_for,
                need_bytes=max(0, left.get(area_id, 0)),
                expire_at_most_bytes=left_bytes - done.expired_bytes,
            )
            done += cleaned
            for other in self._areas.beside(area_id):
                left[other] = left.get(other, 0) - cleaned.freed_bytes
        self._expired.append((self._clock.monotonic_s(), done.expired_bytes))
        if done.shortfall_bytes:
            log.error("recordings_too_large", missing_bytes=done.shortfall_bytes)
        return done

    def _one_area(
        self,
        sealed: Sequence[SegmentRecord],
        held: Collection[SegmentId],
        keep_for: timedelta,
        *,
        need_bytes: int,
        expire_at_most_bytes: int,
    ) -> Cleaning:
        plan = plan_deletions(
            [
                Segment(
                    segment_id=segment.segment_id,
                    ended_at=segment.ended_at,
                    size_bytes=segment.size_bytes,
                )
                for segment in sealed
            ],
            now=self._clock.now() if self._trust.is_given() else EPOCH,
            keep_for=keep_for,
            need_bytes=need_bytes,
            on_hold=held,
            expire_at_most_bytes=expire_at_most_bytes,
        )
        gone = self._delete(plan.expired, "expired")
        gone += self._delete(plan.crowded_out, "space")
        freed_bytes = sum(segment.size_bytes for segment in gone)
        held_bytes = sum(s.size_bytes for s in sealed if s.segment_id in held)
        all_bytes = sum(segment.size_bytes for segment in sealed)
        return Cleaning(
            deleted=len(gone),
            freed_bytes=freed_bytes,
            expired_bytes=plan.expired_bytes,
            shortfall_bytes=plan.shortfall_bytes,
            postponed=plan.postponed,
            deletable_bytes=all_bytes - held_bytes - freed_bytes,
            held_bytes=held_bytes,
        )

    def _purge(self, reserve: Reserve, needs: Mapping[str, int]) -> Cleaning:
        """Files first, then the rows, in the room that the ballast leaves."""
        with reserve.plan.taking(needs) as segments:
            try:
                reserve.journal.note([segment.segment_id for segment in segments])
                for segment in segments:
                    self._areas.own(segment.target_id).unlink(segment.place)
            except OSError as error:  # what did go is noted; the ballast helps alone
                log.error("purge_incomplete", reason=str(error))
        reserve.ballast.drop()
        finished = settle(reserve.journal, self._areas, self._index, self._clock)
        is_back = reserve.ballast.fill()
        log.warning("purged", segments=finished, ballast=is_back)
        return Cleaning(
            deleted=finished,
            freed_bytes=sum(segment.size_bytes for segment in segments),
        )

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
                finish(self._areas, self._index, segment)
            gone += doomed
        return gone


class _WallTrust:
    """Whether the wall clock may be asked what is old.

    After a step forward of more than an hour nothing expires until it has run on
    without a step for half an hour: somebody may have set it wrong.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._now_offset_s()
        self._again_at_s = -math.inf

    def is_given(self) -> bool:
        offset_s, now_s = self._now_offset_s(), self._clock.monotonic_s()
        step_s = offset_s - self._offset_s
        if step_s > STEP_S:
            log.error("clock_stepped", forward_s=round(step_s))
            self._again_at_s = now_s + STEADY_S
        self._offset_s = offset_s
        return now_s >= self._again_at_s

    def _now_offset_s(self) -> float:
        wall_s = (self._clock.now() - EPOCH).total_seconds()
        return wall_s - self._clock.monotonic_s()


def finish(areas: Areas, index: SegmentIndex, segment: SegmentRecord) -> None:
    """Delete a doomed segment's file and rows; safe to repeat from any step.

    Raises:
        RecordingError: The disk or the store refused.
    """
    try:
        if not areas.own(segment.target_id).unlink(segment.place):
            log.warning("doomed_file_gone", segment_id=segment.segment_id)
    except OSError as error:
        areas.failed(segment.target_id, error)
        raise RecordingError(f"{segment.segment_id}: {error}") from error
    answered(index.bury(segment.segment_id))


def settle(
    journal: PurgeJournal, areas: Areas, index: SegmentIndex, clock: Clock
) -> int:
    """Tell the store what a purge took, and finish it; safe to repeat.

    Returns:
        How many segments are gone now.

    Raises:
        StoreError: The store has no room even now; the journal keeps them.
        OSError: The journal's disk refused; it is done again.
    """
    noted = journal.noted()
    if not noted:
        return 0
    doomed = answered(index.doom(noted, "space", clock.now()))
    begun = [
        segment
        for segment in index.segments_in([SegmentState.DOOMED])
        if areas.owns(segment.target_id)
    ]
    finished = 0
    for segment in begun:
        try:
            finish(areas, index, segment)
        except RecordingError as error:  # its disk fails; the others need not wait
            log.error("purge_unfinished", reason=str(error))
        else:
            finished += 1
    if finished == len(begun):
        journal.note(())
    log.info("purge_settled", segments=len(doomed))
    return finished


def answered(answer: "Future[T]") -> T:
    """What the index answers; for threads that have nothing else to do."""
    return answer.result(WAIT_S)
