"""Whether the store still holds what it acknowledged: four levels, each with the last.

* ``identity``  rows alone: media folders are ours, times neither overlap nor have holes
* ``presence``  every row has its file, every file its row
* ``size``      lengths and boxes
* ``hash``      every bit: init and fragments by SHA-256, their own words by CRC and row

Reads only, beside a running node: what changes meanwhile is looked at again before it
is called a flaw. Each flaw names the file, the fragment and its time.

**Source**: docs/design/store.md, "Checks".
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from almenara.core.ids import SegmentId, StreamId
from almenara.core.time import from_micros
from almenara.recording.boxes import Box, walk
from almenara.recording.fmp4 import read_description
from almenara.recording.index import FragmentRecord, SegmentState
from almenara.recording.targets import Target

BATCH = 500
YOUNG_S = 120.0
"""A file without a row may be one that is just being begun."""

KINDS = (b"uuid", b"moof", b"mdat")


class Level(StrEnum):
    """How closely to look."""

    IDENTITY = "identity"
    PRESENCE = "presence"
    SIZE = "size"
    HASH = "hash"

    @property
    def depth(self) -> int:
        return list(Level).index(self)


class FlawKind(StrEnum):
    """What is wrong."""

    DATABASE = "database damaged"
    FOREIGN = "media folder foreign"
    OVERLAP = "recorded twice"
    GAP_OVER_RECORDING = "gap over recording"
    HOLE = "neither recorded nor gap"
    MISSING = "file missing"
    ORPHAN = "file without row"
    UNDEAD = "deleted file still there"
    SHORT = "file too short"
    LONG = "file too long"
    ROWS = "rows do not fit together"
    INIT = "init damaged"
    FRAGMENT = "fragment damaged"
    UNREADABLE = "file unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing that is not as it was acknowledged."""

    kind: FlawKind
    detail: str
    stream_id: StreamId | None = None
    segment_id: SegmentId | None = None
    file: Path | None = None
    fragment: int | None = None
    """Its number in the file, from 0."""

    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        where = str(self.file or self.stream_id or "")
        number = "" if self.fragment is None else f" fragment {self.fragment}"
        when = f" {self.start.isoformat()}" if self.start else ""
        when += f" to {self.end.isoformat()}" if self.start and self.end else ""
        return f"{self.kind.value}: {where}{number}{when}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a check needs to know of every segment."""

    segment_id: SegmentId
    stream_id: StreamId
    started_at: datetime
    ended_at: datetime
    size_bytes: int
    target_id: str
    state: SegmentState

    @property
    def place(self) -> str:
        """As ``index.SegmentRecord.place``, in one piece."""
        at = self.started_at
        day = f"{at.year:04}{at.month:02}{at.day:02}"
        return f"{self.stream_id}/{day}/{self.segment_id}.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is acknowledged of one file."""

    init_size_bytes: int
    init_sha256: bytes
    fragments: tuple[FragmentRecord, ...]


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """Some time of one stream, in microseconds since 1970."""

    start: int
    end: int | None
    """None: it lasts."""

    kind: str
    """``gap``, ``segment`` or ``tombstone``."""

    name: str


class Ledger(Protocol):
    """The index, read in bulk; ``node.store`` provides it."""

    def streams(self) -> Sequence[StreamId]:
        """All that were ever recorded or due."""
        ...

    def fits(self, stream_id: StreamId) -> bool:
        """Whether each stretch begins where those before it end; quicker than looking.

        Two that begin together and a lasting one that is not the last do not fit.
        """
        ...

    def stretches(self, stream_id: StreamId) -> Sequence[Stretch]:
        """Segments, tombstones and gaps of a stream, of one instant."""
        ...

    def count(self) -> int:
        """Segments."""
        ...

    def summaries(self, after: str, limit: int) -> Sequence[Summary]:
        """Some segments in the order of their ids, doomed ones too."""
        ...

    def contents(self, ids: Sequence[SegmentId]) -> dict[SegmentId, Content]:
        """What is acknowledged of some segments."""
        ...

    def is_buried(self, segment_id: SegmentId) -> bool:
        """Whether there is a tombstone."""
        ...


Progress = Callable[[str, float], None]
"""Told which level and how far, from 0 to 1."""


def check(
    ledger: Ledger,
    targets: Sequence[Target],
    level: Level,
    *,
    now_s: float,
    progress: Progress = lambda *_: None,
) -> Iterator[Flaw]:
    """Look at everything up to ``level``.

    Args:
        ledger: Rows.
        targets: Our media folders.
        level: How closely.
        now_s: Seconds since 1970, for the age of a file.
        progress: Told how far it is.

    Raises:
        StoreError: The store cannot be read.
        OSError: A media folder cannot be listed.
    """
    streams = ledger.streams()
    for number, stream_id in enumerate(streams, 1):
        if not ledger.fits(stream_id):
            yield from tiled(stream_id, ledger.stretches(stream_id))
        progress(Level.IDENTITY.value, number / len(streams))
    if level.depth >= Level.PRESENCE.depth:
        yield from _present(ledger, targets, now_s, progress)
    if level.depth >= Level.SIZE.depth:
        yield from _contained(ledger, targets, level, progress)


