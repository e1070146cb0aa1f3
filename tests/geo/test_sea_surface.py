import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.geo.sea_surface import (
    depression_from_range,
    effective_radius,
    euler_radius_m,
    horizon_dip_deg,
    horizon_range_m,
    range_from_depression,
)

HEIGHTS_M = [10, 20, 30, 50, 100, 200, 400]
heights_m = st.floats(2.0, 800.0)

# docs/design/georeferencing.md, "Range and depression".
DEPRESSIONS_MRAD = {
    20: [20.064576, 4.336318, 2.672684, np.nan, np.nan],
    50: [50.025497, 10.335978, 5.672631, 3.845365, np.nan],
    100: [99.735255, 20.333544, 10.672288, 6.345302, 5.351364],
    200: [197.460241, 40.314493, 20.669752, 11.344906, 8.684539],
    400: [380.564367, 80.164189, 40.650297, 21.342164, 15.350237],
}
RANGES_M = np.array([1, 5, 10, 20, 30]) * 1000.0


def test_horizons_are_those_of_the_table():
    expected_km = [12.192, 17.243, 21.118, 27.263, 38.556, 54.526, 77.112]
    expected_mrad = [1.6404, 2.3198, 2.8412, 3.6679, 5.1872, 7.3358, 10.3743]

    assert np.round(horizon_range_m(HEIGHTS_M) / 1000, 3).tolist() == expected_km
    dip = np.deg2rad(horizon_dip_deg(HEIGHTS_M)) * 1000
    assert np.round(dip, 4).tolist() == expected_mrad


def test_a_boat_one_metre_high_disappears_where_the_table_says():
    gone_km = (horizon_range_m(HEIGHTS_M) + horizon_range_m(1.0)) / 1000

    assert np.round(gone_km, 3).tolist() == pytest.approx(
        [16.048, 21.098, 24.974, 31.119, 42.412, 58.382, 80.968], abs=1.1e-3
    )


@pytest.mark.parametrize("height_m", DEPRESSIONS_MRAD)
def test_depressions_are_those_of_the_table(height_m: int):
    mrad = np.deg2rad(depression_from_range(RANGES_M, height_m)) * 1000

    np.testing.assert_array_equal(np.round(mrad, 6), DEPRESSIONS_MRAD[height_m])


def test_radii_are_those_of_the_document():
    assert round(effective_radius(), 1) == 7_432_843.6
    assert np.round(euler_radius_m(36.0, [0.0, 90.0, 45.0]), 1).tolist() == [
        6_357_482.4,
        6_385_525.7,
        6_371_473.2,
    ]


@given(height_m=heights_m, fraction=st.floats(0.001, 0.999))
def test_there_and_back_is_less_than_a_millimetre(height_m: float, fraction: float):
    range_m = fraction * float(horizon_range_m(height_m))

    back = range_from_depression(depression_from_range(range_m, height_m), height_m)

    # At the very horizon an angle in double precision holds no millimetres.
    blur_m = 1e-15 / max(height_m / range_m**2 - 1 / (2 * effective_radius()), 1e-12)
    assert abs(float(back) - range_m) < 1e-3 + blur_m


@given(height_m=heights_m, elevation_deg=st.floats(0.0, 90.0))
def test_the_sky_has_no_range(height_m: float, elevation_deg: float):
    assert np.isnan(range_from_depression(-elevation_deg, height_m))


@given(height_m=heights_m, above_deg=st.floats(1e-9, 5.0))
def test_between_horizontal_and_horizon_there_is_no_range(
    height_m: float, above_deg: float
):
    dip_deg = float(horizon_dip_deg(height_m))

    assert np.isnan(range_from_depression(dip_deg - above_deg, height_m))


def test_farther_away_is_higher_in_the_picture():
    ranges_m = range_from_depression(np.linspace(0.2973, 60.0, 5000), 100.0)

    assert (np.diff(ranges_m) < 0).all()


def test_a_camera_under_water_is_refused():
    with pytest.raises(ValueError, match="height_m must be positive"):
        range_from_depression(1.0, -3.0)
