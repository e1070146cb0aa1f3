"""What the evidence log costs: appending, proving, checking, bytes.

    python benches/evidence_log.py append | proof [LEAVES] | verify | bytes

Each prints one JSON object; docs/figures/keeping-log.md holds the tables and the dates.
``append`` gives a ratio of two runs on the same machine in the same minute, so that a
busy machine does not matter much. Everything happens in a folder that is removed.
"""

import asyncio
import hashlib
import json
import os
import platform
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

from almenara.core.time import ManualClock
from almenara.evidence import leaves, merkle
from almenara.node.store import evidence_log
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.evidence_check import check
from almenara.node.store.evidence_log import LogReader
from almenara.node.store.recordings import SqlSegmentIndex
from tests.console.fakes import NOON
from tests.node.evidence import add_segment, entry, keeper

SEED = 20260301
ROUNDS = 5
STREAMS = 40
"""20 stations with a day and a thermal camera, one recorded stream each."""


def machine() -> dict[str, object]:
    """What it was measured on."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else platform.processor(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": SEED,
    }


@contextmanager
def fresh_store() -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder) / "almenara.db") as store,
    ):
        yield store


@contextmanager
def without_log() -> Iterator[None]:
    """The same writes as before there was a log: no leaf, no salted text."""
    nothing = mock.patch.object(evidence_log, "append", return_value=(b"",))
    silent = mock.patch.object(evidence_log, "keep_text", return_value=b"")
    alone = mock.patch.object(evidence_log, "lead_stream")
    with nothing, silent, alone:
        yield


@dataclass(frozen=True)
class Cost:
    """What one row took; a busy machine lengthens the first, not the second."""

    wall_us: float
    cpu_us: float


def audit_row(count: int = 2000) -> Cost:
    """Audit entries handed over together, as the console does under load."""
    with fresh_store() as store:
        log = SqlAuditLog(store)

        async def work() -> None:
            await asyncio.gather(
                *(log.record(entry(number % 500)) for number in range(count))
            )

        began, cpu = time.perf_counter(), time.process_time()
        asyncio.run(work())
        return cost(count, began, cpu)


def segment(count: int = 100) -> Cost:
    """Segments of three fragments from first row to sealed, each fragment awaited."""
    with fresh_store() as store:
        index = SqlSegmentIndex(store)
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            add_segment(index, number)
        return cost(count, began, cpu)


def cost(count: int, began_s: float, cpu_s: float) -> Cost:
    return Cost(
        wall_us=1e6 * (time.perf_counter() - began_s) / count,
        cpu_us=1e6 * (time.process_time() - cpu_s) / count,
    )


def append() -> dict[str, object]:
    """What a row costs with and without the log, taken in turn."""
    found: dict[str, object] = {}
    for name, measure in (("audit", audit_row), ("segment", segment)):
        measure()
        with_log: list[Cost] = []
        without: list[Cost] = []
        for _ in range(ROUNDS):
            with_log.append(measure())
            with without_log():
                without.append(measure())
        found[name] = {
            "with_log": middle(with_log),
            "without": middle(without),
            "wall_ratio": round(
                middle(with_log)["wall_us"] / middle(without)["wall_us"], 2
            ),
        }
    return found


def middle(costs: list[Cost]) -> dict[str, int]:
    return {
        "wall_us": round(statistics.median(each.wall_us for each in costs)),
        "cpu_us": round(statistics.median(each.cpu_us for each in costs)),
    }


def grown(db: sa.Connection, count: int) -> None:
    """Many small leaves and their tiles, as ``append`` would have written them."""
    hashes: list[bytes] = []
    roots: list[list[bytes]] = [[], [], []]
    (first,) = db.execute(sa.select(evidence_log.log_leaf.c.sha256)).scalars()
    hashes.append(first)
    rows: list[dict[str, object]] = []

    def tile(level: int, held: list[bytes], number: int) -> None:
        root = merkle.tile_subtree(held, 8, 0)
        row = {"log": 1, "level": level, "number": number, "root": root}
        row["hashes"] = b"".join(held)
        db.execute(sa.insert(evidence_log.log_tile), row)
        roots[level].append(root)
        if len(roots[level]) % 256 == 0:
            tile(level + 1, roots[level][-256:], len(roots[level]) // 256 - 1)

    for number in range(1, count):
        data = b"\x09" + f'{{"n":{number}}}'.encode()
        sha256 = merkle.leaf_hash(data)
        rows.append(
            {
                "leaf_id": number,
                "kind": 9,
                "subject": "",
                "sha256": sha256,
                "data": data,
            }
        )
        hashes.append(sha256)
        if len(hashes) == 256:
            tile(0, hashes, number // 256)
            hashes = []
        if len(rows) == 10_000:
            db.execute(sa.insert(evidence_log.log_leaf), rows)
            rows = []
    if rows:
        db.execute(sa.insert(evidence_log.log_leaf), rows)


def proof(count: int = 1_000_000) -> dict[str, object]:
    """CPU time of a root and two proofs, each from what is stored."""
    chance = random.Random(SEED)  # noqa: S311  # a choice of leaves, no secret
    with fresh_store() as store:
        store.submit(lambda db: grown(db, count)).result()
        times: dict[str, list[float]] = {"root": [], "inclusion": [], "consistency": []}
        for _ in range(200):
            index = chance.randrange(count)
            old = chance.randrange(1, count)
            for name, ask in (
                ("root", lambda r: r.root_at(count)),
                ("inclusion", lambda r, i=index: r.inclusion_proof(i, count)),
                ("consistency", lambda r, o=old: r.consistency_proof(o, count)),
            ):

                def work(db: sa.Connection, ask: object = ask) -> float:
                    reader = LogReader(db, evidence_log.newest(db))
                    began = time.thread_time()
                    ask(reader)  # type: ignore[operator]
                    return (time.thread_time() - began) * 1000

                times[name].append(store.read_now(work))
        return {
            "leaves": count,
            "cpu_ms": {
                name: {
                    "p50": round(statistics.median(each), 2),
                    "p99": round(statistics.quantiles(each, n=100)[98], 2),
                }
                for name, each in times.items()
            },
        }


def verify(segments: int = 500, acts: int = 5000) -> dict[str, object]:
    """Leaves checked a second, rows and all."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with open_store(place / "almenara.db") as store:
            log, index = SqlAuditLog(store), SqlSegmentIndex(store)

            async def work() -> None:
                keep = keeper(store, place, ManualClock(NOON))
                await keep.begin()
                await asyncio.gather(*(log.record(entry(n % 500)) for n in range(acts)))
                for number in range(segments):
                    add_segment(index, number)
                await keep.sign()

            asyncio.run(work())
            began = time.process_time()
            verdict = store.read_now(check)
            took_s = time.process_time() - began
            assert verdict.is_good
            return {
                "leaves": verdict.leaves,
                "leaves_per_cpu_s": round(verdict.leaves / took_s),
            }


