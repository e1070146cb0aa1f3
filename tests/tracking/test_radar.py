"""Radar from report to track: alone, beside cameras and AIS, and with false echoes."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from almenara.core.coast import Radar
from almenara.core.ids import ReceiverId, StationId
from almenara.core.radar import RadarReport
from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, destination, inverse
from almenara.tracking.antenna import Antenna
from almenara.tracking.fusion import Fusion
from almenara.tracking.picture import TrackState
from almenara.tracking.plots import RadarSense
from tests.tracking.coast import NOON, TARIFA, Boat, Watcher, broadcast, camera

RADAR = Radar(
    receiver_id=ReceiverId("radar-1"),
    station_id=StationId("tarifa"),
    url="udp://192.0.2.7:8600",
    position=TARIFA,
    azimuth_std_deg=0.3,
    range_std_m=20.0,
)
BOAT = Boat(east_m=2000, north_m=-9000, east_mps=1.0, north_mps=2.0)
OTHER = Boat(east_m=-4000, north_m=-7000, east_mps=-2.0, north_mps=1.0)


@dataclass(kw_only=True)
class Turning:
    """An antenna that hears every boat every four seconds."""

    rng: np.random.Generator
    radar: Radar = RADAR

    def hear(self, place: Position, t_s: float, number: int | None) -> RadarReport:
        range_m, azimuth = inverse(self.radar.position, place)
        at = NOON + timedelta(seconds=t_s)
        return RadarReport(
            radar_id=self.radar.receiver_id,
            received_at=at,
            measured_at=at,
            track_number=number,
            azimuth_deg=(azimuth + self.rng.normal(0, self.radar.azimuth_std_deg))
            % 360,
            range_m=range_m + self.rng.normal(0, self.radar.range_std_m),
        )


def watched(boats, *, numbered: bool, turns: int = 15, seed: int = 1, fusion=None):
    fusion = fusion or Fusion([])
    sense, antenna = RadarSense(RADAR), Turning(rng=np.random.default_rng(seed))
    for t in range(0, 4 * turns, 4):
        reports = [
            antenna.hear(boat.place(t), t, n if numbered else None)
            for n, boat in enumerate(boats)
        ]
        fusion.observe(sense.observe(reports), NOON + timedelta(seconds=t))
    return fusion, NOON + timedelta(seconds=4 * (turns - 1))


@pytest.mark.parametrize("numbered", [True, False])
def test_boats_heard_by_radar_become_confirmed_tracks_near_the_truth(numbered):
    fusion, now = watched([BOAT, OTHER], numbered=numbered)
    tracks = fusion.picture(now).tracks

    assert len(tracks) == 2
    assert all(t.state is TrackState.CONFIRMED for t in tracks)
    for boat in (BOAT, OTHER):
        truth = boat.place(56)
        assert min(inverse(truth, t.position)[0] for t in tracks) < 60


def test_two_echoes_are_not_a_contact():
    fusion, now = watched([BOAT], numbered=True, turns=2)

    assert fusion.picture(now).tracks == ()


def test_a_boat_seen_by_radar_camera_and_ais_is_one_contact():
    model = camera()
    fusion = Fusion([model])
    sense, antenna = RadarSense(RADAR), Turning(rng=np.random.default_rng(3))
    watch = Watcher(camera=model, rng=np.random.default_rng(4))
    for t in range(0, 60, 2):
        now = NOON + timedelta(seconds=t)
        fusion.observe([watch.see(BOAT.place(t), "1", t)], now)
        if t % 4 == 0:
            fusion.observe(sense.observe([antenna.hear(BOAT.place(t), t, 7)]), now)
        if t % 10 == 0:
            fusion.observe(
                [broadcast(BOAT.place(t), t, speed_mps=2.24, course_deg=26.6)], now
            )
    (track,) = fusion.picture(NOON + timedelta(seconds=58)).tracks

    assert {look.sensor_id for look in track.looks} == {
        "tarifa-day",
        "ais-1",
        "radar-1",
    }


def test_radar_makes_a_needle_of_a_camera_a_place():
    model = camera()
    only, both = Fusion([model]), Fusion([model])
    sense, antenna = RadarSense(RADAR), Turning(rng=np.random.default_rng(3))
    for t in range(0, 40, 2):
        now = NOON + timedelta(seconds=t)
        look = Watcher(camera=model, rng=np.random.default_rng(t)).see(
            BOAT.place(t), "1", t
        )
        for fusion in (only, both):
            fusion.observe([look], now)
        both.observe(sense.observe([antenna.hear(BOAT.place(t), t, 7)]), now)
    at = NOON + timedelta(seconds=38)

    assert sum(both.picture(at).tracks[0].position_cov_m2[:2]) < 0.5 * sum(
        only.picture(at).tracks[0].position_cov_m2[:2]
    )


def test_clutter_that_jumps_about_founds_nothing():
    """Forty false plots a turn over 20 by 20 km for two minutes."""
    rng = np.random.default_rng(11)
    fusion, sense = Fusion([]), RadarSense(RADAR)
    founded = set()
    for t in range(0, 120, 4):
        at = NOON + timedelta(seconds=t)
        plots = [
            RadarReport(
                radar_id=RADAR.receiver_id,
                received_at=at,
                measured_at=at,
                azimuth_deg=float(rng.uniform(90, 270)),
                range_m=float(20_000 * np.sqrt(rng.uniform(0.01, 1))),
            )
            for _ in range(40)
        ]
        fusion.observe(sense.observe(plots), at)
        founded |= {t.track_id for t in fusion.picture(at).tracks}

    assert len(founded) <= 3


def test_a_track_that_the_radar_gives_up_says_nothing_more():
    fusion, now = watched([BOAT], numbered=True)
    sense = RadarSense(RADAR)
    before = fusion.picture(now).tracks[0]
    later = now + timedelta(seconds=4)
    last = RadarReport(
        radar_id=RADAR.receiver_id,
        received_at=later,
        measured_at=later,
        track_number=0,
        azimuth_deg=10.0,
        range_m=500.0,
        is_last=True,
    )
    fusion.observe(sense.observe([last]), later)

    assert fusion.picture(later).tracks[0].last_seen_at == before.last_seen_at


def test_what_a_radar_hears_on_land_is_no_contact():
    fusion = Fusion([], is_sea=lambda _: False)
    watched([BOAT], numbered=True, fusion=fusion)

    assert fusion.picture(NOON + timedelta(seconds=56)).tracks == ()


def test_an_offset_of_the_radars_north_is_taken_off():
    off = Radar(
        receiver_id=ReceiverId("radar-1"),
        station_id=StationId("tarifa"),
        url="tcp://192.0.2.7:8600",
        position=TARIFA,
        azimuth_offset_deg=-2.0,
    )
    report = Turning(rng=np.random.default_rng(1)).hear(BOAT.place(0), 0, 1)
    (plain,) = RadarSense(RADAR).observe([report])
    (turned,) = RadarSense(off).observe([report])

    assert (plain.azimuth_deg - turned.azimuth_deg) % 360 == pytest.approx(2.0)


def test_a_position_is_an_azimuth_and_a_range_at_the_radar():
    there = destination(TARIFA, 200.0, 12_000.0)
    report = RadarReport(
        radar_id=RADAR.receiver_id,
        received_at=NOON,
        measured_at=NOON,
        track_number=3,
        position=there,
    )
    (seen,) = RadarSense(RADAR).observe([report])

    assert seen.azimuth_deg == pytest.approx(200.0)
    assert seen.range_m == pytest.approx(12_000.0)


def test_slopes_of_an_echo_are_those_of_finite_differences():
    plane = LocalPlane.at(Position(latitude_deg=36.2, longitude_deg=-5.1))
    antenna = Antenna.of(TARIFA, plane)
    spot = np.array([[-30_000.0, -31_000.0]])
    slopes = antenna.echo(spot).slopes[0]
    for axis in (0, 1):
        step = np.zeros((1, 2))
        step[0, axis] = 1.0
        ahead, back = antenna.echo(spot + step).polar, antenna.echo(spot - step).polar
        assert (ahead - back)[0] / 2 == pytest.approx(slopes[:, axis], rel=1e-3)


def test_a_simulated_radar_makes_simulated_contacts():
    fusion = Fusion([], simulated=["radar-1"])
    watched([BOAT], numbered=True, fusion=fusion)
    at = NOON + timedelta(seconds=56)

    assert fusion.picture(at).tracks[0].simulated
    assert len(fusion.forget_simulated()) == 1


def test_the_same_echoes_give_the_same_picture():
    first, now = watched([BOAT, OTHER], numbered=False)
    second, _ = watched([BOAT, OTHER], numbered=False)

    assert first.picture(now) == second.picture(now)
