"""The store in one SQLite file: write-ahead log, synced at each commit."""

import os
import sqlite3
from contextlib import suppress
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool, StaticPool

from almenara.core.errors import StoreError, StoreFullError
from almenara.node.store.engine import RESTORE, Outcome
from almenara.recording.files import make_folder

BUSY_MS = 5_000
"""How long to wait for another process, such as a command, that is writing."""

CURES = {
    "FULL": "free space on its disk",
    "IOERR": "check its disk",
    "READONLY": "let this user write the file and its directory",
    "CANTOPEN": "let this user write the file and its directory",
    "BUSY": "another program is writing; wait and try again",
}


class Durability(StrEnum):
    """What a commit survives."""

    FULL = "full"
    """A power cut: the must-not-lose store."""

    NORMAL = "normal"
    """A crash of the process; a power cut may take the last seconds, never more."""


class SqliteEngine:
    """Fulfils ``engine.Engine``."""

    def __init__(self, path: Path, *, durability: Durability, exclusive: bool) -> None:
        """Open the file and create it if missing.

        Raises:
            StoreError: Another node has it, or its folder cannot be written.
        """
        self.name = str(path)
        self._lock_fd = _lock(path) if exclusive else None
        try:
            self.writer, self.readers = _engines(path, durability)
        except OSError as error:
            self._unlock()
            raise self.explained(error) from error

    def check(self) -> None:
        with self.readers.begin() as connection:
            quick = connection.exec_driver_sql("pragma quick_check(3)")
            found = quick.scalars().all()
        if found != ["ok"]:
            raise StoreError(f"damaged: {'; '.join(map(str, found))}")

    def sign(self, connection: sa.Connection) -> None:
        """Nothing to do: a commit that failed here was rolled back."""

    def is_in_transaction(self, connection: sa.Connection) -> bool:
        driver = connection.connection.driver_connection
        return not isinstance(driver, sqlite3.Connection) or driver.in_transaction

    def outcome(self, connection: sa.Connection) -> Outcome:
        """Failed, and over: after a commit that failed SQLite may still be in it.

        **Source**: https://sqlite.org/lang_transaction.html, "Response To Errors Within
        A Transaction".
        """
        if connection.invalidated:
            return Outcome.FAILED
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection) and driver.in_transaction:
            with suppress(sqlite3.Error):
                driver.rollback()
        return Outcome.FAILED

    def explained(self, error: BaseException) -> StoreError:
        if isinstance(error, StoreError):
            named = str(error).startswith(self.name)
            return error if named else StoreError(f"{self.name}: {error}; {RESTORE}")
        cause = getattr(error, "orig", None) or error
        cause = (
            getattr(cause, "orig", None) or cause
        )  # a rollback we reported ourselves
        kind = getattr(cause, "sqlite_errorname", "SQLITE_").split("_")[1]
        says = StoreFullError if kind == "FULL" else StoreError
        return says(f"{self.name}: {cause}; {CURES.get(kind, RESTORE)}")

    def close(self) -> None:
        self.readers.dispose()
        self.writer.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _engines(path: Path, durability: Durability) -> tuple[sa.Engine, sa.Engine]:
    make_folder(path.parent)
    url = sa.URL.create("sqlite", database=str(path))
    threads = {"check_same_thread": False}
    writer = sa.create_engine(url, poolclass=StaticPool, connect_args=threads)
    readers = sa.create_engine(
        url, connect_args=threads, poolclass=QueuePool, pool_size=5, max_overflow=20
    )
    for engine, begin in ((writer, "begin immediate"), (readers, "begin")):
        _prepare(engine, durability, begin)
    return writer, readers


def _prepare(engine: sa.Engine, durability: Durability, begin: str) -> None:
    """Take transactions out of the driver's hands and set what durability needs."""

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=wal",
            f"synchronous={durability}",
            "foreign_keys=on",
        ):
            connection.execute(f"pragma {pragma}")
        _refuse_less(connection, durability)

    @event.listens_for(engine, "begin")
    def begin_now(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _refuse_less(connection: sqlite3.Connection, durability: Durability) -> None:
    """What SQLite says it does must be what was asked of it."""
    wanted = ("wal", {Durability.NORMAL: 1, Durability.FULL: 2}[durability])
    found = (
        connection.execute("pragma journal_mode").fetchone()[0],
        connection.execute("pragma synchronous").fetchone()[0],
    )
    if found != wanted:
        raise StoreError(
            f"(journal mode, synchronous) is {found}, must be {wanted}; "
            "put the store on a local disk"
        )


def _lock(path: Path) -> int:
    """The node's own lock, held to its end and released by the system if it dies."""
    place = path.with_name(path.name + ".lock")
    try:
        make_folder(path.parent)
        lock_fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{place}: {error.strerror}") from error
    try:
        flock(lock_fd, LOCK_EX | LOCK_NB)
    except OSError as error:
        os.close(lock_fd)
        raise StoreError(f"{path}: another node has it open; stop that one") from error
    return lock_fd