def bytes_a_day() -> dict[str, object]:
    """A segment of thirty fragments, an act, and what a day of them adds."""
    sealed = leaves.SegmentSealed(
        segment_id="0198c0de-0000-7000-8000-000000000000",
        stream_id="0198c0de-0000-7000-8000-000000000001",
        run=1,
        origin="live",
        started_at=NOON,
        ended_at=NOON,
        size_bytes=30_000_000,
        init_size_bytes=1000,
        init_sha256=hashlib.sha256(b"").digest(),
        fragments=tuple(
            leaves.SealedFragment(
                offset_bytes=1000 + n * 1_000_000,
                length_bytes=1_000_000,
                sha256=hashlib.sha256(bytes([n])).digest(),
            )
            for n in range(30)
        ),
        table_sha256=hashlib.sha256(b"").digest(),
        labels='{"purpose": "border", "sensitivity": "internal"}',
        software="0.1.0",
        previous=hashlib.sha256(b"").digest(),
    )
    day = {"segment": STREAMS * 1440, "audit": 5000}
    with fresh_store() as store:
        path = store.path

        def size() -> int:
            with closing(sqlite3.connect(path)) as db:
                db.execute("pragma wal_checkpoint(truncate)").fetchall()
            return path.stat().st_size

        def add(db: sa.Connection) -> None:
            for _ in range(1000):
                evidence_log.append(db, sealed)

        before = size()
        store.submit(add).result()
        between = size()

        async def acts() -> None:
            log = SqlAuditLog(store)
            await asyncio.gather(*(log.record(entry(n % 500)) for n in range(1000)))

        asyncio.run(acts())
        segment_bytes = (between - before) / 1000
        act_bytes = (size() - between) / 1000
    return {
        "segment_leaf_bytes": len(leaves.encode(sealed)),
        "segment_stored_bytes": round(segment_bytes),
        "audit_stored_bytes_with_row": round(act_bytes),
        "leaves_a_day": day,
        "mb_a_day": round(
            (day["segment"] * segment_bytes + day["audit"] * act_bytes) / 1e6, 1
        ),
    }


def main() -> None:
    name, *rest = sys.argv[1:] or ["append"]
    measures = {
        "append": append,
        "proof": lambda: proof(*(int(word) for word in rest)),
        "verify": verify,
        "bytes": bytes_a_day,
    }
    print(json.dumps({"machine": machine(), name: measures[name]()}, indent=2))


if __name__ == "__main__":
    main()
