"""A check names what is wrong: file, fragment, time; and nothing that is not (F15)."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.time import ManualClock, from_micros
from almenara.node.keeping import kept
from almenara.node.store import recordings
from almenara.node.store.database import open_store
from almenara.node.store.inspection import SqlLedger
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.adopt import Repair
from almenara.recording.check import (
    Flaw,
    FlawKind,
    Level,
    Stretch,
    fault_of,
    tiled,
)
from almenara.recording.fmp4 import found_fragments
from almenara.recording.index import Hold
from tests.conftest import NOON
from tests.contracts.console_stores import entry
from tests.recording.films import STREAM
from tests.store.kept import OTHER, Watch

pytestmark = pytest.mark.slow
LATER = ManualClock(NOON + timedelta(days=400))


@pytest.fixture
def watch(place, tmp_path: Path) -> Watch:
    made = Watch(tmp_path / "node", place)
    made.folder.mkdir()
    made.run(streams=(STREAM, OTHER))
    made.run(1, streams=(STREAM, OTHER))
    return made


def flaws(watch: Watch, level: Level = Level.HASH) -> list[Flaw]:
    with kept(watch.config, LATER) as keeping:
        return list(keeping.flaws(level, lambda *_: None))


def mended(watch: Watch) -> Repair:
    with kept(watch.config, LATER) as keeping:
        found = list(keeping.flaws(Level.HASH, lambda *_: None))
        return keeping.repair(found, entry("store.repair"))


@pytest.mark.parametrize("level", list(Level))
def test_a_good_store_has_no_flaw(watch: Watch, level: Level):
    assert flaws(watch, level) == []


def test_one_flipped_bit_in_each_file_is_found_and_its_fragment_named(watch: Watch):
    """Bits anywhere: boxes, our own words, pictures, the init."""
    seeded = random.Random(20260301)
    for _ in range(40):
        wanted: dict[Path, tuple[int | None, bytes]] = {}
        for path in watch.files():
            plain = path.read_bytes()
            bit = seeded.randrange(8 * len(plain))
            wanted[path] = (fragment_at(plain, bit // 8), plain)
            path.write_bytes(flipped(plain, bit))

        found = flaws(watch)

        named = {flaw.file: flaw.fragment for flaw in found}
        assert named == {path: number for path, (number, _) in wanted.items()}
        assert all(flaw.start is not None for flaw in found)
        for path, (_, plain) in wanted.items():
            path.write_bytes(plain)
    assert flaws(watch) == []


def test_every_bit_of_a_fragments_words_and_boxes_is_guarded(watch: Watch):
    path = watch.files()[0]
    with open_store(watch.config.store_place) as store:
        ledger = SqlLedger(store)
        row = next(r for r in ledger.summaries("", 9) if r.segment_id == path.stem)
        first = ledger.contents([row.segment_id])[row.segment_id].fragments[0]
    data = path.read_bytes()[first.offset_bytes :][: first.length_bytes]

    assert fault_of(row, first, memoryview(data)) is None
    for bit in range(8 * 300):  # our own box, moof and the first samples
        assert fault_of(row, first, memoryview(flipped(data, bit))), bit


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def fragment_at(data: bytes, at: int) -> int | None:
    return next(
        (
            number
            for number, each in enumerate(found_fragments(data))
            if each.offset_bytes <= at < each.offset_bytes + each.length_bytes
        ),
        None,
    )


def test_a_missing_file_is_named_and_its_row_becomes_a_tombstone(watch: Watch):
    gone = watch.files()[0]
    gone.unlink()

    (flaw,) = flaws(watch, Level.PRESENCE)
    done = mended(watch)

    assert (flaw.kind, flaw.file) == (FlawKind.MISSING, gone)
    assert (done.buried, done.left) == (1, [])
    assert flaws(watch) == []
    with open_store(watch.config.store_place) as store:
        (stone,) = SqlSegmentIndex(store).tombstones()
    assert stone.reason == "lost"


def test_a_hold_keeps_the_row_of_a_missing_file(watch: Watch):
    with open_store(watch.config.store_place) as store:
        hold = Hold(
            hold_id="h",
            stream_id=None,
            start=NOON - timedelta(hours=1),
            end=NOON + timedelta(hours=1),
            ground="case 7",
        )
        SqlSegmentIndex(store).place_hold(hold, NOON).result()
    watch.files()[0].unlink()

    assert [flaw.kind for flaw in mended(watch).left] == [FlawKind.MISSING]


def test_a_file_without_a_row_is_taken_in(watch: Watch):
    orphan = watch.files()[0]
    before = orphan.read_bytes()
    forget(watch, orphan)

    found = flaws(watch, Level.PRESENCE)
    done = mended(watch)

    assert [f.file for f in found if f.kind is FlawKind.ORPHAN] == [orphan]
    assert (done.adopted, done.set_aside) == (1, 0)
    assert orphan.read_bytes() == before
    assert flaws(watch) == []


def test_a_file_that_nobody_can_explain_is_set_aside_and_not_deleted(watch: Watch):
    odd = watch.files()[0].with_name(f"{'0' * 8}-0000-7000-8000-{'0' * 12}.mp4")
    odd.write_bytes(b"no recording at all")

    done = mended(watch)

    assert done.set_aside == 1
    (aside,) = (watch.media / "quarantine").iterdir()
    assert aside.read_bytes() == b"no recording at all"
    assert flaws(watch) == []


def test_a_file_whose_deletion_is_on_record_is_deleted_again(watch: Watch):
    back = watch.files()[0]
    data = back.read_bytes()
    back.unlink()
    mended(watch)
    back.write_bytes(data)

    (flaw,) = flaws(watch, Level.PRESENCE)
    done = mended(watch)

    assert flaw.kind is FlawKind.UNDEAD
    assert done.unlinked == 1
    assert not back.exists()


def test_a_file_cut_short_names_every_fragment_that_is_lost(watch: Watch):
    short = watch.files()[0]
    data = short.read_bytes()
    fragments = found_fragments(data)
    short.write_bytes(data[: fragments[-2].offset_bytes + 10])

    found = flaws(watch, Level.SIZE)

    lost = [f.fragment for f in found if f.kind is FlawKind.SHORT]
    assert lost == [len(fragments) - 2, len(fragments) - 1]
    assert len(mended(watch).left) == len(flaws(watch))  # only a copy can mend it
    assert short.exists()


def test_a_file_that_grew_is_named(watch: Watch):
    long = watch.files()[0]
    with long.open("ab") as file:
        file.write(b"x")

    (flaw,) = flaws(watch, Level.SIZE)

    assert (flaw.kind, flaw.file) == (FlawKind.LONG, long)


def test_a_segment_that_is_being_written_is_no_flaw(watch: Watch):
    """Its file is longer than its row; a file may be there before its row is."""
    segment = watch.files()[0]
    with open_store(watch.config.store_place) as store:
        mine = recordings.segment.c.segment_id == segment.stem
        opened = sa.update(recordings.segment).where(mine).values(state="open")
        store.submit(lambda db: db.execute(opened).close()).result()
    with segment.open("ab") as file:
        file.write(b"the next fragment")
    young = segment.with_name(f"{'1' * 8}-0000-7000-8000-{'0' * 12}.mp4")
    young.write_bytes(b"")

    with kept(watch.config, ManualClock(from_micros(0))) as keeping:
        assert list(keeping.flaws(Level.HASH, lambda *_: None)) == []


def test_pages_leave_nothing_out(watch: Watch):
    with open_store(watch.config.store_place) as store:
        ledger = SqlLedger(store)
        one = [s.segment_id for n in range(9) for s in ledger.summaries("", n)[-1:]]
        everything = [row.segment_id for row in ledger.summaries("", 100)]
        assert ledger.count() == 4
        after = [row.segment_id for row in ledger.summaries(everything[1], 100)]

    assert sorted(set(one)) == everything
    assert after == everything[2:]


@pytest.mark.parametrize(
    ("gap", "kind"),
    [
        (("12:00:01", "12:00:02"), FlawKind.GAP_OVER_RECORDING),
        (("11:00:00", "11:30:00"), FlawKind.HOLE),
    ],
)
def test_time_that_does_not_fit_is_seen_by_the_store(
    watch: Watch, gap: tuple[str, str], kind: FlawKind
):
    start, end = (NOON.fromisoformat(f"2026-03-01T{at}+00:00") for at in gap)
    with open_store(watch.config.store_place) as store:
        row = {"stream_id": STREAM, "started_at": start, "ended_at": end, "cause": "x"}
        added = sa.insert(recordings.gap).values(row)
        store.submit(lambda db: db.execute(added).close()).result()

    found = flaws(watch, Level.IDENTITY)

    assert kind in {flaw.kind for flaw in found}
    assert {flaw.stream_id for flaw in found} == {STREAM}


def forget(watch: Watch, path: Path) -> None:
    """Take a file's rows away, as a bug would."""
    with open_store(watch.config.store_place) as store:
        mine = recordings.segment.c.segment_id == path.stem
        gone = sa.delete(recordings.segment).where(mine)
        store.submit(lambda db: db.execute(gone).close()).result()


