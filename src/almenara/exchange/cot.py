"""Contacts, cases and own units as Cursor on Target events, for field units' clients.

Types are unknown, neutral and own, and no others: what a contact wants is not for a
symbol to say. ``ce`` is one standard deviation (the definition of the format), taken
along the ellipse's major axis and rounded up; the whole covariance goes in a detail of
our own. What has a bearing and no place is not sent as a point.

Source: MITRE, Cursor on Target Message Router User's Guide (2009), event schema 2.0;
docs/design/exchange.md.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from xml.etree import ElementTree as ET

from almenara.core.ids import CentreId
from almenara.core.time import EPOCH
from almenara.core.values import Position

UNKNOWN_M = "9999999.0"
LEAST_STALE = timedelta(seconds=30)
DETAIL = "__almenara"


class CotType(StrEnum):
    """What an event may be about; nothing else is ever sent."""

    CONTACT = "a-u-S"
    COOPERATIVE = "a-n-S"
    OWN_AT_SEA = "a-f-S"
    OWN_ON_LAND = "a-f-G"
    DISTRESS = "b-a-o-tbl"
    DISTRESS_ENDED = "b-a-o-can"
    GONE = "t-x-d-d"


class How(StrEnum):
    """How a place is known."""

    FUSED = "m-f"
    REPORTED = "m-g"
    """By GPS or AIS."""

    ESTIMATED = "h-e"
    """By a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CotEvent:
    """One thing at one instant."""

    centre_id: CentreId
    kind: str
    id: str
    """Ours; never an MMSI, which may come twice."""

    type: CotType
    how: How
    at: datetime
    """Of the source, not of sending."""

    expected_every: timedelta
    position: Position
    cov_m2: tuple[float, float, float]
    """East variance, north variance, covariance."""

    existence: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    exercise: bool = False
    callsign: str = ""

    @property
    def uid(self) -> str:
        """Never used again for another thing."""
        name = f"ALM.{self.centre_id}.{self.kind}.{self.id}"
        return f"EX.{name}" if self.exercise else name


def to_xml(event: CotEvent) -> bytes:
    """One event as UTF-8 XML without a declaration.

    Raises:
        ValueError: Its covariance is none.
    """
    stale = event.at + max(3 * event.expected_every, LEAST_STALE)
    root = _root(event, event.type, stale)
    detail = ET.SubElement(root, "detail")
    if event.speed_mps is not None and event.course_deg is not None:
        track = {"speed": f"{event.speed_mps:.2f}", "course": f"{event.course_deg:.1f}"}
        ET.SubElement(detail, "track", track)
    if event.callsign:
        ET.SubElement(detail, "contact", {"callsign": event.callsign})
    east, north, both = event.cov_m2
    ours = {"ee": f"{east:.1f}", "nn": f"{north:.1f}", "en": f"{both:.1f}"}
    if event.existence is not None:
        ours["existence"] = f"{event.existence:.3f}"
    ET.SubElement(detail, DETAIL, ours)
    if event.exercise:
        text = "EXERCISE / EJERCICIO / EXERCICE / تمرين"
        ET.SubElement(detail, "remarks").text = text
    return _text(root)


def gone(event: CotEvent, now: datetime) -> tuple[bytes, bytes]:
    """That a thing is lost or withdrawn: an event already stale, then its removal."""
    last = _root(event, event.type, event.at)
    ET.SubElement(last, "detail")
    removal = _root(event, CotType.GONE, now + LEAST_STALE)
    removal.set("uid", f"{event.uid}.gone")
    detail = ET.SubElement(removal, "detail")
    link = {"uid": event.uid, "relation": "none", "type": "none"}
    ET.SubElement(detail, "link", link)
    ET.SubElement(detail, "__forcedelete")
    return _text(last), _text(removal)


def _root(event: CotEvent, kind: CotType, stale: datetime) -> ET.Element:
    root = ET.Element(
        "event",
        {
            "version": "2.0",
            "uid": event.uid,
            "type": kind.value,
            "how": event.how.value,
            "time": _time(event.at),
            "start": _time(event.at),
            "stale": _time(stale),
        },
    )
    point = {
        "lat": f"{event.position.latitude_deg:.7f}",
        "lon": f"{event.position.longitude_deg:.7f}",
        "hae": UNKNOWN_M,
        "ce": f"{sigma_m(event.cov_m2):.0f}",
        "le": UNKNOWN_M,
    }
    ET.SubElement(root, "point", point)
    return root


def sigma_m(cov_m2: tuple[float, float, float]) -> float:
    """One standard deviation along the longest axis, in whole metres rounded up.

    Raises:
        ValueError: The numbers are no covariance.

    >>> sigma_m((9.0, 16.0, 0.0))
    4.0
    """
    east, north, both = cov_m2
    middle, half = (east + north) / 2.0, math.hypot((east - north) / 2.0, both)
    if not (math.isfinite(middle + half) and middle - half >= -1e-6):
        raise ValueError(f"no covariance: {cov_m2}")
    return float(math.ceil(math.sqrt(middle + half) - 1e-9))


def _text(root: ET.Element) -> bytes:
    return ET.tostring(root, encoding="unicode").encode()


def _time(at: datetime) -> str:
    utc = EPOCH + (at - EPOCH)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
