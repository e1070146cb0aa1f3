"""Whoever changes the past is named: rows, leaves, tiles, checkpoints, keys."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from almenara.core.ids import CentreId
from almenara.core.time import ManualClock
from almenara.evidence import checkpoint, leaves, merkle, note, witness
from almenara.evidence.leaves import Kind
from almenara.node.store import evidence_log, vouchers
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.evidence_check import Verdict, check
from almenara.node.store.evidence_log import LogReader
from tests.console.fakes import NOON
from tests.evidence.keys import SeededKey
from tests.node.evidence import bend, built, entry, fill, keeper, rows, verdict

ORIGIN = checkpoint.origin(CentreId("tarifa"), 1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled store, made once; tests bend a copy."""
    return built(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "almenara.db"
    with closing(sqlite3.connect(sound)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    shutil.copy(sound, copy)
    shutil.copytree(sound.parent / "keys", tmp_path / "keys")
    return copy


def leaf_of(store: Path, kind: Kind, subject: str) -> int:
    (found,) = rows(
        store,
        "select min(leaf_id) from log_leaf where kind = :kind and subject = :subject",
        kind=int(kind),
        subject=subject,
    )
    return int(found[0])


def test_a_store_that_nobody_touched_is_good(store: Path):
    found = verdict(store)

    assert found.findings == ()
    assert (found.checkpoints, found.older_rows, found.unvouched_keys) == (2, 0, 0)
    assert found.covered == found.leaves
    kinds = {row[0] for row in rows(store, "select kind from log_leaf")}
    # Exchange, clock and approval come from parts that are not here yet.
    assert kinds == set(Kind) - {Kind.EXCHANGE, Kind.CLOCK, Kind.APPROVAL}


ROWS = [
    ("audit", "update audit set act = 'x' where seq = 3", Kind.AUDIT, "3"),
    ("audit", "update audit set at = at + 1 where seq = 3", Kind.AUDIT, "3"),
    ("audit", "update audit set person_id = 'p9' where seq = 3", Kind.AUDIT, "3"),
    (
        "audit",
        "update audit set actor = replace(actor, 'Ana', 'Eva') where seq = 3",
        Kind.AUDIT,
        "3",
    ),
    ("audit", "update audit set result = 'deny' where seq = 3", Kind.AUDIT, "3"),
    ("audit", "delete from audit where seq = 3", Kind.AUDIT, "3"),
    (
        "text",
        (
            "update personal_text set text = replace(text, 'noon', 'dusk') "
            "where commitment = (select personal from audit where seq = 3)"
        ),
        Kind.AUDIT,
        "3",
    ),
    (
        "text",
        (
            "delete from personal_text "
            "where commitment = (select personal from audit where seq = 3)"
        ),
        Kind.AUDIT,
        "3",
    ),
    (
        "segment",
        "update segment set ended_at = ended_at + 1 where segment_id = 'seg-0001'",
        Kind.SEGMENT,
        "seg-0001",
    ),
    (
        "segment",
        "update segment set stream_id = 'other' where segment_id = 'seg-0001'",
        Kind.SEGMENT,
        "seg-0001",
    ),
    (
        "fragments",
        (
            "update segment_detail set fragments = cast(substr(fragments, 58) as blob) "
            "where segment_id = 'seg-0001'"
        ),
        Kind.SEGMENT,
        "seg-0001",
    ),
    (
        "fragments",
        "update segment_detail set fragments = x'00' where segment_id = 'seg-0001'",
        Kind.SEGMENT,
        "seg-0001",
    ),
    (
        "segment",
        "delete from segment where segment_id = 'seg-0001'",
        Kind.SEGMENT,
        "seg-0001",
    ),
    (
        "tombstone",
        "update tombstone set reason = 'space' where segment_id = 'seg-0002'",
        Kind.DELETION,
        "seg-0002",
    ),
    ("tombstone", "delete from tombstone", Kind.DELETION, "seg-0002"),
    ("alarm", "update alarm set priority = 4", Kind.ALARM, "1"),
    ("trail", "update alarm_trail set event = 'x'", Kind.ALARM, "1"),
    ("trail", "delete from alarm_trail", Kind.ALARM, "1"),
    ("hold", "update hold set ended_at = ended_at + 1", Kind.HOLD, "h1"),
    ("hold", "update hold set released_at = placed_at", Kind.HOLD, "h1"),
    ("hold", "update hold set ground = 'case 8'", Kind.HOLD, "h1"),
    ("hold", "delete from hold", Kind.HOLD, "h1"),
    (
        "stations",
        "update station_version set stations = '[]'",
        Kind.CONFIGURATION,
        "stations/1",
    ),
    (
        "stations",
        "update station_version set reason = 'x'",
        Kind.CONFIGURATION,
        "stations/1",
    ),
]


@pytest.mark.parametrize(("statement", "kind", "subject"), [row[1:] for row in ROWS])
def test_a_row_that_was_changed_or_deleted_names_its_leaf(
    store: Path, statement: str, kind: Kind, subject: str
):
    bend(store, "pragma foreign_keys = off", statement)

    found = verdict(store).findings

    assert found
    assert found[0].leaf == leaf_of(store, kind, subject)
    assert found[0].subject == f"{kind.name.lower()}/{subject}"


def test_a_gap_that_was_shortened_or_taken_away_names_its_leaf(store: Path):
    subjects = [
        row[0]
        for row in rows(
            store, "select stream_id || '/' || started_at from gap order by started_at"
        )
    ]
    bend(
        store,
        "update gap set ended_at = ended_at - 1 where ended_at is not null",
        "delete from gap where ended_at is null",
    )

    found = {f.subject: f.problem for f in verdict(store).findings}

    assert set(found) == {f"gap/{subject}" for subject in subjects}
    assert "gone" in found[f"gap/{subjects[1]}"]


INSERTED = [
    (
        "audit",
        (
            "insert into audit select seq + 100, entry_id, at, person_id, actor, "
            "action, act, object_kind, object_id, start, end, result, justification, "
            "size_bytes, personal from audit where seq = 3"
        ),
    ),
    (
        "segment",
        (
            "insert into segment select 'seg-9999', stream_id, run, started_at, "
            "ended_at, size_bytes, target_id, state, origin from segment "
            "where segment_id = 'seg-0001'"
        ),
    ),
    (
        "gap",
        (
            "insert into gap select stream_id, started_at + 7, ended_at, cause "
            "from gap limit 1"
        ),
    ),
    (
        "hold",
        (
            "insert into hold select 'h9', stream_id, started_at, ended_at, ground, "
            "placed_at, released_at from hold"
        ),
    ),
    (
        "alarm_trail",
        (
            "insert into alarm_trail select 77, alarm_id, at, event, "
            "state_before, state_after, version, announces, person_id from alarm_trail"
        ),
    ),
    (
        "station_version",
        (
            "insert into station_version select 5, at, author, reason, "
            "stations from station_version"
        ),
    ),
]


@pytest.mark.parametrize(("table", "statement"), INSERTED, ids=lambda x: x.split()[0])
def test_a_row_that_was_slipped_in_is_named(store: Path, table: str, statement: str):
    bend(store, statement)

    found = verdict(store).findings

    assert [f.subject.split("/")[0] for f in found] == [table]
    assert "no leaf" in found[0].problem


@pytest.mark.parametrize("place", [1, 2, -1])
def test_a_leaf_with_one_flipped_bit_is_named(store: Path, place: int):
    ((data,),) = rows(store, "select data from log_leaf where leaf_id = 5")
    bent = bytearray(data)
    bent[place] ^= 1
    bend(store, "update log_leaf set data = :data where leaf_id = 5", data=bytes(bent))

    assert verdict(store).findings[0].leaf == 5


def test_a_leaf_changed_together_with_its_hash_lies_behind_the_last_good_checkpoint(
    store: Path,
):
    last = rows(store, "select max(leaf_id) from log_leaf")[0][0]
    release = leaves.encode(leaves.SoftwareRelease(version="9", at=NOON))
    bend(
        store,
        "update log_leaf set data = :data, sha256 = :sha256, kind = 12, subject = '9' "
        "where leaf_id = :last",
        data=release,
        sha256=merkle.leaf_hash(release),
        last=last,
    )

    found = verdict(store).findings

    assert found[0].subject == "checkpoint"
    assert found[0].leaf is not None
    assert 0 < found[0].leaf <= last


def test_a_leaf_that_was_taken_out_is_named(store: Path):
    bend(store, "delete from log_leaf where leaf_id = 6")

    assert verdict(store).findings[0].leaf == 6


def test_two_leaves_that_changed_places_are_named(store: Path):
    bend(
        store,
        "update log_leaf set leaf_id = -1 where leaf_id = 5",
        "update log_leaf set leaf_id = 5 where leaf_id = 8",
        "update log_leaf set leaf_id = 8 where leaf_id = -1",
    )

    found = verdict(store).findings

    assert found
    assert found[0].leaf is not None
    assert found[0].leaf <= 5


def test_rows_and_leaves_that_changed_places_together_are_found(store: Path):
    first, second = (leaf_of(store, Kind.AUDIT, seq) for seq in ("3", "4"))
    bend(
        store,
        "update audit set seq = -1 where seq = 3",
        "update audit set seq = 3 where seq = 4",
        "update audit set seq = 4 where seq = -1",
        "update log_leaf set leaf_id = -1 where leaf_id = :first",
        "update log_leaf set leaf_id = :first where leaf_id = :second",
        "update log_leaf set leaf_id = :second where leaf_id = -1",
        first=first,
        second=second,
    )

    assert not verdict(store).is_good


def test_a_log_cut_short_below_its_last_checkpoint_is_named(store: Path):
    size = verdict(store).leaves
    bend(store, "delete from log_leaf where leaf_id >= :last", last=size - 1)

    found = verdict(store).findings

    assert "cut short" in " ".join(f.problem for f in found)


def cut(store: Path) -> str:
    """Take the last act out of every table; returns the checkpoint that covered it."""
    ((kept,),) = rows(
        store, "select note from log_checkpoint order by size desc limit 1"
    )
    bend(
        store,
        "delete from log_leaf where leaf_id >= :size",
        "delete from log_checkpoint where size > :size",
        "delete from audit where seq = (select max(seq) from audit)",
        size=rows(store, "select min(size) from log_checkpoint")[0][0],
    )
    return str(kept)


def test_a_log_cut_short_with_care_shows_only_against_what_a_witness_kept(store: Path):
    kept = cut(store)

    alone, compared = verdict(store), verdict(store, kept)

    assert alone.is_good  # nothing inside the store can show it
    assert [f.leaf for f in compared.findings] == [alone.leaves]
    assert "cut short" in compared.findings[0].problem


def rewrite(store: Path) -> tuple[str, str]:
    """Write another past and sign it with the true key; returns the old notes."""
    notes = rows(store, "select note from log_checkpoint order by size")
    place = leaf_of(store, Kind.AUDIT, "3")
    ((data,),) = rows(
        store, "select data from log_leaf where leaf_id = :place", place=place
    )
    other = data.replace(b"video.playback", b"station.read")
    bend(
        store,
        "delete from log_checkpoint",
        "update audit set act = 'station.read' where seq = 3",
        "update log_leaf set data = :data, sha256 = :sha256 where leaf_id = :place",
        data=other,
        sha256=merkle.leaf_hash(other),
        place=place,
    )

    async def sign() -> None:
        with open_store(store) as opened:
            await SqlAuditLog(opened).record(entry(51))
            await keeper(opened, store.parent, ManualClock(NOON)).sign()

    asyncio.run(sign())
    return notes[0][0], notes[1][0]


def test_a_rewritten_log_signed_anew_shows_only_against_what_a_witness_kept(
    store: Path,
):
    early, late = rewrite(store)

    alone, compared = verdict(store), verdict(store, early, late)

    assert alone.is_good, alone.findings
    assert not compared.is_good


def test_a_rewritten_log_signed_anew_is_refused_by_the_witness(store: Path):
    early, _ = rewrite(store)
    seen = checkpoint.parse(note.parse(early).text)
    with open_store(store) as opened:

        def ask(db: sa.Connection) -> witness.Request:
            (head,) = vouchers.newest_checkpoints(db, 1)
            reader = LogReader(db, evidence_log.newest(db))
            return witness.Request(
                old_size=seen.size,
                proof=reader.consistency_proof(seen.size, head.size),
                checkpoint=note.parse(head.note),
            )

        request = opened.read_now(ask)
        key = opened.read_now(lambda db: vouchers.summaries(db)[0].key)
    answer = witness.decide(
        request,
        trusted={ORIGIN: [note.verifier(key or "")]},
        seen=seen,
        name="almenara/tanger/witness",
        signer=SeededKey("witness"),
        at=NOON,
    )

    assert isinstance(answer, witness.Refused)
    assert (answer.status, answer.accuses) == (422, True)


BENT = [
    "update log_checkpoint set root = zeroblob(32)",
    "update log_checkpoint set note = replace(note, 'tarifa', 'tanger')",
    "update log_leaf set subject = 'x' where leaf_id = 5",
    "update log_leaf set kind = 3 where leaf_id = 5",
    "update log_leaf set leaf_id = leaf_id + 256",
    "insert into log_cosignature values (1, 9999, 'w', 'l', 0)",
]


@pytest.mark.parametrize("statement", BENT)
def test_whatever_else_is_bent_is_found(store: Path, statement: str):
    bend(store, statement)

    assert not verdict(store).is_good


def test_a_checkpoint_signed_by_a_stranger_is_named(store: Path):
    ((text,),) = rows(store, "select note from log_checkpoint order by size limit 1")
    head = checkpoint.parse(note.parse(text).text)
    forged = str(checkpoint.sign(head, [SeededKey("stranger")]))
    bend(
        store,
        "update log_checkpoint set note = :note where size = :size",
        note=forged,
        size=head.size,
    )

    (found,) = verdict(store).findings

    assert "signed by no key" in found.problem


LOGGED = (
    *("audit", "alarm", "alarm_trail", "station_version", "personal_text"),
    *("segment", "segment_detail", "gap", "hold", "tombstone"),
    *("log", "log_leaf", "log_tile", "log_stream", "log_checkpoint"),
)
FREE = {
    "segment.target_id": "a file may move to another disk",
    "segment.state": "sealed, then doomed; what matters is whether it is there",
    "log.begun_at": "shown to people; leaf 0 says it too",
    "log_checkpoint.at": "by the node's clock, signed by nobody",
}
"""Columns that may change without a word, and why."""

CHANGED = {
    "integer": "coalesce({0}, 0) + 1",
    "boolean": "1 - {0}",
    "text": "coalesce({0}, '') || 'x'",
    "blob": "cast(x'ff' || substr(coalesce({0}, x'00'), 2) as blob)",
}


def test_every_column_of_every_row_that_is_evidence_is_watched(tmp_path: Path):
    path = built(tmp_path)

    async def more() -> None:  # enough leaves for a tile
        with open_store(path) as store:
            log = SqlAuditLog(store)
            for number in range(256):
                await log.record(entry(100 + number))

    asyncio.run(more())
    bend(path)
    unseen = set()
    with open_store(path) as store, store.engine.connect() as db:
        for table in LOGGED:
            columns = db.exec_driver_sql(f"pragma table_info({table})").all()
            for column in columns:
                name, kind = f'"{column[1]}"', column[2].lower()
                change = CHANGED.get(kind, CHANGED["integer"]).format(name)
                statement = f"update {table} set {name} = {change}"  # noqa: S608  # our own
                if kind == "integer" and column[5]:  # keys are moved out of the way
                    statement = f"update {table} set {name} = -1 - {name}"  # noqa: S608
                db.exec_driver_sql("pragma defer_foreign_keys = on").close()
                db.exec_driver_sql("pragma ignore_check_constraints = on").close()
                db.exec_driver_sql(statement).close()
                if check(db).is_good:
                    unseen.add(f"{table}.{column[1]}")
                db.rollback()

    assert unseen == set(FREE)


def test_an_erased_text_leaves_every_proof_standing(store: Path):
    ((kept,),) = rows(store, "select personal from audit where seq = 3")
    with open_store(store) as opened:
        opened.submit(
            lambda db: evidence_log.erase_text(db, kept, reason="request 4", at=NOON)
        ).result()
        found = asyncio.run(SqlAuditLog(opened).read(limit=1, before_seq=4))

    after = verdict(store)

    assert after.findings == ()
    assert after.erased == 1
    assert found[0].entry.justification is None


def test_tiles_hold_what_leaves_say_and_a_bent_one_is_found(tmp_path: Path):
    path = built(tmp_path)

    async def more() -> None:
        with open_store(path) as store:
            log = SqlAuditLog(store)
            for number in range(300):
                await log.record(entry(100 + number))
            await keeper(store, tmp_path, ManualClock(NOON)).sign()

    asyncio.run(more())
    assert verdict(path).is_good
    ((leaf,),) = rows(path, "select data from log_leaf where leaf_id = 200")
    ((size,),) = rows(path, "select count(*) from log_leaf")
    with open_store(path) as store:

        def prove(db: sa.Connection) -> tuple[tuple[bytes, ...], bytes]:
            reader = LogReader(db, evidence_log.newest(db))
            return reader.inclusion_proof(200, size), reader.root_at(size)

        proof, root = store.read_now(prove)
    assert merkle.verify_inclusion(merkle.leaf_hash(leaf), 200, size, proof, root)

    bend(path, "update log_tile set hashes = zeroblob(8192)")
    assert verdict(path).findings[0].leaf == 0
    bend(path, "delete from log_tile")
    assert "missing" in verdict(path).findings[0].problem


def old_store(folder: Path) -> Path:
    """A store as it was before there was a log: filled, then brought back."""
    path = folder / "almenara.db"
    with open_store(path) as store:
        asyncio.run(fill(store))
    later = rows(
        path,
        "select name from sqlite_master where type = 'table' and rowid >= "
        "(select rowid from sqlite_master where name = 'log') order by rowid desc",
    )
    bend(
        path,
        *(f"drop table {name}" for (name,) in later),
        "alter table audit drop column personal",
        "update alembic_version set version_num = '0002'",
    )
    return path


def test_an_older_store_says_in_its_first_leaf_where_the_log_begins(tmp_path: Path):
    path = old_store(tmp_path)

    before = verdict(path)  # opening it brings it to today

    assert before.findings == ()
    assert (before.leaves, before.older_rows > 10) == (1, True)
    ((data,),) = rows(path, "select data from log_leaf where leaf_id = 0")
    opening = leaves.decode(data)
    assert isinstance(opening, leaves.LogOpening)
    assert opening.reason == "migrated"
    with open_store(path) as store:
        asyncio.run(SqlAuditLog(store).record(entry(90)))
    assert verdict(path).is_good


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set act = 'x' where seq = 2",
        "delete from audit where seq = 2",
        "update alarm_trail set event = 'x'",
        "update station_version set stations = '[]'",
        (
            "insert into audit select 0, entry_id, at, person_id, actor, action, act, "
            "object_kind, object_id, start, end, result, justification, size_bytes, "
            "personal from audit where seq = 2"
        ),
        "delete from segment where segment_id = 'seg-0001'",
        (
            "insert into segment select 'seg-9', stream_id, run, started_at, ended_at, "
            "size_bytes, target_id, state, origin from segment limit 1"
        ),
        "insert into gap values ('s', 1, 2, 'link')",
    ],
)
def test_a_past_older_than_the_log_cannot_be_changed_either(
    tmp_path: Path, statement: str
):
    path = old_store(tmp_path)
    assert verdict(path).is_good
    bend(path, statement)

    assert not verdict(path).is_good


def test_a_verdict_says_whether_it_is_good():
    empty = Verdict(
        leaves=0,
        checkpoints=0,
        covered=0,
        cosignatures=0,
        stamps=0,
        older_rows=0,
        erased=0,
        unvouched_keys=0,
        findings=(),
    )
    assert empty.is_good
