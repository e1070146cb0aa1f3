from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from almenara.core.media import TimeSource
from almenara.stations.timeline import DecodingOrder, Timeline, from_ntp
from tests.conftest import NOON

STEP = 3600


def ntp(at: datetime) -> int:
    seconds = (at - datetime(1900, 1, 1, tzinfo=UTC)).total_seconds()
    return round(seconds * (1 << 32)) & ((1 << 64) - 1)


def play(line: Timeline, stamps: list[int], step_s: float = 0.04, **more):
    return [
        line.stamp(
            stamp & 0xFFFF_FFFF,
            received_at=NOON + timedelta(seconds=n * step_s),
            monotonic_s=n * step_s,
            **more,
        )
        for n, stamp in enumerate(stamps)
    ]


def test_media_time_goes_on_when_its_32_bits_wrap():
    told = play(Timeline(), [(1 << 32) - 5 * STEP + n * STEP for n in range(10)])

    assert [s.pts_90k for s in told] == [n * STEP for n in range(10)]


@given(seconds=st.floats(0, 1.9e9))
def test_ntp_there_and_back(seconds: float):
    aware = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    assert abs(from_ntp(ntp(aware)) - aware) < timedelta(milliseconds=1)


def test_without_a_report_capture_is_arrival_and_says_so():
    (told,) = play(Timeline(), [77])

    assert (told.captured_at, told.captured_by) == (NOON, TimeSource.ARRIVAL)


def test_after_a_report_capture_is_the_cameras():
    line = Timeline()
    line.report(1000, ntp(NOON - timedelta(milliseconds=200)), NOON)

    told = play(line, [1000, 1000 + 90_000])

    assert told[0].captured_by is TimeSource.CAMERA
    wanted = NOON + timedelta(milliseconds=800)
    assert abs(told[1].captured_at - wanted) < timedelta(milliseconds=1)
    assert line.offset_s is not None
    assert abs(line.offset_s + 0.2) < 0.001


def test_a_clock_that_is_far_off_loses_its_say_and_stays_visible():
    line = Timeline()
    line.report(0, ntp(NOON - timedelta(hours=1)), NOON)

    (told,) = play(line, [0])

    assert (told.captured_at, told.captured_by) == (NOON, TimeSource.ARRIVAL)
    assert line.offset_s is not None
    assert round(line.offset_s) == -3600


def test_a_jump_costs_no_time_and_is_counted():
    line = Timeline()
    told = play(line, [0, STEP, STEP + 90_000 * 3600, 2 * STEP + 90_000 * 3600, 3])

    assert [s.pts_90k for s in told] == [n * STEP for n in range(5)]
    assert line.jumps == 2


def test_a_real_pause_is_no_jump():
    line = Timeline()
    told = play(line, [0, 90_000 * 20], step_s=20.0)

    assert told[1].pts_90k == 90_000 * 20
    assert line.jumps == 0


def test_pictures_shown_later_get_decoding_times_before_them():
    line = Timeline()
    order = [2, 5, 3, 4, 8, 6, 7, 11, 9, 10]
    told = play(line, [n * STEP for n in order], reorder=1, fps=25.0)

    assert all(s.dts_90k <= s.pts_90k for s in told)
    assert [s.dts_90k for s in told] == [(n - 1) * STEP for n in range(10)]


@given(
    pts=st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=60),
    reorder=st.integers(0, 16),
)
def test_decoding_times_always_grow(pts: list[int], reorder: int):
    order = DecodingOrder()
    told = [order.dts(p, reorder, 3600) for p in pts]

    assert all(b > a for a, b in pairwise(told))
