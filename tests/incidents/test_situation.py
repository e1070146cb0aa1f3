from dataclasses import replace
from datetime import timedelta

import pytest
from scipy.special import ndtr

from almenara.core.coast import WatchZone
from almenara.core.ids import TrackId, ZoneId
from almenara.core.values import Position
from almenara.incidents.shore import Shore
from almenara.incidents.situation import (
    Chronicle,
    Situation,
    motion,
    probability_inside,
)
from almenara.tracking.picture import TrackState
from tests.incidents.sea import ORIGIN, SHORE, ZONE, picture, place, ring, track


def run(times, make, zones=(), survivors=lambda _: None) -> list[Situation]:
    chronicle = Chronicle()
    found: list[Situation] = []
    for t in times:
        chronicle, now = chronicle.read(
            picture(make(t)), zones, SHORE, survivors=survivors(t)
        )
        found += now
    return found


@pytest.mark.parametrize("off_sigma", [-2.0, -1.0, -0.3, 0.0, 0.5, 1.5])
def test_the_probability_across_a_straight_edge_is_the_normal_one(off_sigma: float):
    std_m = 100.0
    boat = track(0, north_m=-4000 + off_sigma * std_m, std_m=std_m)

    assert probability_inside(ZONE, boat) == pytest.approx(
        float(ndtr(off_sigma)), abs=0.02
    )


def test_a_needle_that_touches_a_zone_is_not_inside():
    long = replace(track(0, north_m=-4500), position_cov_m2=(100.0, 800.0**2, 0.0))

    assert 0.1 < probability_inside(ZONE, long) < 0.6
    assert probability_inside(ZONE, track(0, north_m=-2500)) == 1.0
    assert probability_inside(ZONE, track(0, north_m=-40_000)) == 0.0


def test_a_zone_across_the_date_line_is_a_zone():
    corners = [(0.0, 179.9), (0.0, -179.9), (0.1, -179.9), (0.1, 179.9)]
    zone = WatchZone(
        zone_id=ZoneId("z"),
        name="far",
        vertices=tuple(Position(latitude_deg=a, longitude_deg=b) for a, b in corners),
    )
    boat = replace(
        track(0), position=Position(latitude_deg=0.05, longitude_deg=-179.99)
    )

    assert probability_inside(zone, boat) == 1.0


def test_inside_has_hysteresis():
    std = 100.0

    def since(*, previous_inside: bool, north: float) -> bool:
        def at(t):
            return track(t, north_m=(-2500 if t == 0 and previous_inside else north))

        return run([0, 1], at, [ZONE])[-1].zones[0].since is not None

    border = -4000.0
    middling = border + 0.0 * std  # P about one half
    assert since(previous_inside=True, north=middling)
    assert not since(previous_inside=False, north=middling)
    assert not since(previous_inside=True, north=border - 60.0)


def test_speed_error_is_that_along_the_course():
    boat = track(0, velocity=(0.0, 4.0))
    boat = replace(boat, velocity_cov=(9.0, 0.25, 0.0))

    assert motion(boat) == pytest.approx((4.0, 0.5, 0.0))


def test_closing_counts_while_slow_and_headed_for_the_shore():
    found = run(range(0, 301, 10), lambda t: track(t, velocity=(0.0, 2.5)))

    assert found[-1].closing_for == timedelta(minutes=5)
    assert found[-1].shore is not None
    assert (found[-1].shore.bearing_deg + 180) % 360 == pytest.approx(180, abs=0.5)


@pytest.mark.parametrize(
    "velocity", [(0.0, 0.9), (0.0, 4.5), (0.0, -2.5), (2.0, 2.0), (2.5, 0.0)]
)
def test_too_slow_too_fast_away_or_along_the_shore_is_not_closing(velocity):
    found = run(range(0, 301, 10), lambda t: track(t, velocity=velocity))

    assert found[-1].closing_for == timedelta()


def test_a_look_out_of_line_does_not_begin_the_count_anew_but_a_turn_does():
    def zigzag(length):
        def at(t):
            north = -2.5 if 100 <= t < 100 + length else 2.5
            return replace(track(t), velocity_mps=(0.0, north))

        return run(range(0, 301, 10), at)[-1].closing_for

    assert zigzag(30) == timedelta(minutes=5)
    assert zigzag(90) < timedelta(minutes=3)


def test_a_boat_that_only_drifts_is_adrift_and_a_moored_one_is_not():
    drifting = run(range(0, 1201, 10), lambda t: track(t, velocity=(0.4, 0.0)))
    moored = run(range(0, 1201, 10), lambda t: track(t, velocity=(0.02, 0.0)))

    assert drifting[-1].adrift_for == timedelta(minutes=20)
    assert drifting[-1].adrift_distance_m == pytest.approx(480.0, rel=0.01)
    assert max(s.adrift_for for s in moored) <= timedelta(minutes=10)
    assert max(s.adrift_distance_m for s in moored) < 60.0


def test_a_boat_cut_loose_after_hours_is_found_within_half_an_hour():
    def at(t):
        return track(t, east_m=max(0.0, 0.5 * (t - 7200)), velocity=(0.0, 0.0))

    found = run(range(0, 7200 + 1800, 10), at)

    assert found[-1].adrift_for >= timedelta(minutes=10)
    net = found[-1].adrift_distance_m / found[-1].adrift_for.total_seconds()
    assert net > 0.2


def test_coasting_neither_proves_nor_ends_a_spell():
    def at(t):
        state = TrackState.COASTING if 120 <= t < 240 else TrackState.CONFIRMED
        return track(t, velocity=(0.0, 2.5), state=state)

    assert run(range(0, 301, 10), at)[-1].closing_for == timedelta(minutes=5)


def test_what_is_remembered_of_a_merged_track_goes_on_with_the_survivor():
    def at(t):
        name = "T1" if t < 200 else "T2"
        return track(t, velocity=(0.0, 2.5), track_id=TrackId(name))

    def told(t):
        return {TrackId("T1"): TrackId("T2")} if t >= 200 else None

    assert run(range(0, 301, 10), at, survivors=told)[-1].closing_for == timedelta(
        minutes=5
    )


def test_lost_contacts_are_not_judged():
    lost = track(0, state=TrackState.LOST)
    _, found = Chronicle().read(picture(lost), [ZONE], SHORE)

    assert found == ()


def test_the_nearest_shore_is_the_nearest():
    island = Shore.of(
        [ring(-50_000, 0, 50_000, 20_000), ring(5000, -9000, 6000, -8000)]
    )
    near = island.nearest(place(2000, -8500))

    assert near is not None
    assert near.distance_m == pytest.approx(3000, rel=1e-3)
    assert near.bearing_deg == pytest.approx(90.0, abs=0.1)


def test_on_land_the_shore_is_nought_away_and_without_land_there_is_none():
    on_land = SHORE.nearest(place(0, 5000))

    assert on_land is not None
    assert on_land.distance_m == 0.0
    assert Shore.of([]).nearest(ORIGIN) is None
