"""Rules: pure functions from facts to the alert they deserve.

A rule has no clock, no memory and no camera; what must be remembered is in the facts.
Two habits bind every rule (docs/adr/0002-rescue-first.md): a situation that can be read
both ways is a rescue, and *unknown* never counts as safe.

Source: docs/design/alarms.md, "Rules".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from almenara.core.ais import AisReport
from almenara.core.coast import Camera
from almenara.core.ids import CameraId
from almenara.core.time import EPOCH
from almenara.detection import Condition, ObjectClass
from almenara.incidents.alarm import Alert, Priority, Reason, Subject, SubjectKind
from almenara.incidents.situation import Situation
from almenara.incidents.thresholds import DEFAULT, Thresholds

Rule = Callable[[Situation, Thresholds], Alert | None]

_DEVICES = {970: "sart", 972: "mob", 974: "epirb"}
_STATUS_TEST = 15
STORE_WARNINGS = (
    (1.0, Priority.ALARM),
    (24.0, Priority.WARNING),
    (72.0, Priority.CAUTION),
)
"""Hours until nothing more can be recorded (docs/design/recording.md)."""
_STATUS_ACTIVE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """How one camera does, as the node knows it."""

    camera_id: CameraId
    silent_for: timedelta = timedelta()
    """Since the last packet; zero while it sends."""

    condition: Condition = Condition.GOOD
    condition_for: timedelta = timedelta()
    """How long the picture has been worth this."""

    camera: Camera | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """How a place for recordings or records does, as the node knows it."""

    store_id: str
    """An area's name, or ``store`` for where alarms and audit are kept."""

    state: Literal["working", "full", "failing"] = "working"
    hours_left: float | None = None
    """Until nothing more can be recorded; None if nobody can say."""

    detail: str = ""


