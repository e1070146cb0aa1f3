"""A search as files that bridges and aircraft load: GPX, RTZ, Cursor on Target.

Built element by element, so that no name in them can become markup. An exercise and a
simulation say so in the name that the crew reads.

Source: GPX 1.1 (topografix.com); IEC 61174:2015 annex S (RTZ 1.0); the Cursor on Target
event schema 2.0 (MITRE), type ``b-m-r``, a route.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from xml.etree.ElementTree import Element, SubElement, tostring

from almenara.rescue.case import Case, SearchRecord, SearchTask

STALE_AFTER = timedelta(hours=6)


def gpx(case: Case, record: SearchRecord, task: SearchTask) -> str:
    """One route with its waypoints."""
    root = Element(
        "gpx",
        {
            "xmlns": "http://www.topografix.com/GPX/1/1",
            "version": "1.1",
            "creator": "Almenara",
        },
    )
    route = SubElement(root, "rte")
    SubElement(route, "name").text = _title(case, record, task)
    for number, place in enumerate(task.waypoints, 1):
        point = SubElement(
            route,
            "rtept",
            {
                "lat": f"{place.latitude_deg:.6f}",
                "lon": f"{place.longitude_deg:.6f}",
            },
        )
        SubElement(point, "name").text = f"{number:03d}"
    return _text(root)


def rtz(case: Case, record: SearchRecord, task: SearchTask) -> str:
    """The route exchange format of electronic charts."""
    root = Element("route", {"xmlns": "http://www.cirm.org/RTZ/1/0", "version": "1.0"})
    SubElement(root, "routeInfo", {"routeName": _title(case, record, task)})
    points = SubElement(root, "waypoints")
    for number, place in enumerate(task.waypoints, 1):
        point = SubElement(
            points, "waypoint", {"id": str(number), "name": f"{number:03d}"}
        )
        SubElement(
            point,
            "position",
            {
                "lat": f"{place.latitude_deg:.8f}",
                "lon": f"{place.longitude_deg:.8f}",
            },
        )
    return _text(root)


def cot(case: Case, record: SearchRecord, task: SearchTask) -> str:
    """A route for field units' maps."""
    first = task.waypoints[0]
    number = len(case.searches)
    root = Element(
        "event",
        {
            "version": "2.0",
            "uid": f"almenara.{case.case_id}.search.{number}.{task.unit}",
            "type": "b-m-r",
            "how": "h-e" if not case.labels.simulated else "m-s",
            "time": _time(record.at),
            "start": _time(record.at),
            "stale": _time(record.at + STALE_AFTER),
        },
    )
    SubElement(root, "point", _point(first.latitude_deg, first.longitude_deg))
    detail = SubElement(root, "detail")
    SubElement(detail, "contact", {"callsign": _title(case, record, task)})
    for place in task.waypoints:
        where = f"{place.latitude_deg:.6f},{place.longitude_deg:.6f}"
        SubElement(detail, "link", {"point": where, "type": "b-m-p-w", "relation": "c"})
    return _text(root)


FORMATS: Mapping[str, Callable[[Case, SearchRecord, SearchTask], str]] = (
    MappingProxyType({"gpx": gpx, "rtz": rtz, "cot": cot})
)


def _point(latitude_deg: float, longitude_deg: float) -> dict[str, str]:
    unknown = "9999999.0"
    return {
        "lat": f"{latitude_deg:.6f}",
        "lon": f"{longitude_deg:.6f}",
        "hae": "0.0",
        "ce": unknown,
        "le": unknown,
    }


def _title(case: Case, record: SearchRecord, task: SearchTask) -> str:
    mark = "EXERCISE " if case.labels.exercise else ""
    mark += "SIMULATED " if case.labels.simulated else ""
    return f"{mark}{case.case_id} {record.pattern} {task.unit}"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(root: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(
        root, encoding="unicode"
    )
