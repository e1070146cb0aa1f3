"""Rules about the disks: what refuses, what is full, and how long there is room.

Source: docs/design/recording.md, "Full disk".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from almenara.incidents.alarm import Alert, Priority, Reason, Subject, SubjectKind
from almenara.incidents.thresholds import DEFAULT, Thresholds

STORE_WARNINGS = (
    (1.0, Priority.ALARM),
    (24.0, Priority.WARNING),
    (72.0, Priority.CAUTION),
)
"""Hours until nothing more can be recorded (docs/design/recording.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """How a place for recordings or records does, as the node knows it."""

    store_id: str
    """An area's name, or ``store`` for where alarms and audit are kept."""

    state: Literal["working", "full", "failing"] = "working"
    hours_left: float | None = None
    """Until nothing more can be recorded; None if nobody can say."""

    detail: str = ""


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


STORE_RULES = (store_failing, store_full, store_filling)


def store_alerts(
    stores: Iterable[StoreFacts], limits: Thresholds = DEFAULT
) -> list[Alert]:
    """What every rule says of every store."""
    found = (rule(facts, limits) for facts in stores for rule in STORE_RULES)
    return [alert for alert in found if alert is not None]


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
