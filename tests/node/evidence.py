"""A small watch's worth of evidence in a real store, and hands that bend it."""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from almenara.core.ids import CentreId, PersonId, SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap
from almenara.core.time import ManualClock
from almenara.evidence.audit import AuditAction, AuditActor, AuditEntry, AuditObject
from almenara.incidents.alarm import Alarm
from almenara.node.log_keeper import LogKeeper
from almenara.node.log_keys import KeyFolder
from almenara.node.store.alarms import SqlAlarmDesk
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.evidence_check import Verdict, check
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.stations import SqlStationRegistry
from almenara.node.store.vouchers import SqlEvidenceLog
from almenara.recording.index import FragmentRecord, Hold, SegmentRecord
from tests.console.fakes import NOON, alarm, station

STREAM = StreamId("3f0c")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Change:
    """As the queue decides it."""

    before: Alarm | None
    after: Alarm
    event: str = "raised"
    announces: bool = True


def entry(number: int, words: str | None = None) -> AuditEntry:
    return AuditEntry(
        entry_id=f"e{number}",
        at=NOON + number * MINUTE,
        actor=AuditActor(person_id=PersonId("p1"), name="Ana", address="192.0.2.7"),
        action=AuditAction.CONSULTATION,
        act="video.playback",
        object=AuditObject(kind="camera", id="cam-1"),
        justification=words,
    )


def add_segment(index: SqlSegmentIndex, number: int, *, seal: bool = True) -> SegmentId:
    segment_id = SegmentId(f"seg-{number:04}")
    start = NOON + number * MINUTE
    opened = SegmentRecord(
        segment_id=segment_id,
        stream_id=STREAM,
        run=1,
        started_at=start,
        ended_at=start,
        size_bytes=100,
        target_id="t",
        init_size_bytes=100,
        init_sha256=hashlib.sha256(b"init").digest(),
        labels=Labels(simulated=True),
    )
    for sequence in range(3):
        record = FragmentRecord(
            segment_id=segment_id,
            sequence=sequence,
            offset_bytes=100 + 50 * sequence,
            length_bytes=50,
            sha256=hashlib.sha256(f"{number}/{sequence}".encode()).digest(),
            started_at=start + timedelta(seconds=2 * sequence),
            ended_at=start + timedelta(seconds=2 * sequence + 2),
            starts_with_key=True,
        )
        index.add(record, segment=None if sequence else opened).result()
    if seal:
        index.seal(segment_id).result()
    return segment_id


async def fill(store: Store) -> None:
    """One of everything that leaves a leaf."""
    index, log = SqlSegmentIndex(store), SqlAuditLog(store)
    registry, desk = SqlStationRegistry(store), SqlAlarmDesk(store)
    await registry.save([station("s1", "cam-1")], reason="new mast", entry=entry(1))
    for number in range(4):
        add_segment(index, number)
        await log.record(entry(2 + number, "the boat of noon" if number % 2 else None))
    gap = NOON + 10 * MINUTE
    index.put_gap(STREAM, Gap(start=gap, end=None, cause="link")).result()
    index.put_gap(STREAM, Gap(start=gap, end=gap + MINUTE, cause="link")).result()
    index.put_gap(STREAM, Gap(start=gap + 2 * MINUTE, end=None, cause="link")).result()
    hold = Hold(
        hold_id="h1", stream_id=STREAM, start=NOON, end=NOON + MINUTE, ground="case 7"
    )
    index.place_hold(hold, NOON).result()
    await desk.commit([Change(None, alarm("a1"))], [entry(9)])
    index.doom([SegmentId("seg-0002")], "expired", NOON + 20 * MINUTE).result()
    index.bury(SegmentId("seg-0002")).result()


def keeper(store: Store, folder: Path, clock: ManualClock) -> LogKeeper:
    keys = KeyFolder(folder / "keys", "log")
    return LogKeeper(SqlEvidenceLog(store), keys, CentreId("tarifa"), clock)


def built(folder: Path) -> Path:
    """A filled store with two checkpoints; closed. Returns its file."""
    path = folder / "almenara.db"

    async def work() -> None:
        with open_store(path) as store:
            keep = keeper(store, folder, ManualClock(NOON))
            await keep.begin()
            await fill(store)
            await keep.sign()
            await SqlAuditLog(store).record(entry(50, "once more"))
            await keep.sign()

    asyncio.run(work())
    return path


def bend(path: Path, *statements: str, **values: object) -> None:
    """Change a store as somebody would who has the disk: triggers and all."""
    with closing(sqlite3.connect(path)) as db, db:
        triggers = db.execute("select name from sqlite_master where type = 'trigger'")
        for (name,) in triggers.fetchall():
            db.execute(f"drop trigger {name}")
        for statement in statements:
            db.execute(statement, values)


def verdict(path: Path, *against: str) -> Verdict:
    with open_store(path) as store:
        return store.read_now(lambda db: check(db, against=against))


def rows(path: Path, query: str, **values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query, values).fetchall()
