"""AIS messages to ``AisReport``: absent values become None, strange ones are refused.

pyais reads the bits; what a value means, and when it means nothing, is said here.

Source: ITU-R M.1371-5 annex 8 (messages 1-27), tables 46-84 for the values that stand
for *not available*.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import pyais
from pyais.exceptions import AISBaseException

from almenara.core.ais import DEVICES, AisReport
from almenara.core.ids import ReceiverId
from almenara.core.values import Position
from almenara.stations.nmea import Message

KNOT_MPS: Final = 1852 / 3600
REPORTED: Final = frozenset({1, 2, 3, 4, 5, 9, 11, 14, 18, 19, 21, 24, 27})
_MAX_LENGTH_M: Final = 600
_UNDEFINED: Final = 15
_AUXILIARY: Final = 98
"""First digits of a craft whose message 24 B names its parent, not its size."""


class _Fields(Protocol):
    """What a decoded message can be asked for."""

    msg_type: int
    mmsi: int | str


@dataclass(slots=True)
class AisCounters:
    """What became of the messages of one receiver."""

    decoded: int = 0
    undecodable: int = 0
    not_reported: int = 0
    """Decoded, of a type the watch has no use for."""


class AisDecoder:
    """Decodes the messages of one receiver; never raises."""

    def __init__(self, receiver_id: ReceiverId) -> None:
        self.counters = AisCounters()
        self._receiver_id = receiver_id

    def decode(self, message: Message, received_at: datetime) -> AisReport | None:
        """What the ship said; None if nobody can read it or needs it."""
        try:
            fields = pyais.decode(*message.sentences)
            report = self._report(fields, received_at)
        # Besides its own errors the library lets arithmetic ones of bad bits through.
        except (
            AISBaseException,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ):
            self.counters.undecodable += 1
            return None
        self.counters.decoded += 1
        if report is None:
            self.counters.not_reported += 1
        return report

    def _report(self, fields: _Fields, received_at: datetime) -> AisReport | None:
        kind = int(fields.msg_type)
        if kind not in REPORTED:
            return None
        mmsi = int(fields.mmsi)
        if not 0 < mmsi < 1_000_000_000:
            return None
        return AisReport(
            receiver_id=self._receiver_id,
            received_at=received_at,
            mmsi=mmsi,
            message_type=kind,
            position=_position(fields),
            accurate=bool(getattr(fields, "accuracy", False)),
            speed_mps=_speed(fields, kind),
            course_deg=_below(_number(fields, "course"), 360.0),
            heading_deg=_below(_number(fields, "heading"), 360.0),
            navigation_status=_status(_number(fields, "status"), mmsi),
            ship_name=_text(fields, "shipname") or _text(fields, "name"),
            ship_type=int(_number(fields, "ship_type") or 0) or None,
            length_m=_length(fields, mmsi, kind),
            text=_text(fields, "text") if kind == 14 else None,
        )


def _status(said: float | None, mmsi: int) -> int | None:
    """Of a ship 15 means *not defined*; a distress device says by it that it tests."""
    if said is None or (said == _UNDEFINED and mmsi // 1_000_000 not in DEVICES):
        return None
    return int(said)


def _number(fields: _Fields, name: str) -> float | None:
    value = getattr(fields, name, None)
    return None if value is None else float(value)


def _below(value: float | None, limit: float) -> float | None:
    return value if value is not None and 0.0 <= value < limit else None


def _position(fields: _Fields) -> Position | None:
    latitude, longitude = _number(fields, "lat"), _number(fields, "lon")
    if latitude is None or longitude is None:
        return None
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        return None
    return Position(latitude_deg=latitude, longitude_deg=longitude)


def _speed(fields: _Fields, kind: int) -> float | None:
    """Knots over ground; the last value of each field's range means *not available*."""
    absent = {9: 1023.0, 27: 63.0}.get(kind, 102.25)
    knots = _below(_number(fields, "speed"), absent)
    return None if knots is None else knots * KNOT_MPS


def _text(fields: _Fields, name: str) -> str | None:
    value = getattr(fields, name, None)
    if not isinstance(value, str):
        return None
    text = "".join(s for s in value.partition("@")[0] if s.isprintable()).strip()
    return text or None


def _length(fields: _Fields, mmsi: int, kind: int) -> float | None:
    if kind == 24 and mmsi // 10_000_000 == _AUXILIARY:
        return None
    bow, stern = _number(fields, "to_bow"), _number(fields, "to_stern")
    if bow is None or stern is None or not 0 < bow + stern <= _MAX_LENGTH_M:
        return None
    return bow + stern
