"""All rows of a store, from one database into another, whatever engine either has.

A backup is always one SQLite file: of a file by SQLite's own online backup, of a server
row by row from one snapshot. The same way back, so a backup of one engine can be
restored into the other.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.node.store.engine import Engine
from almenara.node.store.place import Place, Server
from almenara.node.store.postgresql import PostgresqlEngine
from almenara.node.store.schema import migrate, revisions
from almenara.node.store.sqlite import Durability, SqliteEngine

LIVED_IN = ("boot", "account", "audit", "segment", "alarm", "station_version")
"""Tables that are empty until somebody uses a store; migrations write into others."""

PAGES = 1_000
"""Of an online backup between two looks at who else waits."""

ROWS = 1_000
OWN = ("alembic_version", "write_ticket")
"""Tables that say something about the database they are in, not about the watch."""

Progress = Callable[[float], None]


def export(
    place: Place, out: Path, *, progress: Progress = lambda _: None
) -> tuple[str, ...]:
    """Copy a store into a new SQLite file, beside whoever is writing.

    Returns:
        The revisions of its schema.

    Raises:
        StoreError: It cannot be read, or the copy cannot be written.
    """
    if isinstance(place, Server):
        return _from_server(place, out, progress)
    if not place.exists():
        raise StoreError(f"{place}: there is no store yet; start the watch once")
    try:
        with (
            closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(out)) as copy,
        ):
            source.execute("begin")  # one state: else each commit begins it anew
            source.execute("select count(*) from sqlite_master").fetchone()
            source.backup(
                copy,
                pages=PAGES,
                progress=lambda _, left, total: progress(1 - left / max(1, total)),
            )
            copy.execute("pragma journal_mode=delete")
            (sound,) = copy.execute("pragma quick_check").fetchone()
            query = "select version_num from alembic_version"
            found = tuple(row[0] for row in copy.execute(query))
    except sqlite3.Error as error:
        raise StoreError(f"{place}: {error}; almenara doctor says more") from error
    if sound != "ok":
        raise StoreError(f"{place}: damaged: {sound}")
    return found


def load(copy: Path, server: Server, *, progress: Progress = lambda _: None) -> None:
    """Fill an empty database on a server from a backup.

    Raises:
        StoreError: It is not empty, a node has it, or a row was refused: nothing was
            written.
    """
    source = sa.create_engine(sa.URL.create("sqlite", database=str(copy)))
    engine = PostgresqlEngine(server, exclusive=True)
    try:
        engine.check()
        with source.connect() as reading:
            (revision,) = revisions(reading)
            _be_empty(engine)
            migrate(engine.writer, name=engine.name, to=revision)
            with engine.writer.begin() as writing:
                _copy(reading, writing, progress)
    except sa.exc.DatabaseError as error:
        raise engine.explained(error) from error
    finally:
        engine.close()
        source.dispose()


def _from_server(server: Server, out: Path, progress: Progress) -> tuple[str, ...]:
    engine = PostgresqlEngine(server, exclusive=False)
    copy = SqliteEngine(out, durability=Durability.FULL, exclusive=False)
    try:
        with engine.readers.connect() as reading, reading.begin():
            found = tuple(revisions(reading))
            if not found:
                raise StoreError(f"{engine.name}: there is no store yet")
            migrate(copy.writer, to=found[0])
            with copy.writer.begin() as writing:
                _copy(reading, writing, progress)
    except sa.exc.DatabaseError as error:
        raise engine.explained(error) from error
    finally:
        engine.close()
        copy.close()
    with closing(sqlite3.connect(out)) as plain:
        plain.execute("pragma journal_mode=delete")
    return found


def _copy(reading: sa.Connection, writing: sa.Connection, progress: Progress) -> None:
    sources, targets = _tables(reading), _tables(writing)
    with _unguarded(writing, targets):
        for table in reversed(targets.sorted_tables):
            if table.name not in OWN:  # what migrations wrote: the copy has its own
                writing.execute(sa.delete(table))
    names = [table.name for table in targets.sorted_tables if table.name not in OWN]
    for number, name in enumerate(names, 1):
        rows = reading.execute(sa.select(sources.tables[name]))
        insert = sa.insert(targets.tables[name])
        for part in rows.mappings().partitions(ROWS):
            batch: list[dict[str, Any]] = [dict(row) for row in part]
            writing.execute(insert, batch)
        progress(number / len(names))


@contextmanager
def _unguarded(writing: sa.Connection, tables: sa.MetaData) -> Iterator[None]:
    """Let a store that was made a moment ago be emptied; guarded again at the end."""
    if writing.dialect.name == "sqlite":
        wanted = "select name, sql from sqlite_master where type = 'trigger'"
        guards = writing.exec_driver_sql(wanted).all()
        for name, _ in guards:
            writing.exec_driver_sql(f"drop trigger {name}")
        yield
        for _, text in guards:
            writing.exec_driver_sql(text)
        return
    for name in tables.tables:
        writing.exec_driver_sql(f'alter table "{name}" disable trigger user')
    yield
    for name in tables.tables:
        writing.exec_driver_sql(f'alter table "{name}" enable trigger user')


def _tables(connection: sa.Connection) -> sa.MetaData:
    found = sa.MetaData()
    found.reflect(connection)
    return found


def _be_empty(engine: Engine) -> None:
    with engine.writer.begin() as connection:
        tables = _tables(connection).sorted_tables
        full = [
            table.name
            for table in tables
            if table.name in LIVED_IN
            and connection.execute(sa.select(table).limit(1)).first() is not None
        ]
        if full:
            raise StoreError(
                f"{engine.name}: holds rows already ({', '.join(full[:3])}…); name an "
                "empty database in store.url"
            )
        if tables and not revisions(connection):
            raise StoreError(
                f"{engine.name}: holds tables of something else; name an empty "
                "database in store.url"
            )
