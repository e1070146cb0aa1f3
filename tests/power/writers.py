"""Programs that are cut off: they say each acknowledgement aloud, and nothing early.

Run as ``python -m tests.power.writers KIND FOLDER``. ``recorder`` is the product's own
recorder, store and audit, as the node puts them together; ``unsynced`` and ``nameless``
are the same without the one call that matters, ``full`` and ``normal`` a table in a
store of that durability. Each line is a word and what was acknowledged.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from almenara.core.ids import PersonId, StreamId
from almenara.core.media import Codec, Packet, StreamFormat, TimeSource
from almenara.evidence.audit import AuditAction, AuditActor, AuditEntry, AuditObject
from almenara.node.clock import SystemClock
from almenara.node.store.audit import append
from almenara.node.store.database import Durability, open_plain, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.files import Files
from almenara.recording.reconcile import reconcile
from almenara.recording.recorder import Recorder

STREAMS = tuple(
    StreamId(f"0d9f2c1e-5a44-4f0b-9c51-00000000000{number}") for number in (1, 2)
)
FORMAT = StreamFormat(
    codec=Codec.H264,
    width_px=64,
    height_px=48,
    parameter_sets=(b"\x67\x42\x00\x1f\xe9", b"\x68\xce\x3c\x80"),
)
GROUP = 4
"""Pictures from one key picture to the next: a second of media time."""

PICTURE_BYTES = 2_000
AHEAD = 6
"""Fragments that may be under way; a camera does not wait, but a disk must keep up."""

ANYBODY = AuditActor(person_id=PersonId("p-1"), name="p-1")


class UnsyncedFiles(Files):
    """Leaves the bytes to the kernel's good will."""

    def sync(self, fd: int) -> None:
        pass


class NamelessFiles(Files):
    """Leaves the file's name to the kernel's good will."""

    def sync_folder(self, place: Sequence[str]) -> None:
        pass


FILES: dict[str, Callable[[Path], Files]] = {
    "recorder": Files,
    "unsynced": UnsyncedFiles,
    "nameless": NamelessFiles,
}


def packets(
    stream_id: StreamId, start: datetime, *, picture_bytes: int = PICTURE_BYTES
) -> Iterator[Packet]:
    """Noise with the shape of a film, for ever; nothing in it comes twice."""
    for n in count():
        after_s = n / GROUP
        at = start + timedelta(seconds=after_s)
        is_key = n % GROUP == 0
        head = b"\x65" if is_key else b"\x41"
        yield Packet(
            stream_id=stream_id,
            format=FORMAT,
            nal_units=(head + os.urandom(picture_bytes),),
            is_key=is_key,
            pts_90k=n * 90_000 // GROUP,
            dts_90k=n * 90_000 // GROUP,
            captured_at=at,
            captured_by=TimeSource.CAMERA,
            received_at=at,
            received_monotonic_s=after_s,
        )


def record(kind: str, folder: Path) -> None:
    """As the node does: store, reconciliation, recorder, and an audit beside them."""
    clock, media, room = SystemClock(), folder / "recordings", threading.Semaphore(0)

    def acknowledged(stream_id: StreamId, until: datetime) -> None:
        say("fragment", f"{stream_id} {until.isoformat()}")
        room.release()

    with open_store(folder / "store.db", exclusive=True) as store:
        index = SqlSegmentIndex(store)
        files = FILES[kind](media)
        found = reconcile(media, index, clock, files=files)
        say("started", f"lost={found.lost_fragments}")
        with Recorder(
            media, index, clock, on_durable=acknowledged, files=files
        ) as recorder:
            films = [packets(stream_id, clock.now()) for stream_id in STREAMS]
            for n in count():
                for film in films:
                    for _ in range(GROUP):
                        recorder.put(next(film))
                if n >= AHEAD:
                    for _ in films:
                        room.acquire()
                entry = _entry(clock.now())
                store.submit(partial(append, entries=(entry,))).result()
                say("audit", entry.entry_id)


def insert(kind: str, folder: Path) -> None:
    """Rows into a table, each acknowledged when its transaction is committed."""
    rows = sa.table("row", sa.column("name", sa.Text))
    with open_plain(folder / "plain.db", durability=Durability(kind)) as store:
        make = sa.text("create table if not exists row (name text primary key)")
        store.submit(partial(_execute, make)).result()
        say("started", kind)
        for _ in count():
            name = os.urandom(8).hex()
            adds = sa.insert(rows).values(name=name)
            store.submit(partial(_execute, adds)).result()
            say("row", name)


def say(word: str, what: str) -> None:
    """One write, so that two threads never share a line."""
    os.write(sys.stdout.fileno(), f"{word} {what}\n".encode())


def _execute(statement: sa.Executable, db: sa.Connection) -> None:
    db.execute(statement)


def _entry(at: datetime) -> AuditEntry:
    return AuditEntry(
        entry_id=os.urandom(8).hex(),
        at=at,
        actor=ANYBODY,
        action=AuditAction.ALTERATION,
        act="power.test",
        object=AuditObject(kind="store", id="all"),
    )


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    (record if what in FILES else insert)(what, where)
