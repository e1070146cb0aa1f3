"""Segments, fragments, gaps and holds in the store; fulfils ``recording.index``.

``segment`` is narrow, for questions of time; what is wide lies in ``segment_detail``.
Fragments have rows while their segment is open, and are packed into one value when it
is sealed: fifty-six bytes each.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar

import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.core.ids import CentreId, SegmentId, StreamId
from almenara.core.labels import Labels, Purpose, Sensitivity
from almenara.core.media import Gap
from almenara.core.time import from_micros, to_micros
from almenara.node.store import recorded_leaves
from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.recording.index import (
    FragmentRecord,
    Hold,
    Origin,
    SegmentRecord,
    SegmentState,
    Tombstone,
)

T = TypeVar("T")

boot = sa.Table(
    "boot",
    metadata,
    sa.Column("boot_id", sa.Text, primary_key=True),
    sa.Column("started_at", UtcMicros, nullable=False),
)
target = sa.Table(
    "target",
    metadata,
    sa.Column("target_id", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("added_at", UtcMicros, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False, default=0),
    sa.Column("confirmed", sa.BigInteger, nullable=False, default=0),
)
segment = sa.Table(
    "segment",
    metadata,
    sa.Column("segment_id", sa.Text, primary_key=True),
    sa.Column("stream_id", sa.Text, nullable=False),
    sa.Column("run", sa.BigInteger, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("target_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.CheckConstraint(
        "state in ('open', 'sealed', 'doomed')", name="ck_segment_state"
    ),
    sa.CheckConstraint("started_at <= ended_at", name="ck_segment_times"),
)
# Serves "what is there of this stream between these times".
sa.Index("segment_time", segment.c.stream_id, segment.c.started_at, segment.c.ended_at)
# Serves retention and reconciliation: the oldest, the open, the doomed.
sa.Index("segment_state", segment.c.state, segment.c.ended_at)

segment_detail = sa.Table(
    "segment_detail",
    metadata,
    sa.Column("segment_id", sa.Text, primary_key=True),
    sa.Column("init_size_bytes", sa.Integer, nullable=False),
    sa.Column("init_sha256", sa.LargeBinary, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("software", sa.Text, nullable=False),
    sa.Column("fragments", sa.LargeBinary),
    sa.ForeignKeyConstraint(["segment_id"], ["segment.segment_id"], ondelete="cascade"),
)
fragment = sa.Table(
    "fragment",
    metadata,
    sa.Column("segment_id", sa.Text, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("offset_bytes", sa.BigInteger, nullable=False),
    sa.Column("length_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros, nullable=False),
    sa.Column("starts_with_key", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("segment_id", "sequence"),
    sa.ForeignKeyConstraint(["segment_id"], ["segment.segment_id"], ondelete="cascade"),
)
gap = sa.Table(
    "gap",
    metadata,
    sa.Column("stream_id", sa.Text, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.Column("cause", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("stream_id", "started_at"),
    sa.CheckConstraint(
        "ended_at is null or started_at < ended_at", name="ck_gap_times"
    ),
)
hold = sa.Table(
    "hold",
    metadata,
    sa.Column("hold_id", sa.Text, primary_key=True),
    sa.Column("stream_id", sa.Text),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros, nullable=False),
    sa.Column("ground", sa.Text, nullable=False),
    sa.Column("placed_at", UtcMicros, nullable=False),
    sa.Column("released_at", UtcMicros),
)
tombstone = sa.Table(
    "tombstone",
    metadata,
    sa.Column("segment_id", sa.Text, primary_key=True),
    sa.Column("stream_id", sa.Text, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("fragments_sha256", sa.LargeBinary, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("deleted_at", UtcMicros, nullable=False),
)

PACKED = struct.Struct(">QIqq?32s")
"""Offset, length, start and end in microseconds, key, hash."""

COVERED = (
    sa.exists()
    .where(hold.c.released_at.is_(None))
    .where(hold.c.stream_id.is_(None) | (hold.c.stream_id == segment.c.stream_id))
    .where(hold.c.started_at < segment.c.ended_at)
    .where(hold.c.ended_at > segment.c.started_at)
)
RECORD = sa.select(
    segment,
    segment_detail.c.init_size_bytes,
    segment_detail.c.init_sha256,
    segment_detail.c.labels,
).join(segment_detail, segment_detail.c.segment_id == segment.c.segment_id)

WHOLE = RECORD.add_columns(segment_detail.c.software)


class SqlSegmentIndex:
    """Hands its writing to the store's one writer, which commits in groups."""

    def __init__(
        self, store: Store, *, before_hold: Callable[[Hold], None] = lambda _: None
    ) -> None:
        self._store = store
        self._before_hold = before_hold
        """Told of a hold before it is placed, so that no purge overtakes it."""

    def settle(self) -> None:
        """Return when everything handed over before is committed; blocking."""
        self._submit(lambda _: None).result()

    def add(
        self,
        record: FragmentRecord,
        /,
        *,
        segment: SegmentRecord | None = None,
        gap: Gap | None = None,
    ) -> "Future[None]":
        return self._submit(lambda db: _add(db, record, segment, gap))

    def seal(
        self, segment_id: SegmentId, size_bytes: int | None = None
    ) -> "Future[None]":
        return self._submit(lambda db: _seal(db, segment_id, size_bytes))

    def put_gap(self, stream_id: StreamId, gap: Gap) -> "Future[None]":
        return self._submit(lambda db: _put_gap(db, stream_id, gap))

    def place_hold(self, placed: Hold, /, at: datetime) -> "Future[None]":
        self._before_hold(placed)
        row = {
            "hold_id": placed.hold_id,
            "stream_id": placed.stream_id,
            "started_at": placed.start,
            "ended_at": placed.end,
            "ground": placed.ground,
            "placed_at": at,
        }
        return self._submit(lambda db: _place_hold(db, row))

    def release_hold(self, hold_id: str, at: datetime) -> "Future[None]":
        return self._submit(lambda db: _release_hold(db, hold_id, at))

    def doom(
        self, segment_ids: Sequence[SegmentId], reason: str, at: datetime
    ) -> "Future[list[SegmentRecord]]":
        return self._submit(lambda db: _doom(db, segment_ids, reason, at))

    def bury(self, segment_id: SegmentId) -> "Future[None]":
        gone = sa.delete(segment).where(
            segment.c.segment_id == segment_id, segment.c.state == SegmentState.DOOMED
        )
        return self._submit(lambda db: _execute(db, gone))

    def rebuild(
        self, record: SegmentRecord, fragments: Sequence[FragmentRecord]
    ) -> "Future[str | None]":
        """Take in a whole file that has no row: sealed, and its time is no gap now.

        Returns:
            None, or why it was refused: it was deleted on purpose, has a row, or lies
            over something else of its stream.
        """
        return self._submit(lambda db: _rebuild(db, record, fragments))

    def segments(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> list[SegmentRecord]:
        wanted = (
            RECORD.where(segment.c.stream_id == stream_id)
            .where(segment.c.started_at < end, segment.c.ended_at > start)
            .where(segment.c.state != SegmentState.DOOMED)
            .order_by(segment.c.started_at)
        )
        return self._records(wanted)

    def segments_in(self, states: Collection[SegmentState]) -> list[SegmentRecord]:
        wanted = RECORD.where(segment.c.state.in_([str(s) for s in states]))
        return self._records(wanted.order_by(segment.c.ended_at, segment.c.segment_id))

    def find(self, segment_id: SegmentId) -> SegmentRecord | None:
        found = self._records(RECORD.where(segment.c.segment_id == segment_id))
        return found[0] if found else None

    def fragments(self, segment_id: SegmentId) -> list[FragmentRecord]:
        return self._store.read_now(lambda db: _fragments(db, segment_id))

    def gaps(self, stream_id: StreamId, start: datetime, end: datetime) -> list[Gap]:
        lasts = gap.c.ended_at.is_(None) | (gap.c.ended_at > start)
        return self._gaps(gap.c.stream_id == stream_id, gap.c.started_at < end, lasts)

    def open_gap(self, stream_id: StreamId) -> Gap | None:
        found = self._gaps(gap.c.stream_id == stream_id, gap.c.ended_at.is_(None))
        return found[-1] if found else None

    def streams(self) -> list[StreamId]:
        known = sa.union(sa.select(segment.c.stream_id), sa.select(gap.c.stream_id))
        return self._store.read_now(
            lambda db: sorted(StreamId(row[0]) for row in db.execute(known))
        )

    def last_end(self, stream_id: StreamId) -> datetime | None:
        # A tombstone counts: what was deleted was recorded, and nothing may overlap it.
        ends = sa.union_all(
            sa.select(sa.func.max(segment.c.ended_at)).where(
                segment.c.stream_id == stream_id
            ),
            sa.select(sa.func.max(tombstone.c.ended_at)).where(
                tombstone.c.stream_id == stream_id
            ),
        )
        found = self._store.read_now(lambda db: db.execute(ends).scalars().all())
        return max((at for at in found if at is not None), default=None)

    def held(self) -> set[SegmentId]:
        wanted = sa.select(segment.c.segment_id).where(COVERED)
        return self._store.read_now(
            lambda db: {SegmentId(row[0]) for row in db.execute(wanted)}
        )

    def tombstones(self) -> list[Tombstone]:
        wanted = sa.select(tombstone).order_by(tombstone.c.started_at)
        return self._store.read_now(
            lambda db: [_tombstone(row) for row in db.execute(wanted).mappings()]
        )

    def _records(self, wanted: sa.Select[Any]) -> list[SegmentRecord]:
        return self._store.read_now(
            lambda db: [_segment(row) for row in db.execute(wanted).mappings()]
        )

    def _gaps(self, *conditions: sa.ColumnElement[bool]) -> list[Gap]:
        wanted = sa.select(gap).where(*conditions).order_by(gap.c.started_at)
        return self._store.read_now(
            lambda db: [_gap(row) for row in db.execute(wanted).mappings()]
        )

    def _submit(self, work: Callable[[sa.Connection], T]) -> "Future[T]":
        try:
            return self._store.submit(work)
        except StoreError as error:  # closed: an answer like any other refusal
            answer: Future[T] = Future()
            answer.set_exception(error)
            return answer


def _execute(db: sa.Connection, statement: sa.Executable) -> None:
    db.execute(statement)


def _add(
    db: sa.Connection,
    record: FragmentRecord,
    opened: SegmentRecord | None,
    before: Gap | None,
) -> None:
    if opened is not None:
        _open(db, opened)
        if before is not None:
            _put_gap(db, opened.stream_id, before)
    same = fragment.c.segment_id == record.segment_id
    counted = sa.select(sa.func.count()).select_from(fragment).where(same)
    if db.execute(counted).scalar_one() != record.sequence:
        raise StoreError(
            f"{record.segment_id}: fragment {record.sequence} out of order"
        )
    updated = db.execute(
        sa.update(segment)
        .where(segment.c.segment_id == record.segment_id)
        .where(segment.c.state == SegmentState.OPEN)
        .values(
            ended_at=record.ended_at,
            size_bytes=record.offset_bytes + record.length_bytes,
        )
    )
    if updated.rowcount != 1:
        raise StoreError(f"{record.segment_id}: not open")
    if opened is None and before is not None:
        _put_gap(db, _owner(db, record.segment_id), before)
    db.execute(sa.insert(fragment).values(_fragment_row(record)))
    if opened is None and before is None:
        _fill_gaps(
            db, _owner(db, record.segment_id), record.started_at, record.ended_at
        )


def _owner(db: sa.Connection, segment_id: SegmentId) -> StreamId:
    owner = sa.select(segment.c.stream_id).where(segment.c.segment_id == segment_id)
    return StreamId(db.execute(owner).scalar_one())


def _open(db: sa.Connection, opened: SegmentRecord) -> None:
    row = {
        "segment_id": opened.segment_id,
        "stream_id": opened.stream_id,
        "run": opened.run,
        "started_at": opened.started_at,
        "ended_at": opened.ended_at,
        "size_bytes": opened.size_bytes,
        "target_id": opened.target_id,
        "state": str(SegmentState.OPEN),
        "origin": str(opened.origin),
    }
    detail = {
        "segment_id": opened.segment_id,
        "init_size_bytes": opened.init_size_bytes,
        "init_sha256": opened.init_sha256,
        "labels": _labels_text(opened.labels),
        "software": version("almenara"),
    }
    db.execute(sa.insert(segment).values(row))
    db.execute(sa.insert(segment_detail).values(detail))


def _put_gap(db: sa.Connection, stream_id: StreamId, put: Gap) -> None:
    same = (gap.c.stream_id == stream_id) & (gap.c.started_at == put.start)
    found = db.execute(sa.select(gap.c.ended_at, gap.c.cause).where(same)).first()
    if put.end is not None and put.end <= put.start:
        db.execute(sa.delete(gap).where(same))
    elif found is not None:
        db.execute(sa.update(gap).where(same).values(ended_at=put.end))
    else:
        row = {
            "stream_id": stream_id,
            "started_at": put.start,
            "ended_at": put.end,
            "cause": put.cause,
        }
        db.execute(sa.insert(gap).values(row))
    before = None if found is None else (found.ended_at, found.cause)
    recorded_leaves.gap_changed(db, stream_id, put, before)


def _place_hold(db: sa.Connection, row: dict[str, Any]) -> None:
    db.execute(sa.insert(hold).values(row))
    recorded_leaves.hold_placed(db, row)


def _release_hold(db: sa.Connection, hold_id: str, at: datetime) -> None:
    own = (hold.c.hold_id == hold_id) & hold.c.released_at.is_(None)
    row = db.execute(sa.select(hold).where(own)).mappings().first()
    if row is not None:
        db.execute(sa.update(hold).where(own).values(released_at=at))
        recorded_leaves.hold_released(db, row, at)


def _seal(
    db: sa.Connection, segment_id: SegmentId, size_bytes: int | None = None
) -> None:
    wanted = sa.select(segment.c.state, segment.c.size_bytes)
    found = db.execute(wanted.where(segment.c.segment_id == segment_id)).first()
    if found is None or found.state != SegmentState.OPEN:
        return
    if size_bytes not in (None, found.size_bytes):
        raise StoreError(
            f"{segment_id}: rows end at {found.size_bytes}, the file at {size_bytes}"
        )
    fragments = _fragments(db, segment_id)
    packed = b"".join(map(_packed, fragments))
    own = segment_detail.c.segment_id == segment_id
    db.execute(sa.update(segment_detail).where(own).values(fragments=packed))
    db.execute(sa.delete(fragment).where(fragment.c.segment_id == segment_id))
    sealed = sa.update(segment).where(segment.c.segment_id == segment_id)
    db.execute(sealed.values(state=str(SegmentState.SEALED)))
    row = db.execute(WHOLE.where(segment.c.segment_id == segment_id)).mappings().one()
    recorded_leaves.sealed(db, row, fragments, packed)


def _rebuild(
    db: sa.Connection, record: SegmentRecord, fragments: Sequence[FragmentRecord]
) -> str | None:
    own = tombstone.c.segment_id == record.segment_id
    if db.execute(sa.select(tombstone.c.reason).where(own)).first() is not None:
        return "deleted before"
    over = sa.select(segment.c.segment_id).where(
        (segment.c.segment_id == record.segment_id)
        | (segment.c.stream_id == record.stream_id)
        & (segment.c.started_at < record.ended_at)
        & (segment.c.ended_at > record.started_at)
    )
    if (found := db.execute(over.limit(1)).scalar()) is not None:
        has_row = found == record.segment_id
        return "has a row" if has_row else f"lies over {found}"
    _open(db, record)
    for each in fragments:
        db.execute(sa.insert(fragment).values(_fragment_row(each)))
    _seal(db, record.segment_id)
    _fill_gaps(db, record.stream_id, record.started_at, record.ended_at)
    _close_holes(db, record)
    return None


def _close_holes(db: sa.Connection, record: SegmentRecord) -> None:
    """Time between it and its neighbours was due; nobody knows why it is missing."""
    tables = (segment, tombstone, gap)
    before = sa.union_all(
        *(
            sa.select(sa.func.max(t.c.ended_at)).where(
                t.c.stream_id == record.stream_id, t.c.started_at < record.started_at
            )
            for t in tables
        )
    )
    after = sa.union_all(
        *(
            sa.select(sa.func.min(t.c.started_at)).where(
                t.c.stream_id == record.stream_id, t.c.started_at >= record.ended_at
            )
            for t in tables
        )
    )
    ends = [at for at in db.execute(before).scalars() if at is not None]
    starts = [at for at in db.execute(after).scalars() if at is not None]
    for start, end in (
        (max(ends, default=record.started_at), record.started_at),
        (record.ended_at, min(starts, default=record.ended_at)),
    ):
        if start < end:
            hole = Gap(start=start, end=end, cause="unknown")
            _put_gap(db, record.stream_id, hole)


def _fill_gaps(
    db: sa.Connection, stream_id: StreamId, start: datetime, end: datetime
) -> None:
    """Cut [start, end) out of the stream's gaps: it turned out to be recorded."""
    touching = sa.select(gap).where(
        gap.c.stream_id == stream_id,
        gap.c.started_at < end,
        gap.c.ended_at.is_(None) | (gap.c.ended_at > start),
    )
    for row in db.execute(touching).mappings().all():
        old = _gap(row)
        cut = max(old.start, start)  # no length left: taken away
        _put_gap(db, stream_id, Gap(start=old.start, end=cut, cause=old.cause))
        if old.end is None or old.end > end:
            _put_gap(db, stream_id, Gap(start=end, end=old.end, cause=old.cause))


def _doom(
    db: sa.Connection, segment_ids: Sequence[SegmentId], reason: str, at: datetime
) -> list[SegmentRecord]:
    wanted = (
        RECORD.where(segment.c.segment_id.in_(segment_ids))
        .where(segment.c.state == SegmentState.SEALED, ~COVERED)
        .order_by(segment.c.ended_at)
    )
    doomed = [_segment(row) for row in db.execute(wanted).mappings()]
    for record in doomed:
        own = segment_detail.c.segment_id == record.segment_id
        packed = db.execute(sa.select(segment_detail.c.fragments).where(own)).scalar()
        row = {
            "segment_id": record.segment_id,
            "stream_id": record.stream_id,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "size_bytes": record.size_bytes,
            "fragments_sha256": hashlib.sha256(packed or b"").digest(),
            "reason": reason,
            "deleted_at": at,
        }
        db.execute(sa.insert(tombstone).values(row))
        recorded_leaves.deleted(db, row)
    dead = sa.update(segment).where(
        segment.c.segment_id.in_([record.segment_id for record in doomed])
    )
    db.execute(dead.values(state=str(SegmentState.DOOMED)))
    return doomed


def _fragments(db: sa.Connection, segment_id: SegmentId) -> list[FragmentRecord]:
    own = segment_detail.c.segment_id == segment_id
    packed = db.execute(sa.select(segment_detail.c.fragments).where(own)).scalar()
    if packed is not None:
        return list(unpacked(segment_id, packed))
    rows = db.execute(
        sa.select(fragment)
        .where(fragment.c.segment_id == segment_id)
        .order_by(fragment.c.sequence)
    )
    return [FragmentRecord(**row) for row in rows.mappings()]


def _fragment_row(record: FragmentRecord) -> dict[str, Any]:
    columns = fragment.c.keys()
    return {name: getattr(record, name) for name in columns}


def _packed(record: FragmentRecord) -> bytes:
    return PACKED.pack(
        record.offset_bytes,
        record.length_bytes,
        to_micros(record.started_at),
        to_micros(record.ended_at),
        record.starts_with_key,
        record.sha256,
    )


def packed_table(fragments: Iterable[FragmentRecord]) -> bytes:
    """A segment's fragments as the store keeps and the evidence log hashes them."""
    return b"".join(map(_packed, fragments))


def unpacked(segment_id: SegmentId, packed: bytes) -> Iterable[FragmentRecord]:
    """The fragments of a sealed segment from ``segment_detail.fragments``."""
    for sequence, row in enumerate(PACKED.iter_unpack(packed)):
        offset, length, start, end, key, sha256 = row
        yield FragmentRecord(
            segment_id=segment_id,
            sequence=sequence,
            offset_bytes=offset,
            length_bytes=length,
            sha256=sha256,
            started_at=from_micros(start),
            ended_at=from_micros(end),
            starts_with_key=key,
        )


def _segment(row: sa.RowMapping) -> SegmentRecord:
    return SegmentRecord(
        segment_id=SegmentId(row["segment_id"]),
        stream_id=StreamId(row["stream_id"]),
        run=row["run"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        size_bytes=row["size_bytes"],
        target_id=row["target_id"],
        init_size_bytes=row["init_size_bytes"],
        init_sha256=row["init_sha256"],
        labels=_labels(row["labels"]),
        state=SegmentState(row["state"]),
        origin=Origin(row["origin"]),
    )


def _gap(row: sa.RowMapping) -> Gap:
    return Gap(start=row["started_at"], end=row["ended_at"], cause=row["cause"])


def _tombstone(row: sa.RowMapping) -> Tombstone:
    return Tombstone(
        segment_id=SegmentId(row["segment_id"]),
        stream_id=StreamId(row["stream_id"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        size_bytes=row["size_bytes"],
        reason=row["reason"],
        deleted_at=row["deleted_at"],
    )


def _labels_text(labels: Labels) -> str:
    return json.dumps(
        {
            "purpose": labels.purpose,
            "sensitivity": labels.sensitivity,
            "personal_data": labels.personal_data,
            "releasable_to": sorted(labels.releasable_to),
            "exercise": labels.exercise,
            "simulated": labels.simulated,
        }
    )


def _labels(text: str) -> Labels:
    read = json.loads(text)
    return Labels(
        purpose=Purpose(read["purpose"]),
        sensitivity=Sensitivity(read["sensitivity"]),
        personal_data=read["personal_data"],
        releasable_to=frozenset(map(CentreId, read["releasable_to"])),
        exercise=read["exercise"],
        simulated=read["simulated"],
    )
