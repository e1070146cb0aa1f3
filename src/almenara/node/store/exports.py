"""Requests for evidence packages and the second person's word on them.

A row is found by the hash of everything that was asked, so that nothing can be approved
and then changed. Each step takes its audit entry with it in one transaction.
"""

from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.core.ids import PersonId
from almenara.evidence import leaves
from almenara.evidence.audit import AuditEntry
from almenara.evidence.disclosure import Approval, Request
from almenara.node.store import audit, evidence_log
from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

export_request = sa.Table(
    "export_request",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("requested_at", UtcMicros, nullable=False),
    sa.Column("approved_by", sa.Text),
    sa.Column("approved_at", UtcMicros),
    sa.Column("used_at", UtcMicros),
    sa.Column("destination", sa.Text),
    sa.Column("finished_at", UtcMicros),
    sa.CheckConstraint(
        "(approved_by is null) = (approved_at is null)", name="ck_export_approved"
    ),
)

_REQUEST = TypeAdapter(Request)


class SqlExports:
    """Keeps requests, approvals and what became of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(self, request: Request, *, entry: AuditEntry) -> None:
        """Put a request down; one that was used up or approved too long ago is new."""
        row = {
            "digest": request.digest,
            "request": to_text(_REQUEST, request),
            "requested_at": entry.at,
        }

        def work(connection: sa.Connection) -> None:
            mine = export_request.c.digest == request.digest
            connection.execute(sa.delete(export_request).where(mine))
            connection.execute(sa.insert(export_request).values(row))
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def find(self, digest: str) -> tuple[Request, Approval | None] | None:
        """A request that is not finished, by its hash or the beginning of it."""
        wanted = sa.select(export_request).where(
            export_request.c.digest.startswith(digest, autoescape=True),
            export_request.c.finished_at.is_(None),
        )

        def work(connection: sa.Connection) -> list[sa.RowMapping]:
            return list(connection.execute(wanted).mappings())

        rows = await self._store.read(work)
        return _found(rows[0]) if len(rows) == 1 else None

    async def approve(
        self, request: Request, by: PersonId, *, at: datetime, entry: AuditEntry
    ) -> None:
        """Keep the second person's word, in the log too; replaces an unused one."""
        word = sa.update(export_request).where(
            export_request.c.digest == request.digest,
            export_request.c.used_at.is_(None),
        )
        word = word.values(approved_by=by, approved_at=at)
        leaf = leaves.Approval(
            request_id=request.digest,
            act="export.create",
            sha256=bytes.fromhex(request.digest),
            requested_by=request.requested_by,
            approved_by=by,
            at=at,
        )

        def work(connection: sa.Connection) -> None:
            if connection.execute(word).rowcount:
                audit.append(connection, (entry,))
                evidence_log.append(connection, leaf)

        await self._store.write(work)

    async def begin(
        self, approval: Approval, destination: str, *, at: datetime, entry: AuditEntry
    ) -> bool:
        """Note that bytes are about to leave; committed before the first one does.

        Returns:
            False, and nothing noted, if this approval was replaced, is used up, or was
            begun for another destination: it is good for one package.
        """
        table = export_request.c
        elsewhere = table.destination.is_not(None) & (table.destination != destination)
        used = sa.update(export_request).where(
            table.digest == approval.digest,
            table.approved_at == approval.approved_at,
            table.finished_at.is_(None),
            sa.not_(elsewhere),
        )
        first = sa.func.coalesce(table.used_at, sa.literal(at, UtcMicros()))
        used = used.values(used_at=first, destination=destination)

        def work(connection: sa.Connection) -> bool:
            if connection.execute(used).rowcount != 1:
                return False
            audit.append(connection, (entry,))
            return True

        return await self._store.write(work)

    async def finish(self, digest: str, *, at: datetime, entry: AuditEntry) -> None:
        """The package is whole; its approval is used up."""
        done = sa.update(export_request).where(export_request.c.digest == digest)
        await self._change(done.values(finished_at=at), entry)

    async def _change(self, change: sa.Update, entry: AuditEntry) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)
            audit.append(connection, (entry,))

        await self._store.write(work)


def _found(row: sa.RowMapping) -> tuple[Request, Approval | None]:
    request = from_text(_REQUEST, row["request"])
    if row["approved_by"] is None:
        return request, None
    approval = Approval(
        digest=row["digest"],
        approved_by=PersonId(row["approved_by"]),
        approved_at=row["approved_at"],
        used_at=row["used_at"],
    )
    return request, approval
