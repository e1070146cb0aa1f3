"""A small coast and a sea of boats with known truth, for tests of the fusion."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from almenara.core.coast import (
    Camera,
    Lens,
    Pose,
    Profile,
    Scene,
    SensorKind,
    Stream,
)
from almenara.core.ids import CameraId, LocalTrackId, ReceiverId, StationId, StreamId
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.geo.fix import sight
from almenara.geo.geodesy import LocalPlane
from almenara.geo.sea_surface import horizon_dip_deg
from almenara.tracking.observations import AisObservation, CameraObservation

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
TARIFA = Position(latitude_deg=36.0, longitude_deg=-5.61)


def camera(
    name: str = "tarifa-day",
    *,
    at: Position = TARIFA,
    height_m: float = 100.0,
    azimuth_deg: float = 180.0,
) -> Camera:
    return Camera(
        camera_id=CameraId(name),
        station_id=StationId(name.split("-", maxsplit=1)[0]),
        sensor=SensorKind.DAY,
        scene=Scene.SEA,
        pose=Pose(
            position=at,
            height_m=height_m,
            azimuth_deg=azimuth_deg,
            azimuth_std_deg=0.02,
            tilt_std_deg=0.005,
            height_std_m=0.3,
        ),
        lens=Lens(width_px=1920, height_px=1080, hfov_deg=20.0),
        streams=(
            Stream(
                stream_id=StreamId(name), profile=Profile.MAIN, url="rtsp://127.0.0.1/x"
            ),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Boat:
    east_m: float
    north_m: float
    east_mps: float = 0.0
    north_mps: float = 0.0

    def place(self, t_s: float, origin: Position = TARIFA) -> Position:
        return LocalPlane.at(origin).position(
            self.east_m + t_s * self.east_mps, self.north_m + t_s * self.north_mps
        )


@dataclass(kw_only=True)
class Watcher:
    """A camera whose pose is wrong by one draw for its whole life."""

    camera: Camera
    rng: np.random.Generator
    std_deg: float = 0.003
    azimuth_off_deg: float = 0.0
    elevation_off_deg: float = 0.0

    def see(self, place: Position, local: str, t_s: float) -> CameraObservation:
        azimuth, elevation, _ = sight(self.camera, place)
        if np.isnan(elevation):
            elevation = -float(horizon_dip_deg(self.camera.pose.height_m))
        noise = self.rng.normal(0.0, self.std_deg, 2)
        return CameraObservation(
            camera_id=self.camera.camera_id,
            local_track_id=LocalTrackId(f"{self.camera.camera_id}/{local}"),
            observed_at=NOON + timedelta(seconds=t_s),
            azimuth_deg=(azimuth + noise[0] + self.azimuth_off_deg) % 360.0,
            azimuth_std_deg=self.std_deg,
            elevation_deg=elevation + noise[1] + self.elevation_off_deg,
            elevation_std_deg=self.std_deg,
            existence=0.95,
            object_class=ObjectClass.SMALL_CRAFT,
            width_m=6.0,
        )


def broadcast(
    place: Position,
    t_s: float,
    *,
    mmsi: int = 224000001,
    speed_mps: float | None = None,
    course_deg: float | None = None,
    length_m: float = 15.0,
) -> AisObservation:
    return AisObservation(
        receiver_id=ReceiverId("ais-1"),
        mmsi=mmsi,
        observed_at=NOON + timedelta(seconds=t_s),
        position=place,
        position_std_m=10.0,
        speed_mps=speed_mps,
        course_deg=course_deg,
        ship_name="ALBORAN",
        length_m=length_m,
    )
