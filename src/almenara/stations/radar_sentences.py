"""What navigation radars say in NMEA 0183: TTM and TLL to radar reports.

TTM gives range and bearing from the radar, TLL a position. A bearing relative to a bow
means nothing on a mast without a heading, so it is counted and left out, as is a track
that the radar calls lost.

Source: IEC 61162-1, sentences TTM and TLL.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from almenara.core.ids import ReceiverId
from almenara.core.radar import RadarReport
from almenara.core.values import Position
from almenara.stations.nmea import split_tag

_UNIT_M: Final = {b"K": 1000.0, b"N": 1852.0, b"S": 1609.344}
_CLOCK_APART_S: Final = 30.0
_DAY_S: Final = 86_400.0
_TTM_FIELDS: Final = 13
_TLL_FIELDS: Final = 9


@dataclass(slots=True)
class SentenceCounters:
    """What became of a radar's sentences."""

    read: int = 0
    ignored: int = 0
    """Other sentences, lost tracks, relative bearings and what makes no sense."""


class RadarSentences:
    """Reads checked sentences of one radar; never raises."""

    def __init__(self, radar_id: ReceiverId) -> None:
        self.counters = SentenceCounters()
        self._radar_id = radar_id

    def read(self, line: bytes, received_at: datetime) -> RadarReport | None:
        """The report in a line of ``SentenceReader``; None if it holds none."""
        _, sentence = split_tag(line)
        fields = sentence.partition(b"*")[0].split(b",")
        kind = fields[0][-3:]
        try:
            report = None
            if kind == b"TTM" and len(fields) >= _TTM_FIELDS:
                report = self._ttm(fields, received_at)
            elif kind == b"TLL" and len(fields) >= _TLL_FIELDS:
                report = self._tll(fields, received_at)
        except (ValueError, KeyError):
            report = None
        if report is None:
            self.counters.ignored += 1
        else:
            self.counters.read += 1
        return report

    def _ttm(self, fields: list[bytes], received_at: datetime) -> RadarReport | None:
        number, distance, bearing, reference, speed, course, course_by = fields[1:8]
        unit_m = _UNIT_M[fields[10]]
        status = fields[12]
        if reference != b"T" or status == b"L":
            return None
        known = bool(speed and course) and course_by == b"T"
        return RadarReport(
            radar_id=self._radar_id,
            received_at=received_at,
            measured_at=_instant(fields[14:15], received_at),
            track_number=int(number),
            azimuth_deg=_within(float(bearing), 360.0) % 360.0,
            range_m=_within(float(distance), 200_000.0 / unit_m) * unit_m,
            speed_mps=_within(float(speed), 1000.0) * unit_m / 3600.0
            if known
            else None,
            course_deg=_within(float(course), 360.0) % 360.0 if known else None,
        )

    def _tll(self, fields: list[bytes], received_at: datetime) -> RadarReport | None:
        if fields[8] == b"L":
            return None
        latitude = _degrees(fields[2], fields[3], b"N", b"S")
        longitude = _degrees(fields[4], fields[5], b"E", b"W")
        return RadarReport(
            radar_id=self._radar_id,
            received_at=received_at,
            measured_at=_instant(fields[7:8], received_at),
            track_number=int(fields[1]),
            position=Position(latitude_deg=latitude, longitude_deg=longitude),
        )


def _within(value: float, most: float) -> float:
    if not 0.0 <= value <= most:  # refuses NaN, too
        raise ValueError(value)
    return value


def _degrees(text: bytes, side: bytes, plus: bytes, minus: bytes) -> float:
    """``ddmm.mmm`` with its hemisphere."""
    value = _within(float(text), 18_000.0)
    minutes = _within(value % 100.0, 59.999_999_9)
    sign = {plus: 1.0, minus: -1.0}[side]
    return sign * (value // 100.0 + minutes / 60.0)


def _instant(said: list[bytes], received_at: datetime) -> datetime:
    """``hhmmss.ss`` near the arrival; the arrival itself where that is not said."""
    text = said[0] if said else b""
    if len(text) < 6 or not text[:6].isdigit():
        return received_at
    hour, minute, second = int(text[:2]), int(text[2:4]), float(text[4:])
    midnight = received_at.replace(hour=0, minute=0, second=0, microsecond=0)
    now_s = (received_at - midnight).total_seconds()
    at_s = _within(hour * 3600.0 + minute * 60.0 + second, _DAY_S)
    off_s = (at_s - now_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
    if abs(off_s) > _CLOCK_APART_S:
        return received_at
    return received_at + timedelta(seconds=off_s)
