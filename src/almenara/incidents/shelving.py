"""Putting an alarm aside for a while: with an end, a reason and a name, never a rescue.

Shelved is not acknowledged and not ended: it stays in the list of what is shelved, its
end brings it back, and whatever makes it graver brings it back at once.

Source: ANSI/ISA-18.2, "Shelved"; docs/design/alarms.md, "Shelving".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import AlarmId, PersonId
from almenara.incidents.alarm import Alarm, Priority
from almenara.incidents.thresholds import DEFAULT, Thresholds


class Refusal(StrEnum):
    """Why an alarm cannot be shelved."""

    RESCUE = "rescue"
    EMERGENCY = "emergency"
    NO_REASON = "no_reason"
    NO_END = "no_end"
    """It lies in the past."""

    TOO_LONG = "too_long"
    STALE = "stale"
    """The alarm announced again since the person looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """One alarm put aside."""

    alarm_id: AlarmId
    version: int
    """What was put aside; a later announcement was not."""

    at: datetime
    until: datetime
    reason: str
    person_id: PersonId


def shelve(
    alarm: Alarm,
    *,
    version: int,
    person: PersonId,
    reason: str,
    until: datetime,
    now: datetime,
    limits: Thresholds = DEFAULT,
) -> Shelved | Refusal:
    """Put one alarm aside, or say why not."""
    refusals = {
        Refusal.RESCUE: alarm.is_rescue,
        Refusal.EMERGENCY: alarm.priority is Priority.EMERGENCY,
        Refusal.STALE: version != alarm.version,
        Refusal.NO_REASON: not reason.strip(),
        Refusal.NO_END: until <= now,
        Refusal.TOO_LONG: until - now > limits.shelve_longest,
    }
    for refusal, holds in refusals.items():
        if holds:
            return refusal
    return Shelved(
        alarm_id=alarm.alarm_id,
        version=version,
        at=now,
        until=until,
        reason=reason.strip(),
        person_id=person,
    )


def still_shelved(
    alarms: Iterable[Alarm], shelf: Mapping[AlarmId, Shelved], now: datetime
) -> dict[AlarmId, Shelved]:
    """What stays aside now: not past its end, no graver, and no rescue meanwhile."""
    return {
        alarm.alarm_id: kept
        for alarm in alarms
        if (kept := shelf.get(alarm.alarm_id)) is not None
        and now < kept.until
        and alarm.version == kept.version
        and not alarm.is_rescue
        and alarm.priority is not Priority.EMERGENCY
    }
