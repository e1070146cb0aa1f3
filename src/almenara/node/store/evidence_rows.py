"""Compares the evidence log with the rows it speaks of, in both directions.

Each leaf is made once more from its row and must be the same; then each row must have
its leaf. What may change in a row (a gap ends, a hold is released) is compared with the
last leaf about it. What was deleted must have a leaf that says so. Rows that are older
than the log are those of its first leaf: as many, and the same.

Source: docs/design/evidence-log.md, "What is checked".
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from almenara.core.ids import SegmentId
from almenara.core.time import to_micros
from almenara.evidence import leaves
from almenara.evidence.leaves import (
    AlarmStep,
    AuditAct,
    ConfigurationVersion,
    Deleted,
    Deletion,
    Earlier,
    GapChange,
    GapStep,
    HoldChange,
    HoldStep,
    Kind,
    Leaf,
    LogOpening,
    SegmentSealed,
)
from almenara.node.store import alarms, audit, recordings, stations
from almenara.node.store.evidence_log import log_stream, personal_text
from almenara.node.store.recorded_leaves import segment_leaf

NUMBERED = {
    "audit": (audit.audit, Kind.AUDIT),
    "alarm_trail": (alarms.alarm_trail, Kind.ALARM),
    "station_version": (stations.station_version, Kind.CONFIGURATION),
}
"""Tables whose rows are numbered, never change, and each have one leaf."""

UNREADABLE = (ValueError, TypeError, KeyError, OverflowError, struct.error)
"""What comes of making a leaf from a row that somebody bent."""

LATER_COLUMNS = {"audit": {"personal"}}
"""Columns that the first leaf could not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A leaf that could be read, and where it stands."""

    index: int
    sha256: bytes
    leaf: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that does not agree; ``index`` is None where no leaf is left."""

    index: int | None
    subject: str
    problem: str


