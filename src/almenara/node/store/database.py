"""Opens the store, brings its schema to today, and orders those who write.

One thread writes. Whoever wants something written hands over a function; the thread
takes all that are waiting into one transaction, commits, and only then answers each of
them: an answer means that a power cut no longer matters. Each function runs in a
savepoint of its own, so one that fails takes nobody along. Readers use connections of
their own and never wait for the writer. All of this is the same for a file and for a
server (``sqlite``, ``postgresql``).

**Source**: docs/design/store.md.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from almenara.core.errors import CommitUnknownError, StoreError
from almenara.node.store.engine import Engine, Outcome
from almenara.node.store.place import Place, Server
from almenara.node.store.schema import heads, migrate, revisions
from almenara.node.store.sqlite import Durability, SqliteEngine
from almenara.recording.threads import name_this_thread

__all__ = ["Durability", "Store", "open_as_it_is", "open_plain", "open_store"]

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

GROUP_S = 0.020
"""A transaction takes no new work after this long (docs/design/recording.md)."""

TRIES = 3
"""Of a function whose connection breaks each time; then it is told so."""


class Store:
    """One database with one writer thread and some readers; made by :func:`open_store`.

    A function handed in must be safe to run twice: when a whole transaction is rolled
    back (disk full, I/O error, connection lost), each is tried again by itself.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.engine = engine.readers
        self._kind = engine
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._closing = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._write_forever, name="store-write", daemon=True
        )
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction; returns after the commit.

        Raises:
            StoreError: Nothing was written: the disk is full, the server is away, or
                the store is closed.
            CommitUnknownError: A server went away in the commit and did not come back.
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
                raise StoreError(f"{self.name}: closed")
            self._jobs.put(_Job(work, answer))
        return answer

    def read_now(self, work: Work[T]) -> T:
        """As :meth:`read`, for threads."""
        try:
            with self._kind.readers.connect() as connection, connection.begin():
                return work(connection)
        except (sa.exc.DatabaseError, StoreError) as error:
            raise self._kind.explained(error) from error

    def check(self) -> None:
        """Look whether the database is whole; beside whoever writes.

        Raises:
            StoreError: It is damaged.
        """
        try:
            self._kind.check()
        except (sa.exc.DatabaseError, StoreError) as error:
            raise self._kind.explained(error) from error

    def close(self) -> None:
        """Finish what was handed over, then let go of all; safe to repeat."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._jobs.put(None)
        self._thread.join()
        self._pool.shutdown()
        self._kind.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_forever(self) -> None:
        name_this_thread(self._thread.name)
        with self._kind.writer.connect() as connection:
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
        self, connection: sa.Connection, waiting: "deque[_Job]", tries: int = TRIES
    ) -> "list[_Job]":
        """Run some of ``waiting`` in one transaction; returns those, done or failed."""
        taken: list[_Job] = []
        until_s = time.monotonic() + GROUP_S
        try:
            with connection.begin():
                self._kind.sign(connection)
                while waiting and (not taken or time.monotonic() < until_s):
                    taken.append(waiting.popleft())
                    taken[-1].run(connection, self._kind)
        except (sa.exc.SQLAlchemyError, StoreError) as error:
            _let_go(connection)
            if not taken and connection.invalidated:
                taken = list(waiting)  # nobody gets in: the same answer for all
                waiting.clear()
            taken = taken or [waiting.popleft()]
            outcome = self._kind.outcome(connection)
            again = outcome is Outcome.LOST and tries > 1
            if outcome is Outcome.FAILED and len(taken) > 1:
                again = True
            if again:
                left = tries - (outcome is Outcome.LOST)
                return [
                    self._commit(connection, deque([job]), left)[0] for job in taken
                ]
            if outcome is not Outcome.WRITTEN:
                reason = self._reason(error, outcome)
                for job in taken:
                    job.fail(reason)
        return taken

    def _reason(self, error: BaseException, outcome: Outcome) -> StoreError:
        explained = self._kind.explained(error)
        if outcome is not Outcome.UNKNOWN:
            return explained
        return CommitUnknownError(
            f"{explained}; it may or may not have been written: look before repeating"
        )


def _let_go(connection: sa.Connection) -> None:
    """End a transaction that failed; a line that does not even take that is no line."""
    if connection.in_transaction():
        try:
            connection.rollback()
        except sa.exc.SQLAlchemyError:
            connection.invalidate()


class _Job:
    """One function that waits to be run, and what became of it."""

    def __init__(self, work: Work[Any], answer: "Future[Any]") -> None:
        self.answer = answer
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, connection: sa.Connection, kind: Engine) -> None:
        self._value = self._error = None
        try:
            with connection.begin_nested():
                self._value = self._work(connection)
        except Exception as error:  # noqa: BLE001  # the caller's own: raised at its door
            self._error = error
        if not kind.is_in_transaction(connection):  # all is given up, not just ours
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
    place: Place, *, exclusive: bool = False, durability: Durability = Durability.FULL
) -> Store:
    """Open the store at ``place``, create it if missing, bring its schema to today.

    Args:
        place: An SQLite file, whose directory is made if missing; or a server, whose
            database must be there.
        exclusive: True for the node, of which there is one; commands leave it out and
            may read and write beside it.
        durability: What a commit survives; a server's is always full.

    Raises:
        SchemaTooNewError: A newer Almenara wrote it; nothing was touched.
        StoreError: It cannot be opened, is damaged, or another node has it. The
            message names the place and what to do.
    """
    engine = _engine(place, exclusive=exclusive, durability=durability)
    try:
        if exclusive or isinstance(place, Server):
            engine.check()
        migrate(engine.writer, name=engine.name)
    except BaseException as error:
        engine.close()
        if isinstance(error, sa.exc.DatabaseError | OSError | StoreError):
            raise engine.explained(error) from error
        raise
    return Store(engine)


def open_as_it_is(place: Place) -> Store:
    """Open a store to look at it: nothing is created, no schema is changed.

    Raises:
        StoreError: There is none, or it is of another Almenara's schema.
    """
    if isinstance(place, Path) and not place.exists():
        raise StoreError(f"{place}: there is no store yet; start the watch once")
    engine = _engine(place, exclusive=False, durability=Durability.FULL)
    try:
        with engine.readers.begin() as connection:
            found = revisions(connection)
    except (sa.exc.DatabaseError, OSError, StoreError) as error:
        engine.close()
        raise engine.explained(error) from error
    if found != heads():
        engine.close()
        raise StoreError(
            f"{engine.name}: its schema is not of today; start the watch once, or "
            "install the Almenara that wrote it"
        )
    return Store(engine)


def open_plain(path: Path, *, durability: Durability) -> Store:
    """A store with tables of the caller's own: no schema of ours, no migrations.

    Raises:
        StoreError: As :func:`open_store`.
    """
    engine = SqliteEngine(path, durability=durability, exclusive=False)
    try:
        engine.writer.connect().close()
    except (sa.exc.DatabaseError, OSError) as error:
        raise engine.explained(error) from error
    return Store(engine)


def _engine(place: Place, *, exclusive: bool, durability: Durability) -> Engine:
    if isinstance(place, Server):
        from almenara.node.store.postgresql import PostgresqlEngine  # noqa: PLC0415

        return PostgresqlEngine(place, exclusive=exclusive)
    return SqliteEngine(place, durability=durability, exclusive=exclusive)
