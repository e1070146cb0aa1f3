"""Every computed figure of the planner, to its last printed digit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.planning.baseline import crossing_error
from almenara.planning.coverage import (
    OPTICAL_RANGE,
    Limit,
    Task,
    air_range_m,
    critical_dimension_m,
    density_range_m,
    extinction_per_m,
    height_to_see_m,
    ifov_rad,
    pixel_range_m,
    range_for_task,
    task_probability,
    transmission,
)
from almenara.planning.revisit import Scan, looks_before_shore

KNOT_MPS = 1852 / 3600
SIDE_M = critical_dimension_m(7.0, 1.1)
BOW_M = critical_dimension_m(2.0, 1.1)
DETECT_RECOGNISE_IDENTIFY = (Task.DETECT, Task.RECOGNISE, Task.IDENTIFY)


def printed(value: float, digits: int) -> str:
    """A figure to so many significant digits, plainly."""
    if value == 0.0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):.{max(places, 0)}f}"


@pytest.mark.parametrize(
    ("baseline_km", "distance_km", "mrad", "along", "across"),
    [
        (10, 10, 0.5, "8.84", "4.42"),
        (10, 10, 2.0, "35.4", "17.7"),
        (20, 20, 0.5, "17.7", "8.84"),
        (5, 20, 0.5, "57.5", "7.18"),
        (5, 20, 2.0, "230", "28.7"),
    ],
)
def test_two_bearings_are_worth_what_the_table_says(
    baseline_km, distance_km, mrad, along, across
):
    found = crossing_error(baseline_km * 1000, distance_km * 1000, mrad / 1000)

    assert (printed(found.along_m, 3), printed(found.across_m, 3)) == (along, across)


def test_the_closed_form_is_what_four_thousand_crossings_show():
    b, d, std = 10_000.0, 10_000.0, 0.5e-3
    rng = np.random.default_rng(20260301)
    left, right = np.arctan2(d, b / 2) + rng.normal(0.0, std, (2, 4000))
    # Heights over the baseline of two lines from its ends.
    y = b / (1 / np.tan(left) + 1 / np.tan(right))
    x = y / np.tan(left) - b / 2
    found = crossing_error(b, d, std)

    assert y.std() == pytest.approx(found.along_m, rel=0.04)
    assert x.std() == pytest.approx(found.across_m, rel=0.04)


def test_stations_at_one_place_cross_nothing():
    with pytest.raises(ValueError, match="positive"):
        crossing_error(0.0, 1000.0, 1e-3)


@pytest.mark.parametrize(
    ("pitch_um", "focal_mm", "side", "bow", "density"),
    [
        (15, 300, ("27.7", "6.94", "4.34"), ("14.8", "3.71", "2.32"), "0.80"),
        (15, 600, ("55.5", "13.9", "8.67"), ("29.7", "7.42", "4.64"), "1.60"),
        (10, 850, ("117.9", "29.5", "18.4"), ("63.0", "15.8", "9.85"), "3.40"),
        (12, 100, ("11.6", "2.89", "1.81"), ("6.18", "1.55", "0.97"), "0.33"),
        (12, 225, ("26.0", "6.50", "4.06"), ("13.9", "3.48", "2.17"), "0.75"),
    ],
)
def test_pixel_ranges_are_those_of_the_table(pitch_um, focal_mm, side, bow, density):
    ifov = ifov_rad(pitch_um, focal_mm)
    for size_m, row in ((SIDE_M, side), (BOW_M, bow)):
        for task, shown in zip(DETECT_RECOGNISE_IDENTIFY, row, strict=True):
            places = len(shown.partition(".")[2])
            km = pixel_range_m(size_m, ifov, task) / 1000
            assert f"{km:.{places}f}" == shown, task
    assert f"{density_range_m(25, ifov) / 1000:.2f}" == density


def test_the_curve_of_the_task_is_that_of_the_table():
    chances = [task_probability(x, Task.DETECT) for x in (0.5, 1.0, 1.452, 2.0)]

    assert [f"{p:.3f}" for p in chances] == ["0.108", "0.500", "0.800", "0.945"]
    assert task_probability(0.0, Task.IDENTIFY) == 0.0


@pytest.mark.parametrize(
    ("visibility_km", "row"),
    [
        (5, ("0.0200", "0.0062", "0.0004", "0.00001", "0.0000")),
        (10, ("0.1414", "0.0786", "0.0200", "0.0028", "0.0002")),
        (23, ("0.4272", "0.3310", "0.1825", "0.0780", "0.0237")),
        (40, ("0.6132", "0.5296", "0.3761", "0.2306", "0.1163")),
    ],
)
def test_the_air_leaves_what_the_table_says(visibility_km, row):
    extinction = extinction_per_m(visibility_km * 1000)
    for range_km, shown in zip((5, 6.5, 10, 15, 22), row, strict=True):
        places = len(shown.partition(".")[2])
        assert f"{transmission(extinction, range_km * 1000):.{places}f}" == shown


def test_tenders_of_22_and_6_5_km_are_visibilities_of_32_and_9_4_km():
    per_visibility = air_range_m(extinction_per_m(1.0))

    assert f"{per_visibility:.3f}" == "0.692"
    assert f"{22 / per_visibility:.0f}" == "32"
    assert f"{6.5 / per_visibility:.1f}" == "9.4"


def test_a_visibility_says_by_which_contrast_it_was_measured():
    by_two, by_five = extinction_per_m(10e3), extinction_per_m(10e3, per=OPTICAL_RANGE)

    assert transmission(by_two, 10e3) == pytest.approx(0.02, rel=1e-3)
    assert transmission(by_five, 10e3) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(ValueError, match="visibility"):
        extinction_per_m(0.0)


def test_a_boat_one_metre_high_at_22_km_wants_a_camera_at_22_15_m():
    assert f"{height_to_see_m(1.0, 22_000.0):.2f}" == "22.15"
    assert height_to_see_m(1.0, 1000.0) == 0.0


def asked(**changes):
    return range_for_task(
        **{
            "camera_height_m": 100.0,
            "thing_height_m": 1.0,
            "critical_m": SIDE_M,
            "ifov": ifov_rad(15, 300),
            "task": Task.DETECT,
            "extinction": extinction_per_m(60_000.0),
            **changes,
        }
    )


def test_the_planner_names_what_binds():
    assert asked().binds is Limit.PIXELS
    assert asked(camera_height_m=5.0).binds is Limit.HORIZON
    assert asked(extinction=extinction_per_m(9400.0)).binds is Limit.AIR
    assert asked(extinction=extinction_per_m(9400.0)).range_m == pytest.approx(
        6507, abs=1
    )


def test_air_that_nobody_measured_is_said_to_be_unknown():
    best_case = asked(extinction=None)

    assert not best_case.air_known
    assert asked().air_known
    assert best_case.range_m >= asked().range_m


@settings(deadline=None)
@given(
    height_m=st.floats(1.0, 500.0),
    visibility_m=st.floats(100.0, 1e5),
    task=st.sampled_from(Task),
)
def test_a_range_is_never_farther_than_any_of_its_limits(height_m, visibility_m, task):
    found = asked(
        camera_height_m=height_m, extinction=extinction_per_m(visibility_m), task=task
    )

    assert found.air_m is not None
    assert found.range_m == min(found.horizon_m, found.pixels_m, found.air_m)


def test_contrast_below_the_least_is_never_seen():
    assert air_range_m(1e-4, inherent=0.02, least=0.02) == 0.0


@pytest.mark.parametrize(
    ("field_deg", "steps", "period_s", "worst_s"),
    [(1.2, 125, 375, 744), (2.0, 75, 225, 444), (4.0, 38, 114, 222)],
)
def test_scans_are_those_of_the_table(field_deg, steps, period_s, worst_s):
    scan = Scan(sector_deg=120.0, field_deg=field_deg)

    assert (scan.steps, scan.period_s, scan.worst_unseen_s) == (
        steps,
        period_s,
        worst_s,
    )


def test_a_field_as_wide_as_its_sector_looks_once():
    assert Scan(sector_deg=40.0, field_deg=40.0).steps == 1
    assert Scan(sector_deg=40.0, field_deg=60.0).worst_unseen_s == 0.0


def test_a_boat_at_sixty_knots_is_looked_at_twice_by_nine_in_ten_scans():
    speed = 60 * KNOT_MPS
    to_shore_s = 22_000 / speed

    assert f"{speed:.2f}" == "30.87"
    assert f"{375 * speed / 1000:.1f}" == "11.6"
    assert f"{to_shore_s / 375:.2f}" == "1.90"
    assert f"{looks_before_shore(2, 375.0, to_shore_s):.2f}" == "0.90"
    assert looks_before_shore(3, 375.0, to_shore_s) == 0.0
    assert looks_before_shore(0, 375.0, 0.0) == 1.0


def test_looks_before_shore_are_what_uniform_phases_show():
    period_s, to_shore_s = 375.0, 712.7
    phases = np.random.default_rng(1).uniform(0.0, period_s, 20_000)
    looks = np.floor((to_shore_s - phases) / period_s) + 1

    for k in (1, 2, 3):
        shown = (looks >= k).mean()
        assert shown == pytest.approx(
            looks_before_shore(k, period_s, to_shore_s), abs=0.01
        )


@pytest.mark.parametrize("bad", [{"field_deg": 0.0}, {"overlap": 1.0}])
def test_a_scan_that_never_ends_is_refused(bad):
    with pytest.raises(ValueError, match="no such scan"):
        Scan(**{"sector_deg": 90.0, "field_deg": 4.0, **bad})
