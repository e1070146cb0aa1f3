"""Cuts the power of a running program, looks at what its disk holds, and judges it.

A cut kills the volatile file system and the program above it at once; what is left in
the backing folder is what a disk would hold. The folder is used again for the next
run, so one store lives through all of its cuts.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from almenara.core.ids import StreamId
from almenara.core.time import EPOCH
from almenara.node.clock import SystemClock
from almenara.node.store.audit import audit
from almenara.node.store.database import Durability, Store, open_plain, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.files import Files
from almenara.recording.fmp4 import found_fragments
from almenara.recording.index import SegmentState
from almenara.recording.reconcile import reconcile

ROOT = Path(__file__).parents[2]
FAR = datetime(9000, 1, 1, tzinfo=UTC)
DEVICE = Path("/dev/fuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a program acknowledged before it was cut off, by word."""

    fragments: tuple[tuple[StreamId, datetime], ...] = ()
    audit: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    first_s: float = 0.0
    """From the start of the program to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Acknowledged, and how much of it is not there."""

    fragments: int = 0
    lost_fragments: int = 0
    audit: int = 0
    lost_audit: int = 0
    rows: int = 0
    lost_rows: int = 0
    is_readable: bool = True
    """Whether the store could be opened at all."""

    @property
    def lost(self) -> int:
        return self.lost_fragments + self.lost_audit + self.lost_rows

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            fragments=self.fragments + other.fragments,
            lost_fragments=self.lost_fragments + other.lost_fragments,
            audit=self.audit + other.audit,
            lost_audit=self.lost_audit + other.lost_audit,
            rows=self.rows + other.rows,
            lost_rows=self.lost_rows + other.lost_rows,
            is_readable=self.is_readable and other.is_readable,
        )


def why_not() -> str | None:
    """Why no volatile file system can be mounted here; None if one can."""
    if not DEVICE.exists() or not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"no right to mount: {DEVICE} is missing or closed to this user"
    if shutil.which("fusermount3") is None:
        return "needs fuse3: apt-get install fuse3"
    return None


@contextmanager
def volatile(mount: Path, backing: Path, *, slow_s: float = 0.0) -> Iterator[int]:
    """Mount ``backing`` at ``mount``; yields the process whose death is the cut."""
    mount.mkdir(exist_ok=True)
    backing.mkdir(exist_ok=True)
    words = ["tests.power.volatile", str(mount), str(backing), str(slow_s)]
    with _started(*words) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("mounted")
            yield process.pid
        finally:
            process.kill()
            unmount = ["fusermount3", "-u", "-z", str(mount)]
            subprocess.run(unmount, check=False, capture_output=True)  # noqa: S603


def cut_off(kind: str, folder: Path, *, after: int) -> Said:
    """Run a writer on ``folder/backing`` and cut its power after some words of it."""
    with (
        volatile(folder / "mount", folder / "backing") as disk,
        _started("tests.power.writers", kind, str(folder / "mount" / "data")) as writer,
    ):
        return _heard(writer, after=after, victims=(disk, writer.pid))


def killed(kind: str, folder: Path, *, after: int) -> Said:
    """The same on an ordinary disk, where only the program dies."""
    place = folder / "backing" / "data"
    with _started("tests.power.writers", kind, str(place)) as writer:
        return _heard(writer, after=after, victims=(writer.pid,))


def judged(said: Said, folder: Path) -> Verdict:
    """Start again on what the disk holds, as the node would, and look for it all."""
    data = folder / "backing" / "data"
    if said.rows:
        return _judged_rows(said, data)
    with open_store(data / "store.db", exclusive=True) as store:
        index = SqlSegmentIndex(store)
        reconcile(data / "recordings", index, SystemClock())
        kept = whole(index, Files(data / "recordings"))
        entries = store.read_now(_entries)
        assert not list(holes(index))
    return Verdict(
        fragments=len(said.fragments),
        lost_fragments=sum(end not in kept[name] for name, end in said.fragments),
        audit=len(said.audit),
        lost_audit=len(set(said.audit) - entries),
    )


def whole(index: SqlSegmentIndex, files: Files) -> defaultdict[StreamId, set[datetime]]:
    """Ends of the fragments whose bytes are there and have the hash of their row."""
    kept: defaultdict[StreamId, set[datetime]] = defaultdict(set)
    for segment in index.segments_in([SegmentState.OPEN, SegmentState.SEALED]):
        try:
            data = files.read(segment.place)
        except FileNotFoundError:
            continue
        for row in index.fragments(segment.segment_id):
            part = data[row.offset_bytes : row.offset_bytes + row.length_bytes]
            found = found_fragments(part)
            if found and found[0].is_whole and found[0].sha256 == row.sha256:
                kept[segment.stream_id].add(row.ended_at)
    return kept


def holes(index: SqlSegmentIndex) -> Iterator[str]:
    """Where recorded time and gaps do not follow each other without hole or overlap."""
    for stream_id in index.streams():
        pieces = [
            (s.started_at, s.ended_at) for s in index.segments(stream_id, EPOCH, FAR)
        ]
        pieces += [(g.start, g.end or FAR) for g in index.gaps(stream_id, EPOCH, FAR)]
        pieces += [
            (t.started_at, t.ended_at)
            for t in index.tombstones()
            if t.stream_id == stream_id
        ]
        until = min(pieces)[0] if pieces else EPOCH
        for start, end in sorted(pieces):
            if abs(start - until) > timedelta(microseconds=1):
                yield f"{stream_id}: {until} … {start}"
            until = end


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _judged_rows(said: Said, data: Path) -> Verdict:
    if not (data / "plain.db").is_file():
        return Verdict(rows=len(said.rows), lost_rows=len(said.rows))
    with open_plain(data / "plain.db", durability=Durability.FULL) as store:
        found = _names(store)
    return Verdict(rows=len(said.rows), lost_rows=len(set(said.rows) - found))


def _names(store: Store) -> set[str]:
    query = sa.text("select name from row")
    try:
        return store.read_now(lambda db: set(db.execute(query).scalars()))
    except Exception:  # noqa: BLE001  # not even the table is there
        return set()


def _entries(db: sa.Connection) -> set[str]:
    return set(db.execute(sa.select(audit.c.entry_id)).scalars())


@contextmanager
def _started(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-m", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _heard(
    writer: subprocess.Popen[str], *, after: int, victims: tuple[int, ...]
) -> Said:
    """What is said until the cut, and what was on its way when it came."""
    assert writer.stdout is not None
    lines: list[str] = []
    began_s, first_s = time.monotonic(), 0.0
    for line in writer.stdout:
        lines.append(line)
        if len(lines) == 2:
            first_s = time.monotonic() - began_s
        if len(lines) > after:  # the first one says that it has started
            break
    assert len(lines) > after, f"the writer ended by itself: {lines}"
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    lines += writer.stdout.readlines()
    said = _understood(line for line in lines if line.endswith("\n"))
    return replace(said, first_s=first_s)


def _understood(lines: Iterator[str]) -> Said:
    words = [line.split() for line in lines]
    return Said(
        fragments=tuple(
            (StreamId(w[1]), datetime.fromisoformat(w[2]))
            for w in words
            if w[0] == "fragment"
        ),
        audit=tuple(w[1] for w in words if w[0] == "audit"),
        rows=tuple(w[1] for w in words if w[0] == "row"),
    )
