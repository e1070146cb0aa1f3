import math

import cv2
import numpy as np
import pytest

from almenara.core.coast import SensorKind
from almenara.simulation import Scenario
from almenara.simulation.geometry import Eye, range_and_azimuth
from almenara.simulation.render import Renderer
from almenara.simulation.scenario import SMALL_CRAFT
from almenara.simulation.truth import picture_line

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["faro-day", "faro-thermal"])
def renderer(request, one_boat) -> Renderer:
    return Renderer(one_boat, request.param)


def test_same_seed_same_picture(one_boat: Scenario, renderer: Renderer):
    other = Renderer(one_boat, renderer.camera.camera_id)
    other.picture(3)

    assert np.array_equal(renderer.picture(7).luma, other.picture(7).luma)


def test_the_horizon_is_where_the_truth_says(renderer: Renderer):
    luma = renderer.picture(0).luma.astype(float)
    row = renderer.eye.horizon_rows()[0]
    step = np.abs(np.diff(np.median(luma, axis=1)))

    strongest = int(np.argmax(step[round(row) - 15 : round(row) + 16])) - 15
    # By day the haze softens it: 29 km of air.
    hazy = renderer.camera.sensor is SensorKind.DAY
    assert abs(strongest) <= (8 if hazy else 2)


def test_the_sea_moves_and_the_sky_does_not(renderer: Renderer):
    first, later = (renderer.picture(n).luma.astype(float) for n in (0, 15))
    row = round(renderer.eye.horizon_rows()[0])
    moved = np.abs(cv2.blur(first, (5, 5)) - cv2.blur(later, (5, 5)))

    assert moved[-60:].mean() > 2 * moved[: row - 8].mean()


def test_the_loop_has_no_seam(renderer: Renderer):
    count = 40 * renderer.fps
    last, first, second = (
        renderer.picture(n).luma[-40:].astype(float) for n in (count - 1, count, 1)
    )

    seam, usual = np.abs(first - last).mean(), np.abs(second - first).mean()
    assert seam < 1.2 * usual


def test_the_truth_of_a_boat_is_its_place(renderer: Renderer):
    for number in (0, 200, 399):
        picture = renderer.picture(number)
        (boat,) = (t for t in picture.things if t.state.thing_id == "boat")
        assert boat.waterline is not None
        pose, lens = renderer.camera.pose, renderer.camera.lens
        # Back from the pixel: small angles, flat ray, then the sphere.
        x = (boat.waterline[0] - lens.width_px / 2) / renderer.eye.focal_px
        y = (boat.waterline[1] - lens.height_px / 2) / renderer.eye.focal_px
        tilt = math.radians(pose.tilt_deg + picture.attitude.tilt_deg)
        up = math.sin(tilt) - y * math.cos(tilt)
        level = math.cos(tilt) + y * math.sin(tilt)
        azimuth = pose.azimuth_deg + math.degrees(math.atan2(x, level))
        azimuth += picture.attitude.pan_deg
        down = math.atan2(-up, math.hypot(level, x))
        radius = 7_432_843.6
        half = math.sin(down / 2) ** 2 - pose.height_m / 2 / radius * math.cos(down)
        range_m = radius * (down - 2 * math.asin(math.sqrt(half)))
        true = range_and_azimuth(pose.position, boat.state.position)
        assert (range_m, azimuth) == pytest.approx(true, abs=0.05)
        assert range_m == pytest.approx(boat.range_m, abs=0.05)


def test_a_boat_stands_out_inside_its_box(renderer: Renderer):
    picture = renderer.picture(100)
    (boat,) = (t for t in picture.things if t.state.thing_id == "boat")
    left, top, right, bottom = (round(v) for v in boat.box)
    inside = picture.luma[top:bottom, left:right].astype(float).mean()
    beside = picture.luma[top:bottom, left - 30 : left - 5].astype(float).mean()

    assert abs(inside - beside) > 8
    assert np.sign(inside - beside) == np.sign(boat.contrast)


def test_distractors_are_never_what_is_looked_for(renderer: Renderer):
    line = picture_line(renderer.eye, 0, renderer.picture(0))

    assert '"class":"gulls"' in line
    assert '"class":"open_boat_7m"' in line
    for part in line.split('{"id":')[1:]:
        distracts = '"class":"gulls"' in part or '"class":"buoy"' in part
        assert ('"target":false' in part) == distracts
    assert "gulls" not in {k.value for k in SMALL_CRAFT}


def test_a_hull_behind_the_horizon_has_no_waterline(one_boat: Scenario):
    eye = Eye(one_boat.cameras()[0])

    assert eye.horizon_m == pytest.approx(29_865, abs=5)
