"""What happens to an alarm that nobody acknowledges: it is told to more people.

Only upward, and from the instant it was announced: silence does not stop the clock,
for a silenced console is no answered one. A new announcement begins anew, but never
below where the alarm is.

Source: docs/design/alarms.md, "Escalation"; IMO MSC.302(87) 7.3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum

from almenara.core.ids import AlarmId
from almenara.incidents.alarm import Alarm, AlarmState, Priority
from almenara.incidents.thresholds import DEFAULT, Thresholds


class Level(IntEnum):
    """Who is told."""

    POSITION = 0
    """Whoever keeps the watch."""

    ALL_CONSOLES = 1
    OUTSIDE = 2
    """The watch officer and the outside channel: siren, message, telephone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """One alarm is told to more people than before."""

    alarm_id: AlarmId
    version: int
    level: Level
    at: datetime
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    version: int
    since: datetime
    level: Level = Level.POSITION


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Who waits since when; a value, fed with the open alarms."""

    thresholds: Thresholds = DEFAULT
    waiting: Mapping[AlarmId, _Waiting] = field(default_factory=dict[AlarmId, _Waiting])

    def read(
        self, alarms: Iterable[Alarm], now: datetime, *, sound_confirmed: bool = True
    ) -> tuple["Escalation", tuple[EscalationStep, ...]]:
        """Take in the alarms that are open.

        Args:
            alarms: All of them; who is not among them waits no more.
            now: The instant.
            sound_confirmed: Whether some console says that it can be heard; if none
                does, an emergency goes outside at once.
        """
        waiting: dict[AlarmId, _Waiting] = {}
        steps = []
        for alarm in alarms:
            if not _waits(alarm):
                continue
            old = self.waiting.get(alarm.alarm_id)
            one = _Waiting(version=alarm.version, since=now)
            if old is None:
                one = replace(one, since=_announced_at(alarm, now))
            elif old.version == alarm.version:
                one = old
            else:
                one = replace(one, level=old.level)
            level = max(one.level, self._due(alarm, now, one.since, sound_confirmed))
            if level > one.level:
                one = replace(one, level=level)
                steps.append(
                    EscalationStep(
                        alarm_id=alarm.alarm_id,
                        version=alarm.version,
                        level=level,
                        at=now,
                        waited_s=(now - one.since).total_seconds(),
                    )
                )
            waiting[alarm.alarm_id] = one
        return replace(self, waiting=waiting), tuple(steps)

    def _due(
        self,
        alarm: Alarm,
        now: datetime,
        since: datetime,
        heard: bool,  # noqa: FBT001
    ) -> Level:
        limits, waited = self.thresholds, now - since
        if alarm.priority is Priority.EMERGENCY:
            if waited >= limits.escalate_emergency_outside or not heard:
                return Level.OUTSIDE
            if waited >= limits.escalate_emergency_to_all:
                return Level.ALL_CONSOLES
        if alarm.priority is Priority.ALARM and waited >= limits.escalate_alarm_to_all:
            return Level.ALL_CONSOLES
        return Level.POSITION


def _waits(alarm: Alarm) -> bool:
    """Unacknowledged; one that ended unseen waits too if it was a rescue."""
    if alarm.state in (AlarmState.UNACKNOWLEDGED, AlarmState.SILENCED):
        return True
    return alarm.is_rescue and alarm.state is AlarmState.RECTIFIED


def _announced_at(alarm: Alarm, now: datetime) -> datetime:
    """After a restart: a first announcement is as old as the alarm."""
    return min(alarm.raised_at if alarm.version == 1 else alarm.changed_at, now)
