"""The audit in the store: appended in the act's own transaction, never changed.

The database itself refuses to change or delete an entry (triggers of migration 0002).
Numbers have no holes because one writes at a time and what fails is rolled back. The
person's own words lie in ``personal_text``: entry and leaf hold what commits to them.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    AuditResult,
    RecordedEntry,
)
from almenara.evidence.leaves import AuditAct, canonical
from almenara.node.store import evidence_log
from almenara.node.store.base import UtcMicros, metadata, next_number
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

audit = sa.Table(
    "audit",
    metadata,
    sa.Column(
        "seq", sa.BigInteger, primary_key=True, default=next_number("audit", "seq")
    ),
    sa.Column("entry_id", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("object_kind", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("start", UtcMicros),
    sa.Column("end", UtcMicros),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("justification", sa.Text),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("personal", sa.LargeBinary),
)
sa.Index("audit_object", audit.c.object_kind, audit.c.object_id)

_INSERT = sa.insert(audit)
_ACTOR = TypeAdapter(AuditActor)
_TEXT = evidence_log.personal_text
ENTRIES = sa.select(audit, _TEXT.c.text).select_from(
    sa.outerjoin(audit, _TEXT, audit.c.personal == _TEXT.c.commitment)
)


def append(connection: sa.Connection, entries: Iterable[AuditEntry]) -> None:
    """Write entries in the caller's transaction: with the act, or not at all."""
    for entry in entries:
        personal = evidence_log.keep_text(connection, personal_of(entry))
        row = {**_row(entry), "personal": personal}
        (seq,) = connection.execute(_INSERT, row).inserted_primary_key or (0,)
        evidence_log.append(connection, _leaf(seq, entry, personal))


def personal_of(entry: AuditEntry) -> str:
    """What of an entry may have to be erased one day, as one text."""
    actor = entry.actor
    text = {
        "address": actor.address,
        "justification": entry.justification,
        "name": actor.name,
        "session": actor.session,
    }
    return canonical(text).decode()


def about(
    connection: sa.Connection, kind: str, object_id: str
) -> tuple[RecordedEntry, ...]:
    """Every entry about one thing, oldest first."""
    wanted = (
        ENTRIES.where(audit.c.object_kind == kind)
        .where(audit.c.object_id == object_id)
        .order_by(audit.c.seq)
    )
    return tuple(map(recorded, connection.execute(wanted).mappings()))


class SqlAuditLog:
    """Fulfils ``console.gate.AuditLog``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, entry: AuditEntry) -> None:
        await self._store.write(lambda connection: append(connection, (entry,)))

    async def about(
        self, object_ids: Sequence[str], start: datetime, end: datetime
    ) -> tuple[RecordedEntry, ...]:
        """Every act with these things that touches [start, end), oldest first.

        An act that names no span of recording counts by when it was done.
        """
        lasts = sa.func.coalesce(audit.c.end, audit.c.at)
        begins = sa.func.coalesce(audit.c.start, audit.c.at)
        wanted = ENTRIES.where(
            audit.c.object_id.in_(object_ids),
            begins < sa.literal(end, UtcMicros()),
            lasts >= sa.literal(start, UtcMicros()),
        )

        def work(connection: sa.Connection) -> tuple[RecordedEntry, ...]:
            rows = connection.execute(wanted.order_by(audit.c.seq)).mappings()
            return tuple(map(recorded, rows))

        return await self._store.read(work)

    async def read(
        self, *, limit: int, before_seq: int | None
    ) -> tuple[RecordedEntry, ...]:
        wanted = ENTRIES.order_by(audit.c.seq.desc()).limit(limit)
        if before_seq is not None:
            wanted = wanted.where(audit.c.seq < before_seq)

        def work(connection: sa.Connection) -> tuple[RecordedEntry, ...]:
            return tuple(map(recorded, connection.execute(wanted).mappings()))

        return await self._store.read(work)


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "entry_id": entry.entry_id,
        "at": entry.at,
        "person_id": entry.actor.person_id,
        "actor": to_text(_ACTOR, entry.actor),
        "action": entry.action.value,
        "act": entry.act,
        "object_kind": entry.object.kind,
        "object_id": entry.object.id,
        "start": entry.object.start,
        "end": entry.object.end,
        "result": entry.result.value,
        "size_bytes": entry.size_bytes,
    }


def _leaf(seq: int, entry: AuditEntry, personal: bytes) -> AuditAct:
    return AuditAct(
        seq=seq,
        entry_id=entry.entry_id,
        at=entry.at,
        person_id=entry.actor.person_id,
        roles=entry.actor.roles,
        purpose=entry.actor.purpose,
        action=entry.action.value,
        act=entry.act,
        object_kind=entry.object.kind,
        object_id=entry.object.id,
        object_from=entry.object.start,
        object_to=entry.object.end,
        result=entry.result.value,
        size_bytes=entry.size_bytes,
        personal=personal,
    )


def leaf_of(row: sa.RowMapping) -> AuditAct:
    """What the log says of an entry, made of its row."""
    made = _leaf(row["seq"], recorded(row).entry, row["personal"] or b"")
    if row["person_id"] != made.person_id:
        raise ValueError("the row names one person, its actor another")
    if row["justification"] is not None:
        raise ValueError("the row holds words beside those that are committed to")
    return made


def _justification(row: sa.RowMapping) -> str | None:
    """The person's own words; None if they gave none, or if they were erased."""
    if row["personal"] is None:  # older than the log
        older: str | None = row["justification"]
        return older
    text = row["text"]
    words: str | None = None if text is None else json.loads(text)["justification"]
    return words


def recorded(row: sa.RowMapping) -> RecordedEntry:
    """A row of :data:`ENTRIES` as the entry it holds."""
    entry = AuditEntry(
        entry_id=row["entry_id"],
        at=row["at"],
        actor=from_text(_ACTOR, row["actor"]),
        action=AuditAction(row["action"]),
        act=row["act"],
        object=AuditObject(
            kind=row["object_kind"],
            id=row["object_id"],
            start=row["start"],
            end=row["end"],
        ),
        result=AuditResult(row["result"]),
        justification=_justification(row),
        size_bytes=row["size_bytes"],
    )
    return RecordedEntry(seq=row["seq"], entry=entry)
