"""Figures of the domain that no other test of ``geo`` reproduces, and trap (d).

The tables of horizons, depressions, errors and baselines stand beside their functions.
"""

from datetime import timedelta

import numpy as np
import pytest

from almenara.geo.fix import REFRACTION_STD, elevation_slope_per_m
from almenara.geo.rows import is_steady, row_instant
from almenara.geo.sea_surface import (
    EARTH_RADIUS_M,
    EQUATOR_RADIUS_M,
    FLATTENING,
    REFRACTION_COEFFICIENT,
    depression_from_range,
    effective_radius,
    euler_radius_m,
    range_from_depression,
)
from tests.tracking.coast import NOON

RE_M = effective_radius()


def test_constants_are_those_of_the_domain():
    assert (EARTH_RADIUS_M, EQUATOR_RADIUS_M) == (6_371_008.8, 6_378_137.0)
    assert round(1 / FLATTENING, 9) == 298.257223563
    assert REFRACTION_COEFFICIENT == 1 / 7
    assert f"{effective_radius(1 / 7):.1f}" == "7432843.6"
    # Radar waves bend more: four thirds of the mean radius.
    assert f"{effective_radius(0.25):.1f}" == "8494678.4"


@pytest.mark.parametrize(("azimuth_deg", "costs_m"), [(0.0, -49), (90.0, 53)])
def test_the_mean_radius_instead_of_eulers_costs_what_the_domain_says(
    azimuth_deg, costs_m
):
    """50 m high, 20 km far, at 36° N."""
    local = euler_radius_m(36.0, azimuth_deg) * RE_M / EARTH_RADIUS_M
    seen = depression_from_range(20_000.0, 50.0, radius_m=local)
    taken_for_m = float(range_from_depression(seen, 50.0))

    assert f"{taken_for_m - 20_000.0:+.0f}" == f"{costs_m:+d}"


@pytest.mark.parametrize(
    ("height_m", "range_km", "error"),
    [(50, 1, "0.84"), (200, 1, "13.2"), (400, 1, "51.3"), (400, 10, "5.7")],
)
def test_the_small_angle_form_errs_as_the_domain_says(height_m, range_km, error):
    d = range_km * 1000.0
    alpha = np.deg2rad(depression_from_range(d, height_m))
    small = RE_M * (alpha - np.sqrt(alpha**2 - 2 * height_m / RE_M))

    assert f"{abs(small - d):.{len(error.partition('.')[2])}f}" == error


# height m, range km, then metres along for a refraction coefficient 0.1 off.
BENDING = [
    (50, 5, 20),
    (50, 10, 181),
    (50, 20, 2_719),
    (100, 10, 84),
    (100, 20, 859),
    (200, 10, 41),
    (200, 20, 363),
    (400, 20, 168),
]


@pytest.mark.parametrize(("height_m", "range_km", "along_m"), BENDING)
def test_refraction_is_worth_what_the_table_says(height_m, range_km, along_m):
    d = range_km * 1000.0
    slope = float(elevation_slope_per_m(d, height_m))

    assert f"{d * 0.1 / (2 * EARTH_RADIUS_M) / slope:.0f}" == str(along_m)
    assert REFRACTION_STD <= 0.1


def test_trap_d_a_row_is_worth_its_own_instant():
    """1080 rows in 20 ms: at 60 kn the lowest row is 0.6 m later than the first."""
    readout = timedelta(milliseconds=20)

    first = row_instant(NOON, 0.0, 1080, readout)
    last = row_instant(NOON, 1080.0, 1080, readout)

    assert (first, last - first) == (NOON, readout)
    assert row_instant(NOON, 540.0, 1080, readout) - NOON == readout / 2
    assert row_instant(NOON, 540.0, 1080, timedelta()) == NOON
    with pytest.raises(ValueError, match="row"):
        row_instant(NOON, 1081.0, 1080, readout)


def test_trap_d_a_head_that_accelerates_gives_no_fix():
    assert is_steady((0.0, 0.0), 0.2)
    assert is_steady((20.0, 20.05), 0.2)
    assert not is_steady((0.0, 5.0), 0.2)
    assert not is_steady((20.0, 0.0), 1.0)
    with pytest.raises(ValueError, match="no time"):
        is_steady((0.0, 0.0), 0.0)


def test_a_tenth_of_a_second_of_clock_is_three_metres_at_sixty_knots():
    assert f"{60 * 1852 / 3600 * 0.1:.1f}" == "3.1"
