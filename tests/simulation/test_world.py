import numpy as np
import pytest

from almenara.core.values import Position
from almenara.geo.camera_model import CameraModel
from almenara.simulation import load_scenario
from almenara.simulation.geometry import (
    Eye,
    elevation_rad,
    horizon_range_m,
    moved,
    range_and_azimuth,
)
from almenara.simulation.world import state_at, sway_at, swell_at


def state_of(scenario, actor_id: str, time_s: float):
    return next(s for s in state_at(scenario, time_s) if s.thing_id == actor_id)


def test_horizon_and_depression_are_those_of_the_tables():
    assert horizon_range_m(50) == pytest.approx(27_263, abs=1)
    assert -1000 * elevation_rad(50, 5_000) == pytest.approx(10.335978, abs=2e-6)
    assert -1000 * elevation_rad(100, 20_000) == pytest.approx(6.345302, abs=2e-6)


def test_there_and_back():
    tarifa = Position(latitude_deg=36.0, longitude_deg=-5.61)

    range_m, azimuth_deg = range_and_azimuth(tarifa, moved(tarifa, 128.8, 15_000))

    assert (range_m, azimuth_deg) == pytest.approx((15_000, 128.8), abs=1e-5)


@pytest.mark.parametrize("name", ["strait", "one-boat"])
def test_the_simulator_and_the_watch_agree_where_a_direction_appears(name: str):
    for camera in load_scenario(name).cameras():
        eye, model = Eye(camera), CameraModel.of(camera)
        for azimuth in (-4.0, 0.0, 3.5):
            for elevation_deg in (-3.0, -0.4, 0.5):
                there = camera.pose.azimuth_deg + azimuth
                ours = eye.pixel(there, np.radians(elevation_deg))
                theirs = model.to_pixels(np.array([there]), np.array([elevation_deg]))

                assert ours == pytest.approx(tuple(theirs[0]), abs=0.01)


def test_a_boat_keeps_its_course_and_speed(one_boat):
    first, later = (state_of(one_boat, "boat", t) for t in (0.0, 30.0))

    range_m, azimuth_deg = range_and_azimuth(first.position, later.position)

    assert range_m == pytest.approx(30 * 3.5, abs=1e-3)
    assert azimuth_deg == pytest.approx(15.0, abs=1e-2)


def test_the_end_of_the_loop_is_its_beginning(one_boat):
    assert state_at(one_boat, 0.0) == state_at(one_boat, one_boat.loop_s)
    assert sway_at(one_boat, "faro", 0.0) == sway_at(one_boat, "faro", 40.0)
    ends = [swell_at(one_boat, "boat", t) for t in (0.0, 39.999)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)


@pytest.mark.parametrize("name", ["strait", "one-boat"])
def test_the_boat_comes_into_the_zone_early_in_the_loop(name: str):
    scenario = load_scenario(name)
    boat = next(a for a in scenario.actors if a.persons and a.ais is None)
    south = min(v.latitude_deg for v in scenario.zones[0].vertices)

    inside = [
        state_of(scenario, boat.actor_id, t).position.latitude_deg > south
        for t in (0, 5, 25)
    ]

    assert inside == [False, False, True]


def test_two_stations_see_the_boat_of_the_strait_for_the_whole_loop():
    scenario = load_scenario("strait")
    eyes = [
        Eye(c)
        for c in scenario.cameras()
        if c.camera_id in ("tarifa-day", "caleta-day")
    ]

    for time_s in range(0, 120, 7):
        place = state_of(scenario, "open-boat", time_s).position
        for eye in eyes:
            seen = eye.sees(place)
            assert seen is not None
            assert 0 < seen[0] < 1280
            assert 0 < seen[1] < 720
            assert 1_500 < seen[2] < 3_000
