"""Which recordings must go and which must stay: a decision, not a deletion.

The function below decides; ``recording.janitor`` deletes, and deletes nothing that is
not in a plan. So the rule that destroys evidence can be read on one screen and tested
without a disk.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from almenara.core.ids import SegmentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A minute or so of one camera's video, closed and indexed."""

    segment_id: SegmentId
    ended_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionPlan:
    """What to delete, oldest first, and whether that is enough."""

    expired: tuple[SegmentId, ...]
    """Older than the law allows."""

    crowded_out: tuple[SegmentId, ...]
    """Younger, but the recorder needs the room."""

    expired_bytes: int
    freed_bytes: int
    shortfall_bytes: int
    """Bytes still missing when everything deletable is gone; the operator must know."""

    postponed: int
    """Segments that are too old and wait, because too many went at once."""


def plan_deletions(
    segments: Sequence[Segment],
    *,
    now: datetime,
    keep_for: timedelta,
    need_bytes: int = 0,
    on_hold: Collection[SegmentId] = (),
    expire_at_most_bytes: int | None = None,
) -> DeletionPlan:
    """Choose the segments to delete.

    Everything older than ``keep_for`` goes, because keeping personal data longer than
    the law allows is a fault too. If that frees less than ``need_bytes``, the oldest of
    the rest follow. A segment on hold never goes.

    Args:
        segments: Closed segments of one store, in any order.
        now: The present, UTC.
        keep_for: Legal retention period.
        need_bytes: Space the recorder asks for.
        on_hold: Ids of segments that a case or a court has frozen.
        expire_at_most_bytes: How much may go by age alone this time: a clock that was
            set years ahead must not empty a store. None for no limit. At least one
            segment may always go, so that an old store shrinks.
    """
    expired: list[SegmentId] = []
    crowded_out: list[SegmentId] = []
    expired_bytes = freed_bytes = postponed = 0
    for segment in sorted(segments, key=lambda s: (s.ended_at, s.segment_id)):
        if segment.segment_id in on_hold:
            continue
        size_bytes = segment.size_bytes
        is_old = now - segment.ended_at > keep_for
        within = (
            not expired
            or expire_at_most_bytes is None
            or expired_bytes + size_bytes <= expire_at_most_bytes
        )
        if is_old and within:
            expired.append(segment.segment_id)
            expired_bytes += size_bytes
        elif freed_bytes < need_bytes:
            crowded_out.append(segment.segment_id)
        else:
            postponed += is_old
            continue
        freed_bytes += size_bytes
    return DeletionPlan(
        expired=tuple(expired),
        crowded_out=tuple(crowded_out),
        expired_bytes=expired_bytes,
        freed_bytes=freed_bytes,
        shortfall_bytes=max(0, need_bytes - freed_bytes),
        postponed=postponed,
    )
