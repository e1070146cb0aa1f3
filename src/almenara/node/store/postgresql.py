"""The store in a PostgreSQL database, with SQLite's habits: one writes at a time.

Every writing transaction begins with an advisory lock, so that commands beside a node
queue as they do at an SQLite file, and numbers without holes stay without holes. A node
holds a second lock for as long as its connection lives: two nodes cannot share a
database, and one that lost its connection writes again only if it gets the lock back.

A connection may break in the middle of a commit. Each transaction therefore leaves a
*ticket* in a row of its writer; after reconnecting, the ticket says whether that
transaction was committed. It travels with the transaction, so it holds after a failover
to a synchronous standby, too.

**Source**: docs/design/store.md, "A commit without an answer".
"""

import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from almenara.core.errors import StoreAwayError, StoreError
from almenara.node.store.base import metadata
from almenara.node.store.engine import Outcome
from almenara.node.store.place import Server

NODE_LOCK = (0x416C6D65, 1)
WRITE_LOCK = (0x416C6D65, 2)
"""Advisory locks are per database; the first number keeps clear of other programs."""

BUSY_MS = 5_000
PATIENCE_S = 30.0
"""How long a writer waits for a server that went away; a restart takes some seconds."""

AGAIN_S = 0.2
OLDEST = 130_000
"""``server_version_num`` of PostgreSQL 13."""

NEUTRAL = ("C", "POSIX", "C.UTF-8", "C.utf8")
CREDENTIAL = "store-password"
"""Name of the service credential that may hold the password (systemd)."""

CREATE = "createdb --template=template0 --encoding=UTF8 --locale=C"
CURES = {
    "28P01": "check the user in store.url and the password in store.password_file",
    "28000": "check the user in store.url and the server's pg_hba.conf",
    "3D000": f"create it: {CREATE}",
    "42501": "let the user own the database: alter database … owner to …",
    "25006": "the server takes no writes: name the primary in store.url",
    "53100": "free space on the server's disk",
    "53300": "raise the server's max_connections",
    "55P03": "another program is writing; wait and try again",
    "57P03": "the server is starting or stopping; wait and try again",
}
AWAY = "check that the server runs, its address and the network"

ticket = sa.Table(
    "write_ticket",
    metadata,
    sa.Column("writer", sa.Text, primary_key=True),
    sa.Column("ticket", sa.Text, nullable=False),
)


