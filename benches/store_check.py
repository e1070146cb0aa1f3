"""What a check of the store costs, as ratios to what the machine can do at all.

Run: ``python benches/store_check.py [hash|presence]``. ``hash`` compares the level of
that name with ``sha256sum`` over the same files, both from a warm cache: what is
measured is our work and not the disk. ``presence`` makes a store of 120 000 rows with
their (empty) files, and sets its time beside a bare walk and the level before it.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import sqlalchemy as sa

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.node.store.database import open_store
from almenara.node.store.inspection import SqlLedger
from almenara.node.store.recordings import (
    SqlSegmentIndex,
    segment,
    segment_detail,
)
from almenara.recording.check import Level, check
from almenara.recording.fmp4 import (
    Description,
    Sample,
    describe,
    fragment,
)
from almenara.recording.index import FragmentRecord, Origin, SegmentRecord
from almenara.recording.targets import Target
from almenara.recording.writer import new_segment_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEED = 20260301
FILES, FRAGMENTS, FRAGMENT_BYTES = 64, 28, 1_000_000
"""Of the hash level: some minutes of 4 Mbit/s, as a watch writes them."""

ROWS, STREAMS = 120_000, 20
RUNS = 3
MINUTE = timedelta(seconds=56)


def main(name: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="almenara-bench-"))
    try:
        (hash_level if name == "hash" else presence_level)(folder)
    finally:
        shutil.rmtree(folder)


def hash_level(folder: Path) -> None:
    media = folder / "media"
    with open_store(folder / "almenara.db") as store:
        index = SqlSegmentIndex(store)
        noise = Random(SEED)  # noqa: S311  # bytes for a file
        for number in range(FILES):
            record(index, media, number, noise)
        target = Target(target_id="t", path=media)
        ledger = SqlLedger(store)
        files = sorted(media.glob("*/*/*.mp4"))
        size = sum(path.stat().st_size for path in files)

        def ours() -> None:
            assert list(check(ledger, [target], Level.HASH, now_s=0.0)) == []

        def theirs() -> None:
            words = ["sha256sum", *map(str, files)]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

        def openssl() -> None:
            for path in files:
                with path.open("rb") as file:
                    hashlib.file_digest(file, "sha256")

        times = alternating(ours, theirs, openssl)
    print(f"{len(files)} files, {size / 1e6:.0f} MB, median of {RUNS}, warm cache")
    print("| what | s | MB/s | ratio |\n|---|---|---|---|")
    names = ("check --level hash", "sha256sum", "hashlib.file_digest")
    for name, took_s in zip(names, times, strict=True):
        ratio = times[1] / took_s
        print(f"| {name} | {took_s:.2f} | {size / took_s / 1e6:.0f} | {ratio:.2f} |")


def presence_level(folder: Path) -> None:
    media = folder / "media"
    with open_store(folder / "almenara.db") as store:
        made = rows(media)
        for start in range(0, len(made), 5_000):
            part = made[start : start + 5_000]

            def insert(db: sa.Connection, part: list[dict[str, object]] = part) -> None:
                db.execute(sa.insert(segment), part)
                details = [detail(str(row["segment_id"])) for row in part]
                db.execute(sa.insert(segment_detail), details)

            store.submit(insert).result()
        target = Target(target_id="t", path=media)
        ledger = SqlLedger(store)

        def ours() -> None:
            assert list(check(ledger, [target], Level.PRESENCE, now_s=0.0)) == []

        def walk() -> None:
            assert sum(1 for _ in media.glob("*/*/*.mp4")) == ROWS

        def times_alone() -> None:
            assert list(check(ledger, [target], Level.IDENTITY, now_s=0.0)) == []

        times = alternating(ours, walk, times_alone)
    print(f"{ROWS} files of {STREAMS} streams, median of {RUNS}, warm cache")
    print("| what | s | per 864 000 files, s |\n|---|---|---|")
    names = ("check --level presence", "bare walk", "check --level identity")
    for name, took_s in zip(names, times, strict=True):
        print(f"| {name} | {took_s:.2f} | {took_s * 864_000 / ROWS:.1f} |")


def alternating(*acts: Callable[[], None]) -> list[float]:
    """Median seconds of each, run in turns: a busy machine is busy for all."""
    for act in acts:
        act()
    took: list[list[float]] = [[] for _ in acts]
    for _ in range(RUNS):
        for act, book in zip(acts, took, strict=True):
            began = perf_counter()
            act()
            book.append(perf_counter() - began)
    return [median(book) for book in took]


def record(index: SqlSegmentIndex, media: Path, number: int, noise: Random) -> None:
    """One file with its rows, of bytes that compress nothing."""
    stream_id = StreamId(str(uuid.UUID(int=1 << 70 | number % STREAMS)))
    start = NOON + number // STREAMS * MINUTE
    init = b"\0\0\0\x08ftyp\0\0\0\x08moov"
    pieces, fragments, at = [init], [], len(init)
    segment_id = new_segment_id(start)
    for sequence in range(FRAGMENTS):
        began = start + sequence * timedelta(seconds=2)
        ended = began + timedelta(seconds=2)
        head, body = fragment(
            [
                Sample(
                    nal_units=(noise.randbytes(FRAGMENT_BYTES),),
                    is_key=True,
                    duration_90k=180_000,
                )
            ],
            sequence=sequence + 1,
            base_90k=sequence * 180_000,
        )
        whole = b"".join((head, *body))
        sha256 = hashlib.sha256(whole).digest()
        said = Description(
            stream_id=stream_id,
            run=1,
            sequence=sequence,
            media_90k=0,
            monotonic_us=0,
            started_at=began,
            ended_at=ended,
            clock="camera",
            starts_with_key=True,
        )
        private = describe(said, sha256)
        length = len(private) + len(whole)
        pieces += (private, whole)
        fragments.append(
            FragmentRecord(
                segment_id=segment_id,
                sequence=sequence,
                offset_bytes=at,
                length_bytes=length,
                sha256=sha256,
                started_at=began,
                ended_at=ended,
                starts_with_key=True,
            )
        )
        at += length
    made = SegmentRecord(
        segment_id=segment_id,
        stream_id=stream_id,
        run=1,
        started_at=start,
        ended_at=fragments[-1].ended_at,
        size_bytes=at,
        target_id="t",
        init_size_bytes=len(init),
        init_sha256=hashlib.sha256(init).digest(),
        labels=Labels(),
        origin=Origin.LIVE,
    )
    path = media.joinpath(*made.place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(pieces))
    index.rebuild(made, fragments).result()


def rows(media: Path) -> list[dict[str, object]]:
    """Rows without a hole between them, and their files."""
    made: list[dict[str, object]] = []
    for stream in range(STREAMS):
        stream_id = str(uuid.UUID(int=1 << 70 | stream))
        for number in range(ROWS // STREAMS):
            start = NOON + number * MINUTE
            segment_id = SegmentId(new_segment_id(start))
            day = media / stream_id / f"{start:%Y%m%d}"
            day.mkdir(parents=True, exist_ok=True)
            (day / f"{segment_id}.mp4").touch()
            made.append(
                {
                    "segment_id": segment_id,
                    "stream_id": stream_id,
                    "run": 1,
                    "started_at": start,
                    "ended_at": start + MINUTE,
                    "size_bytes": 0,
                    "target_id": "t",
                    "state": "sealed",
                    "origin": "live",
                }
            )
    return made


def detail(segment_id: str) -> dict[str, object]:
    return {
        "segment_id": segment_id,
        "init_size_bytes": 0,
        "init_sha256": b"",
        "labels": "{}",
        "software": "bench",
        "fragments": b"",
    }


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "hash")
