"""Examines a machine before somebody relies on it: ok, warn or fail, with the remedy.

Each check is a function that looks at one thing and returns findings; it opens no
camera and changes nothing but a scratch file, which it removes. The clock check asks
the kernel (``adjtimex``), the disk check times real ``fdatasync`` calls, because a
disk that answers at once lies.
"""

import ctypes
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import av
import sqlalchemy as sa

from almenara.core.errors import Fault, PortInUseError, StoreError
from almenara.node.config import Config, load_or_safe
from almenara.node.ports import claim
from almenara.node.store import schema
from almenara.node.store.place import Place, Server
from almenara.node.store.postgresql import PostgresqlEngine

SYNCS = 100
BLOCK_BYTES = 64 * 1024
SLOW_P99_MS = 200.0
HONEST_P50_US = 20.0
"""Faster than any disk that writes: thresholds are choices."""

LOW_FREE_BYTES = 2 * 1024**3
CLOCK_ERROR = 5
"""``TIME_ERROR`` of adjtimex(2): the kernel does not believe its clock."""

TIMEX_BYTES = 512
"""More than any ``struct timex``; modes = 0 only reads."""

MIB = 1024**2


class Verdict(StrEnum):
    """Gravest last."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    """Empty when there is nothing to do."""


def examine(path: Path | None = None) -> tuple[Finding, ...]:
    """Run every check for the configuration at ``path``."""
    config, faults = load_or_safe(path)
    return tuple(_all(config, faults))


def _all(config: Config, faults: Iterable[Fault]) -> Iterator[Finding]:
    yield python()
    yield from configuration(faults)
    yield from codecs()
    for name, folder in (
        ("store", config.store.directory),
        ("recording", config.recording.directory),
    ):
        yield from disk(name, folder)
    yield store(config.store_place)
    yield port(config.console.host, config.console.port)
    yield clock()
    yield browser()


def python() -> Finding:
    """Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding(
        check="python",
        verdict=Verdict.OK if good else Verdict.FAIL,
        detail=version,
        remedy="" if good else "Install Python 3.11 or newer.",
    )


def configuration(faults: Iterable[Fault]) -> Iterator[Finding]:
    """Each fault of the configuration is a line; none is one good line."""
    found = tuple(faults)
    if not found:
        yield Finding(check="configuration", verdict=Verdict.OK, detail="good")
    for fault in found:
        yield Finding(
            check="configuration",
            verdict=Verdict.FAIL,
            detail=f"{fault.place}: found {fault.found}; expected {fault.expected}",
            remedy=fault.cure,
        )


def codecs() -> Iterator[Finding]:
    """What pictures need: two decoders, and an encoder for the demo alone."""
    for name in ("h264", "hevc"):
        has = _has_codec(name, "r")
        yield Finding(
            check=f"decoder {name}",
            verdict=Verdict.OK if has else Verdict.FAIL,
            detail="present" if has else "absent",
            remedy="" if has else "Reinstall: pip install --force-reinstall av",
        )
    has = _has_codec("libx264", "w")
    yield Finding(
        check="encoder h264",
        verdict=Verdict.OK if has else Verdict.WARN,
        detail="present" if has else "absent: only the demo needs it",
        remedy="" if has else "Reinstall: pip install --force-reinstall av",
    )


def _has_codec(name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, "w" if mode == "w" else "r")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def disk(name: str, folder: Path) -> Iterator[Finding]:
    """The folder's disk: writable, with room, fast enough and honest."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    low = free < LOW_FREE_BYTES
    yield Finding(
        check=f"{name} space",
        verdict=Verdict.WARN if low else Verdict.OK,
        detail=f"{free // MIB} MiB free under {there}",
        remedy="Free space, or name another folder." if low else "",
    )
    try:
        yield _judge_syncs(name, time_syncs(there))
    except OSError as error:
        yield Finding(
            check=f"{name} disk",
            verdict=Verdict.FAIL,
            detail=f"{there}: {error.strerror}",
            remedy="Let this user write there, or name another folder.",
        )


def time_syncs(folder: Path, count: int = SYNCS) -> list[float]:
    """Microseconds of each of ``count`` fdatasyncs after a write of 64 KiB."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as scratch:
        block = os.urandom(BLOCK_BYTES)
        for _ in range(count):
            scratch.seek(0)
            scratch.write(block)
            scratch.flush()
            before = time.perf_counter()
            os.fdatasync(scratch.fileno())
            took.append((time.perf_counter() - before) * 1e6)
    return took


