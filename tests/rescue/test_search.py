"""Closed forms of search theory, and that patterns cover what they promise."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.rescue.search import (
    Box,
    Pattern,
    PatternKind,
    ProbabilityMap,
    SearchUnit,
    allocate,
    containment_after,
    coverage,
    creeping,
    detection,
    expanding_square,
    parallel,
    sector,
    success,
    track_line,
)

KNOT = 1852.0 / 3600.0
boxes = st.builds(
    Box,
    east_m=st.floats(-1e4, 1e4),
    north_m=st.floats(-1e4, 1e4),
    length_m=st.floats(2_000, 40_000),
    width_m=st.floats(1_000, 20_000),
    bearing_deg=st.floats(0, 359),
)
spacings = st.floats(300, 3_000)


def points_of(box: Box, n: int = 400):
    rng = np.random.default_rng(1)
    along = rng.uniform(-0.5, 0.5, n) * box.length_m
    across = rng.uniform(-0.5, 0.5, n) * box.width_m
    return shapely.points([box.point(a, c) for a, c in zip(along, across, strict=True)])


def legs(pattern: Pattern):
    return np.hypot(*np.diff(pattern.points_m, axis=0).T)


# -- closed forms --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("covered", "pod"), [(0.5, 0.3935), (1, 0.6321), (1.5, 0.7769), (2, 0.8647)]
)
def test_detection_by_coverage(covered, pod):
    assert detection(covered) == pytest.approx(pod, abs=5e-5)


def test_success_and_what_an_empty_search_leaves():
    assert success(0.6, 0.632) == pytest.approx(0.379, abs=5e-4)
    assert containment_after(0.6, 0.632) == pytest.approx(0.356, abs=5e-4)


def test_a_kilometre_wide_at_fifteen_knots_for_two_hours():
    covered = coverage(1_000.0, 15 * KNOT, 7_200.0, 100e6)

    assert covered == pytest.approx(0.5556, abs=5e-5)
    assert detection(covered) == pytest.approx(0.4263, abs=5e-5)


@pytest.mark.parametrize("bad", [(0, 1, 1, 1), (1, -1, 1, 1), (1, 1, 1, 0)])
def test_a_coverage_of_nothing_is_refused(bad):
    with pytest.raises(ValueError, match="positive"):
        coverage(*bad)


# -- Bayes -----------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.floats(0.0, 1.0), st.floats(0.001, 0.5))
def test_an_empty_search_conserves_the_whole(seed, most, outside):
    rng = np.random.default_rng(seed)
    before = ProbabilityMap.of(
        rng.normal(0, 3e3, (500, 2)), cell_m=500.0, outside=outside
    )
    pod = rng.uniform(0.0, most, len(before.probability))

    after = before.after_empty_search(pod)

    assert after.probability.sum() + after.outside == pytest.approx(1.0, abs=1e-9)
    assert after.outside >= before.outside - 1e-12


def test_a_map_of_one_cell_agrees_with_the_closed_form():
    places = np.zeros((10, 2)) + 10.0
    before = ProbabilityMap.of(places, cell_m=100.0, outside=0.4)

    after = before.after_empty_search(np.array([0.632]))

    assert after.probability[0] == pytest.approx(containment_after(0.6, 0.632))


def test_where_nobody_looked_it_becomes_likelier():
    places = np.random.default_rng(1).normal(0, 3e3, (2_000, 2))
    before = ProbabilityMap.of(places, cell_m=1000.0)
    looked = before.within(shapely.box(-1e5, -1e5, 0, 1e5))

    after = before.after_empty_search(np.where(looked, 0.8, 0.0))

    assert (after.probability[looked] < before.probability[looked]).all()
    assert (after.probability[~looked] > before.probability[~looked]).all()


def test_a_search_that_could_not_fail_and_found_nothing_is_a_mistake():
    sure = ProbabilityMap.of(np.zeros((1, 2)), cell_m=1.0, outside=0.0)

    with pytest.raises(ValueError, match="cannot fail"):
        sure.after_empty_search(np.array([1.0]))


# -- patterns --------------------------------------------------------------------------


@given(boxes, spacings, st.sampled_from([parallel, creeping]))
def test_lines_cover_their_box_and_stay_in_it(box, spacing, make):
    pattern = make(box, spacing)
    line = LineString(pattern.points_m)
    around = shapely.Polygon(
        [
            box.point(a * box.length_m / 2, c * box.width_m / 2)
            for a, c in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
    )

    assert pattern.spacing_m <= spacing + 1e-6
    # Corners are the worst: half a spacing along and half a spacing across.
    worst = shapely.distance(line, points_of(box)).max()
    assert worst <= pattern.spacing_m / np.sqrt(2.0) + 1e-6
    assert around.buffer(1e-6).contains(line)


def test_parallel_legs_run_along_the_length_and_creeping_ones_across():
    box = Box(east_m=0, north_m=0, length_m=10e3, width_m=4e3, bearing_deg=0)

    assert legs(parallel(box, 1e3)).tolist() == pytest.approx(
        [9e3, 1e3, 9e3, 1e3, 9e3, 1e3, 9e3]
    )
    assert legs(creeping(box, 1e3))[:3].tolist() == pytest.approx([3e3, 1e3, 3e3])
    assert len(creeping(box, 1e3).points_m) == 20


@given(spacings, st.integers(1, 20), st.floats(0, 359))
def test_an_expanding_square_starts_at_the_datum_and_grows(spacing, count, bearing):
    pattern = expanding_square((7.0, 8.0), spacing, legs=count, bearing_deg=bearing)

    assert pattern.points_m[0].tolist() == [7.0, 8.0]
    wanted = [(i // 2 + 1) * spacing for i in range(count)]
    assert legs(pattern).tolist() == pytest.approx(wanted)


def test_an_expanding_square_covers_the_square_it_drew():
    pattern = expanding_square((0.0, 0.0), 1e3, legs=16, bearing_deg=0)
    line = LineString(pattern.points_m)
    grid = np.stack(np.meshgrid(*[np.linspace(-3e3, 3e3, 40)] * 2), -1).reshape(-1, 2)

    assert (
        shapely.distance(line, shapely.points(grid)).max() <= 600.0
    )  # near the first turn


@given(spacings, st.floats(0, 359))
def test_a_sector_goes_three_times_through_the_datum_in_each_pass(radius, bearing):
    pattern = sector((5.0, -5.0), radius, bearing_deg=bearing)
    datum = shapely.Point(5.0, -5.0)
    pieces = [
        LineString(pattern.points_m[i : i + 2])
        for i in range(len(pattern.points_m) - 1)
    ]

    through = sum(piece.distance(datum) < 1e-6 for piece in pieces)
    assert through == 8  # out, twice across, in: in two passes
    assert pattern.length_m == pytest.approx(18.0 * radius)
    ends = pattern.points_m[[0, 7, 14]]
    assert ends == pytest.approx(np.tile([5.0, -5.0], (3, 1)), abs=1e-6)
    turn = np.rad2deg(
        np.diff(np.unwrap(np.arctan2(*np.diff(pattern.points_m, axis=0).T)))
    )
    assert turn[:6] % 360.0 == pytest.approx([120.0] * 6)
    assert turn[6] % 360.0 == pytest.approx(30.0)


def test_a_track_line_goes_out_on_one_side_and_back_on_the_other():
    track = np.array([[0.0, 0.0], [0.0, 5e3], [3e3, 9e3]])

    pattern = track_line(track, 1e3)

    line = LineString(pattern.points_m)
    assert shapely.distance(line, shapely.points(track)).max() <= 520.0
    assert pattern.points_m[0].tolist() == [500.0, 0.0]
    assert pattern.points_m[-1].tolist() == [-500.0, 0.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: parallel(
            Box(east_m=0, north_m=0, length_m=1, width_m=1, bearing_deg=0), 0
        ),
        lambda: expanding_square((0, 0), -1.0, legs=3, bearing_deg=0),
        lambda: expanding_square((0, 0), 1.0, legs=0, bearing_deg=0),
        lambda: sector((0, 0), 0.0, bearing_deg=0),
        lambda: Box(east_m=0, north_m=0, length_m=0, width_m=1, bearing_deg=0),
    ],
)
def test_a_pattern_that_cannot_be_is_refused(make):
    with pytest.raises(ValueError, match=r"positive|least|no such box"):
        make()


def test_a_box_around_a_shape_lies_along_its_longer_side():
    shape = shapely.affinity.rotate(shapely.box(-4e3, -1e3, 4e3, 1e3), -30)

    box = Box.around(shape)

    assert (box.length_m, box.width_m) == pytest.approx((8e3, 2e3))
    assert box.bearing_deg == pytest.approx(120.0)


def test_waypoints_on_the_earth_are_as_far_apart_as_on_the_plane():
    plane = LocalPlane.at(Position(latitude_deg=36.0, longitude_deg=-5.3))
    pattern = expanding_square((0.0, 0.0), 1e3, legs=6, bearing_deg=45)

    places = pattern.positions(plane)

    apart = [inverse(a, b)[0] for a, b in pairwise(places)]
    assert apart == pytest.approx(legs(pattern).tolist(), rel=1e-4)


# -- several units ---------------------------------------------------------------------


def unit(name: str, knots: float, hours: float, width_m: float) -> SearchUnit:
    return SearchUnit(
        name=name,
        speed_mps=knots * KNOT,
        endurance_s=hours * 3600,
        sweep_width_m=width_m,
        sweep_source="crew's estimate",
    )


UNITS = [unit("boat", 15, 4, 900), unit("helicopter", 90, 1.5, 1800)]


@pytest.mark.parametrize("kind", [PatternKind.PARALLEL, PatternKind.CREEPING])
def test_units_share_an_area_equally_well_and_end_in_time(kind):
    box = Box(east_m=0, north_m=0, length_m=40e3, width_m=15e3, bearing_deg=20)

    parts = allocate(box, UNITS, kind)

    assert sum(part.box.size_m2 for part in parts) == pytest.approx(box.size_m2)
    covered = [part.coverage for part in parts]
    assert max(covered) / min(covered) < 1.25
    for part in parts:
        reach = part.unit.speed_mps * part.unit.endurance_s
        assert part.pattern.length_m <= reach * 1.1
        assert part.pod == detection(part.coverage)


@pytest.mark.parametrize(
    ("units", "kind"), [([], PatternKind.PARALLEL), (UNITS, PatternKind.SECTOR)]
)
def test_an_allocation_that_cannot_be_is_refused(units, kind):
    box = Box(east_m=0, north_m=0, length_m=1, width_m=1, bearing_deg=0)

    with pytest.raises(ValueError, match=r"needs a unit|does not divide"):
        allocate(box, units, kind)
