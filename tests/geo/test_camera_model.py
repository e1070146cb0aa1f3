from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.coast import Lens
from almenara.geo.camera_model import CameraModel
from almenara.geo.range_map import RangeMap
from almenara.geo.sea_surface import horizon_dip_deg, range_from_depression
from tests.tracking.coast import camera


def posed(**changes):
    one = camera()
    return replace(one, pose=replace(one.pose, **changes))


poses = st.builds(
    posed,
    azimuth_deg=st.floats(0.0, 359.999),
    tilt_deg=st.floats(-40.0, 20.0),
    roll_deg=st.floats(-10.0, 10.0),
)


@given(one=poses, x=st.floats(0.0, 1920.0), y=st.floats(0.0, 1080.0))
def test_pixels_and_directions_are_inverse(one, x: float, y: float):
    model = CameraModel.of(one)

    back = model.to_pixels(*model.to_angles([[x, y]]))

    assert back[0] == pytest.approx((x, y), abs=1e-6)


def test_the_middle_looks_along_the_boresight_and_the_edges_span_the_lens():
    model = CameraModel.of(posed(azimuth_deg=350.0, tilt_deg=0.0))
    azimuth, elevation = model.to_angles([[960, 540], [0, 540], [1920, 540]])

    assert azimuth == pytest.approx([350.0, 340.0, 0.0])
    assert elevation == pytest.approx([0.0, 0.0, 0.0])


def test_positive_roll_lowers_the_right_side_so_the_horizon_climbs_to_the_right():
    model = CameraModel.of(posed(roll_deg=2.0))
    left, right = model.horizon_row_px(np.array([0.0, 1920.0]))
    _, elevation = model.to_angles([[0, 540], [1920, 540]])

    assert right < left
    assert elevation[1] < elevation[0]


def test_what_is_behind_the_camera_has_no_pixel():
    model = CameraModel.of(posed(azimuth_deg=180.0))

    assert np.isnan(model.to_pixels(0.0, 0.0)).all()


@given(one=poses, x=st.floats(0.0, 1920.0))
def test_the_horizon_lies_at_its_dip_in_every_column(one, x: float):
    model = CameraModel.of(one)
    y = float(model.horizon_row_px(x))

    _, elevation = model.to_angles([[x, y]])

    assert elevation[0] == pytest.approx(-float(horizon_dip_deg(100.0)), abs=1e-7)


@pytest.mark.slow
def test_a_hundred_thousand_pixels_above_the_horizon_never_have_a_range():
    rng = np.random.default_rng(1)
    for _ in range(100):
        one = posed(
            azimuth_deg=rng.uniform(0, 360),
            tilt_deg=rng.uniform(-15, 15),
            roll_deg=rng.uniform(-5, 5),
            height_m=rng.uniform(3, 500),
        )
        model = CameraModel.of(one)
        xy = rng.uniform(0, 1, (1000, 2)) * [1920, 1080]
        above = xy[:, 1] < model.horizon_row_px(xy[:, 0])
        _, elevation = model.to_angles(xy)
        ranges_m = range_from_depression(-elevation, one.pose.height_m)
        assert np.isnan(ranges_m[above]).all()
        assert (ranges_m[~above & ~np.isnan(ranges_m)] > 0).all()


def test_a_field_of_view_that_no_lens_has_is_refused():
    one = replace(camera(), lens=Lens(width_px=100, height_px=100, hfov_deg=170.0))

    with pytest.raises(ValueError, match="field of view"):
        CameraModel.of(one)


def test_rows_above_the_horizon_cover_no_sea_and_the_others_do():
    rows = RangeMap.of(posed(tilt_deg=-1.0))
    horizon = int(rows.horizon_row_px)

    assert np.isnan(rows.range_m[:horizon]).all()
    below = slice(horizon + 1, None)
    for column in (rows.range_m, rows.across_m_per_px, rows.along_m_per_px):
        assert (column[below] > 0).all()
        assert (np.diff(column[below]) < 0).all()


def test_a_pixel_spans_its_angle_times_the_range():
    one = posed(tilt_deg=-1.0)
    rows = RangeMap.of(one)
    model = CameraModel.of(one)
    row = 800
    azimuth, _ = model.to_angles([[959.5, row + 0.5], [960.5, row + 0.5]])

    span = np.deg2rad(azimuth[1] - azimuth[0]) * rows.range_m[row]
    assert rows.across_m_per_px[row] == pytest.approx(span, rel=1e-6)
    edges = rows.range_m[row - 1] - rows.range_m[row + 1]
    assert rows.along_m_per_px[row] == pytest.approx(edges / 2, rel=1e-3)