def tiled(stream_id: StreamId, stretches: Iterable[Stretch]) -> Iterator[Flaw]:
    """Recorded time and gaps: disjoint, and together without a hole (R6, I5)."""
    last: Stretch | None = None
    for each in sorted(stretches, key=lambda s: (s.start, s.end is None, s.end or 0)):
        if each.end == each.start:
            continue
        if last is not None:
            yield from _joined(stream_id, last, each)
        if last is None or _later(each.end, last.end):
            last = each


def _later(end: int | None, other: int | None) -> bool:
    return other is not None and (end is None or end > other)


def _joined(stream_id: StreamId, last: Stretch, each: Stretch) -> Iterator[Flaw]:
    if last.end is not None and last.end < each.start:
        yield Flaw(
            kind=FlawKind.HOLE,
            detail=f"after {last.kind} {last.name}, before {each.kind} {each.name}",
            stream_id=stream_id,
            start=from_micros(last.end),
            end=from_micros(each.start),
        )
    if last.end is None or last.end > each.start:
        ends = [end for end in (last.end, each.end) if end is not None]
        kinds = {last.kind, each.kind}
        mixed = "gap" in kinds and kinds != {"gap"}
        yield Flaw(
            kind=FlawKind.GAP_OVER_RECORDING if mixed else FlawKind.OVERLAP,
            detail=f"{last.kind} {last.name} and {each.kind} {each.name}",
            stream_id=stream_id,
            start=from_micros(each.start),
            end=from_micros(min(ends)) if ends else None,
        )


def pages(ledger: Ledger) -> Iterator[Sequence[Summary]]:
    """Every segment, in pages: no transaction lasts as long as the check."""
    after = ""
    while page := ledger.summaries(after, BATCH):
        yield page
        after = page[-1].segment_id


def _present(
    ledger: Ledger, targets: Sequence[Target], now_s: float, progress: Progress
) -> Iterator[Flaw]:
    files = {target.target_id: _listed(target.path) for target in targets}
    paths = {target.target_id: target.path for target in targets}
    total, done = max(1, ledger.count()), 0
    for page in pages(ledger):
        for row in page:
            there = files.get(row.target_id)
            if there is None:
                continue  # on a foreign folder, which is a flaw of its own
            place = row.place
            if place in there:
                there.remove(place)
            elif row.state is not SegmentState.DOOMED:
                yield from _missing(ledger, row, paths[row.target_id] / place)
        done += len(page)
        progress(Level.PRESENCE.value, min(1.0, done / total))
    for target_id, rest in files.items():
        for place in sorted(rest):
            yield from _unexplained(ledger, paths[target_id] / place, now_s)


def _listed(folder: Path) -> set[str]:
    found: set[str] = set()
    for stream in _folders(folder):
        if stream.name == "quarantine":
            continue
        for day in _folders(stream.path):
            with os.scandir(day.path) as entries:
                prefix = f"{stream.name}/{day.name}/"
                found |= {prefix + e.name for e in entries if e.name.endswith(".mp4")}
    return found


