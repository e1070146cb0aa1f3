from dataclasses import replace

import numpy as np
import pytest

from almenara.core.coast import Scene
from almenara.geo.camera_model import CameraModel
from almenara.geo.fix import (
    elevation_bias_std_deg,
    elevation_slope_per_m,
    fix_from_angles,
    fix_from_pixel,
    needle,
    sight,
)
from almenara.geo.geodesy import LocalPlane, destination
from almenara.geo.sea_surface import depression_from_range, horizon_dip_deg
from tests.tracking.coast import camera

# docs/design/georeferencing.md, "Error budget": height m, range km, then metres along
# for 0.87, 0.2 and 0.05 mrad, for 0.5 m of level, and margin to the horizon in mrad.
BUDGET = [
    (50, 5, 450, 103, 26, 52, 6.67),
    (50, 10, 2_010, 462, 116, 116, 2.00),
    (50, 20, 15_070, 3_464, 866, 433, 0.18),
    (100, 10, 933, 214, 54, 54, 5.49),
    (100, 20, 4_761, 1_095, 274, 137, 1.16),
    (200, 10, 450, 103, 26, 26, 13.33),
    (200, 20, 2_010, 462, 116, 58, 4.01),
    (400, 20, 933, 214, 54, 27, 10.97),
]


@pytest.mark.parametrize("row", BUDGET)
def test_the_error_budget_is_that_of_the_table(row):
    height_m, range_km, *along_m, level_m, margin_mrad = row
    d = range_km * 1000.0
    slope = float(elevation_slope_per_m(d, height_m))
    for angle_mrad, expected_m in zip((0.87, 0.2, 0.05), along_m, strict=True):
        last_digit = 10 if expected_m > 2_000 and expected_m % 10 == 0 else 1
        error_m = angle_mrad / 1000 / slope
        assert error_m == pytest.approx(expected_m, abs=0.51 * last_digit)
    assert 0.5 / d / slope == pytest.approx(level_m, abs=0.51)
    margin = np.deg2rad(
        float(depression_from_range(d, height_m)) - float(horizon_dip_deg(height_m))
    )
    assert margin * 1000 == pytest.approx(margin_mrad, abs=0.0051)


def test_a_fix_and_a_sight_are_inverse():
    one = camera()
    boat = destination(one.pose.position, 200.0, 9_000.0)
    azimuth, elevation, range_m = sight(one, boat)

    fix = fix_from_angles(
        one, azimuth, elevation, azimuth_std_deg=0.003, elevation_std_deg=0.003
    )

    assert range_m == pytest.approx(9_000.0, abs=1e-3)
    assert fix.position is not None
    plane = LocalPlane.at(boat)
    off = plane.to_plane(fix.position.latitude_deg, fix.position.longitude_deg)
    assert np.abs(off).max() < 1e-3


def test_trap_b_the_waterline_counts_not_the_middle_of_the_box():
    """A boat two metres high, read at its middle, would stand some 100 m too far."""
    one = replace(camera(), pose=replace(camera().pose, tilt_deg=-1.0))
    boat = destination(one.pose.position, 180.0, 8_000.0)
    azimuth, elevation, _ = sight(one, boat)
    model = CameraModel.of(one)
    x, y = model.to_pixels(azimuth, elevation)[0]
    middle_up_px = np.rad2deg(1.0 / 8_000.0) / model.ifov_deg

    right = fix_from_pixel(one, x, y, std_px=0.3)
    wrong = fix_from_pixel(one, x, y - middle_up_px, std_px=0.3)

    assert right.range_m is not None
    assert wrong.range_m is not None
    assert right.range_m == pytest.approx(8_000.0, abs=0.1)
    assert wrong.range_m - right.range_m > 80.0


@pytest.mark.parametrize("above_deg", [0.0, 0.001, 0.5, 20.0])
def test_trap_c_at_and_above_the_horizon_there_is_a_bearing_alone(above_deg: float):
    one = camera()
    elevation = -float(horizon_dip_deg(100.0)) + above_deg

    fix = fix_from_angles(
        one, 370.0, elevation, azimuth_std_deg=0.003, elevation_std_deg=0.003
    )

    assert (fix.position, fix.range_m, fix.cov_m2) == (None, None, None)
    assert fix.azimuth_deg == 10.0
    assert fix.azimuth_std_deg > 0.02


def test_a_range_more_uncertain_than_a_fifth_of_itself_is_not_given():
    one = camera()
    elevation = -float(depression_from_range(12_000.0, 100.0))

    sharp = fix_from_angles(
        one, 180.0, elevation, azimuth_std_deg=0.003, elevation_std_deg=0.003
    )
    blurred = fix_from_angles(
        one, 180.0, elevation, azimuth_std_deg=0.003, elevation_std_deg=0.1
    )

    assert sharp.position is not None
    assert blurred.position is None


def test_uneven_land_makes_a_range_more_doubtful():
    sea, land = camera(), replace(camera(), scene=Scene.LAND)

    assert elevation_bias_std_deg(land, 2_000.0) > 5 * elevation_bias_std_deg(
        sea, 2_000.0
    )


def test_a_needle_points_where_the_camera_looks():
    ee, nn, en = needle(45.0, 100.0, 1.0)

    along = np.array([1.0, 1.0]) / np.sqrt(2)
    assert along @ np.array([[ee, en], [en, nn]]) @ along == pytest.approx(1e4)


@pytest.mark.slow
def test_fixes_err_as_much_as_they_say():
    """Mean NEES of 10 000 independent fixes: 1.961 to 2.039 in two dimensions."""
    one = replace(
        camera(), pose=replace(camera().pose, tilt_std_deg=0.002, height_std_m=0.01)
    )
    range_m = 4_000.0
    boat = destination(one.pose.position, 215.0, range_m)
    azimuth, elevation, _ = sight(one, boat)
    bias = float(elevation_bias_std_deg(one, range_m))
    rng = np.random.default_rng(7)
    plane = LocalPlane.at(boat)
    total = 0.0
    for _ in range(10_000):
        draw = rng.normal(size=2)
        fix = fix_from_angles(
            one,
            azimuth + draw[0] * float(np.hypot(0.002, one.pose.azimuth_std_deg)),
            elevation + draw[1] * float(np.hypot(0.002, bias)),
            azimuth_std_deg=0.002,
            elevation_std_deg=0.002,
        )
        assert fix.position is not None
        assert fix.cov_m2 is not None
        ee, nn, en = fix.cov_m2
        off = plane.to_plane(fix.position.latitude_deg, fix.position.longitude_deg)[0]
        total += off @ np.linalg.solve([[ee, en], [en, nn]], off)

    assert 1.961 < total / 10_000 < 2.039
