"""What one sensor says of one thing at one instant, with its error.

Angles are in the sensor's own frame: azimuth true, clockwise from north at the station;
elevation above the station's horizontal, so what floats has a negative one.
"""

from dataclasses import dataclass
from datetime import datetime

from almenara.core.ids import CameraId, LocalTrackId, ReceiverId
from almenara.core.values import Position
from almenara.detection import ObjectClass


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraObservation:
    """A thing that persists in one camera, as measured in one picture."""

    camera_id: CameraId
    local_track_id: LocalTrackId
    observed_at: datetime
    azimuth_deg: float
    azimuth_std_deg: float
    """Pixel noise alone; the pose's error is common to all and not in here."""

    elevation_deg: float
    """Of the waterline."""

    elevation_std_deg: float
    existence: float
    """Probability that this is a thing and no glint, in [0, 1]."""

    object_class: ObjectClass
    width_m: float | None = None
    """Seen across, at its range; None where the range means nothing."""

    box_px: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom in the picture it was seen in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AisObservation:
    """A position that a ship broadcast."""

    receiver_id: ReceiverId
    mmsi: int
    observed_at: datetime
    position: Position
    position_std_m: float
    speed_mps: float | None = None
    course_deg: float | None = None
    ship_name: str | None = None
    length_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarObservation:
    """A thing that one radar hears: azimuth and range at it."""

    radar_id: ReceiverId
    local_track_id: LocalTrackId
    """The radar's own track, or a chain of its plots."""

    observed_at: datetime
    origin: Position
    """Of the antenna."""

    azimuth_deg: float
    azimuth_std_deg: float
    range_m: float
    range_std_m: float
    existence: float
    is_last: bool = False
    """The radar gives this track up: what it says of the place is a prediction."""

    simulated: bool = False


Observation = CameraObservation | AisObservation | RadarObservation
