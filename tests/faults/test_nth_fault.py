"""Every step with the disk fails once, and once for good; nothing promised is lost.

SQLite's method: fail the n-th write, sync, rename, unlink or commit, for every n until
a run ends without a failure. After each, the node starts again on a sound disk.

**Source**: https://sqlite.org/testing.html, "I/O Error Testing".
"""

import os
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count, islice, product
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from almenara.core.errors import AlmenaraError
from almenara.core.ids import StreamId
from almenara.core.time import ManualClock
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording import files as files_module
from almenara.recording.areas import Area, Areas
from almenara.recording.files import Files
from almenara.recording.index import SegmentState
from almenara.recording.janitor import Janitor
from almenara.recording.reconcile import reconcile
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.faults.disks import NUMBERS, Countdown, FailingOs, fail_commits
from tests.power.cuts import holes, whole
from tests.power.writers import GROUP, STREAMS, packets

log = structlog.get_logger()

pytestmark = pytest.mark.slow
SECONDS = 8
EARLY_S = 2
ONE, TWO = ("main",), ("main", "second")
FEW = [("EIO", ONE, False), ("EIO", TWO, False), ("EROFS", ONE, True)]
ALL = list(product(NUMBERS, (ONE, TWO), (False, True)))
CASES = ALL if os.environ.get("ALMENARA_ALL_FAULTS") else FEW
Promised = list[tuple[StreamId, datetime]]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as it is after the first start: migrated once for all runs."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    open_store(path).close()
    return path


def areas_in(folder: Path, names: tuple[str, ...]) -> Areas:
    return Areas.of([Area(area_id=name, directory=folder / name) for name in names])


def live(store: Store, areas: Areas) -> Promised:
    """Some seconds of one camera, an old minute deleted; what was promised of it."""
    promised: Promised = []
    clock, index = ManualClock(NOON), SqlSegmentIndex(store)
    recorder = Recorder(
        areas, index, clock, on_durable=lambda *said: promised.append(said)
    )
    recorder.expect(STREAMS[0])
    for n, packet in enumerate(islice(packets(STREAMS[0], NOON), SECONDS * GROUP)):
        recorder.put(packet)
        recorder.settle()
        clock.advance(timedelta(seconds=1) / GROUP)
        if n % GROUP == 0:
            answered(index)
            recorder.tick()
        if (
            n == EARLY_S * GROUP
        ):  # a segment that ends early, so that one can be deleted
            recorder.forget(STREAMS[0])
            recorder.settle()
            answered(index)
            tidy(areas, index, clock, promised)
            recorder.expect(STREAMS[0])
    recorder.forget(STREAMS[0])
    recorder.settle()
    answered(index)
    return promised


def answered(index: SqlSegmentIndex) -> None:
    """Wait until the store has answered everything, well or badly."""
    with suppress(AlmenaraError):
        index.settle()


def tidy(
    areas: Areas, index: SqlSegmentIndex, clock: ManualClock, promised: Promised
) -> None:
    """Let the janitor take everything sealed; what went is no longer promised."""
    janitor = Janitor(areas, index, clock)
    try:
        janitor.tidy(keep_for=timedelta(days=1), keep_free_bytes=2**60)
    except AlmenaraError as error:  # as the supervisor hears of it
        log.error("janitor_failed", reason=str(error))
    promised.clear()


def started_again(path: Path, areas: Areas) -> tuple[set[datetime], list[str]]:
    """What a sound start finds whole, and every fault of the books."""
    with open_store(path) as store:
        index = SqlSegmentIndex(store)
        found = reconcile(areas, index, ManualClock(NOON + timedelta(minutes=5)))
        faults = [f"lost {found.lost_fragments}"] if found.lost_fragments else []
        faults += holes(index)
        rows = [
            s
            for s in index.segments_in([SegmentState.SEALED])
            if areas.files(s.target_id).size_bytes(s.place) != s.size_bytes
        ]
        faults += [f"{s.segment_id} has another length" for s in rows]
        left = index.segments_in([SegmentState.OPEN, SegmentState.DOOMED])
        faults += [f"{s.segment_id} is still {s.state}" for s in left]
        known = {(s.target_id, s.place) for s in index.segments_in(list(SegmentState))}
        files = {(name, place) for name, kept in areas for place in kept.places()}
        faults += [f"{name}: {place} has no row" for name, place in files - known]
        ends: set[datetime] = set()
        for _, kept in areas:
            ends |= whole(index, kept)[STREAMS[0]]
        return ends, faults


@pytest.mark.parametrize(("kind", "names", "for_ever"), CASES)
def test_a_disk_that_fails_at_any_step_takes_nothing_that_was_promised(
    tmp_path: Path,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    names: tuple[str, ...],
    *,
    for_ever: bool,
):
    for nth in count(1):
        folder = tmp_path / str(nth)
        folder.mkdir()
        shutil.copy(empty, folder / "store.db")
        countdown = Countdown(nth, for_ever=for_ever)
        areas = areas_in(folder, names)
        with (
            monkeypatch.context() as broken,
            open_store(folder / "store.db") as store,
            capture_logs() as said,
        ):
            broken.setattr(files_module, "os", FailingOs(countdown, NUMBERS[kind]))
            promised = live(store, areas)

        ends, faults = started_again(folder / "store.db", areas_in(folder, names))

        assert {end for _, end in promised} <= ends, nth
        assert faults == [], nth
        if not countdown.has_fired:
            assert nth > 20
            return
        assert is_told(said), nth
        shutil.rmtree(folder)


@pytest.mark.parametrize("for_ever", [False, True])
def test_a_store_that_fails_at_any_commit_takes_nothing_that_was_promised(
    tmp_path: Path, empty: Path, *, for_ever: bool
):
    for nth in count(1):
        folder = tmp_path / str(nth)
        folder.mkdir()
        shutil.copy(empty, folder / "store.db")
        countdown = Countdown(nth, for_ever=for_ever)
        with open_store(folder / "store.db") as store, capture_logs():
            fail_commits(store, countdown)
            promised = live(store, areas_in(folder, ("main",)))

        areas = areas_in(folder, ("main",))
        ends, faults = started_again(folder / "store.db", areas)

        assert {end for _, end in promised} <= ends, nth
        assert faults == [], nth
        if not countdown.has_fired:
            assert nth > 10
            return
        shutil.rmtree(folder)


def is_told(said: list[Any]) -> bool:
    return any(line["log_level"] in ("warning", "error") for line in said)


def test_what_fails_is_what_is_counted():
    """Else the loop would end at once and prove nothing."""
    countdown = Countdown(2, for_ever=False)
    broken = FailingOs(countdown, NUMBERS["EIO"])

    assert broken.getpid()
    assert Files.__name__
    assert [countdown.says_no() for _ in range(3)] == [False, True, False]
