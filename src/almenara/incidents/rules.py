"""Rules: pure functions from facts to the alert they deserve.

A rule has no clock, no memory and no camera; what must be remembered is in the facts.
Two habits bind every rule (docs/adr/0002-rescue-first.md): a situation that can be read
both ways is a rescue, and *unknown* never counts as safe.

Source: docs/design/alarms.md, "Rules".
"""

import re
from collections.abc import Callable, Iterable

from almenara.core.ais import AisReport
from almenara.detection import Condition
from almenara.incidents import together, ways
from almenara.incidents.alarm import Alert, Priority, Reason, Subject, SubjectKind
from almenara.incidents.alerting import (
    contact_alert,
    contact_subject,
    instant,
    is_small,
    minutes,
)
from almenara.incidents.doubts import CameraFacts, ais_alerts, camera_degraded
from almenara.incidents.situation import Situation
from almenara.incidents.stores import StoreFacts, store_alerts
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.tracking.integrity import Anomaly

Rule = Callable[[Situation, Thresholds], Alert | None]

_DEVICES = {970: "sart", 972: "mob", 974: "epirb"}
_STATUS_TEST = 15
_STATUS_ACTIVE = 14


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
                "since": instant(fact.since or situation.at),
            },
        )
        for fact in inside
    )
    return contact_alert(
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
        Reason("closing.minutes", {"minutes": minutes(situation.closing_for)}),
        Reason(
            "closing.landfall",
            {
                "minutes_low": shore.distance_m / max(fastest, 0.2) / 60.0,
                "minutes_high": shore.distance_m / slowest / 60.0,
            },
        ),
    ]
    return contact_alert(
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
        Reason("adrift.minutes", {"minutes": minutes(situation.adrift_for)}),
        Reason("adrift.distance", {"distance_m": situation.adrift_distance_m}),
    )
    return contact_alert(
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


def distress_device(report: AisReport, limits: Thresholds = DEFAULT) -> Alert | None:
    """A SART, man-overboard device or EPIRB was heard; a place is not needed for that.

    A test transmission is a caution: listed, never discarded. Status 14 is in earnest
    whatever the text says; so is a text alone (message 14) that does not say test, and
    one that says ACTIVE against a status of test.
    """
    if not report.is_distress_device:
        return None
    text = (report.text or "").upper()
    status = report.navigation_status
    says_test = status == _STATUS_TEST or "TEST" in text
    is_test = says_test and status != _STATUS_ACTIVE and "ACTIVE" not in text
    kind = _DEVICES[report.mmsi // 1_000_000]
    values: dict[str, float | str] = {"mmsi": str(report.mmsi), "kind": kind}
    return Alert(
        rule="distress_device",
        rule_version=limits.version,
        subject=contact_subject("", report.mmsi),
        priority=Priority.CAUTION if is_test else Priority.EMERGENCY,
        is_rescue=not is_test,
        because=(
            Reason("distress.device", values),
            *_without_place(report),
            *_drill(report),
        ),
        unknown=("people",),
        suggested="look.camera" if is_test else "assist.look",
        position=report.position,
        position_std_m=None if report.position is None else 30.0,
        sensors=(report.receiver_id,),
        observed_at=report.received_at,
    )


_CALLS = re.compile(
    r"\b(MAYDAY|S\.?O\.?S|PAN[ -]?PAN|PAN|DISTRESS|SINKING|MAN OVERBOARD"
    r"|ABANDON(ING)? SHIP|SOCORRO|AU SECOURS)\b"
)
_DRILLS = re.compile(r"\b(DRILL|EXERCISE|EJERCICIO|EXERCICE)\b")


def says_distress(text: str | None) -> bool:
    """Whether a safety message calls for help, in the words that are used at sea."""
    return text is not None and _CALLS.search(text.upper()) is not None


def distress_text(report: AisReport, limits: Thresholds = DEFAULT) -> Alert | None:
    """A ship calls for help in a safety-related broadcast (message 14).

    Nobody can prove who sent it, so it may raise an alarm; for the same reason nothing
    sent later lowers it. A drill is marked as what it calls itself, and still heard.
    """
    if report.is_distress_device or not says_distress(report.text):
        return None
    values: dict[str, float | str] = {
        "mmsi": str(report.mmsi),
        "text": report.text or "",
    }
    return Alert(
        rule="distress_text",
        rule_version=limits.version,
        subject=Subject(kind=SubjectKind.CONTACT, id=f"mmsi:{report.mmsi}"),
        priority=Priority.ALARM,
        is_rescue=True,
        because=(
            Reason("distress.text", values),
            *_without_place(report),
            *_drill(report),
        ),
        unknown=("people",),
        suggested="assist.look",
        position=report.position,
        position_std_m=None if report.position is None else 30.0,
        sensors=(report.receiver_id,),
        observed_at=report.received_at,
    )


def _without_place(report: AisReport) -> tuple[Reason, ...]:
    if report.position is not None:
        return ()
    return (Reason("distress.no_position", {"receiver": report.receiver_id}),)


def _drill(report: AisReport) -> tuple[Reason, ...]:
    said = _DRILLS.search((report.text or "").upper())
    return () if said is None else (Reason("distress.says_drill"),)


CONTACT_RULES: tuple[Rule, ...] = (
    zone_entered,
    ways.line_crossed,
    closing_on_coast,
    ways.fast_boat,
    ways.loitering,
    ways.landing,
    ways.launch,
    ways.predicted_landfall,
    together.rendezvous,
    together.convoy,
    adrift,
)
LOST_RULES: tuple[Rule, ...] = (ways.vanished, ways.overdue)
"""Of contacts that are seen no more."""


def judge(
    situations: Iterable[Situation],
    cameras: Iterable[CameraFacts] = (),
    *,
    stores: Iterable[StoreFacts] = (),
    limits: Thresholds = DEFAULT,
    rules: Iterable[Rule] = CONTACT_RULES,
    anomalies: Iterable[Anomaly] = (),
) -> list[Alert]:
    """Ask every rule about everything; rescues first, then the gravest alert."""
    rules = tuple(rules)
    found = [
        rule(situation, limits)
        for situation in situations
        for rule in (LOST_RULES if situation.is_lost else rules)
    ]
    # A camera that sends nothing is silent; that it shows nothing follows.
    found.extend(
        camera_silent(f, limits)
        or camera_blind(f, limits)
        or camera_degraded(f, limits)
        for f in cameras
    )
    found.extend(ais_alerts(anomalies, limits))
    found.extend(store_alerts(stores, limits))
    known = (alert for alert in found if alert is not None)
    return sorted(known, key=lambda a: (not a.is_rescue, -a.priority))


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
