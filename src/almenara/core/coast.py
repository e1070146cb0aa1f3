"""What stands on the shore: stations, their cameras and receivers, and watch zones.

These are the values everybody needs to know of the fixed world: the drivers connect to
them, ``geo`` turns pixels into places with them, the console draws them, the simulator
builds a coast of them.
"""

from dataclasses import dataclass
from enum import StrEnum

from almenara.core.ids import CameraId, ReceiverId, StationId, StreamId, ZoneId
from almenara.core.values import Position


class StationKind(StrEnum):
    """Three classes, treated as equals."""

    TOWER = "tower"
    VEHICLE = "vehicle"
    TRIPOD = "tripod"


class SensorKind(StrEnum):
    """What a camera sees with."""

    DAY = "day"
    THERMAL = "thermal"


class Scene(StrEnum):
    """What a camera looks at; chooses the detection chain."""

    SEA = "sea"
    LAND = "land"


class Profile(StrEnum):
    """What a stream of a camera is for."""

    MAIN = "main"
    """Recorded, shown, and watched in bursts where there is no analysis profile."""

    ANALYSIS = "analysis"
    """Some five full pictures a second, for the watch alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a camera is and where it looks: a measurement, with its errors."""

    position: Position
    height_m: float
    """Above the sea now: terrain, mast and tide included."""

    azimuth_deg: float
    """Of the boresight, true, clockwise from north, in [0, 360)."""

    tilt_deg: float = 0.0
    """Elevation of the boresight; negative looks down."""

    roll_deg: float = 0.0
    """Positive when the camera's right side is low: the horizon climbs to the right."""

    azimuth_std_deg: float = 0.05
    tilt_std_deg: float = 0.01
    height_std_m: float = 0.5
    """Tide and waves included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """An ideal pinhole with square pixels, principal point in the middle."""

    width_px: int
    height_px: int
    hfov_deg: float
    """Horizontal field of view over the full width, in (0, 120]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One RTSP or file source of a camera."""

    stream_id: StreamId
    profile: Profile
    url: str
    """``rtsp://host:port/path`` or ``file:`` path; never holds a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One sensor with a picture."""

    camera_id: CameraId
    station_id: StationId
    sensor: SensorKind
    scene: Scene
    pose: Pose
    lens: Lens
    streams: tuple[Stream, ...]
    """Exactly one MAIN, at most one ANALYSIS."""

    watch_zone_px: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Polygons (x, y) in pixels to watch; empty means everything the scene allows."""

    def __post_init__(self) -> None:
        profiles = [stream.profile for stream in self.streams]
        if profiles.count(Profile.MAIN) != 1 or len(set(profiles)) != len(profiles):
            raise ValueError(f"{self.camera_id}: wants one main stream, has {profiles}")

    @property
    def main(self) -> Stream:
        """The stream that is recorded and shown."""
        return next(s for s in self.streams if s.profile is Profile.MAIN)

    @property
    def watched(self) -> Stream:
        """The stream the watch looks at."""
        analysis = (s for s in self.streams if s.profile is Profile.ANALYSIS)
        return next(analysis, self.main)


@dataclass(frozen=True, slots=True, kw_only=True)
class AisReceiver:
    """A source of NMEA sentences."""

    receiver_id: ReceiverId
    station_id: StationId
    url: str
    """``tcp://host:port``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radar:
    """A source of plots and tracks; its errors are measurements, like a pose's."""

    receiver_id: ReceiverId
    station_id: StationId
    url: str
    """``tcp://host:port`` or ``udp://host:port``: from that host, to that port here."""

    position: Position
    """Of the antenna."""

    azimuth_offset_deg: float = 0.0
    """Added to every azimuth: how far the radar's north is off."""

    azimuth_std_deg: float = 0.5
    range_std_m: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A mast, a vehicle or a tripod with its sensors."""

    station_id: StationId
    name: str
    kind: StationKind
    position: Position
    cameras: tuple[Camera, ...] = ()
    receivers: tuple[AisReceiver, ...] = ()
    radars: tuple[Radar, ...] = ()
    simulated: bool = False
    """Its pictures are made, not seen: everything derived from it says so."""

    @property
    def listeners(self) -> tuple["AisReceiver | Radar", ...]:
        """Its sensors without a picture."""
        return *self.receivers, *self.radars


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchZone:
    """A polygon in world coordinates that somebody watches."""

    zone_id: ZoneId
    name: str
    vertices: tuple[Position, ...]
    """At least three, not closed, simple, in either sense."""


class Direction(StrEnum):
    """Which way over a line counts, seen from its start to its end."""

    BOTH = "both"
    LEFTWARD = "leftward"
    RIGHTWARD = "rightward"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLine:
    """A line in world coordinates whose crossing is told."""

    line_id: ZoneId
    name: str
    start: Position
    end: Position
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Haven:
    """A harbour or an anchorage: where to land, meet, wait and start is ordinary."""

    haven_id: ZoneId
    name: str
    position: Position
    radius_m: float


Sensor = Camera | AisReceiver | Radar
"""Everything that sends something."""
