"""Rows of the queue when there are too many: one cause, one row; a rescue never.

Source: ANSI/ISA-18.2, "Alarm flood"; docs/design/alarms.md, "Floods".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from almenara.incidents.alarm import Alarm, Priority
from almenara.incidents.queue import queue_order
from almenara.incidents.thresholds import DEFAULT, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the queue."""

    cause: str
    """Rule of the gravest alert."""

    alarms: tuple[Alarm, ...]
    """In the order of the queue; the first stands for all."""

    @property
    def is_group(self) -> bool:
        """Whether it stands for more than one alarm."""
        return len(self.alarms) > 1


def is_flood(
    alarms: Iterable[Alarm], now: datetime, limits: Thresholds = DEFAULT
) -> bool:
    """Whether more alarms were raised lately than anybody reads one by one."""
    lately = sum(now - alarm.raised_at <= limits.flood_window for alarm in alarms)
    return lately > limits.flood_above


def rows(
    alarms: Iterable[Alarm], now: datetime, limits: Thresholds = DEFAULT
) -> tuple[Row, ...]:
    """The queue as it is shown: grouped by cause in a flood, else one row each.

    Nothing is hidden: every alarm is in exactly one row, and emergencies and rescues
    have their own.
    """
    ordered = queue_order(alarms)
    grouping = is_flood(ordered, now, limits)
    result: list[Row] = []
    place: dict[str, int] = {}
    for alarm in ordered:
        cause = alarm.alerts[0].rule if alarm.alerts else ""
        own = alarm.is_rescue or alarm.priority is Priority.EMERGENCY
        if not grouping or own or cause not in place:
            if grouping and not own:
                place[cause] = len(result)
            result.append(Row(cause=cause, alarms=(alarm,)))
            continue
        row = result[place[cause]]
        result[place[cause]] = Row(cause=cause, alarms=(*row.alarms, alarm))
    return tuple(result)
