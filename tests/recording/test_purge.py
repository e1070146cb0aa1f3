"""The plan, the journal and the ballast: what helps when nothing can be written."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.recording.index import Hold, SegmentRecord
from almenara.recording.purge import SLOTS, Ballast, PurgeJournal, PurgePlan
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)


def segment(n: int, *, area: str = "main") -> SegmentRecord:
    return SegmentRecord(
        segment_id=SegmentId(str(uuid4())),
        stream_id=StreamId("s"),
        run=0,
        started_at=NOON + n * MINUTE,
        ended_at=NOON + (n + 1) * MINUTE,
        size_bytes=10,
        target_id=area,
        init_size_bytes=1,
        init_sha256=b"",
        labels=Labels(),
    )


def hold(start: int, end: int) -> Hold:
    return Hold(
        hold_id=f"{start}-{end}",
        stream_id=None,
        start=NOON + start * MINUTE,
        end=NOON + end * MINUTE,
        ground="a case",
    )


MINUTES = st.integers(0, 40)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("refresh"), MINUTES, MINUTES),
            st.tuples(st.just("hold"), MINUTES, MINUTES),
            st.tuples(st.just("take"), st.integers(0, 100), MINUTES),
        ),
        max_size=12,
    )
)
def test_nothing_that_was_held_before_is_ever_taken(
    steps: list[tuple[str, int, int]],
):
    """In any order of plans made from rows that do not know the hold yet."""
    sealed = [segment(n) for n in range(40)]
    plan, holds = PurgePlan(), list[Hold]()
    for what, a, b in steps:
        if what == "refresh":
            plan.refresh(sealed[min(a, b) :], held=())
        elif what == "hold":
            holds.append(hold(min(a, b), max(a, b)))
            plan.protect(holds[-1])
        else:
            with plan.taking({"main": a}) as taken:
                for each in taken:
                    assert not any(
                        h.start < each.ended_at and h.end > each.started_at
                        for h in holds
                    )
                assert sum(s.size_bytes for s in taken) < a + 10


def test_only_as_much_goes_as_each_area_needs():
    plan = PurgePlan()
    plan.refresh([segment(n, area="ab"[n % 2]) for n in range(20)], held=())

    with plan.taking({"a": 25}) as taken:
        assert [s.target_id for s in taken] == ["a"] * 3
    with plan.taking({"a": 5}) as again:
        assert again[0].started_at == NOON + 6 * MINUTE


def test_a_hold_waits_for_the_purge_that_is_under_way():
    plan = PurgePlan()
    plan.refresh([segment(0)], held=())
    placed = threading.Event()

    def place() -> None:
        plan.protect(hold(0, 1))
        placed.set()

    with plan.taking({"main": 1}) as taken:
        other = threading.Thread(target=place)
        other.start()
        assert len(taken) == 1
        assert not placed.is_set()
    other.join()
    assert placed.is_set()


def test_the_journal_says_after_a_crash_what_was_begun(tmp_path: Path):
    path, noted = tmp_path / "purge.journal", [segment(n).segment_id for n in range(9)]
    journal = PurgeJournal(path)
    assert journal.noted() == []
    journal.prepare()
    size_bytes = path.stat().st_size

    journal.note(noted)

    assert PurgeJournal(path).noted() == noted
    assert path.stat().st_size == size_bytes  # no new block was needed
    journal.prepare()
    assert journal.noted() == noted
    journal.note([])
    assert journal.noted() == []
    with pytest.raises(ValueError, match="at most"):
        journal.note([noted[0]] * (SLOTS + 1))


@given(at=st.integers(0, 9 + 16 * 5), bit=st.integers(0, 7))
def test_a_torn_journal_names_nothing_wrong(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
):
    path = tmp_path_factory.mktemp("torn") / "purge.journal"
    journal, noted = PurgeJournal(path), [segment(n).segment_id for n in range(5)]
    journal.prepare()
    journal.note(noted)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)

    assert set(journal.noted()) <= set(noted)


def test_the_ballast_is_written_bytes_and_comes_and_goes(tmp_path: Path):
    ballast = Ballast(tmp_path / "data" / "ballast", 1024 * 1024)

    assert ballast.fill()
    assert ballast.is_whole
    blocks = (tmp_path / "data" / "ballast").stat().st_blocks
    assert blocks * 512 >= 1024 * 1024
    ballast.drop()
    assert list((tmp_path / "data").iterdir()) == []
    ballast.drop()
    assert ballast.fill()


def test_half_a_ballast_is_no_ballast(tmp_path: Path):
    (tmp_path / "ballast").write_bytes(b"half")
    ballast = Ballast(tmp_path / "ballast", 1024)

    assert not ballast.is_whole
    assert ballast.fill()
    assert ballast.is_whole


def test_a_segment_of_another_stream_is_not_covered():
    plan = PurgePlan()
    plan.refresh([segment(0)], held=())
    plan.protect(replace(hold(0, 9), stream_id=StreamId("other")))

    with plan.taking({"main": 1}) as taken:
        assert len(taken) == 1
