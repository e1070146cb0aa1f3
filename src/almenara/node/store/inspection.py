"""The index read in bulk, for checks; fulfils ``recording.check.Ledger``."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from almenara.core.ids import SegmentId, StreamId
from almenara.node.store.database import Store
from almenara.node.store.recordings import (
    SqlSegmentIndex,
    fragment,
    gap,
    segment,
    segment_detail,
    tombstone,
    unpacked,
)
from almenara.recording.check import Content, Stretch, Summary
from almenara.recording.index import FragmentRecord, SegmentState

LASTING = 1 << 62
"""Later than any time, for what has no end."""

SUMMARY = sa.select(
    segment.c.segment_id,
    segment.c.stream_id,
    segment.c.started_at,
    segment.c.ended_at,
    segment.c.size_bytes,
    segment.c.target_id,
    segment.c.state,
).order_by(segment.c.segment_id)


class SqlLedger:
    """Reads only; each answer is of one instant."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = SqlSegmentIndex(store)

    def streams(self) -> Sequence[StreamId]:
        return self._index.streams()

    def fits(self, stream_id: StreamId) -> bool:
        live = segment.c.state != SegmentState.DOOMED
        parts = (
            sa.select(*_span(segment)).where(segment.c.stream_id == stream_id, live),
            sa.select(*_span(tombstone)).where(tombstone.c.stream_id == stream_id),
            sa.select(*_span(gap)).where(gap.c.stream_id == stream_id),
        )
        every = sa.union_all(*parts).subquery()
        start, end = every.c.start, sa.func.coalesce(every.c.end, LASTING)
        before = sa.func.max(end).over(order_by=(start, end), rows=(None, -1))
        pairs = sa.select(start.label("start"), before.label("before"))
        pairs_of = pairs.where(start < end).subquery()
        odd = sa.select(pairs_of.c.start).where(pairs_of.c.before != pairs_of.c.start)
        return self._store.read_now(lambda db: db.execute(odd.limit(1)).first() is None)

    def stretches(self, stream_id: StreamId) -> Sequence[Stretch]:
        kept = sa.select(*_span(segment), segment.c.segment_id).where(
            segment.c.stream_id == stream_id, segment.c.state != SegmentState.DOOMED
        )
        gone = sa.select(*_span(tombstone), tombstone.c.segment_id)
        gone = gone.where(tombstone.c.stream_id == stream_id)
        gaps = sa.select(*_span(gap), gap.c.cause).where(gap.c.stream_id == stream_id)

        def work(db: sa.Connection) -> list[Stretch]:
            return [
                Stretch(start, end, kind, name)
                for kind, wanted in (
                    ("segment", kept),
                    ("tombstone", gone),
                    ("gap", gaps),
                )
                for start, end, name in db.execute(wanted)
            ]

        return self._store.read_now(work)

    def count(self) -> int:
        counted = sa.select(sa.func.count()).select_from(segment)
        return self._store.read_now(lambda db: db.execute(counted).scalar_one())

    def summaries(self, after: str, limit: int) -> Sequence[Summary]:
        wanted = SUMMARY.where(segment.c.segment_id > after).limit(limit)

        def work(db: sa.Connection) -> list[Summary]:
            return [
                Summary(
                    segment_id=SegmentId(segment_id),
                    stream_id=StreamId(stream_id),
                    started_at=start,
                    ended_at=end,
                    size_bytes=size,
                    target_id=target_id,
                    state=SegmentState(state),
                )
                for segment_id, stream_id, start, end, size, target_id, state in (
                    db.execute(wanted)
                )
            ]

        return self._store.read_now(work)

    def contents(self, ids: Sequence[SegmentId]) -> dict[SegmentId, Content]:
        wanted = sa.select(
            segment_detail.c.segment_id,
            segment_detail.c.init_size_bytes,
            segment_detail.c.init_sha256,
            segment_detail.c.fragments,
        ).where(segment_detail.c.segment_id.in_(ids))
        loose = sa.select(fragment).where(fragment.c.segment_id.in_(ids))
        loose = loose.order_by(fragment.c.segment_id, fragment.c.sequence)

        def work(db: sa.Connection) -> dict[SegmentId, Content]:
            rows: dict[str, list[FragmentRecord]] = defaultdict(list)
            for row in db.execute(loose).mappings():
                rows[row["segment_id"]].append(FragmentRecord(**row))
            return {
                SegmentId(name): Content(
                    init_size_bytes=size,
                    init_sha256=sha256,
                    fragments=tuple(
                        rows[name]
                        if packed is None
                        else unpacked(SegmentId(name), packed)
                    ),
                )
                for name, size, sha256, packed in db.execute(wanted)
            }

        return self._store.read_now(work)

    def is_buried(self, segment_id: SegmentId) -> bool:
        own = sa.select(tombstone.c.reason).where(tombstone.c.segment_id == segment_id)
        return self._store.read_now(lambda db: db.execute(own).first() is not None)


def _span(table: sa.Table) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """Start and end as microseconds: a check compares millions."""
    whole = sa.BigInteger()
    return (
        sa.type_coerce(table.c.started_at, whole).label("start"),
        sa.type_coerce(table.c.ended_at, whole).label("end"),
    )
