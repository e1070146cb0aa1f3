"""How an alert about a contact is put together: the same facts for every rule.

Source: docs/design/alarms.md, "Rules".
"""

from datetime import datetime, timedelta

from almenara.core.ais import DEVICES
from almenara.core.time import EPOCH
from almenara.detection import ObjectClass
from almenara.incidents.alarm import Alert, Priority, Reason, Subject, SubjectKind
from almenara.incidents.situation import Situation
from almenara.incidents.thresholds import DEFAULT, Thresholds


def contact_alert(
    rule: str,
    situation: Situation,
    limits: Thresholds,
    because: tuple[Reason, ...],
    *,
    priority: Priority,
    confidence: float,
    is_rescue: bool = False,
    unknown: tuple[str, ...] = (),
) -> Alert:
    """An alert about one contact, with what is not known of it.

    Args:
        rule: Its name.
        situation: The contact's.
        limits: By whose version it was made.
        because: What the rule found; who saw it is added.
        priority: Of the alert.
        confidence: That it is so, in [0, 1].
        is_rescue: Whether help comes first.
        unknown: What this rule would have liked to know besides.
    """
    seen = Reason("seen.by", {"count": float(len(situation.sensors))})
    missing = {
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
        unknown=(*(key for key, holds in missing.items() if holds), *unknown),
        suggested="assist.look" if is_rescue else "look.camera",
        position=situation.position,
        position_std_m=situation.position_std_m,
        sensors=situation.sensors,
        confidence=confidence,
        observed_at=situation.seen_at,
    )


def contact_subject(track_id: str, mmsi: int | None) -> Subject:
    """What an alarm about a contact is about: its track.

    A distress device is its number instead, for it may be heard before it has a place.
    """
    device = mmsi is not None and mmsi // 1_000_000 in DEVICES
    name = f"mmsi:{mmsi}" if device else track_id
    return Subject(kind=SubjectKind.CONTACT, id=name)


def is_small(situation: Situation, limits: Thresholds = DEFAULT) -> bool:
    """Small, or nobody knows: a length or a class must speak against it."""
    if situation.length_m is not None:
        return situation.length_m < limits.small_below_m
    return situation.object_class is not ObjectClass.VESSEL


def minutes(duration: timedelta) -> float:
    """As a number for a reason."""
    return duration / timedelta(minutes=1)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as everything on the wire."""
    utc = EPOCH + (at - EPOCH)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