def zone_entered(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """A contact stays inside a watch zone, as surely as its error allows."""
    inside = [
        fact
        for fact in situation.zones
        if fact.since is not None and situation.at - fact.since >= limits.zone_sustained
    ]
    if not inside:
        return None
    reasons = tuple(
        Reason(
            "zone.inside",
            {
                "zone": fact.name,
                "probability": fact.probability,
                "since": _text(fact.since or situation.at),
            },
        )
        for fact in inside
    )
    return _alert(
        "zone_entered",
        situation,
        limits,
        reasons,
        priority=Priority.WARNING,
        confidence=max(fact.probability for fact in inside),
    )


def closing_on_coast(
    situation: Situation, limits: Thresholds = DEFAULT
) -> Alert | None:
    """Slow, small or unknown, without AIS, and headed for the nearest shore."""
    shore = situation.shore
    small = is_small(situation, limits)
    if shore is None or situation.has_ais or not small:
        return None
    if situation.closing_for < limits.closing_sustained:
        return None
    speed, std = situation.speed_mps, situation.speed_std_mps
    fastest, slowest = speed + 1.28 * std, max(speed - 1.28 * std, 0.2)
    reasons = [
        Reason("closing.speed", {"speed_mps": speed, "speed_std_mps": std}),
        Reason(
            "closing.course",
            {
                "course_deg": situation.course_deg,
                "shore_bearing_deg": shore.bearing_deg,
            },
        ),
        Reason("closing.no_ais"),
    ]
    if situation.length_m is not None:
        reasons.append(Reason("closing.small", {"length_m": situation.length_m}))
    reasons += [
        Reason("closing.minutes", {"minutes": _minutes(situation.closing_for)}),
        Reason(
            "closing.landfall",
            {
                "minutes_low": shore.distance_m / max(fastest, 0.2) / 60.0,
                "minutes_high": shore.distance_m / slowest / 60.0,
            },
        ),
    ]
    return _alert(
        "closing_on_coast",
        situation,
        limits,
        tuple(reasons),
        priority=Priority.WARNING,
        confidence=situation.existence,
    )


def adrift(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """What moves as only wind and current move needs help until somebody knows better.

    A known large ship that says by AIS who she is may wait at sea. Not knowing the
    load, the length or the class never lowers the priority.
    """
    if situation.adrift_for < limits.adrift_sustained:
        return None
    if situation.has_ais and not is_small(situation, limits):
        return None
    reasons = (
        Reason(
            "adrift.speed",
            {
                "speed_mps": situation.speed_mps,
                "speed_std_mps": situation.speed_std_mps,
            },
        ),
        Reason("adrift.minutes", {"minutes": _minutes(situation.adrift_for)}),
        Reason("adrift.distance", {"distance_m": situation.adrift_distance_m}),
    )
    return _alert(
        "adrift",
        situation,
        limits,
        reasons,
        priority=Priority.ALARM,
        confidence=situation.existence,
        is_rescue=True,
    )


def camera_silent(facts: CameraFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """Nothing has come from a camera: its part of the sea is not watched."""
    if facts.silent_for < limits.silent_after:
        return None
    reason = Reason("silent.camera", {"seconds": facts.silent_for.total_seconds()})
    return _camera_alert("camera_silent", facts, limits, reason)


def camera_blind(facts: CameraFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """Pictures come, and show nothing."""
    blind = facts.condition in (Condition.BLIND, Condition.FROZEN)
    if not blind or facts.condition_for < limits.blind_after:
        return None
    values: dict[str, float | str] = {
        "condition": facts.condition.value,
        "seconds": facts.condition_for.total_seconds(),
    }
    return _camera_alert("camera_blind", facts, limits, Reason("blind.camera", values))


def store_failing(facts: StoreFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """A disk refused: what it held is as safe as the disk, and the next may follow."""
    if facts.state != "failing":
        return None
    reason = Reason("store.failing", {"store": facts.store_id, "detail": facts.detail})
    return _store_alert("store_failing", facts, limits, reason, Priority.ALARM)


def store_full(facts: StoreFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """Nothing more fits, or the reserve of alarms and audit is in use."""
    if facts.state != "full":
        return None
    reason = Reason("store.full", {"store": facts.store_id})
    return _store_alert("store_full", facts, limits, reason, Priority.ALARM)


def store_filling(facts: StoreFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """There is an hour, a day or three days left at this rate."""
    if facts.hours_left is None:
        return None
    for hours, priority in STORE_WARNINGS:
        if facts.hours_left <= hours:
            values: dict[str, float | str] = {"hours": round(facts.hours_left, 1)}
            reason = Reason("store.hours", values)
            return _store_alert("store_filling", facts, limits, reason, priority)
    return None


def distress_device(report: AisReport, limits: Thresholds = DEFAULT) -> Alert | None:
    """A SART, man-overboard device or EPIRB was heard; a place is not needed for that.

    A test transmission is a caution: listed, never discarded. Status 14 is in earnest
    whatever the text says; a text alone (message 14) that does not say test is, too.
    """
    if not report.is_distress_device:
        return None
    says_test = "TEST" in (report.text or "").upper()
    status = report.navigation_status
    is_test = status == _STATUS_TEST or (status != _STATUS_ACTIVE and says_test)
    kind = _DEVICES[report.mmsi // 1_000_000]
    values: dict[str, float | str] = {"mmsi": str(report.mmsi), "kind": kind}
    return Alert(
        rule="distress_device",
        rule_version=limits.version,
        subject=contact_subject("", report.mmsi),
        priority=Priority.CAUTION if is_test else Priority.EMERGENCY,
        is_rescue=not is_test,
        because=(Reason("distress.device", values),),
        unknown=("people",),
        suggested="look.camera" if is_test else "assist.look",
        position=report.position,
        position_std_m=None if report.position is None else 30.0,
        sensors=(report.receiver_id,),
        observed_at=report.received_at,
    )


STORE_RULES = (store_failing, store_full, store_filling)
CONTACT_RULES: tuple[Rule, ...] = (zone_entered, closing_on_coast, adrift)


def judge(
    situations: Iterable[Situation],
    cameras: Iterable[CameraFacts] = (),
    *,
    stores: Iterable[StoreFacts] = (),
    limits: Thresholds = DEFAULT,
    rules: Iterable[Rule] = CONTACT_RULES,
) -> list[Alert]:
    """Ask every rule about everything; gravest alert first."""
    rules = tuple(rules)
    found = [rule(situation, limits) for situation in situations for rule in rules]
    # A camera that sends nothing is silent; that it shows nothing follows.
    found.extend(camera_silent(f, limits) or camera_blind(f, limits) for f in cameras)
    found.extend(rule(f, limits) for f in stores for rule in STORE_RULES)
    return sorted((a for a in found if a is not None), key=lambda a: -a.priority)


def is_small(situation: Situation, limits: Thresholds = DEFAULT) -> bool:
    """Small, or nobody knows: a length or a class must speak against it."""
    if situation.length_m is not None:
        return situation.length_m < limits.small_below_m
    return situation.object_class is not ObjectClass.VESSEL


def contact_subject(track_id: str, mmsi: int | None) -> Subject:
    """What an alarm about a contact is about: its track.

    A distress device is its number instead, for it may be heard before it has a place.
    """
    device = mmsi is not None and mmsi // 1_000_000 in _DEVICES
    name = f"mmsi:{mmsi}" if device else track_id
    return Subject(kind=SubjectKind.CONTACT, id=name)


def _alert(
    rule: str,
    situation: Situation,
    limits: Thresholds,
    because: tuple[Reason, ...],
    *,
    priority: Priority,
    confidence: float,
    is_rescue: bool = False,
) -> Alert:
    seen = Reason("seen.by", {"count": float(len(situation.sensors))})
    unknown = {
        "people": situation.people is None,
        "length": situation.length_m is None,
        "ais": not situation.has_ais,
        "class": situation.object_class is ObjectClass.UNKNOWN,
    }
    return Alert(
        rule=rule,
        rule_version=limits.version,
        subject=contact_subject(situation.track_id, situation.mmsi),
        priority=priority,
        is_rescue=is_rescue,
        because=(*because, seen),
        unknown=tuple(key for key, holds in unknown.items() if holds),
        suggested="assist.look" if is_rescue else "look.camera",
        position=situation.position,
        position_std_m=situation.position_std_m,
        sensors=situation.sensors,
        confidence=confidence,
        observed_at=situation.seen_at,
    )


def _camera_alert(
    rule: str, facts: CameraFacts, limits: Thresholds, reason: Reason
) -> Alert:
    return Alert(
        rule=rule,
        rule_version=limits.version,
        subject=Subject(kind=SubjectKind.CAMERA, id=facts.camera_id),
        priority=Priority.WARNING,
        is_rescue=False,
        because=(reason,),
        suggested="check.station",
        position=None if facts.camera is None else facts.camera.pose.position,
        sensors=(facts.camera_id,),
    )


def _store_alert(
    rule: str,
    facts: StoreFacts,
    limits: Thresholds,
    reason: Reason,
    priority: Priority,
) -> Alert:
    return Alert(
        rule=rule,
        rule_version=limits.version,
        subject=Subject(kind=SubjectKind.STORE, id=facts.store_id),
        priority=priority,
        is_rescue=False,
        because=(reason,),
        suggested="check.store",
    )


def _minutes(duration: timedelta) -> float:
    return duration / timedelta(minutes=1)


def _text(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as everything on the wire."""
    utc = EPOCH + (at - EPOCH)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