def _folders(folder: Path | str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _missing(ledger: Ledger, row: Summary, path: Path) -> Iterator[Flaw]:
    if path.exists() or ledger.is_buried(row.segment_id):
        return  # begun or deleted meanwhile
    yield _of(row, FlawKind.MISSING, path, f"{row.size_bytes} bytes were acknowledged")


def _unexplained(ledger: Ledger, path: Path, now_s: float) -> Iterator[Flaw]:
    segment_id = SegmentId(path.stem)
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # deleted meanwhile
    if ledger.is_buried(segment_id):
        if not ledger.contents([segment_id]):
            yield Flaw(
                kind=FlawKind.UNDEAD,
                detail="its deletion is on record",
                segment_id=segment_id,
                file=path,
            )
    elif now_s - found.st_mtime > YOUNG_S and not ledger.contents([segment_id]):
        yield Flaw(
            kind=FlawKind.ORPHAN,
            detail=f"{found.st_size} bytes that no row explains",
            segment_id=segment_id,
            file=path,
        )


def _contained(
    ledger: Ledger, targets: Sequence[Target], level: Level, progress: Progress
) -> Iterator[Flaw]:
    paths = {target.target_id: target.path for target in targets}
    reader = _Reader(whole=level is Level.HASH)
    total, done = max(1, ledger.count()), 0
    for page in pages(ledger):
        rows = [
            row
            for row in page
            if row.target_id in paths and row.state is not SegmentState.DOOMED
        ]
        contents = ledger.contents([row.segment_id for row in rows])
        for row in rows:
            content = contents.get(row.segment_id)
            if content is not None:
                yield from reader.read(row, content, paths[row.target_id] / row.place)
        done += len(page)
        progress(level.value, min(1.0, done / total))


class _Reader:
    """Compares files with what was acknowledged of them; one buffer for all."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._buffer = bytearray(1 << 20)

    def read(self, row: Summary, content: Content, path: Path) -> Iterator[Flaw]:
        try:
            with path.open("rb", buffering=0) as file:
                found = os.fstat(file.fileno()).st_size
                yield from _sized(row, content, path, found)
                if not self._whole:
                    for each in content.fragments:
                        head = os.pread(file.fileno(), 16, each.offset_bytes)
                        yield from self._headed(row, each, path, file.fileno(), head)
                    return
                data = self._read_all(file.fileno(), min(found, row.size_bytes))
        except FileNotFoundError:
            return  # presence has said so
        except OSError as error:
            yield _of(row, FlawKind.UNREADABLE, path, error.strerror or str(error))
            return
        yield from _hashed(row, content, path, data)

    def _read_all(self, fd: int, length: int) -> memoryview:
        if length > len(self._buffer):
            self._buffer = bytearray(length)
        view, at = memoryview(self._buffer)[:length], 0
        while at < length:
            got = os.preadv(fd, [view[at:]], at)
            if got == 0:
                break
            at += got
        return view[:at]

    def _headed(
        self, row: Summary, each: FragmentRecord, path: Path, fd: int, head: bytes
    ) -> Iterator[Flaw]:
        """The three boxes of a fragment, by their headers alone."""
        at, end = each.offset_bytes, each.offset_bytes + each.length_bytes
        for kind in KINDS:
            size = int.from_bytes(head[:4], "big")
            if head[4:8] != kind or size < 8:
                yield _fragment(row, each, path, f"no {kind.decode()} at byte {at}")
                return
            at += size
            head = os.pread(fd, 16, at) if at < end else b""
        if at != end:
            yield _fragment(row, each, path, f"ends at byte {at}, not {end}")


def _sized(row: Summary, content: Content, path: Path, found: int) -> Iterator[Flaw]:
    if found < row.size_bytes:
        lost = [
            each
            for each in content.fragments
            if each.offset_bytes + each.length_bytes > found
        ]
        missing = row.size_bytes - found
        for each in lost:
            detail = f"{missing} acknowledged bytes missing at the end of the file"
            yield _fragment(row, each, path, detail, FlawKind.SHORT)
        if not lost:
            yield _of(row, FlawKind.SHORT, path, f"{missing} bytes missing")
    elif found > row.size_bytes and row.state is SegmentState.SEALED:
        detail = f"{found - row.size_bytes} bytes that nobody acknowledged"
        yield _of(row, FlawKind.LONG, path, detail)
    at = content.init_size_bytes
    for each in content.fragments:
        if each.offset_bytes != at:
            yield _fragment(row, each, path, f"should begin at {at}", FlawKind.ROWS)
            return
        at += each.length_bytes
    if row.state is SegmentState.SEALED and at != row.size_bytes:
        detail = f"fragments end at {at}, the file at {row.size_bytes}"
        yield _of(row, FlawKind.ROWS, path, detail)


def _hashed(
    row: Summary, content: Content, path: Path, data: memoryview
) -> Iterator[Flaw]:
    init = data[: content.init_size_bytes]
    if hashlib.sha256(init).digest() != content.init_sha256:
        yield _of(row, FlawKind.INIT, path, "its hash is another one")
    for each in content.fragments:
        end = each.offset_bytes + each.length_bytes
        if end > len(data):
            return  # too short: said already
        fault = fault_of(row, each, data[each.offset_bytes : end])
        if fault:
            yield _fragment(row, each, path, fault)


def fault_of(row: Summary, each: FragmentRecord, data: memoryview) -> str | None:
    """What is wrong with a fragment's bytes; None: not one bit."""
    boxes: list[Box] = list(walk(data))
    if tuple(b.kind for b in boxes) != KINDS or boxes[-1].end != len(data):
        return "its boxes are torn"
    if hashlib.sha256(data[boxes[1].start :]).digest() != each.sha256:
        return "its hash is another one"
    read = read_description(data, boxes[0])
    if read is None:
        return "what it says of itself is damaged"
    said, claimed = read
    same = (
        claimed == each.sha256
        and (said.stream_id, said.sequence) == (row.stream_id, each.sequence)
        and (said.started_at, said.ended_at) == (each.started_at, each.ended_at)
        and said.starts_with_key == each.starts_with_key
    )
    return None if same else "it says something else of itself than its row"


def _of(row: Summary, kind: FlawKind, path: Path, detail: str) -> Flaw:
    return Flaw(
        kind=kind,
        detail=detail,
        stream_id=row.stream_id,
        segment_id=row.segment_id,
        file=path,
        start=row.started_at,
        end=row.ended_at,
    )


def _fragment(
    row: Summary,
    each: FragmentRecord,
    path: Path,
    detail: str,
    kind: FlawKind = FlawKind.FRAGMENT,
) -> Flaw:
    return Flaw(
        kind=kind,
        detail=detail,
        stream_id=row.stream_id,
        segment_id=row.segment_id,
        file=path,
        fragment=each.sequence,
        start=each.started_at,
        end=each.ended_at,
    )
