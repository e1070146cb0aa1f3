"""From what somebody asks to what is kept: facts, a drift, a plan for a search.

The numbers are made by ``rescue``; here a request's words become its arguments, and its
answer becomes a record of the case. Nothing here decides or stores.
"""

from dataclasses import dataclass
from datetime import datetime

import shapely

from almenara.console.case_wire import DriftBody, FactsBody, OriginBody, SearchBody
from almenara.core.errors import CaseRefusedError
from almenara.core.ids import PersonId
from almenara.core.labels import Labels
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.geo.geodesy import LocalPlane
from almenara.incidents.alarm import Alarm
from almenara.incidents.shore import Shore
from almenara.rescue.case import (
    Case,
    DriftArea,
    DriftRecord,
    Facts,
    Origin,
    OriginKind,
    SearchRecord,
    SearchTask,
    Wind,
)
from almenara.rescue.drift import (
    Drift,
    DriftRequest,
    Flow,
    LastKnown,
    current_to,
    drift,
    wind_from,
)
from almenara.rescue.land import within_reach
from almenara.rescue.leeway import HYPOTHESES, OPEN_BOAT
from almenara.rescue.search import (
    Box,
    Pattern,
    PatternKind,
    SearchUnit,
    allocate,
    detection,
    expanding_square,
    sector,
)
from almenara.tracking.picture import SystemTrack

CALLED_STD_M = 2_000.0
"""How wrong a position is that comes without its error (choice): a call, a finger on
the map. A drift starts from that, never from a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the picture or the queue says of the thing that becomes a case."""

    origin: Origin
    facts: Facts
    labels: Labels


def from_track(track: SystemTrack, at: datetime, by: PersonId) -> Found:
    """A contact as the beginning of a case."""
    ship = track.object_class is ObjectClass.VESSEL
    return Found(
        origin=Origin(kind=OriginKind.TRACK, id=track.track_id),
        facts=Facts(
            at=at,
            by=by,
            position=track.position,
            position_cov_m2=track.position_cov_m2,
            position_at=track.at,
            craft="ship" if ship else None,
            mmsi=track.mmsi,
            persons=track.people,
        ),
        labels=Labels(simulated=track.simulated),
    )


def from_alarm(alarm: Alarm, at: datetime, by: PersonId) -> Found:
    """An alarm as the beginning of a case."""
    placed = next((a for a in alarm.alerts if a.position is not None), None)
    std = placed.position_std_m if placed else None
    return Found(
        origin=Origin(kind=OriginKind.ALARM, id=alarm.alarm_id),
        facts=Facts(
            at=at,
            by=by,
            position=placed.position if placed else None,
            position_cov_m2=None if std is None else (std**2, std**2, 0.0),
            position_at=placed.observed_at if placed else None,
        ),
        labels=alarm.labels,
    )


def from_words(origin: OriginBody, at: datetime, by: PersonId, labels: Labels) -> Found:
    """A call, a point of the map or another centre's case."""
    return Found(
        origin=Origin(kind=OriginKind(origin.kind), id=origin.id),
        facts=Facts(at=at, by=by),
        labels=labels,
    )


def facts_of(body: FactsBody, before: Facts, at: datetime, by: PersonId) -> Facts:
    """What somebody said, over what was known; silence leaves the older word."""
    cov = before.position_cov_m2
    position, position_at = before.position, before.position_at
    if body.position is not None:
        position = Position(
            latitude_deg=body.position.latitude_deg,
            longitude_deg=body.position.longitude_deg,
        )
        std = body.position_std_m
        cov = None if std is None else (std**2, std**2, 0.0)
        position_at = body.position_at or at
    return Facts(
        at=at,
        by=by,
        position=position,
        position_cov_m2=cov,
        position_at=position_at,
        craft=body.craft or before.craft,
        mmsi=body.mmsi or before.mmsi,
        persons=body.persons.range() if body.persons else before.persons,
        words=body.words.words() if body.words else before.words,
    )


def drift_request(case: Case, body: DriftBody, shore: Shore | None) -> DriftRequest:
    """What to calculate.

    Raises:
        CaseRefusedError: No position is known, or the time is not after it.
    """
    facts = case.facts[-1]
    if facts.position is None:
        raise CaseRefusedError("position_unknown", "enter a position first")
    start_at = facts.position_at or facts.at
    hours = (body.until - start_at).total_seconds() / 3600.0
    if not 0 < hours <= 96:
        raise CaseRefusedError("drift_time", "until 96 h after the last known position")
    cov = facts.position_cov_m2 or (CALLED_STD_M**2, CALLED_STD_M**2, 0.0)
    reach_m = 3.0 * max(cov[0], cov[1]) ** 0.5 + 3.0 * 3600.0 * hours
    near = within_reach(shore, facts.position, reach_m) if shore else None
    return DriftRequest(
        start=LastKnown(position=facts.position, cov_m2=cov, at=start_at),
        until=body.until,
        hypotheses=HYPOTHESES.get(body.craft or facts.craft or "", OPEN_BOAT),
        wind=_flow(body.wind.wind() if body.wind else None, start_at, is_wind=True),
        current=_flow(
            body.current.wind() if body.current else None, start_at, is_wind=False
        ),
        seed=body.seed,
        particles=body.particles,
        is_land=near,
    )