def _judge_syncs(name: str, took_us: list[float]) -> Finding:
    cuts = statistics.quantiles(took_us, n=100)
    p50_us, p99_ms = cuts[49], cuts[98] / 1000
    verdict, remedy = Verdict.OK, ""
    if p99_ms > SLOW_P99_MS:
        verdict = Verdict.FAIL
        remedy = "Use a faster disk: acknowledgements would wait for this one."
    elif p50_us < HONEST_P50_US:
        verdict = Verdict.WARN
        remedy = (
            "This disk answers faster than any can write: a power cut may lose what "
            "was acknowledged. Turn its volatile cache off, or use another."
        )
    return Finding(
        check=f"{name} disk",
        verdict=verdict,
        detail=f"{len(took_us)} fdatasyncs: p50 {p50_us:.0f} µs, p99 {p99_ms:.1f} ms",
        remedy=remedy,
    )


def store(place: Place) -> Finding:
    """The store is of this Almenara's schema and undamaged, or not there yet."""
    if isinstance(place, Server):
        return _server(place)
    path = place
    if not path.exists():
        return Finding(
            check="store", verdict=Verdict.OK, detail=f"{path}: made at first start"
        )
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            query = "select version_num from alembic_version"
            versions = {row[0] for row in database.execute(query)}
            sound = database.execute("pragma quick_check").fetchone()[0] == "ok"
    except sqlite3.Error as error:
        return _bad_store(path, str(error))
    if not sound:
        return _bad_store(path, "damaged")
    return _judge_schema(str(path), versions)


def _server(server: Server) -> Finding:
    try:
        name, versions = _asked(server)
    except StoreError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return Finding(
            check="store",
            verdict=Verdict.FAIL,
            detail=detail or str(error),
            remedy=remedy[:1].upper() + remedy[1:] + ".",
        )
    if not versions:
        return Finding(
            check="store", verdict=Verdict.OK, detail=f"{name}: made at first start"
        )
    return _judge_schema(name, versions)


def _asked(server: Server) -> tuple[str, set[str]]:
    engine = PostgresqlEngine(server, exclusive=False)
    try:
        engine.check()
        with engine.readers.begin() as connection:
            return engine.name, schema.revisions(connection)
    except sa.exc.DatabaseError as error:
        raise engine.explained(error) from error
    finally:
        engine.close()


def _judge_schema(place: str, versions: set[str]) -> Finding:
    if not versions <= schema.known():
        return Finding(
            check="store",
            verdict=Verdict.FAIL,
            detail=f"{place}: written by a newer Almenara",
            remedy="Install the newer Almenara again, or restore an older backup.",
        )
    current = versions == schema.heads()
    return Finding(
        check="store",
        verdict=Verdict.OK if current else Verdict.WARN,
        detail=f"{place}: " + ("current" if current else "of an older Almenara"),
        remedy="" if current else "Back it up: the next start brings it up to date.",
    )


def _bad_store(path: Path, why: str) -> Finding:
    return Finding(
        check="store",
        verdict=Verdict.FAIL,
        detail=f"{path}: {why}",
        remedy="Restore a backup, or move the file away to begin an empty store.",
    )


def port(host: str, number: int) -> Finding:
    """The console's port is free; a node that runs already holds it."""
    try:
        claim(host, number).close()
    except PortInUseError as error:
        detail, _, remedy = str(error).partition("; ")
        return Finding(
            check="port",
            verdict=Verdict.FAIL,
            detail=detail,
            remedy=remedy[:1].upper() + remedy[1:] + ".",
        )
    return Finding(check="port", verdict=Verdict.OK, detail=f"{host}:{number} is free")


def clock() -> Finding:
    """The kernel says that its clock follows a reference."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if 0 <= answer < CLOCK_ERROR:
        return Finding(check="clock", verdict=Verdict.OK, detail="synchronised")
    detail = "not synchronised" if answer == CLOCK_ERROR else "state unknown"
    return Finding(
        check="clock",
        verdict=Verdict.WARN,
        detail=detail,
        remedy="Run a time service such as chrony: recordings are evidence by their "
        "times.",
    )


def browser() -> Finding:
    """A browser on this machine is a convenience; the watch needs none."""
    names = ("chromium", "chromium-browser", "google-chrome", "firefox")
    found = next(filter(None, map(shutil.which, names)), None)
    return Finding(
        check="browser",
        verdict=Verdict.OK,
        detail=found or "none here: open the console from another machine",
    )
