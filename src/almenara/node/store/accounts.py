"""People, sessions and links in the store; tokens are here only as their SHA-256."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.console.accounts import Account, Link, Session
from almenara.core.ids import PersonId, StationId
from almenara.core.labels import Purpose
from almenara.evidence.access import Role
from almenara.evidence.audit import AuditEntry
from almenara.node.store import audit
from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

account = sa.Table(
    "account",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, unique=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text),
    sa.Column("stations", sa.Text, nullable=False),
    sa.Column("missions", sa.Text, nullable=False),
    sa.Column("disabled_at", UtcMicros),
)
session = sa.Table(
    "session",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, sa.ForeignKey("account.person_id"), nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("opened_at", UtcMicros, nullable=False),
    sa.Column("seen_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
)
sa.Index("session_person", session.c.person_id)
link = sa.Table(
    "entry_link",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, sa.ForeignKey("account.person_id"), nullable=False),
    sa.Column("expires_at", UtcMicros, nullable=False),
    sa.Column("used_at", UtcMicros),
)
sa.Index("entry_link_person", link.c.person_id)

_ROLES: TypeAdapter[list[Role]] = TypeAdapter(list[Role])
_SITES: TypeAdapter[list[StationId] | None] = TypeAdapter(list[StationId] | None)
_MISSIONS: TypeAdapter[dict[str, datetime]] = TypeAdapter(dict[str, datetime])


class SqlAccounts:
    """Fulfils ``console.accounts.Accounts``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, name: str) -> Account | None:
        wanted = sa.select(account).where(account.c.name_key == name.casefold())

        def work(connection: sa.Connection) -> Account | None:
            row = connection.execute(wanted).mappings().one_or_none()
            return None if row is None else _account(row)

        return await self._store.read(work)

    async def everybody(self) -> tuple[Account, ...]:
        """All who work or worked here, by name."""
        wanted = sa.select(account).order_by(account.c.name_key)

        def work(connection: sa.Connection) -> tuple[Account, ...]:
            return tuple(map(_account, connection.execute(wanted).mappings()))

        return await self._store.read(work)

    async def add(self, added: Account, *, entry: AuditEntry) -> bool:
        def work(connection: sa.Connection) -> bool:
            key = added.name.casefold()
            taken = sa.select(account.c.person_id).where(account.c.name_key == key)
            if connection.execute(taken).first() is not None:
                return False
            connection.execute(sa.insert(account).values(_account_row(added)))
            audit.append(connection, (entry,))
            return True

        return await self._store.write(work)

    async def disable(
        self, person_id: PersonId, *, at: datetime, entry: AuditEntry
    ) -> None:
        def work(connection: sa.Connection) -> None:
            mine = account.c.person_id == person_id
            connection.execute(sa.update(account).where(mine).values(disabled_at=at))
            _end_all(connection, person_id, at)
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def set_password(
        self,
        person_id: PersonId,
        password_hash: str,
        *,
        session: Session | None,
        entry: AuditEntry,
    ) -> None:
        def work(connection: sa.Connection) -> None:
            mine = account.c.person_id == person_id
            changed = {"password_hash": password_hash}
            connection.execute(sa.update(account).where(mine).values(changed))
            _end_all(connection, person_id, entry.at)
            if session is not None:
                _open(connection, session)
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def need_setup(self) -> bool:
        able = sa.select(account.c.person_id).where(
            account.c.password_hash.is_not(None), account.c.disabled_at.is_(None)
        )

        def work(connection: sa.Connection) -> bool:
            return connection.execute(able.limit(1)).first() is None

        return await self._store.read(work)

    async def open_session(self, opened: Session, *, entry: AuditEntry) -> None:
        def work(connection: sa.Connection) -> None:
            _open(connection, opened)
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def session(self, token_hash: str) -> tuple[Session, Account] | None:
        wanted = sa.select(session).where(
            session.c.token_hash == token_hash, session.c.ended_at.is_(None)
        )

        def work(connection: sa.Connection) -> tuple[Session, Account] | None:
            row = connection.execute(wanted).mappings().one_or_none()
            if row is None:
                return None
            return _session(row), _account_of(connection, row["person_id"])

        return await self._store.read(work)

    async def touch(self, token_hash: str, *, at: datetime) -> None:
        later = sa.update(session).where(
            session.c.token_hash == token_hash, session.c.seen_at < at
        )
        await self._store.write(lambda c: c.execute(later.values(seen_at=at)).close())

    async def end_session(self, token_hash: str, *, entry: AuditEntry) -> None:
        def work(connection: sa.Connection) -> None:
            running = session.c.ended_at.is_(None)
            mine = sa.update(session).where(session.c.token_hash == token_hash, running)
            connection.execute(mine.values(ended_at=entry.at))
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def issue_link(self, issued: Link, *, entry: AuditEntry) -> None:
        def work(connection: sa.Connection) -> None:
            _use_up_links(connection, issued.person_id, entry.at)
            row = {
                "token_hash": issued.token_hash,
                "person_id": issued.person_id,
                "expires_at": issued.expires_at,
            }
            connection.execute(sa.insert(link).values(row))
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def link(self, token_hash: str) -> tuple[Link, Account] | None:
        wanted = sa.select(link).where(
            link.c.token_hash == token_hash, link.c.used_at.is_(None)
        )

        def work(connection: sa.Connection) -> tuple[Link, Account] | None:
            row = connection.execute(wanted).mappings().one_or_none()
            if row is None:
                return None
            found = Link(
                token_hash=row["token_hash"],
                person_id=row["person_id"],
                expires_at=row["expires_at"],
            )
            return found, _account_of(connection, row["person_id"])

        return await self._store.read(work)

    async def redeem_link(
        self, token_hash: str, session: Session, *, entry: AuditEntry
    ) -> bool:
        def work(connection: sa.Connection) -> bool:
            unused = sa.update(link).where(
                link.c.token_hash == token_hash, link.c.used_at.is_(None)
            )
            if connection.execute(unused.values(used_at=entry.at)).rowcount != 1:
                return False
            _open(connection, session)
            audit.append(connection, (entry,))
            return True

        return await self._store.write(work)


