"""A coast that does not exist: who stands where, what sails by, and when it repeats.

A :class:`Scenario` is everything the simulator knows, in values. Motion is a list of
legs, so the world at any second is a pure function (``world``); the same scenario and
seed give the same pictures, the same AIS and the same truth. ``stations`` and ``zones``
say the part of it that a watch centre may know.

Source: docs/design/first-light.md, "Processes".
"""

import hashlib
import uuid
from dataclasses import dataclass
from enum import StrEnum

from almenara.core.coast import (
    AisReceiver,
    Camera,
    Lens,
    Pose,
    Profile,
    Scene,
    SensorKind,
    Station,
    StationKind,
    Stream,
    WatchZone,
)
from almenara.core.ids import CameraId, ReceiverId, StationId, StreamId
from almenara.core.values import CountRange, Position

_STREAMS = uuid.UUID("6f2b7c1e-2f0e-5d0b-9b4e-6d1f3f6f4c11")


class ActorKind(StrEnum):
    """What moves or floats; the first six are craft, the rest distracts."""

    INFLATABLE_4M = "inflatable_4m"
    OPEN_BOAT_7M = "open_boat_7m"
    RIB = "rib"
    WOODEN_14M = "wooden_14m"
    FERRY = "ferry"
    CARGO = "cargo"
    BUOY = "buoy"
    GULLS = "gulls"
    FLOAT = "float"


SMALL_CRAFT = frozenset(
    {
        ActorKind.INFLATABLE_4M,
        ActorKind.OPEN_BOAT_7M,
        ActorKind.RIB,
        ActorKind.WOODEN_14M,
    }
)
"""The kinds a watch wants to find; everything else is a distractor or a ship."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """From ``at_s`` on, the actor keeps this course and speed."""

    at_s: float
    course_deg: float
    speed_mps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ais:
    """What the actor broadcasts of itself."""

    mmsi: int
    name: str
    ship_type: int
    class_b: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One thing on the water or above it."""

    actor_id: str
    kind: ActorKind
    start: Position
    legs: tuple[Leg, ...]
    """Ascending in time, the first at 0."""

    ais: Ais | None = None
    persons: CountRange | None = None
    count: int = 1
    """Of a flock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Sea, air and light of the whole coast."""

    wind_mps: float = 6.0
    wind_from_deg: float = 250.0
    visibility_km: float = 25.0
    """Meteorological, at 2 % contrast (Koschmieder)."""

    sun_azimuth_deg: float = 220.0
    sun_elevation_deg: float = 35.0
    sea_temperature_c: float = 18.0
    sway_deg: float = 0.002
    """Standard deviation of the masts' motion about each axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarCoast:
    """Land behind the sea: hazy hills that never move."""

    range_km: float
    height_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCamera:
    """A camera and how its pictures are coded."""

    camera_id: CameraId
    sensor: SensorKind
    azimuth_deg: float
    tilt_deg: float
    hfov_deg: float
    width_px: int
    height_px: int
    fps: int
    bitrate_kbps: int
    analysis_fps: int | None = None
    """Of a second stream for the watch; divides ``fps``."""

    analysis_kbps: int = 1500
    far_coast: FarCoast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStation:
    """A place on the shore with cameras, and perhaps an AIS receiver."""

    station_id: StationId
    name: str
    kind: StationKind
    position: Position
    height_m: float
    """Of the cameras above the sea."""

    has_ais: bool
    cameras: tuple[SimulatedCamera, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One coast and ``loop_s`` seconds of its life, repeated for ever."""

    name: str
    seed: int
    loop_s: int
    weather: Weather
    stations: tuple[SimulatedStation, ...]
    zones: tuple[WatchZone, ...]
    actors: tuple[Actor, ...]
    hero: CameraId
    """The camera whose pictures are made first."""

    def cameras(self) -> tuple[Camera, ...]:
        """Every camera without addresses, the hero first."""
        found = [
            _camera(self, station, camera, port=0)
            for station in self.stations
            for camera in station.cameras
        ]
        return tuple(sorted(found, key=lambda camera: camera.camera_id != self.hero))

    def camera(self, camera_id: CameraId) -> tuple[SimulatedStation, SimulatedCamera]:
        """The camera's settings and its station.

        Raises:
            KeyError: This scenario has no such camera.
        """
        for station in self.stations:
            for camera in station.cameras:
                if camera.camera_id == camera_id:
                    return station, camera
        raise KeyError(camera_id)

    def picture_key(self, camera_id: CameraId, version: str) -> str:
        """Name of everything that decides what the camera sees, as hexadecimal digits.

        Args:
            camera_id: One of this scenario's cameras.
            version: Of the renderer; another version makes other pictures.
        """
        station, camera = self.camera(camera_id)
        said = (
            version,
            self.seed,
            self.loop_s,
            self.weather,
            (station.position, station.height_m),
            camera,
            self.actors,
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()[:20]


def stream_id(scenario: Scenario, camera_id: CameraId, profile: Profile) -> StreamId:
    """The same uuid in every run of the same scenario."""
    return StreamId(str(uuid.uuid5(_STREAMS, f"{scenario.name}/{camera_id}/{profile}")))


def stations(scenario: Scenario, rtsp_port: int, ais_port: int) -> tuple[Station, ...]:
    """What a watch centre must know of the simulated coast to connect to it."""
    return tuple(_station(scenario, s, rtsp_port, ais_port) for s in scenario.stations)


def zones(scenario: Scenario) -> tuple[WatchZone, ...]:
    """The zones that the scenario's centre watches."""
    return scenario.zones


def _station(
    scenario: Scenario, station: SimulatedStation, rtsp_port: int, ais_port: int
) -> Station:
    receivers = (
        AisReceiver(
            receiver_id=ReceiverId(f"{station.station_id}-ais"),
            station_id=station.station_id,
            url=f"tcp://127.0.0.1:{ais_port}",
        ),
    )
    return Station(
        station_id=station.station_id,
        name=station.name,
        kind=station.kind,
        position=station.position,
        cameras=tuple(
            _camera(scenario, station, c, port=rtsp_port) for c in station.cameras
        ),
        receivers=receivers if station.has_ais else (),
        simulated=True,
    )


def _camera(
    scenario: Scenario, station: SimulatedStation, camera: SimulatedCamera, *, port: int
) -> Camera:
    root = f"rtsp://127.0.0.1:{port}/{camera.camera_id}"
    paths = {Profile.MAIN: root}
    if camera.analysis_fps is not None:
        paths[Profile.ANALYSIS] = f"{root}/analysis"
    return Camera(
        camera_id=camera.camera_id,
        station_id=station.station_id,
        sensor=camera.sensor,
        scene=Scene.SEA,
        pose=Pose(
            position=station.position,
            height_m=station.height_m,
            azimuth_deg=camera.azimuth_deg,
            tilt_deg=camera.tilt_deg,
        ),
        lens=Lens(
            width_px=camera.width_px,
            height_px=camera.height_px,
            hfov_deg=camera.hfov_deg,
        ),
        streams=tuple(
            Stream(
                stream_id=stream_id(scenario, camera.camera_id, profile),
                profile=profile,
                url=url,
            )
            for profile, url in paths.items()
        ),
    )
