"""What the evidence log says of recordings: sealed, gap, hold, deleted.

Each function is called in the transaction that changes the row, after the change.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from almenara.core.ids import StreamId
from almenara.core.media import Gap
from almenara.evidence.leaves import (
    Deleted,
    Deletion,
    GapChange,
    GapStep,
    HoldChange,
    HoldStep,
    SealedFragment,
    SegmentSealed,
)
from almenara.node.store import evidence_log
from almenara.recording.index import FragmentRecord


def sealed(
    db: sa.Connection,
    row: Mapping[Any, Any],
    fragments: Iterable[FragmentRecord],
    packed: bytes,
) -> None:
    """A segment was sealed.

    Args:
        db: The connection of the transaction.
        row: ``segment`` and ``segment_detail`` together.
        fragments: All of it, in order.
        packed: The same as ``segment_detail`` keeps them.
    """
    stream_id = row["stream_id"]
    previous = evidence_log.follow_stream(db, stream_id)
    leaf = segment_leaf(row, fragments, packed, previous=previous)
    (sha256,) = evidence_log.append(db, leaf)
    evidence_log.lead_stream(db, stream_id, sha256)


def segment_leaf(
    row: Mapping[Any, Any],
    fragments: Iterable[FragmentRecord],
    packed: bytes,
    *,
    previous: bytes | None,
) -> SegmentSealed:
    """What the log says of a segment, made of its rows."""
    return SegmentSealed(
        segment_id=row["segment_id"],
        stream_id=row["stream_id"],
        run=row["run"],
        origin=row["origin"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        size_bytes=row["size_bytes"],
        init_size_bytes=row["init_size_bytes"],
        init_sha256=row["init_sha256"],
        fragments=tuple(
            SealedFragment(
                offset_bytes=each.offset_bytes,
                length_bytes=each.length_bytes,
                sha256=each.sha256,
            )
            for each in fragments
        ),
        table_sha256=hashlib.sha256(packed).digest(),
        labels=row["labels"],
        software=row["software"],
        previous=previous,
    )


def gap_changed(
    db: sa.Connection, stream_id: StreamId, put: Gap, before: tuple[Any, str] | None
) -> None:
    """A gap was noted, ended, or taken away; silent if nothing changed.

    Args:
        db: The connection of the transaction.
        stream_id: Whose.
        put: What was asked for; a gap that ends where it starts was taken away.
        before: End and cause of the row that was there; None if there was none.
    """
    is_gone = put.end is not None and put.end <= put.start
    if (is_gone and before is None) or (
        not is_gone and before is not None and before[0] == put.end
    ):
        return
    ended = GapStep.OPENED if put.end is None else GapStep.CLOSED
    leaf = GapChange(
        step=GapStep.WITHDRAWN if is_gone else ended,
        stream_id=stream_id,
        started_at=put.start,
        ended_at=put.end,
        cause=put.cause if before is None else before[1],
    )
    evidence_log.append(db, leaf)


def hold_placed(db: sa.Connection, row: Mapping[Any, Any]) -> None:
    """A hold was placed."""
    ground = evidence_log.keep_text(db, row["ground"])
    evidence_log.append(
        db, _hold(row, HoldStep.PLACED, at=row["placed_at"], ground=ground)
    )


def hold_released(db: sa.Connection, row: Mapping[Any, Any], at: datetime) -> None:
    """A hold was released."""
    ground = evidence_log.keep_text(db, row["ground"])
    evidence_log.append(db, _hold(row, HoldStep.RELEASED, at=at, ground=ground))


def deleted(db: sa.Connection, tombstone: Mapping[Any, Any]) -> None:
    """A segment was doomed: its file goes, its hash and times stay."""
    leaf = Deletion(
        what=Deleted.SEGMENT,
        id=tombstone["segment_id"],
        at=tombstone["deleted_at"],
        reason=tombstone["reason"],
        stream_id=tombstone["stream_id"],
        started_at=tombstone["started_at"],
        ended_at=tombstone["ended_at"],
        size_bytes=tombstone["size_bytes"],
        sha256=tombstone["fragments_sha256"],
    )
    evidence_log.append(db, leaf)


def _hold(
    row: Mapping[Any, Any], step: HoldStep, *, at: datetime, ground: bytes
) -> HoldChange:
    return HoldChange(
        step=step,
        hold_id=row["hold_id"],
        at=at,
        stream_id=row["stream_id"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        ground=ground,
    )
