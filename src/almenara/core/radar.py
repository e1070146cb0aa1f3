"""What a radar says of one thing, decoded; absent is None, never a magic number.

Source: EUROCONTROL ASTERIX parts 4, 7 and 9; IEC 61162-1 (TTM, TLL).
"""

from dataclasses import dataclass
from datetime import datetime

from almenara.core.ids import ReceiverId
from almenara.core.values import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarReport:
    """One plot, or one update of the radar's own track.

    Either azimuth and range at the radar, or a position, or both.
    """

    radar_id: ReceiverId
    received_at: datetime
    measured_at: datetime
    """By the radar's own clock where that is believable, else when it came."""

    track_number: int | None = None
    """The radar's own; None for a plot."""

    azimuth_deg: float | None = None
    """True, clockwise from north, at the radar, in [0, 360)."""

    range_m: float | None = None
    position: Position | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    is_last: bool = False
    """The radar gives this track up."""

    simulated: bool = False