cuts = st.lists(st.integers(0, 1_000), min_size=2, max_size=30, unique=True)


def tiles(edges: Sequence[int]) -> list[Stretch]:
    """Recorded, gap, recorded, … with nothing between."""
    ends = sorted(edges)
    kinds = ("segment", "gap", "tombstone")
    return [
        Stretch(start, end, kinds[n % 3], str(n))
        for n, (start, end) in enumerate(pairwise(ends))
    ]


@given(cuts, st.randoms())
def test_time_that_is_all_there_has_no_flaw(edges: list[int], order: random.Random):
    whole = tiles(edges)
    order.shuffle(whole)

    assert list(tiled(STREAM, whole)) == []


@given(cuts.filter(lambda edges: len(edges) > 3), st.data())
def test_a_piece_taken_out_is_a_hole_of_its_length(edges: list[int], data):
    whole = tiles(edges)
    gone = whole.pop(data.draw(st.integers(1, len(whole) - 2)))

    (flaw,) = tiled(STREAM, whole)

    assert flaw.kind is FlawKind.HOLE
    assert flaw.start == from_micros(gone.start)
    assert gone.end is not None
    assert flaw.end == from_micros(gone.end)


@given(cuts.filter(lambda edges: len(edges) > 2), st.data())
def test_time_that_is_there_twice_is_an_overlap(edges: list[int], data):
    whole = tiles(edges)
    at = data.draw(st.integers(0, len(whole) - 2))
    grown = whole[at]
    following = whole[at + 1]
    assert grown.end is not None
    whole[at] = replace(grown, end=grown.end + 1)

    found = list(tiled(STREAM, whole))

    kinds = {grown.kind, following.kind}
    mixed = "gap" in kinds
    wanted = FlawKind.GAP_OVER_RECORDING if mixed else FlawKind.OVERLAP
    assert found[0].kind is wanted
    assert found[0].start == from_micros(following.start)
