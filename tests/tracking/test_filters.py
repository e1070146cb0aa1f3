import numpy as np
import pytest

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, destination
from almenara.tracking.eyes import Eye, apart
from almenara.tracking.filters import Belief, carry, noise, predict, step, update
from tests.tracking.coast import TARIFA, camera

NO_BIAS = np.zeros((4, 0))


def test_an_update_without_common_errors_is_the_textbook_kalman_filter():
    cov = np.diag([100.0, 400.0, 4.0, 4.0])
    h = np.eye(2, 4)
    belief = update(
        Belief(x=np.zeros(4), cov=cov, cross=NO_BIAS),
        np.array([10.0, 10.0]),
        h,
        np.diag([100.0, 100.0]),
    )

    assert belief.x == pytest.approx([5.0, 8.0, 0.0, 0.0])
    assert np.diag(belief.cov) == pytest.approx([50.0, 80.0, 4.0, 4.0])


def test_a_considered_error_is_never_averaged_away():
    """Against the full filter's floor: after many looks the bias variance remains."""
    belief = Belief(
        x=np.zeros(4), cov=np.diag([1e6, 1e6, 0, 0]), cross=np.zeros((4, 2))
    )
    h_bias = np.diag([30.0, 20.0])
    for _ in range(10_000):
        belief = update(
            belief, np.zeros(2), np.eye(2, 4), np.diag([1.0, 1.0]), h_bias=h_bias
        )

    assert belief.cov[0, 0] == pytest.approx(30.0**2, rel=0.01)
    assert belief.cov[1, 1] == pytest.approx(20.0**2, rel=0.01)


def test_a_second_camera_helps_where_the_first_is_biased():
    belief = Belief(
        x=np.zeros(4), cov=np.diag([1e6, 1e6, 0, 0]), cross=np.zeros((4, 2))
    )
    one, two = np.array([[30.0, 0.0]]), np.array([[0.0, 30.0]])
    for bias in [one, two] * 500:
        belief = update(
            belief, np.zeros(1), np.eye(1, 4), np.array([[1.0]]), h_bias=bias
        )

    assert belief.cov[0, 0] == pytest.approx(30.0**2 / 2, rel=0.02)


def test_two_steps_are_one_long_step():
    dt = np.array([2.0])
    q = np.array([0.05])
    x, cov = np.array([[1.0, 2.0, 3.0, 4.0]]), np.eye(4)[None]

    twice = predict(*predict(x, cov, dt, q), dt, q)
    once = predict(x, cov, 2 * dt, q)

    assert twice[0] == pytest.approx(once[0])
    assert twice[1] == pytest.approx(once[1])


def test_going_back_in_time_never_makes_anything_surer():
    noise_back = noise(np.array([-3.0]), np.array([4.0]))[0]

    assert np.linalg.eigvalsh(noise_back).min() > -1e-9
    assert step(np.array([-3.0]))[0] @ step(np.array([3.0]))[0] == pytest.approx(
        np.eye(4)
    )
    assert np.abs(carry(np.ones((4, 2)), -60.0)[2:]).max() < 1.0


def test_slopes_are_those_of_finite_differences():
    eye = Eye.of(camera(), LocalPlane.at(TARIFA), 0)
    place = np.array([[2500.0, -7000.0]])
    sight = eye.sight(place)
    for axis in (0, 1):
        moved = place.copy()
        moved[0, axis] += 1.0
        measured = eye.sight(moved).angles[0] - sight.angles[0]
        assert sight.slopes[0][:, axis] == pytest.approx(measured, rel=2e-3, abs=1e-10)


def test_slopes_hold_for_a_station_whose_north_is_not_the_planes():
    station = destination(TARIFA, 90.0, 50_000.0)
    eye = Eye.of(camera(at=station), LocalPlane.at(TARIFA), 0)
    place = eye.frame.foot_m[None] + [[0.0, -7000.0]]
    sight = eye.sight(place)
    for axis in (0, 1):
        moved = place.copy()
        moved[0, axis] += 1.0
        measured = eye.sight(moved).angles[0] - sight.angles[0]
        assert sight.slopes[0][:, axis] == pytest.approx(measured, rel=2e-3, abs=3e-8)


def test_beyond_the_horizon_the_elevation_says_nothing_of_range():
    low = camera(height_m=10.0)
    sight = Eye.of(low, LocalPlane.at(TARIFA), 0).sight(np.array([[0.0, -30_000.0]]))

    assert sight.slopes[0, 1] == pytest.approx([0.0, 0.0])
    assert sight.angles[0, 1] == pytest.approx(-1.6404e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("base_km", "far_km", "mrad", "along_m", "across_m"),
    [(10, 10, 0.5, 8.84, 4.42), (20, 20, 0.5, 17.7, 8.84), (5, 20, 2.0, 230, 28.7)],
)
def test_two_bearings_are_worth_what_the_closed_form_says(
    base_km, far_km, mrad, along_m, across_m
):
    plane = LocalPlane.at(Position(latitude_deg=36.0, longitude_deg=-5.6))
    boat = np.array([[0.0, -far_km * 1000.0]])
    belief = Belief(x=np.zeros(4), cov=np.diag([1e10, 1e10, 1, 1]), cross=NO_BIAS)
    for east in (-base_km * 500.0, base_km * 500.0):
        station = plane.position(east, 0.0)
        sight = Eye.of(camera(at=station), plane, 0).sight(boat)
        row = np.hstack([sight.slopes[0, :1], np.zeros((1, 2))])
        noise_az = np.array([[(mrad / 1000) ** 2]])
        belief = update(belief, np.zeros(1), row, noise_az)

    std = np.sqrt(np.diag(belief.cov))
    assert std[1] == pytest.approx(along_m, rel=0.01)
    assert std[0] == pytest.approx(across_m, rel=0.01)


def test_bearings_on_either_side_of_south_are_close():
    off = apart(np.array([np.pi - 0.01, 0.2]), np.array([-np.pi + 0.02, 0.1]))

    assert off == pytest.approx([-0.03, 0.1])
