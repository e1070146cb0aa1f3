"""Opens the store, brings its schema to today, and orders those who write.

One thread writes. Whoever wants something written hands over a function; the thread
takes all that are waiting into one transaction, commits, and only then answers each of
them: an answer means that a power cut no longer matters. Each function runs in a
savepoint of its own, so one that fails takes nobody along. Readers use connections of
their own and never wait for the writer.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.pool import QueuePool, StaticPool

from almenara.core.errors import SchemaTooNewError, StoreError, StoreFullError
from almenara.recording.files import make_folder
from almenara.recording.threads import name_this_thread

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

GROUP_S = 0.020
"""A transaction takes no new work after this long (docs/design/recording.md)."""

BUSY_MS = 5_000
"""How long to wait for another process, such as a command, that is writing."""

RESTORE = "restore a backup, or move the file away to begin an empty store"
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


class Store:
    """One database with one writer thread and some readers; made by :func:`open_store`.

    A function handed in must be safe to run twice: when SQLite rolls a whole
    transaction back on its own (disk full, I/O error), each is tried again by itself.
    """

    def __init__(
        self,
        path: Path,
        *,
        writer: sa.Engine,
        readers: sa.Engine,
        lock_fd: int | None = None,
    ) -> None:
        self.path = path
        self.engine = writer
        self._readers = readers
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._closing = threading.Lock()
        self._is_closed = False
        self._lock_fd = lock_fd
        self._thread = threading.Thread(
            target=self._write_forever, name="store-write", daemon=True
        )
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction; returns after the commit.

        Raises:
            StoreError: Nothing was written: the disk is full, or the store is closed.
        """
        return await asyncio.wrap_future(self.submit(work))

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on a connection that sees one consistent state."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.read_now, work)

    def submit(self, work: Work[T]) -> "Future[T]":
        """As :meth:`write`, for threads; the future is done after the commit."""
        answer: Future[T] = Future()
        with self._closing:
            if self._is_closed:
                raise StoreError(f"{self.path}: closed")
            self._jobs.put(_Job(work, answer))
        return answer

    def read_now(self, work: Work[T]) -> T:
        """As :meth:`read`, for threads."""
        try:
            with self._readers.connect() as connection, connection.begin():
                return work(connection)
        except sa.exc.DatabaseError as error:
            raise _explained(self.path, error) from error

    def close(self) -> None:
        """Finish what was handed over, then let go of the file; safe to repeat."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._jobs.put(None)
        self._thread.join()
        self._pool.shutdown()
        self._readers.dispose()
        self.engine.dispose()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_forever(self) -> None:
        name_this_thread(self._thread.name)
        with self.engine.connect() as connection:
            while (job := self._jobs.get()) is not None:
                waiting = self._waiting(job)
                while waiting:
                    for done in self._commit(connection, waiting):
                        done.answer_now()

    def _waiting(self, first: "_Job") -> "deque[_Job]":
        """``first`` and everybody else who waits already, without who gave up."""
        jobs = deque([first])
        with suppress(Empty):
            while len(jobs) < 500:
                job = self._jobs.get_nowait()
                if job is None:
                    self._jobs.put(None)
                    break
                jobs.append(job)
        return deque(job for job in jobs if job.answer.set_running_or_notify_cancel())

    def _commit(
        self, connection: sa.Connection, waiting: "deque[_Job]"
    ) -> "list[_Job]":
        """Run some of ``waiting`` in one transaction; returns those, done or failed."""
        taken: list[_Job] = []
        until_s = time.monotonic() + GROUP_S
        try:
            with connection.begin():
                while waiting and (not taken or time.monotonic() < until_s):
                    taken.append(waiting.popleft())
                    taken[-1].run(connection)
        except sa.exc.DatabaseError as error:
            _end_transaction(connection)
            if len(taken) > 1:
                return [self._commit(connection, deque([job]))[0] for job in taken]
            for job in taken or [waiting.popleft()]:
                taken = [job]
                job.fail(_explained(self.path, error))
        return taken


class _Job:
    """One function that waits to be run, and what became of it."""

    def __init__(self, work: Work[Any], answer: "Future[Any]") -> None:
        self.answer = answer
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, connection: sa.Connection) -> None:
        self._value = self._error = None
        try:
            with connection.begin_nested():
                self._value = self._work(connection)
        except Exception as error:  # noqa: BLE001  # the caller's own: raised at its door
            self._error = error
        if not _in_transaction(connection):  # SQLite gave up all of it, not just ours
            cause = self._error or StoreError("rolled back")
            raise sa.exc.OperationalError(None, None, cause)

    def fail(self, error: BaseException) -> None:
        self._error = error

    def answer_now(self) -> None:
        if self._error is None:
            self.answer.set_result(self._value)
        else:
            self.answer.set_exception(self._error)


def open_store(
    path: Path, *, exclusive: bool = False, durability: Durability = Durability.FULL
) -> Store:
    """Open the store at ``path``, create it if missing, bring its schema to today.

    Args:
        path: The SQLite file; its directory is made if missing.
        exclusive: True for the node, of which there is one; commands leave it out and
            may read and write beside it.
        durability: What a commit survives.

    Raises:
        SchemaTooNewError: A newer Almenara wrote it; nothing was touched.
        StoreError: It cannot be opened, is damaged, or another node has it. The
            message names the file and what to do.
    """
    lock_fd = _lock(path) if exclusive else None
    try:
        writer, readers = _engines(path, durability)
        try:
            if exclusive:
                _check(writer)
            migrate(writer)
        except BaseException:
            writer.dispose()
            raise
    except (sa.exc.DatabaseError, OSError, StoreError) as error:
        if lock_fd is not None:
            os.close(lock_fd)
        raise _explained(path, error) from error
    return Store(path, writer=writer, readers=readers, lock_fd=lock_fd)


def open_plain(path: Path, *, durability: Durability) -> Store:
    """A store with tables of the caller's own: no schema of ours, no migrations.

    Raises:
        StoreError: As :func:`open_store`.
    """
    try:
        writer, readers = _engines(path, durability)
        writer.connect().close()
    except (sa.exc.DatabaseError, OSError) as error:
        raise _explained(path, error) from error
    return Store(path, writer=writer, readers=readers)


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


def migrate(engine: sa.Engine) -> None:
    """Run every migration that this store has not seen; safe to repeat.

    Raises:
        SchemaTooNewError: A newer Almenara wrote it; nothing was touched.
    """
    config = Config()
    config.set_main_option("script_location", "almenara.node.store:migrations")
    known = {
        script.revision
        for script in ScriptDirectory.from_config(config).walk_revisions()
    }
    with engine.begin() as connection:
        seen = set(MigrationContext.configure(connection).get_current_heads())
        if seen - known:
            raise SchemaTooNewError(
                f"{engine.url.database}: schema {', '.join(sorted(seen - known))} is "
                "newer than this Almenara knows; install the newer one again"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


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


def _check(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        found = connection.exec_driver_sql("pragma quick_check(3)").scalars().all()
    if found != ["ok"]:
        raise StoreError(f"damaged: {'; '.join(map(str, found))}")


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


def _in_transaction(connection: sa.Connection) -> bool:
    driver = connection.connection.driver_connection
    return not isinstance(driver, sqlite3.Connection) or driver.in_transaction


def _end_transaction(connection: sa.Connection) -> None:
    """After a failed commit SQLite may still be in it; the next one would be refused.

    **Source**: https://sqlite.org/lang_transaction.html, "Response To Errors Within A
    Transaction".
    """
    if connection.in_transaction():
        connection.rollback()
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection) and driver.in_transaction:
        with suppress(sqlite3.Error):
            driver.rollback()


def _explained(path: Path, error: BaseException) -> StoreError:
    """The same error with the file it happened to and what to do."""
    if isinstance(error, StoreError):
        named = str(error).startswith(str(path))
        return error if named else StoreError(f"{path}: {error}; {RESTORE}")
    cause = getattr(error, "orig", None) or error
    cause = getattr(cause, "orig", None) or cause  # a rollback we reported ourselves
    kind = getattr(cause, "sqlite_errorname", "SQLITE_").split("_")[1]
    says = StoreFullError if kind == "FULL" else StoreError
    return says(f"{path}: {cause}; {CURES.get(kind, RESTORE)}")
