"""The reference displacements, and that what is not known widens the answer."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import shapely

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane
from almenara.incidents.shore import Shore
from almenara.rescue import drift as drifting
from almenara.rescue.drift import (
    LEVELS,
    DriftRequest,
    Flow,
    LastKnown,
    current_to,
    drift,
    holding,
    wind_from,
)
from almenara.rescue.land import CELL_M, within_reach
from almenara.rescue.leeway import HYPOTHESES, INFLATABLE, LEEWAY, Hypothesis
from tests.conftest import NOON

HERE = Position(latitude_deg=36.0, longitude_deg=-5.3)
NIGHT = timedelta(seconds=37_620)
"""From 19:53 to 06:20."""

CALM = current_to(0.0, 0.0, at=NOON, std_mps=0.0)


def request(*keys: str, **changes) -> DriftRequest:
    made = DriftRequest(
        start=LastKnown(position=HERE, cov_m2=(1e-6, 1e-6, 0.0), at=NOON),
        until=NOON + NIGHT,
        hypotheses=tuple(
            Hypothesis(key="it", row=LEEWAY[key]) for key in keys or ("SKIFF-2",)
        ),
        wind=wind_from(180.0, 10.0, at=NOON, std_mps=0.0),  # blows to the north
        current=CALM,
        seed=20261124,
        particles=3_000,
    )
    return replace(made, **changes)


def displaced(*keys: str, **changes):
    return drift(request(*keys, **changes)).clouds[0].east_north_m / 1000.0


@pytest.mark.parametrize(
    ("key", "mean_km", "std_km"),
    [
        ("PIW-1", 4.14, 4.03),  # after the redraw; 3.61 ± 4.51 without
        ("SKIFF-2", 12.29, 1.25),
        ("SKIFF-3", 6.21, 1.17),
        ("REFUGEE-RAFT-1", 8.99, 0.58),
        ("LIFE-RAFT-NB-1", 13.92, 4.51),
    ],
)
def test_the_reference_displacements_downwind(key, mean_km, std_km):
    north = displaced(key, particles=20_000)[:, 1]

    assert north.mean() == pytest.approx(mean_km, rel=0.01)
    assert north.std() == pytest.approx(std_km, rel=0.03)


@pytest.mark.parametrize(
    ("key", "right_km", "left_km"),
    [
        ("PIW-1", 2.03, -2.03),
        ("LIFE-RAFT-NB-1", 7.45, -7.45),
        ("SKIFF-2", 0.10, -1.95),
        ("SKIFF-3", 1.47, -1.47),
        ("REFUGEE-RAFT-1", 1.31, -1.31),
    ],
)
def test_the_reference_displacements_crosswind_without_jibing(
    key, right_km, left_km, monkeypatch
):
    monkeypatch.setattr("almenara.rescue.drift.STAYS_PER_HOUR", 1.0)
    row = LEEWAY[key]
    still = replace(
        row,
        right=replace(row.right, spread_cmps=0.0),
        left=replace(row.left, spread_cmps=0.0),
    )
    it = (Hypothesis(key="it", row=still),)

    east = drift(request(hypotheses=it)).clouds[0].east_north_m[:, 0] / 1000.0
    right, left = east[east > 0], east[east < 0]

    assert right == pytest.approx(right_km, abs=0.006)
    assert left == pytest.approx(left_km, abs=0.006)
    assert len(right) == len(left)


def test_half_a_knot_of_current_adds_what_it_must():
    current = current_to(0.0, 0.5, at=NOON, std_mps=0.0)

    more = displaced("SKIFF-3", current=current)[:, 1] - displaced("SKIFF-3")[:, 1]

    assert more == pytest.approx(18.81, abs=0.005)


def test_who_jibes_changes_the_whole_row(monkeypatch):
    """Rows are no mirror images: always jibing SKIFF-2 ends between its two lines."""
    monkeypatch.setattr("almenara.rescue.drift.STAYS_PER_HOUR", 1e-9)
    row = LEEWAY["SKIFF-2"]
    still = replace(
        row,
        right=replace(row.right, spread_cmps=0.0),
        left=replace(row.left, spread_cmps=0.0),
    )
    it = (Hypothesis(key="it", row=still),)

    east = drift(request(hypotheses=it)).clouds[0].east_north_m[:, 0] / 1000.0

    assert east.mean() == pytest.approx((0.10 - 1.95) / 2, abs=0.05)


def test_four_of_a_hundred_jibe_in_an_hour():
    rng = np.random.default_rng(1)
    luck = drifting._Luck.drawn(INFLATABLE[0], 100_000, rng)  # noqa: SLF001 - counts who jibes
    before = luck.to_right.copy()
    changed = np.zeros(100_000, dtype=int)
    for _ in range(12):
        now = luck.jibed(300.0, rng).copy()
        changed += now != before
        before = now

    assert before.mean() == pytest.approx(0.5, abs=0.01)
    assert (changed > 0).mean() == pytest.approx(0.04, abs=0.002)


def test_the_same_seed_gives_the_same_particles_and_another_does_not():
    one, same = displaced("SKIFF-2"), displaced("SKIFF-2")

    assert (one == same).all()
    assert (displaced("SKIFF-2", seed=1) != one).any()


# -- what is not known ---------------------------------------------------------------


def test_no_wind_given_is_said_and_is_never_calm():
    calm = drift(request("SKIFF-2", wind=wind_from(0.0, 0.0, at=NOON, std_mps=0.0)))
    blind = drift(request("SKIFF-2", wind=None))
    known = drift(request("SKIFF-2"))

    assert "wind" in blind.unknown
    assert "wind" not in known.unknown
    for other in (calm, known):
        assert blind.areas[-1].size_km2 > 2.0 * other.areas[-1].size_km2


def test_no_current_given_is_said_and_widens():
    blind, known = drift(request("SKIFF-3", current=None)), drift(request("SKIFF-3"))

    assert blind.unknown == ("current", "shore")
    assert blind.areas[-1].size_km2 > 2.0 * known.areas[-1].size_km2


def test_it_starts_from_the_position_with_its_ellipse():
    start = LastKnown(position=HERE, cov_m2=(4e6, 1e6, 1e6), at=NOON)
    short = request("SKIFF-3", start=start, until=NOON + timedelta(seconds=1))

    cov = np.cov(drift(short).clouds[0].east_north_m.T)

    assert cov == pytest.approx(np.array([[4e6, 1e6], [1e6, 1e6]]), rel=0.05)


def test_analogues_are_named_in_the_answer():
    answer = drift(request(hypotheses=INFLATABLE, particles=500))

    assert answer.analogues == ("LIFE-RAFT-NB-1", "REFUGEE-RAFT-1")


def test_a_wind_that_turns_is_followed():
    hours = (NOON, NOON + NIGHT / 2, NOON + NIGHT / 2 + timedelta(seconds=1))
    turning = Flow(
        times=hours,
        east_mps=(0.0, 0.0, 10.0),
        north_mps=(10.0, 10.0, 0.0),
        std_mps=0.0,
    )

    mean = displaced("REFUGEE-RAFT-1", wind=turning).mean(axis=0)

    assert mean == pytest.approx([8.99 / 2, 8.99 / 2], abs=0.1)


# -- land ----------------------------------------------------------------------------


def test_land_stops_what_meets_it():
    def north_of(east_north_m):
        return east_north_m[:, 1] > 5_500.0

    (cloud,) = drift(request("SKIFF-2", is_land=north_of)).clouds

    assert cloud.ashore.mean() > 0.99
    assert cloud.east_north_m[:, 1].max() <= 5_500.0
    assert cloud.east_north_m[cloud.ashore, 1].min() > 5_200.0


def coast(rng) -> Shore:
    """A mainland with a ragged shore and a rock of 400 m off it."""
    ragged = [
        Position(latitude_deg=36.1 + rng.uniform(0, 0.05), longitude_deg=x)
        for x in np.linspace(-5.8, -4.8, 60)
    ]
    inland = [Position(latitude_deg=37.0, longitude_deg=x) for x in (-4.8, -5.8)]
    rock = [
        Position(latitude_deg=36.03 + dy, longitude_deg=-5.3 + dx)
        for dy, dx in ((0, 0), (0.004, 0), (0.004, 0.004), (0, 0.004))
    ]
    return Shore.of([[*ragged, *inland], rock])


def test_the_grid_of_land_agrees_with_the_shore_but_for_half_a_cell():
    rng = np.random.default_rng(7)
    shore = coast(rng)
    near = within_reach(shore, HERE, 30_000.0)
    assert near is not None
    assert shore.plane is not None
    assert shore.index is not None
    latitude = rng.uniform(35.8, 36.25, 20_000)
    longitude = rng.uniform(-5.6, -5.0, 20_000)

    places = shore.plane.to_plane(latitude, longitude)
    here = LocalPlane.at(HERE)
    differ = near(here.to_plane(latitude, longitude)) != shore.covers(places)

    lines = shapely.union_all(list(shore.lines))
    away = shapely.distance(lines, shapely.points(places[differ]))
    assert away.max() <= CELL_M / np.sqrt(2.0)
    assert near(here.to_plane(36.032, -5.298)).all()  # the rock


def test_where_no_land_is_known_there_is_no_grid():
    assert within_reach(Shore.of([]), HERE, 1e4) is None
    assert not Shore.of([]).covers(np.zeros((3, 2))).any()


# -- areas ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_an_area_holds_its_share_of_every_hypothesis(level):
    answer = drift(request(hypotheses=HYPOTHESES["open_boat"], particles=3_000))
    area = next(area for area in answer.areas if area.level == level)

    for cloud in answer.clouds:
        x, y = cloud.east_north_m.T
        inside = shapely.intersects_xy(area.shape, x, y)
        assert inside.mean() >= level - 1e-9


def test_larger_levels_have_larger_areas_and_rings_on_the_earth():
    answer = drift(request("SKIFF-2", particles=3_000))

    sizes = [area.size_km2 for area in answer.areas]
    assert sizes == sorted(sizes)
    for ring in answer.areas[0].rings:
        assert ring[0] == ring[-1]
        assert 36.0 < ring[0].latitude_deg < 36.3


def test_an_area_is_about_the_smallest_there_is():
    places = np.random.default_rng(1).normal(0.0, 1000.0, (20_000, 2))

    found = holding(places, 0.8).area / 1e6

    assert found == pytest.approx(-2.0 * np.pi * np.log(0.2), rel=0.1)


@pytest.mark.parametrize(
    "changes", [{"until": NOON}, {"hypotheses": ()}, {"particles": 0}]
)
def test_a_drift_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match="drift"):
        request("SKIFF-2", **changes)


@pytest.mark.parametrize(
    ("times", "east"),
    [((), ()), ((NOON, NOON), (1.0, 1.0)), ((NOON,), (1.0, 2.0))],
)
def test_a_flow_that_cannot_be_is_refused(times, east):
    with pytest.raises(ValueError, match="flow"):
        Flow(times=times, east_mps=east, north_mps=(1.0,) * len(times), std_mps=0.0)
