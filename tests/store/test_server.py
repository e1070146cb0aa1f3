"""A server that restarts, refuses, or breaks off in the middle of a commit (F13)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from almenara.core.errors import CommitUnknownError, StoreAwayError, StoreError
from almenara.node.store import audit, postgresql
from almenara.node.store.database import Store, open_store
from almenara.node.store.place import Server
from tests.contracts.console_stores import entry
from tests.postgresql import Cluster, cluster, name_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster to be hurt."""
    with cluster() as running:
        yield running


@pytest.fixture
def place(own: Cluster) -> Server:
    return own.create()


def numbers(store: Store) -> list[tuple[int, str]]:
    wanted = sa.select(audit.audit.c.seq, audit.audit.c.act)
    rows = store.read_now(lambda db: db.execute(wanted.order_by("seq")).all())
    return [(row.seq, row.act) for row in rows]


def write(store: Store, act: str) -> None:
    line = entry(act)
    store.submit(lambda db: audit.append(db, (line,))).result(60)


def test_a_restart_while_nobody_writes_costs_nothing(own: Cluster, place: Server):
    with open_store(place, exclusive=True) as store:
        write(store, "before")
        own.stop()
        own.start()
        write(store, "after")

        assert numbers(store) == [(1, "before"), (2, "after")]


@pytest.mark.parametrize("hard", [False, True], ids=["stopped", "killed"])
def test_a_restart_in_the_middle_loses_and_doubles_nothing(
    own: Cluster,
    place: Server,
    hard: bool,  # noqa: FBT001  # a parameter of the test
):
    acknowledged: list[str] = []
    enough, stop = Event(), Event()
    with open_store(place, exclusive=True) as store:

        def go_on() -> None:
            for number in range(100_000):
                if stop.is_set():
                    return
                write(store, f"act.{number}")
                acknowledged.append(f"act.{number}")
                if number == 50:
                    enough.set()

        writer = Thread(target=go_on)
        writer.start()
        for _ in range(3):
            assert enough.wait(60)
            own.stop(hard=hard)
            own.start()
            before = len(acknowledged)
            while len(acknowledged) < before + 20:
                assert not stop.wait(0.01)
        stop.set()
        writer.join()
        found = numbers(store)

    assert [act for _, act in found] == acknowledged
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("committed", [True, False])
def test_an_answer_lost_in_the_commit_is_looked_up(
    own: Cluster,
    place: Server,
    committed: bool,  # noqa: FBT001  # a parameter of the test
    monkeypatch,
):
    """The line is cut after the server committed, or just before."""
    plain = PGDialect_psycopg.do_commit
    cuts: list[int] = []

    with open_store(place, exclusive=True) as store:
        write(store, "first")

        def cut(self, connection) -> None:
            line = connection.dbapi_connection
            if cuts:
                plain(self, connection)
                return
            cuts.append(line.info.backend_pid)
            if committed:
                line.commit()
            own.sql(f"select pg_terminate_backend({cuts[0]})")
            line.execute("select 1")  # finds the line cut

        monkeypatch.setattr(PGDialect_psycopg, "do_commit", cut)
        write(store, "second")
        write(store, "third")
        found = numbers(store)

    assert len(cuts) == 1
    assert found == [(1, "first"), (2, "second"), (3, "third")]


def test_a_server_that_stays_away_is_said_and_nothing_waits_for_ever(
    own: Cluster, place: Server, monkeypatch
):
    monkeypatch.setattr(postgresql, "PATIENCE_S", 0.5)
    with open_store(place, exclusive=True) as store:
        write(store, "before")
        own.stop()
        try:
            with pytest.raises(StoreAwayError, match="check that the server runs"):
                write(store, "never")
            with pytest.raises(StoreAwayError):
                store.read_now(lambda db: db.execute(sa.select(1)).scalar())
        finally:
            own.start()
        write(store, "after")

        assert numbers(store) == [(1, "before"), (2, "after")]


def test_what_cannot_be_known_is_not_called_written(
    own: Cluster, place: Server, monkeypatch
):
    monkeypatch.setattr(postgresql, "PATIENCE_S", 0.5)
    with open_store(place, exclusive=True) as store:
        write(store, "before")

        def cut(_: object, connection) -> None:
            own.stop(hard=True)
            connection.dbapi_connection.execute("select 1")  # finds the line cut

        with monkeypatch.context() as patched:
            patched.setattr(PGDialect_psycopg, "do_commit", cut)
            with pytest.raises(CommitUnknownError, match="may or may not"):
                write(store, "perhaps")
        own.start()
        write(store, "after")

        assert [seq for seq, _ in numbers(store)] == [1, 2]


def test_there_is_one_node_and_commands_beside_it(place: Server):
    with open_store(place, exclusive=True) as store:
        with pytest.raises(StoreError, match="another node has it open"):
            open_store(place, exclusive=True)
        with open_store(place) as command:
            write(command, "command")
        write(store, "node")

        assert numbers(store) == [(1, "command"), (2, "node")]
    open_store(place, exclusive=True).close()


def test_a_node_whose_place_was_taken_writes_no_more(
    own: Cluster, place: Server, monkeypatch
):
    monkeypatch.setattr(postgresql, "PATIENCE_S", 0.5)
    with open_store(place, exclusive=True) as old:
        write(old, "old")
        lost = "select pg_terminate_backend(pid) from pg_locks where objid = 1"
        own.sql(f"{lost} and locktype = 'advisory'", name_of(place))
        with open_store(place, exclusive=True) as new:
            with pytest.raises(StoreError, match="another node has it open"):
                write(old, "zombie")
            write(new, "new")

            assert numbers(new) == [(1, "old"), (2, "new")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("postgres@/t", "postgres@/none-t"), "createdb"),
        (lambda url: url.replace("postgres@", "nobody-here@"), "check"),
        (lambda url: re.sub(r"host=.*", "host=/nowhere", url), "server runs"),
    ],
    ids=["no database", "no such user", "no server"],
)
def test_each_refusal_says_the_cure(place: Server, change, message: str):
    with pytest.raises(StoreError, match=message) as refused:
        open_store(replace(place, url=change(place.url)))

    assert "\n" not in str(refused.value)


def test_a_wrong_password_is_named_and_never_said(own: Cluster, tmp_path: Path):
    own.sql("create role guard login password 'the right one'")
    rules = own.folder / "data" / "pg_hba.conf"
    plain = rules.read_text()
    rules.write_text(f"local all guard scram-sha-256\n{plain}")
    own.sql("select pg_reload_conf()")
    database = own.create()
    own.sql(f"alter database {name_of(database)} owner to guard")
    kept = tmp_path / "password"
    place = Server(url=database.url.replace("postgres@", "guard@"), password_file=kept)
    try:
        with pytest.raises(StoreError, match=r"password: No such file"):
            open_store(place)
        kept.write_text("open to all\n")
        kept.chmod(0o644)
        with pytest.raises(StoreError, match="chmod 600"):
            open_store(place)
        kept.chmod(0o600)
        with pytest.raises(StoreError, match=r"store\.password_file") as refused:
            open_store(place)
        assert "open to all" not in str(refused.value)
        kept.write_text("the right one\n")
        open_store(place).close()
    finally:
        rules.write_text(plain)
        own.sql("select pg_reload_conf()")


def test_a_database_that_would_sort_or_lose_otherwise_is_refused(own: Cluster):
    own.sql(
        "create database latin template template0 encoding 'LATIN1' "
        "lc_collate 'C' lc_ctype 'C'"
    )
    with pytest.raises(StoreError, match="LATIN1"):
        open_store(own.server("latin"))
