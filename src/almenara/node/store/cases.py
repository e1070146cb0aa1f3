"""Rescue cases in the store: version, audit and outbox in one transaction.

Nothing is overwritten: each act adds a whole version of its case, and the database
refuses to change one. A person is answered, and the coordination centre told, only
after the commit. A request repeated with its key finds what it did the first time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.core.errors import CaseRefusedError, CaseVersionError
from almenara.core.ids import CaseId, PersonId
from almenara.evidence.audit import AuditEntry, RecordedEntry
from almenara.node.store import audit
from almenara.node.store.base import UtcMicros, metadata, next_number
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text
from almenara.rescue.case import Case, Change, Notification
from almenara.rescue.knew_when import Sending

rescue_case = sa.Table(
    "rescue_case",
    metadata,
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("phase", sa.Integer, nullable=False),
    sa.Column("opened_at", UtcMicros, nullable=False),
    sa.Column("closed_at", UtcMicros),
    sa.CheckConstraint("phase between 0 and 3", name="ck_rescue_case_phase"),
)
sa.Index("rescue_case_open", rescue_case.c.closed_at, rescue_case.c.opened_at)

case_version = sa.Table(
    "case_version",
    metadata,
    sa.Column(
        "case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), primary_key=True
    ),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

case_request = sa.Table(
    "case_request",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

case_outbox = sa.Table(
    "case_outbox",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger,
        primary_key=True,
        default=next_number("case_outbox", "seq"),
    ),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), nullable=False),
    sa.Column("queued_at", UtcMicros, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("delivered_at", UtcMicros),
    sa.Column("receipt", sa.Text),
)
sa.Index("case_outbox_waiting", case_outbox.c.delivered_at, case_outbox.c.seq)

_CASE = TypeAdapter(Case)
_NOTIFICATION = TypeAdapter(Notification)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A request that may come twice: its key, and a print of what it asks."""

    key: str
    digest: str