def _flow(given: Wind | None, at: datetime, *, is_wind: bool) -> Flow | None:
    if given is None:
        return None
    if is_wind:
        return wind_from(given.from_deg, given.mps, at=at)
    return current_to(given.from_deg + 180.0, given.mps, at=at)


def drifted(
    request: DriftRequest, body: DriftBody, at: datetime, by: PersonId
) -> DriftRecord:
    """Calculate; takes seconds, so it belongs into a thread."""
    answer = drift(request)
    return DriftRecord(
        at=at,
        by=by,
        start_at=request.start.at,
        until=request.until,
        hypotheses=tuple(h.key for h in request.hypotheses),
        rows=tuple(h.row.key for h in request.hypotheses),
        wind=body.wind.wind() if body.wind else None,
        current=body.current.wind() if body.current else None,
        seed=request.seed,
        particles=request.particles,
        datum=_datum(answer),
        areas=tuple(
            DriftArea(level=area.level, size_km2=area.size_km2, rings=area.rings)
            for area in answer.areas
        ),
        unknown=answer.unknown,
        analogues=answer.analogues,
    )


def _datum(answer: Drift) -> Position:
    east, north = answer.particles.mean(axis=0)
    return answer.plane.position(float(east), float(north))


def planned(case: Case, body: SearchBody, at: datetime, by: PersonId) -> SearchRecord:
    """Share the newest drift's area among units.

    Raises:
        CaseRefusedError: There is no drift to search.
    """
    if not case.drifts:
        raise CaseRefusedError("no_drift", "calculate a drift first")
    record = case.drifts[-1]
    plane = LocalPlane.at(record.datum)
    units = [unit.unit() for unit in body.units]
    tasks = (
        _boxed(record, plane, units, body.kind)
        if body.kind in (PatternKind.PARALLEL, PatternKind.CREEPING)
        else [_centred(plane, unit, body.kind) for unit in units]
    )
    return SearchRecord(
        at=at,
        by=by,
        pattern=body.pattern,
        drift=len(case.drifts),
        tasks=tuple(tasks),
    )


def _boxed(
    record: DriftRecord, plane: LocalPlane, units: list[SearchUnit], kind: PatternKind
) -> list[SearchTask]:
    corners = [
        plane.to_plane([p.latitude_deg for p in ring], [p.longitude_deg for p in ring])
        for ring in record.areas[-1].rings
    ]
    area = shapely.union_all([shapely.Polygon(ring) for ring in corners])
    parts = allocate(Box.around(area), units, kind)
    return [
        _task(part.unit, part.pattern, plane, part.coverage, part.pod) for part in parts
    ]


def _centred(plane: LocalPlane, unit: SearchUnit, kind: PatternKind) -> SearchTask:
    """One unit around the datum, as far as its time reaches."""
    reach_m = unit.speed_mps * unit.endurance_s
    spacing = unit.sweep_width_m
    if kind is PatternKind.SECTOR:
        # Two passes are eighteen radii; legs of a pass are a radius apart at its rim.
        pattern = sector((0.0, 0.0), reach_m / 18.0, bearing_deg=0.0)
        size_m2 = 3.1416 * pattern.spacing_m**2
        covered = unit.sweep_width_m * pattern.length_m / size_m2
        return _task(unit, pattern, plane, covered, detection(covered))
    legs = 1
    while _square_m(legs + 1, spacing) <= reach_m and legs < 200:
        legs += 1
    pattern = expanding_square((0.0, 0.0), spacing, legs=legs, bearing_deg=0.0)
    return _task(unit, pattern, plane, 1.0, detection(1.0))


def _square_m(legs: int, spacing_m: float) -> float:
    return sum((leg // 2 + 1) * spacing_m for leg in range(legs))


def _task(
    unit: SearchUnit, pattern: Pattern, plane: LocalPlane, covered: float, pod: float
) -> SearchTask:
    return SearchTask(
        unit=unit.name,
        sweep_width_m=unit.sweep_width_m,
        sweep_source=unit.sweep_source,
        coverage=covered,
        pod=pod,
        spacing_m=pattern.spacing_m,
        length_m=pattern.length_m,
        waypoints=pattern.positions(plane),
    )
