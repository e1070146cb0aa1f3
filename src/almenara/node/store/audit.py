"""The audit in the store: appended in the act's own transaction, never changed.

The database itself refuses to change or delete an entry (triggers of migration 0002).
Numbers have no holes because one thread writes and what fails is rolled back.
"""

from collections.abc import Iterable

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
from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
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
)
sa.Index("audit_object", audit.c.object_kind, audit.c.object_id)

_ACTOR = TypeAdapter(AuditActor)


def append(connection: sa.Connection, entries: Iterable[AuditEntry]) -> None:
    """Write entries in the caller's transaction: with the act, or not at all."""
    for entry in entries:
        connection.execute(sa.insert(audit).values(_row(entry)))


class SqlAuditLog:
    """Fulfils ``console.gate.AuditLog``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, entry: AuditEntry) -> None:
        await self._store.write(lambda connection: append(connection, (entry,)))

    async def read(
        self, *, limit: int, before_seq: int | None
    ) -> tuple[RecordedEntry, ...]:
        wanted = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if before_seq is not None:
            wanted = wanted.where(audit.c.seq < before_seq)

        def work(connection: sa.Connection) -> tuple[RecordedEntry, ...]:
            return tuple(map(_recorded, connection.execute(wanted).mappings()))

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
        "justification": entry.justification,
        "size_bytes": entry.size_bytes,
    }


def _recorded(row: sa.RowMapping) -> RecordedEntry:
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
        justification=row["justification"],
        size_bytes=row["size_bytes"],
    )
    return RecordedEntry(seq=row["seq"], entry=entry)
