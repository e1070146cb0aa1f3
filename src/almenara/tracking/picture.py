"""The picture: every contact with its error, as rules judge and people see it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import CameraId, LocalTrackId, TrackId
from almenara.core.values import CountRange, Position
from almenara.detection import ObjectClass


class TrackState(StrEnum):
    """The life of a system track."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    COASTING = "coasting"
    """Not seen for a while; where it should be by now."""

    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorLook:
    """One sensor's last word on a contact."""

    sensor_id: str
    """A camera id or a receiver id."""

    seen_at: datetime
    local_track_id: LocalTrackId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemTrack:
    """One contact: where it is, how it moves, who says so, and how sure that is."""

    track_id: TrackId
    state: TrackState
    at: datetime
    """The instant of position and velocity."""

    first_seen_at: datetime
    last_seen_at: datetime
    """The last real measurement, not the last prediction."""

    position: Position
    position_cov_m2: tuple[float, float, float]
    """East variance, north variance, east-north covariance, square metres."""

    velocity_mps: tuple[float, float]
    """East, north."""

    velocity_cov: tuple[float, float, float]
    """East variance, north variance, covariance, (m/s)²."""

    existence: float
    object_class: ObjectClass
    looks: tuple[SensorLook, ...]
    mmsi: int | None = None
    ship_name: str | None = None
    length_m: float | None = None
    people: CountRange | None = None
    """None when no sensor resolves people: that is not the same as nobody."""

    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """A thing with a bearing and no honest range: drawn as a ray, never as a point."""

    camera_id: CameraId
    local_track_id: LocalTrackId
    observed_at: datetime
    origin: Position
    azimuth_deg: float
    azimuth_std_deg: float
    existence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All contacts at one instant."""

    at: datetime
    tracks: tuple[SystemTrack, ...]
    """Confirmed, coasting and lately lost; tentative ones stay inside the fusion."""

    rays: tuple[Ray, ...] = ()