class PostgresqlEngine:
    """Fulfils ``engine.Engine``."""

    def __init__(self, server: Server, *, exclusive: bool) -> None:
        """Prepare; nothing is opened yet.

        Raises:
            StoreError: The driver is not installed.
        """
        url = sa.make_url(server.url).set(drivername="postgresql+psycopg")
        place = f"{url.host or 'local'}/{url.database}"
        self.name = f"postgresql://{place}"
        self._server = server
        self._is_node = exclusive
        self._me = uuid.uuid4().hex
        self._ticket = ""
        self._is_sent = False
        self._is_away = False
        self._refusal: StoreError | None = None
        """Why we were not let in again; says more than how the line broke."""

        self._closing = threading.Event()
        try:
            self.writer = self._engine(url, pool_size=1, max_overflow=0)
            self.readers = self._engine(
                url,
                pool_size=5,
                max_overflow=20,
                pool_pre_ping=True,
                isolation_level="REPEATABLE READ",
            )
        except ImportError as error:
            raise StoreError(
                f"{self.name}: no driver; pip install 'almenara[postgresql]'"
            ) from error
        self._prepare()

    def check(self) -> None:
        with self.readers.begin() as connection:
            row = connection.exec_driver_sql(
                "select current_setting('fsync') as fsync, "
                "current_setting('full_page_writes') as full_page_writes, "
                "current_setting('server_version_num')::int as version, "
                "current_setting('server_encoding') as encoding, "
                "pg_is_in_recovery() as is_standby, datcollate as collation "
                "from pg_database where datname = current_database()"
            )
            found = row.mappings().one()
        if found["version"] < OLDEST:
            raise StoreError(f"{self.name}: PostgreSQL 13 or newer is needed")
        if found["is_standby"]:
            raise StoreError(f"{self.name}: a standby; name the primary in store.url")
        for setting in ("fsync", "full_page_writes"):
            if found[setting] != "on":
                raise StoreError(
                    f"{self.name}: {setting} is {found[setting]}: a power cut would "
                    "lose what was acknowledged; set it on"
                )
        if found["encoding"] != "UTF8" or found["collation"] not in NEUTRAL:
            raise StoreError(
                f"{self.name}: encoding {found['encoding']}, collation "
                f"{found['collation']}; both back ends must sort alike: {CREATE}"
            )

    def sign(self, connection: sa.Connection) -> None:
        self._ticket = uuid.uuid4().hex
        mine = ticket.c.writer == self._me
        signed = sa.update(ticket).where(mine).values(ticket=self._ticket)
        if connection.execute(signed).rowcount == 0:
            row = {"writer": self._me, "ticket": self._ticket}
            connection.execute(sa.insert(ticket).values(row))

    def is_in_transaction(self, connection: sa.Connection) -> bool:
        return not connection.invalidated

    def outcome(self, connection: sa.Connection) -> Outcome:
        if not connection.invalidated:
            return Outcome.FAILED
        was_sent = self._is_sent
        until_s = time.monotonic() + (0.0 if self._is_away else PATIENCE_S)
        mine = sa.select(ticket.c.ticket).where(ticket.c.writer == self._me)
        while True:
            try:
                with connection.begin():
                    last = connection.execute(mine).scalar()
            except (sa.exc.SQLAlchemyError, StoreError) as error:
                inner = getattr(error, "orig", error)
                self._refusal = inner if isinstance(inner, StoreError) else None
                if connection.in_transaction():
                    connection.rollback()
            else:
                self._is_away, self._refusal = False, None
                is_there = was_sent and last == self._ticket
                return Outcome.WRITTEN if is_there else Outcome.LOST
            if time.monotonic() > until_s or self._closing.wait(AGAIN_S):
                self._is_away = True
                return Outcome.UNKNOWN if was_sent else Outcome.FAILED

    def explained(self, error: BaseException) -> StoreError:
        inner = getattr(error, "orig", None)  # raised while connecting
        error = inner if isinstance(inner, StoreError) else error
        error, self._refusal = self._refusal or error, None
        if isinstance(error, StoreError):
            named = str(error).startswith(self.name)
            return error if named else type(error)(f"{self.name}: {error}")
        cause: Any = getattr(error, "orig", None) or error
        cause = getattr(cause, "orig", None) or cause
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        cure = _cure(cause, lines)
        kind = StoreAwayError if cure == AWAY else StoreError
        return kind(f"{self.name}: {lines[0]}; {cure}")

    def close(self) -> None:
        self._closing.set()
        if self._ticket:
            self._forget()
        self.readers.dispose()
        self.writer.dispose()

    def _forget(self) -> None:
        mine = sa.delete(ticket).where(ticket.c.writer == self._me)
        try:
            with self.writer.begin() as connection:
                connection.execute(mine)
        except (sa.exc.SQLAlchemyError, StoreError):
            return  # a row of eighty bytes stays behind

    def _engine(self, url: sa.URL, **pool: Any) -> sa.Engine:
        settings = {
            "application_name": "almenara",
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c lock_timeout={BUSY_MS} -c timezone=UTC",
        }
        engine = sa.create_engine(url, connect_args=settings, **pool)

        @event.listens_for(engine, "do_connect")
        def authenticate(_: object, __: object, ___: object, words: Any) -> None:
            password = _password(self._server)
            if password is not None:
                words["password"] = password

        return engine

    def _prepare(self) -> None:
        @event.listens_for(self.writer, "connect")
        def set_up(connection: Any, _: object) -> None:
            connection.autocommit = True
            found = connection.execute("show synchronous_commit").fetchone()[0]
            if found in ("off", "local"):
                connection.execute("set synchronous_commit = on")
            if self._is_node:
                self._claim(connection)
            connection.autocommit = False

        @event.listens_for(self.writer, "begin")
        def queue_up(connection: sa.Connection) -> None:
            self._is_sent = False
            first, second = WRITE_LOCK
            connection.exec_driver_sql(
                f"select pg_advisory_xact_lock({first}, {second})"
            )

        @event.listens_for(self.writer, "commit")
        def note(_: sa.Connection) -> None:
            self._is_sent = True

    def _claim(self, connection: Any) -> None:
        asked = "select pg_try_advisory_lock(%s, %s)"
        if not connection.execute(asked, NODE_LOCK).fetchone()[0]:
            raise StoreError(f"{self.name}: another node has it open; stop that one")


def _cure(cause: Any, lines: list[str]) -> str:
    """What to do; without a code, by the first words of a failed connection."""
    code = getattr(cause, "sqlstate", None)
    if code is None:
        text = " ".join(lines)
        if "password" in text:
            return CURES["28P01"]
        if "does not exist" in text and "database" in text:
            return CURES["3D000"]
        return AWAY
    if code[:2] == "08" or code in ("57P01", "57P02"):
        return AWAY
    return CURES.get(code, "almenara doctor says more")


def _password(server: Server) -> str | None:
    """From the file, or the service's credential; None: the server wants none.

    Raises:
        StoreError: The file cannot be read, or others may read it.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    path = server.password_file
    if path is None and credentials:
        kept = Path(credentials) / CREDENTIAL
        path = kept if kept.exists() else None
    if path is None:
        return None
    try:
        if path.stat().st_mode & 0o077:
            raise StoreError(f"{path}: others may read the password; chmod 600 {path}")
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise StoreError(
            f"{path}: {reason}; store.password_file names a file with the password"
        ) from error