class RowCheck:
    """Sees every leaf of every log once, in order; then what no leaf speaks of."""

    def __init__(self, db: sa.Connection) -> None:
        self._db = db
        self._earlier: dict[str, Earlier] = {}
        self._numbers: dict[str, int] = {}
        self._streams: dict[str, bytes] = {}
        self._alarms: dict[str, Read] = {}
        self._gaps: dict[str, Read] = {}
        self._holds: dict[str, Read] = {}
        self._gone: dict[str, Read] = {}
        """Segments without a row: a deletion must follow."""

        self._deleted: set[str] = set()
        self._unread: dict[bytes, Read] = {}
        """Texts that are gone: an erasure must follow."""

        self._erased: set[bytes] = set()
        self._segments = 0
        """Leaves of segments."""

        self._old_deleted = 0
        """Deletions of segments older than the log."""

        self._known: set[str] = set()

    @property
    def erased(self) -> int:
        """Personal texts that were destroyed, as the log says."""
        return len(self._erased)

    def see(self, batch: Sequence[Read]) -> Iterator[Fault]:
        """Compare some leaves that follow each other with their rows."""
        checks: Mapping[type[Any], Callable[[list[Read]], Iterable[Fault]]] = {
            LogOpening: self._openings,
            AuditAct: self._acts,
            AlarmStep: self._steps,
            ConfigurationVersion: self._versions,
            SegmentSealed: self._sealed,
            Deletion: self._deletions,
            GapChange: self._gap_changes,
            HoldChange: self._hold_changes,
        }
        for kind, check in checks.items():
            if own := [read for read in batch if type(read.leaf) is kind]:
                yield from check(own)

    def end(self) -> Iterator[Fault]:
        """What is left when every leaf was seen."""
        for segment_id, read in self._gone.items():
            if segment_id not in self._deleted:
                yield _at(read, "its row is gone, and no leaf says it was deleted")
        for kept, read in self._unread.items():
            if kept not in self._erased:
                yield _at(read, "its text is gone, and no leaf says it was erased")
        yield from self._last_alarms()
        yield from self._last_gaps()
        yield from self._last_holds()
        for name in NUMBERED:
            yield from self._without_leaf(name)
        yield from self._segments_without_leaf()
        yield from self._ends_of_streams()

    def _ends_of_streams(self) -> Iterator[Fault]:
        """What the next segment of a stream will name as the one before it."""
        rows = self._db.execute(sa.select(log_stream))
        kept: dict[str, bytes] = {row.stream_id: row.sha256 for row in rows}
        for stream_id in sorted(kept.keys() | self._streams.keys()):
            if kept.get(stream_id) != self._streams.get(stream_id):
                problem = "not the newest segment of this stream"
                yield Fault(index=None, subject=f"stream/{stream_id}", problem=problem)

    def _openings(self, batch: list[Read]) -> Iterator[Fault]:
        for read in batch:
            for earlier in read.leaf.earlier:
                self._earlier[earlier.table] = earlier
                self._numbers[earlier.table] = earlier.last or 0
                if earlier.sha256 is not None and not self._is_same(earlier):
                    problem = f"rows of {earlier.table} older than the log were changed"
                    yield Fault(index=0, subject=earlier.table, problem=problem)

    def _is_same(self, earlier: Earlier) -> bool:
        table, _ = NUMBERED[earlier.table]
        later = LATER_COLUMNS.get(earlier.table, set())
        columns = [
            sa.type_coerce(each, sa.BigInteger) if _is_number(each) else each
            for each in table.c
            if each.name not in later
        ]
        number = next(iter(table.primary_key))
        wanted = sa.select(*columns).where(number <= (earlier.last or 0))
        total, rows = hashlib.sha256(), 0
        for row in self._db.execute(wanted.order_by(number)):
            line = json.dumps(list(row), separators=(",", ":"))
            total.update(line.encode() + b"\n")
            rows += 1
        return rows == earlier.rows and total.digest() == earlier.sha256

    def _acts(self, batch: list[Read]) -> Iterator[Fault]:
        rows = self._rows(
            audit.ENTRIES.add_columns(personal_text.c.salt), audit.audit.c.seq, batch
        )
        for read in batch:
            yield from self._in_order("audit", read, read.leaf.seq)
            row = rows.get(read.leaf.seq)
            if row is None:
                yield _at(read, "its row in the audit is gone")
                continue
            try:
                made = audit.leaf_of(row)
                text = audit.personal_of(audit.recorded(row).entry)
            except UNREADABLE as error:
                yield _at(read, f"its row cannot be read: {error}")
                continue
            yield from _differences(read, made)
            yield from self._text(read, read.leaf.personal, row, text)

    def _steps(self, batch: list[Read]) -> Iterator[Fault]:
        wanted = sa.select(alarms.alarm_trail)
        rows = self._rows(wanted, alarms.alarm_trail.c.step_id, batch)
        for read in batch:
            yield from self._in_order("alarm_trail", read, read.leaf.step_id)
            self._alarms[read.leaf.alarm_id] = read
            row = rows.get(read.leaf.step_id)
            if row is None:
                yield _at(read, "its row in the trail of alarms is gone")
                continue
            yield from _differences(
                read, alarms.trail_leaf(row, read.leaf.alarm_sha256)
            )

    def _versions(self, batch: list[Read]) -> Iterator[Fault]:
        own = [read for read in batch if read.leaf.what == "stations"]
        wanted = sa.select(stations.station_version)
        number = stations.station_version.c.version
        rows = self._rows(wanted, number, own)
        for read in own:
            yield from self._in_order("station_version", read, read.leaf.version)
            row = rows.get(read.leaf.version)
            if row is None:
                yield _at(read, "its version of the stations is gone")
                continue
            yield from _differences(read, stations.version_leaf(row, read.leaf.reason))
            kept = self._kept(read.leaf.reason)
            yield from self._text(read, read.leaf.reason, kept, row["reason"])

    def _sealed(self, batch: list[Read]) -> Iterator[Fault]:
        detail = recordings.segment_detail.c
        wanted = recordings.WHOLE.add_columns(detail.fragments)
        rows = self._rows(wanted, recordings.segment.c.segment_id, batch)
        for read in batch:
            leaf: SegmentSealed = read.leaf
            self._segments += 1
            self._known.add(leaf.segment_id)
            previous = self._streams.get(leaf.stream_id)
            self._streams[leaf.stream_id] = read.sha256
            if leaf.previous != previous:
                yield _at(read, "does not name the segment before it")
            row = rows.get(leaf.segment_id)
            if row is None:
                self._gone[leaf.segment_id] = read
                continue
            packed = row["fragments"] or b""
            try:
                found = recordings.unpacked(SegmentId(leaf.segment_id), packed)
                made = segment_leaf(row, found, packed, previous=leaf.previous)
            except UNREADABLE as error:
                yield _at(read, f"its row cannot be read: {error}")
                continue
            yield from _differences(read, made)

    def _deletions(self, batch: list[Read]) -> Iterator[Fault]:
        self._erased |= {r.leaf.sha256 for r in batch if r.leaf.what is Deleted.TEXT}
        own = [read for read in batch if read.leaf.what is Deleted.SEGMENT]
        stones = recordings.tombstone
        rows = self._rows(sa.select(stones), stones.c.segment_id, own)
        for read in own:
            leaf: Deletion = read.leaf
            self._deleted.add(leaf.id)
            self._old_deleted += leaf.id not in self._known
            row = rows.get(leaf.id)
            if row is None:
                yield _at(read, "what was left of the deleted segment is gone")
                continue
            made = replace(
                leaf,
                at=row["deleted_at"],
                reason=row["reason"],
                stream_id=row["stream_id"],
                started_at=row["started_at"],
                ended_at=row["ended_at"],
                size_bytes=row["size_bytes"],
                sha256=row["fragments_sha256"],
            )
            yield from _differences(read, made)

    def _gap_changes(self, batch: list[Read]) -> Iterator[Fault]:
        self._gaps |= {leaves.subject(read.leaf): read for read in batch}
        return iter(())

    def _hold_changes(self, batch: list[Read]) -> Iterator[Fault]:
        self._holds |= {read.leaf.hold_id: read for read in batch}
        return iter(())

    def _last_alarms(self) -> Iterator[Fault]:
        for row in self._db.execute(sa.select(alarms.alarm)).mappings():
            read = self._alarms.pop(row["alarm_id"], None)
            if read is not None and alarms.alarm_sha256(row) != read.leaf.alarm_sha256:
                yield _at(read, "the alarm's row is not as its last step left it")
        for read in self._alarms.values():
            yield _at(read, "the alarm's row is gone")

    def _last_gaps(self) -> Iterator[Fault]:
        old = 0
        for row in self._db.execute(sa.select(recordings.gap)).mappings():
            subject = f"{row['stream_id']}/{to_micros(row['started_at'])}"
            read = self._gaps.pop(subject, None)
            old += read is None
            if read is None:
                continue
            if read.leaf.step is GapStep.WITHDRAWN:
                yield _at(read, "the gap was taken away, and its row is back")
            made = replace(read.leaf, ended_at=row["ended_at"], cause=row["cause"])
            yield from _differences(read, made)
        for read in self._gaps.values():
            if read.leaf.step is not GapStep.WITHDRAWN:
                yield _at(read, "the row of the gap is gone")
        yield from self._too_many("gap", old)

    def _last_holds(self) -> Iterator[Fault]:
        old = 0
        for row in self._db.execute(sa.select(recordings.hold)).mappings():
            read = self._holds.pop(row["hold_id"], None)
            old += read is None
            if read is None:
                continue
            is_released = read.leaf.step is HoldStep.RELEASED
            made = replace(
                read.leaf,
                at=(row["released_at"] if is_released else row["placed_at"]),
                stream_id=row["stream_id"],
                started_at=row["started_at"],
                ended_at=row["ended_at"],
            )
            if is_released is (row["released_at"] is None):
                yield _at(read, "the hold's row does not say whether it is released")
            else:
                yield from _differences(read, made)
            kept = self._kept(read.leaf.ground)
            yield from self._text(read, read.leaf.ground, kept, row["ground"])
        for read in self._holds.values():
            yield _at(read, "the row of the hold is gone")
        yield from self._too_many("hold", old)

    def _too_many(self, table: str, old: int) -> Iterator[Fault]:
        """Rows without a leaf can only be older than the log."""
        earlier = self._earlier.get(table)
        if old > (earlier.rows if earlier else 0):
            problem = f"{old} rows have no leaf, more than were there before the log"
            yield Fault(index=None, subject=table, problem=problem)

    def _without_leaf(self, name: str) -> Iterator[Fault]:
        """Rows newer than the last leaf about their table."""
        table, _ = NUMBERED[name]
        number = next(iter(table.primary_key))
        last = self._numbers.get(name, 0)
        wanted = sa.select(number).where((number > last) | (number < 1))
        for found in self._db.execute(wanted.order_by(number).limit(10)).scalars():
            problem = "this row has no leaf"
            yield Fault(index=None, subject=f"{name}/{found}", problem=problem)

    def _segments_without_leaf(self) -> Iterator[Fault]:
        """As many must be without as there were before the log, less those deleted."""
        segment = recordings.segment.c
        wanted = sa.select(segment.segment_id, segment.state)
        wanted = wanted.where(segment.state != "open")
        old = [
            segment_id
            for segment_id, state in self._db.execute(wanted)
            if segment_id not in self._known
            and not (state == "doomed" and segment_id in self._deleted)
        ]
        earlier = self._earlier.get("segment")
        due = (earlier.rows if earlier else 0) - self._old_deleted
        if len(old) != due:
            subject = f"segment/{old[-1]}" if len(old) > due else "segment"
            problem = f"{len(old)} segments have no leaf; {due} are older than the log"
            yield Fault(index=None, subject=subject, problem=problem)

    def _in_order(self, table: str, read: Read, number: int) -> Iterator[Fault]:
        """Numbered rows and their leaves come in one order, without a hole."""
        due = self._numbers.get(table, 0) + 1
        self._numbers[table] = number
        if number != due:
            yield _at(read, f"number {number} of {table} where {due} is due")

    def _text(
        self, read: Read, kept: bytes, row: Mapping[Any, Any] | None, text: str
    ) -> Iterator[Fault]:
        """A personal text is what its leaf commits to, or was erased."""
        if row is None or row["salt"] is None:
            self._unread[kept] = read
        elif leaves.commitment(row["salt"], row["text"]) != kept or row["text"] != text:
            yield _at(read, "the personal text is not the one it commits to")

    def _kept(self, kept: bytes) -> Mapping[Any, Any] | None:
        own = personal_text.c.commitment == kept
        return self._db.execute(sa.select(personal_text).where(own)).mappings().first()

    def _rows(
        self, wanted: sa.Select[Any], key: sa.Column[Any], batch: Sequence[Read]
    ) -> dict[Any, sa.RowMapping]:
        """The rows that some leaves speak of, by their key."""
        field = {"version": "version", "seq": "seq", "step_id": "step_id"}.get(key.name)
        keys = [
            getattr(r.leaf, field) if field else leaves.subject(r.leaf) for r in batch
        ]
        rows = self._db.execute(wanted.where(key.in_(keys))).mappings()
        return {row[key.name]: row for row in rows}


def _differences(read: Read, made: Leaf) -> Iterator[Fault]:
    """Every field in which a leaf and the same leaf made from its row differ."""
    for each in fields(made):
        said, found = getattr(read.leaf, each.name), getattr(made, each.name)
        if said != found:
            problem = (
                f"{each.name}: the log says {_shown(said)}, the row {_shown(found)}"
            )
            yield _at(read, problem)


def _at(read: Read, problem: str) -> Fault:
    subject = f"{read.leaf.kind.name.lower()}/{leaves.subject(read.leaf)}"
    return Fault(index=read.index, subject=subject, problem=problem)


def _shown(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _is_number(column: sa.Column[Any]) -> bool:
    """Whether the store keeps it as a number: times, truths and numbers."""
    return not isinstance(column.type, sa.Text)