def _open(connection: sa.Connection, opened: Session) -> None:
    row = {
        "token_hash": opened.token_hash,
        "person_id": opened.person_id,
        "purpose": opened.purpose.value,
        "by": opened.by,
        "opened_at": opened.opened_at,
        "seen_at": opened.seen_at,
    }
    connection.execute(sa.insert(session).values(row))


def _end_all(connection: sa.Connection, person_id: PersonId, at: datetime) -> None:
    theirs = sa.update(session).where(
        session.c.person_id == person_id, session.c.ended_at.is_(None)
    )
    connection.execute(theirs.values(ended_at=at))
    _use_up_links(connection, person_id, at)


def _use_up_links(connection: sa.Connection, person_id: PersonId, at: datetime) -> None:
    theirs = sa.update(link).where(
        link.c.person_id == person_id, link.c.used_at.is_(None)
    )
    connection.execute(theirs.values(used_at=at))


def _account_of(connection: sa.Connection, person_id: str) -> Account:
    wanted = sa.select(account).where(account.c.person_id == person_id)
    return _account(connection.execute(wanted).mappings().one())


def _account_row(kept: Account) -> dict[str, object]:
    stations = None if kept.stations is None else sorted(kept.stations)
    return {
        "person_id": kept.person_id,
        "name": kept.name,
        "name_key": kept.name.casefold(),
        "roles": to_text(_ROLES, sorted(kept.roles)),
        "purpose": kept.purpose.value,
        "password_hash": kept.password_hash,
        "stations": to_text(_SITES, stations),
        "missions": to_text(_MISSIONS, dict(kept.missions)),
        "disabled_at": kept.disabled_at,
    }


def _account(row: sa.RowMapping) -> Account:
    stations = from_text(_SITES, row["stations"])
    roles = from_text(_ROLES, row["roles"])
    missions = from_text(_MISSIONS, row["missions"])
    return Account(
        person_id=PersonId(row["person_id"]),
        name=row["name"],
        roles=frozenset(roles),
        purpose=Purpose(row["purpose"]),
        password_hash=row["password_hash"],
        stations=None if stations is None else frozenset(stations),
        missions=missions,
        disabled_at=row["disabled_at"],
    )


def _session(row: sa.RowMapping) -> Session:
    return Session(
        token_hash=row["token_hash"],
        person_id=row["person_id"],
        purpose=Purpose(row["purpose"]),
        by=row["by"],
        opened_at=row["opened_at"],
        seen_at=row["seen_at"],
    )
