"""Contacts and situations made to order, for tests of the rules."""

from dataclasses import replace
from datetime import datetime, timedelta

from almenara.core.coast import WatchZone
from almenara.core.ids import AlarmId, LocalTrackId, TrackId, ZoneId
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.geo.geodesy import LocalPlane
from almenara.incidents.shore import NearestShore, Shore
from almenara.incidents.situation import Situation
from almenara.tracking.picture import Picture, SensorLook, SystemTrack, TrackState

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
ORIGIN = Position(latitude_deg=36.0, longitude_deg=-5.6)
PLANE = LocalPlane.at(ORIGIN)


def place(east_m: float, north_m: float) -> Position:
    return PLANE.position(east_m, north_m)


def ring(west: float, south: float, east: float, north: float) -> tuple[Position, ...]:
    corners = [(west, south), (east, south), (east, north), (west, north)]
    return tuple(place(e, n) for e, n in corners)


# Land north of the origin's parallel; the sea is south of it.
SHORE = Shore.of([ring(-50_000, 0, 50_000, 20_000)])
ZONE = WatchZone(
    zone_id=ZoneId("z1"), name="Bolonia", vertices=ring(-2000, -4000, 2000, -1000)
)


def track(
    t_s: float,
    *,
    east_m: float = 0.0,
    north_m: float = -8000.0,
    velocity: tuple[float, float] = (0.0, 0.0),
    std_m: float = 20.0,
    speed_std: float = 0.2,
    **changes,
) -> SystemTrack:
    """A boat that was at (east, north) at noon and has moved for ``t_s`` since."""
    at = NOON + timedelta(seconds=t_s)
    made = SystemTrack(
        track_id=TrackId("T1"),
        state=TrackState.CONFIRMED,
        at=at,
        first_seen_at=NOON,
        last_seen_at=at,
        position=place(east_m + velocity[0] * t_s, north_m + velocity[1] * t_s),
        position_cov_m2=(std_m**2, std_m**2, 0.0),
        velocity_mps=velocity,
        velocity_cov=(speed_std**2, speed_std**2, 0.0),
        existence=0.95,
        object_class=ObjectClass.SMALL_CRAFT,
        looks=(
            SensorLook(
                sensor_id="tarifa-day", seen_at=at, local_track_id=LocalTrackId("a/1")
            ),
        ),
        length_m=7.0,
    )
    return replace(made, **changes)


def picture(*tracks: SystemTrack, at: datetime | None = None) -> Picture:
    return Picture(at=at or tracks[0].at, tracks=tracks)


def situation(**changes) -> Situation:
    made = Situation(
        track_id=TrackId("T1"),
        at=NOON,
        position=place(0, -8000),
        position_std_m=50.0,
        speed_mps=2.5,
        speed_std_mps=0.2,
        course_deg=0.0,
        object_class=ObjectClass.SMALL_CRAFT,
        length_m=7.0,
        has_ais=False,
        mmsi=None,
        people=None,
        existence=0.95,
        sensors=("tarifa-day",),
        shore=NearestShore(distance_m=8000.0, bearing_deg=0.0),
    )
    return replace(made, **changes)


def numbered():
    """Names for new alarms: A1, A2 and so on."""
    names = iter(range(1, 1000))
    return lambda: AlarmId(f"A{next(names)}")
