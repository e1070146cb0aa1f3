"""What a ship says of itself, decoded from AIS; absent is None, never a magic number.

Source: ITU-R M.1371-5; the values that mean *absent* there (latitude 91, longitude 181,
SOG 102.3 kn, COG 360, heading 511) never get as far as this type.
"""

from dataclasses import dataclass
from datetime import datetime

from almenara.core.ids import ReceiverId
from almenara.core.values import Position

DEVICES = frozenset({970, 972, 974})
"""First three digits of an AIS-SART, a man-overboard device, an EPIRB-AIS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AisReport:
    """One decoded AIS message; a broadcast identity is public, and still audited."""

    receiver_id: ReceiverId
    received_at: datetime
    mmsi: int
    message_type: int
    position: Position | None = None
    accurate: bool = False
    """The accuracy flag: better than 10 m."""

    speed_mps: float | None = None
    course_deg: float | None = None
    heading_deg: float | None = None
    navigation_status: int | None = None
    ship_name: str | None = None
    ship_type: int | None = None
    length_m: float | None = None
    text: str | None = None
    """Of a safety-related broadcast (message 14)."""

    @property
    def is_distress_device(self) -> bool:
        """AIS-SART, man-overboard device or EPIRB-AIS, by its number."""
        return self.mmsi // 1_000_000 in DEVICES