class SqlCases:
    """Keeps what ``rescue.case`` decides."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def commit(
        self,
        change: Change,
        entries: Iterable[AuditEntry],
        *,
        at: datetime,
        by: PersonId,
        request: Repeatable | None = None,
    ) -> None:
        """Write the version, its audit and what to tell, or nothing.

        Raises:
            CaseVersionError: Another version of the case was written meanwhile.
        """
        lines = tuple(entries)

        def work(connection: sa.Connection) -> None:
            case = change.case
            _advance(connection, case)
            connection.execute(
                sa.insert(case_version).values(
                    case_id=case.case_id,
                    version=case.version,
                    at=at,
                    act=change.act,
                    person_id=by,
                    body=to_text(_CASE, case),
                )
            )
            for told in change.notifications:
                connection.execute(sa.insert(case_outbox).values(_outbox_row(told)))
            if request is not None:
                connection.execute(
                    sa.insert(case_request).values(
                        person_id=by,
                        key=request.key,
                        digest=request.digest,
                        case_id=case.case_id,
                        version=case.version,
                    )
                )
            audit.append(connection, lines)

        await self._store.write(work)

    async def record(self, entry: AuditEntry) -> None:
        """Write down a look, which changes nothing."""
        await self._store.write(lambda c: audit.append(c, (entry,)))

    async def repeated(self, request: Repeatable, by: PersonId) -> Case | None:
        """What this request did the first time; None if it is new.

        Raises:
            CaseRefusedError: The key was used for something else.
        """
        wanted = (
            sa.select(case_request.c.digest, case_version.c.body)
            .join(
                case_version,
                (case_version.c.case_id == case_request.c.case_id)
                & (case_version.c.version == case_request.c.version),
            )
            .where(case_request.c.person_id == by)
            .where(case_request.c.key == request.key)
        )
        found = await self._store.read(lambda c: c.execute(wanted).one_or_none())
        if found is None:
            return None
        if found.digest != request.digest:
            raise CaseRefusedError("key_reused", "use a new key for a new request")
        return from_text(_CASE, found.body)

    async def get(self, case_id: CaseId) -> Case | None:
        """The newest version, open or closed."""
        found = await self._cases(rescue_case.c.case_id == case_id, limit=1)
        return found[0] if found else None

    async def list(self, *, closed: bool, limit: int) -> tuple[Case, ...]:
        """Open cases, gravest and oldest first; with ``closed`` those as well."""
        wanted = sa.true() if closed else rescue_case.c.closed_at.is_(None)
        return await self._cases(wanted, limit=limit)

    async def count(self, prefix: str) -> int:
        """How many cases have an identifier that begins so."""
        wanted = sa.select(sa.func.count()).where(
            rescue_case.c.case_id.startswith(prefix, autoescape=True)
        )
        return await self._store.read(lambda c: int(c.execute(wanted).scalar_one()))

    async def version(self, case_id: CaseId, number: int) -> Case | None:
        """A case as it was."""
        wanted = (
            sa.select(case_version.c.body)
            .where(case_version.c.case_id == case_id)
            .where(case_version.c.version == number)
        )
        body = await self._store.read(lambda c: c.execute(wanted).scalar_one_or_none())
        return None if body is None else from_text(_CASE, body)

    async def entries(self, case_id: CaseId) -> tuple[RecordedEntry, ...]:
        """The audit of one case, oldest first."""
        return await self._store.read(lambda c: audit.about(c, "case", case_id))

    async def sendings(self, case_id: CaseId) -> tuple[Sending, ...]:
        """What was and is to be told of one case, in order."""
        wanted = (
            sa.select(case_outbox)
            .where(case_outbox.c.case_id == case_id)
            .order_by(case_outbox.c.seq)
        )

        def work(connection: sa.Connection) -> tuple[Sending, ...]:
            return tuple(map(_sending, connection.execute(wanted).mappings()))

        return await self._store.read(work)

    async def waiting(self, *, limit: int) -> tuple[Notification, ...]:
        """What nobody has taken yet, oldest first."""
        wanted = (
            sa.select(case_outbox.c.body)
            .where(case_outbox.c.delivered_at.is_(None))
            .order_by(case_outbox.c.seq)
            .limit(limit)
        )
        bodies = await self._store.read(lambda c: c.execute(wanted).scalars().all())
        return tuple(from_text(_NOTIFICATION, body) for body in bodies)

    async def delivered(self, key: str, *, at: datetime, receipt: str) -> None:
        """Somebody took it; the first receipt stays."""
        done = {"delivered_at": at, "receipt": receipt}
        await self._mark(key, {**done, "tries": case_outbox.c.tries + 1})

    async def failed(self, key: str) -> None:
        """Nobody took it; it waits."""
        await self._mark(key, {"tries": case_outbox.c.tries + 1})

    async def _mark(self, key: str, values: dict[str, object]) -> None:
        waits = (case_outbox.c.key == key) & case_outbox.c.delivered_at.is_(None)

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(case_outbox).where(waits).values(values))

        await self._store.write(work)

    async def _cases(
        self, wanted: sa.ColumnElement[bool], *, limit: int
    ) -> tuple[Case, ...]:
        query = (
            sa.select(case_version.c.body)
            .join(
                rescue_case,
                (rescue_case.c.case_id == case_version.c.case_id)
                & (rescue_case.c.version == case_version.c.version),
            )
            .where(wanted)
            .order_by(rescue_case.c.phase.desc(), rescue_case.c.opened_at)
            .limit(limit)
        )
        bodies = await self._store.read(lambda c: c.execute(query).scalars().all())
        return tuple(from_text(_CASE, body) for body in bodies)


def _advance(connection: sa.Connection, case: Case) -> None:
    """Move the head of a case to its next version, if nobody else did."""
    row = {
        "case_id": case.case_id,
        "version": case.version,
        "phase": int(case.phase),
        "opened_at": case.opened_at,
        "closed_at": case.closed_at,
    }
    if case.version > 1:
        changed = connection.execute(
            sa.update(rescue_case)
            .where(rescue_case.c.case_id == case.case_id)
            .where(rescue_case.c.version == case.version - 1)
            .values(row)
        )
        if changed.rowcount == 0:
            raise CaseVersionError(f"{case.case_id}: changed meanwhile; read it again")
        return
    there = sa.select(rescue_case.c.version).where(
        rescue_case.c.case_id == case.case_id
    )
    if connection.execute(there).first() is not None:
        raise CaseVersionError(f"{case.case_id}: there is one of that name; try again")
    connection.execute(sa.insert(rescue_case).values(row))


def _outbox_row(told: Notification) -> dict[str, object]:
    return {
        "key": told.key,
        "case_id": told.case_id,
        "queued_at": told.at,
        "body": to_text(_NOTIFICATION, told),
        "tries": 0,
    }


def _sending(row: sa.RowMapping) -> Sending:
    return Sending(
        key=row["key"],
        queued_at=row["queued_at"],
        delivered_at=row["delivered_at"],
        receipt=row["receipt"],
    )
