"""Every change can be made and undone, in both engines, and leaves no trace."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from almenara.core.errors import SchemaTooNewError
from almenara.node.store import accounts, alarms, audit, recordings, stations, targets
from almenara.node.store.database import open_store
from almenara.node.store.engine import Engine
from almenara.node.store.place import Place
from almenara.node.store.postgresql import PostgresqlEngine, ticket
from almenara.node.store.schema import heads, migrate, migrate_down, revisions
from almenara.node.store.sqlite import Durability, SqliteEngine
from tests.postgresql import Cluster

MODULES = (accounts, alarms, audit, recordings, stations, targets)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A place with nothing in it."""
    engine: Engine
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "a.db"
        engine = SqliteEngine(path, durability=Durability.FULL, exclusive=False)
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        engine = PostgresqlEngine(cluster.create(), exclusive=False)
    yield engine
    engine.close()


def shape(engine: Engine) -> dict[str, object]:
    """Tables, columns, indexes and triggers, as the database has them."""
    inspector = sa.inspect(engine.readers)
    found: dict[str, object] = {
        table: (
            sorted(
                (c["name"], str(c["type"]), c["nullable"])
                for c in inspector.get_columns(table)
            ),
            sorted(str(i["name"]) for i in inspector.get_indexes(table)),
        )
        for table in sorted(inspector.get_table_names())
    }
    with engine.readers.begin() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        wanted = "select name from sqlite_master where type = 'trigger'"
        if not is_sqlite:
            wanted = "select tgname from pg_trigger where not tgisinternal"
        found["triggers"] = sorted(connection.exec_driver_sql(wanted).scalars())
    return found


def test_up_down_and_up_again_is_the_same(bare: Engine):
    migrate(bare.writer)
    whole = shape(bare)

    migrate_down(bare.writer, to="base")
    empty = shape(bare)
    migrate(bare.writer)

    assert set(empty) == {"alembic_version", "triggers"}
    assert empty["triggers"] == []
    assert len(whole["triggers"]) >= 6  # type: ignore[arg-type]  # a list
    assert shape(bare) == whole


def test_each_step_can_be_undone_with_rows_in_the_store(bare: Engine):
    migrate(bare.writer)
    with bare.writer.begin() as connection:
        row = {"target_id": "t", "path": "/media", "added_at": 0}
        values = ", ".join(f":{name}" for name in row)
        names = ", ".join(row)
        kept = sa.text(f"insert into target ({names}) values ({values})")  # noqa: S608
        connection.execute(kept, row)

    migrate_down(bare.writer, to="0002")
    migrate(bare.writer)

    with bare.readers.begin() as connection:
        found = connection.execute(sa.select(recordings.target)).mappings().one()
    assert (found["path"], found["generation"], found["confirmed"]) == ("/media", 0, 0)


def test_both_engines_have_the_tables_that_are_declared(bare: Engine):
    migrate(bare.writer)
    inspector = sa.inspect(bare.readers)
    declared = {
        table.name: table
        for module in MODULES
        for table in (*vars(module).values(), ticket)
        if isinstance(table, sa.Table)
    }

    for name, table in declared.items():
        columns = {c["name"]: c["nullable"] for c in inspector.get_columns(name)}
        assert columns == {c.name: c.nullable for c in table.columns}, name
        indexes = {i["name"] for i in inspector.get_indexes(name)}
        assert {i.name for i in table.indexes} <= indexes, name


def test_an_older_schema_is_brought_to_today(bare: Engine):
    migrate(bare.writer, to="0001")
    migrate(bare.writer)

    with bare.readers.begin() as connection:
        assert revisions(connection) == heads()


def test_a_newer_schema_is_left_alone_and_the_cure_is_said(place: Place):
    with open_store(place) as store:
        later = sa.text("update alembic_version set version_num = '9999'")
        store.submit(lambda db: db.execute(later).close()).result()

    with pytest.raises(SchemaTooNewError, match=r"9999.*install the newer one"):
        open_store(place)
