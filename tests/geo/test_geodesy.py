import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, StationFrame, destination, inverse

TARIFA = Position(latitude_deg=36.0, longitude_deg=-5.61)
CEUTA = Position(latitude_deg=35.8985, longitude_deg=-5.2865)


@pytest.mark.parametrize(
    ("start", "end", "length_m"),
    [
        (TARIFA, (35.9150, -5.4800), 15_049.5),
        (TARIFA, (35.8450, -5.5600), 17_780.6),
        (TARIFA, (35.8170, -5.7490), 23_869.1),
        (CEUTA, (36.0770, -5.4260), 23_463.5),
    ],
)
def test_baselines_across_the_strait_are_those_of_the_table(start, end, length_m):
    there = Position(latitude_deg=end[0], longitude_deg=end[1])

    assert round(inverse(start, there)[0], 1) == length_m


def test_azimuths_across_the_strait_are_those_of_the_table():
    cires = Position(latitude_deg=35.9150, longitude_deg=-5.4800)
    carnero = Position(latitude_deg=36.0770, longitude_deg=-5.4260)

    assert inverse(TARIFA, cires)[1] == pytest.approx(128.7685, abs=5e-5)
    assert inverse(CEUTA, carnero)[1] == pytest.approx(360 - 32.3805, abs=5e-5)


places = st.builds(
    Position,
    latitude_deg=st.floats(-80.0, 80.0),
    longitude_deg=st.floats(-180.0, 180.0),
)


@given(
    origin=places, east=st.floats(-100_000, 100_000), north=st.floats(-100_000, 100_000)
)
def test_the_plane_and_the_sea_are_inverse_anywhere(origin, east: float, north: float):
    plane = LocalPlane.at(origin)
    there = plane.position(east, north)

    back = plane.to_plane(there.latitude_deg, there.longitude_deg)[0]

    assert back == pytest.approx((east, north), abs=1e-3)


def test_trap_a_plane_north_is_not_station_north():
    """50 km east at 36° N the plane's y axis is 5.7 mrad off: 114 m at 20 km."""
    plane = LocalPlane.at(Position(latitude_deg=36.0, longitude_deg=-5.6))
    station = destination(plane.origin, 90.0, 50_000.0)
    boat = destination(station, 0.0, 20_000.0)
    here = plane.to_plane(station.latitude_deg, station.longitude_deg)[0]
    there = plane.to_plane(boat.latitude_deg, boat.longitude_deg)[0]

    off_mrad = np.arctan2(*(there - here)) * 1000
    assert off_mrad == pytest.approx(-5.70, abs=0.03)
    assert abs(off_mrad * 20) == pytest.approx(114, abs=1)

    azimuth, range_m = StationFrame.of(plane, station).look(there)
    assert (azimuth[0] + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-5)
    assert range_m[0] == pytest.approx(20_000.0, abs=0.5)


@given(
    azimuth=st.floats(0.0, 359.9),
    range_m=st.floats(100.0, 60_000.0),
    station=st.builds(
        Position,
        latitude_deg=st.floats(-70.0, 70.0),
        longitude_deg=st.sampled_from([-180.0, -179.9, -5.6, 0.0, 179.9]),
    ),
)
def test_trap_e_a_look_is_the_geodesic_round_the_compass_and_across_the_date_line(
    azimuth: float, range_m: float, station: Position
):
    boat = destination(station, azimuth, range_m)
    plane = LocalPlane.at(destination(station, 70.0, 30_000.0))

    seen, distance = StationFrame.of(plane, station).look(
        plane.to_plane(boat.latitude_deg, boat.longitude_deg)
    )

    assert 0.0 <= seen[0] < 360.0
    assert (seen[0] - azimuth + 180) % 360 - 180 == pytest.approx(0.0, abs=2e-5)
    assert distance[0] == pytest.approx(range_m, abs=1.0)


def test_velocities_turn_from_the_plane_to_true_north():
    plane = LocalPlane.at(Position(latitude_deg=36.0, longitude_deg=-5.6))
    turn = plane.turn_at([[50_000.0, 0.0]])[0]

    assert np.arctan2(*(turn @ [0.0, 1.0])) * 1000 == pytest.approx(5.70, abs=0.03)
