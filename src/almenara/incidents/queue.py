"""Which alerts join which alarm, and in which order the watch sees them.

One situation is one alarm. Everything here decides and nothing is carried out: each
answer is a transition that the store commits before anybody is told.

Source: IMO MSC.302(87) 5.2; docs/design/alarms.md, "The queue".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from almenara.core.ids import AlarmId, PersonId
from almenara.core.labels import Labels
from almenara.incidents.alarm import Alarm, AlarmState, Alert, Subject
from almenara.incidents.life import Event, after
from almenara.incidents.thresholds import DEFAULT, Thresholds

STRICT = Labels()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of one alarm, to be committed and then told."""

    before: Alarm | None
    after: Alarm
    event: str
    announces: bool
    """Whether it rings: a new alarm, or one that became graver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleVersion:
    """The alarm announced again since the person looked: they have not seen that."""

    seen: int
    current: int


def decide(
    open_alarms: Mapping[Subject, Alarm],
    alerts: Sequence[Alert],
    now: datetime,
    new_id: Callable[[], AlarmId],
    *,
    labels: Mapping[Subject, Labels] | None = None,
    survivors: Mapping[Subject, Subject] | None = None,
    limits: Thresholds = DEFAULT,
) -> tuple[Transition, ...]:
    """What the alerts of this judgement make of the alarms that are open.

    Args:
        open_alarms: Every alarm not in state N, and those that ended within
            ``limits.same_situation_within``, by subject. A subject without alerts
            has ended.
        alerts: All alerts that hold now, of all rules.
        now: The instant of the judgement.
        new_id: Names new alarms.
        labels: Labels of what each subject derives from; strict ones where absent.
        survivors: Subjects that turned out to be another: their alerts and alarms count
            as the survivor's.
        limits: Figures.

    Returns:
        Transitions, gravest first; an alarm without news has none.
    """
    moved = survivors or {}
    by_subject: dict[Subject, list[Alert]] = {}
    for alert in alerts:
        subject = moved.get(alert.subject, alert.subject)
        by_subject.setdefault(subject, []).append(replace(alert, subject=subject))
    origin = _homes(open_alarms, moved)
    result: list[Transition] = []
    for subject in dict.fromkeys([*by_subject, *origin]):
        found = by_subject.get(subject, [])
        before = origin.get(subject)
        if before is None or _is_history(before, now, limits):
            if found:
                mark = (labels or {}).get(subject, STRICT)
                result.append(_raise(subject, found, now, new_id(), mark))
            continue
        step = _continue(replace(before, subject=subject), found, now, limits)
        if step is not None:
            result.append(replace(step, before=before))
        elif subject != before.subject:
            moved_on = replace(before, subject=subject)
            result.append(_step(before, moved_on, "moved"))
    for gone, kept in moved.items():
        if gone in open_alarms and kept in open_alarms:
            result += _fold(open_alarms[gone], now)
    return tuple(sorted(result, key=lambda step: -step.after.priority))


def acknowledge(
    alarm: Alarm, person: PersonId, version: int, now: datetime
) -> Transition | StaleVersion:
    """A named person has seen one alarm, as it was at ``version``.

    Acknowledging what is acknowledged already changes nothing: the first stays.
    """
    if version != alarm.version:
        return StaleVersion(seen=version, current=alarm.version)
    state = after(alarm.state, Event.ACKNOWLEDGED, is_rescue=alarm.is_rescue)
    changed = alarm
    if state is not alarm.state:
        changed = replace(
            alarm,
            state=state,
            changed_at=now,
            acknowledged_by=person,
            acknowledged_at=now,
        )
    return _step(alarm, changed, Event.ACKNOWLEDGED)


def silence(alarm: Alarm, now: datetime) -> Transition:
    """The sound stops for thirty seconds; nobody has acknowledged anything."""
    return _by_event(alarm, Event.SILENCED, now)


def close(alarm: Alarm, now: datetime) -> Transition:
    """A named person ends it; the only way a rescue ends."""
    return _by_event(alarm, Event.CLOSED, now)


_GROUP = {
    AlarmState.UNACKNOWLEDGED: 1,
    AlarmState.SILENCED: 1,
    AlarmState.RECTIFIED: 2,
    AlarmState.ACKNOWLEDGED: 3,
    AlarmState.TRANSFERRED: 3,
    AlarmState.NORMAL: 4,
}


def queue_order(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Emergencies that still count, then by what was done, priority and age."""

    def rank(alarm: Alarm) -> tuple[int, int, int, datetime, str]:
        over = alarm.state is AlarmState.NORMAL
        emergency = alarm.priority.name == "EMERGENCY" and not over
        return (
            0 if emergency else 1,
            _GROUP[alarm.state],
            -alarm.priority,
            alarm.raised_at,
            alarm.alarm_id,
        )

    return sorted(alarms, key=rank)


def _raise(
    subject: Subject, found: list[Alert], now: datetime, name: AlarmId, labels: Labels
) -> Transition:
    alarm = Alarm(
        alarm_id=name,
        subject=subject,
        state=after(AlarmState.NORMAL, Event.RAISED),
        priority=max(alert.priority for alert in found),
        is_rescue=any(alert.is_rescue for alert in found),
        version=1,
        alerts=_gravest_first(found),
        raised_at=now,
        changed_at=now,
        labels=labels,
    )
    return Transition(before=None, after=alarm, event=Event.RAISED, announces=True)


def _continue(
    before: Alarm, found: list[Alert], now: datetime, limits: Thresholds
) -> Transition | None:
    if not found:
        changed = _by_event(before, Event.ENDED, now)
        return None if changed.after is before else changed
    joined = _gravest_first([*before.alerts, *found])
    priority = max(before.priority, *(alert.priority for alert in found))
    is_rescue = before.is_rescue or any(alert.is_rescue for alert in found)
    news = replace(before, alerts=joined, priority=priority, is_rescue=is_rescue)
    if priority > before.priority or is_rescue > before.is_rescue:
        louder = replace(
            news,
            state=after(before.state, Event.GRAVER),
            version=before.version + 1,
            changed_at=now,
            acknowledged_by=None,
            acknowledged_at=None,
        )
        return _step(before, louder, Event.GRAVER, announces=True)
    event = _quiet_event(before, now, limits)
    if event is not None:
        # Acknowledged, over, and back before the ink is dry: the person knows.
        known = before.state is AlarmState.NORMAL
        state = AlarmState.ACKNOWLEDGED if known else after(before.state, event)
        return _step(before, replace(news, state=state, changed_at=now), event)
    if {alert.rule for alert in joined} != {alert.rule for alert in before.alerts}:
        # changed_at stays: it also counts the seconds of silence.
        return _step(before, news, "joined")
    return None


def _quiet_event(before: Alarm, now: datetime, limits: Thresholds) -> Event | None:
    """What happens to an alarm whose condition holds, and is no graver than it was."""
    if before.state in (AlarmState.NORMAL, AlarmState.RECTIFIED):
        return Event.RAISED
    if before.state is AlarmState.SILENCED:
        over = now - before.changed_at >= limits.sound_returns_after
        return Event.SOUND_RETURNED if over else None
    return None


def _gravest_first(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """The newest alert of each rule."""
    newest = {alert.rule: alert for alert in alerts}
    return tuple(sorted(newest.values(), key=lambda a: (-a.priority, a.rule)))


def _homes(
    alarms: Mapping[Subject, Alarm], moved: Mapping[Subject, Subject]
) -> dict[Subject, Alarm]:
    """Each alarm as it is, under the subject that it belongs to now."""
    result = {s: alarm for s, alarm in alarms.items() if s not in moved}
    for gone, kept in moved.items():
        if gone in alarms:
            result.setdefault(kept, alarms[gone])
    return result


def _is_history(alarm: Alarm, now: datetime, limits: Thresholds) -> bool:
    return alarm.state is AlarmState.NORMAL and (
        alarm.acknowledged_at is None
        or now - alarm.changed_at > limits.same_situation_within
    )


def _fold(alarm: Alarm, now: datetime) -> list[Transition]:
    """The alarm of a track that was merged into one with its own alarm.

    Unacknowledged it stays to be seen; a rescue stays until a person closes it.
    """
    step = _by_event(alarm, Event.ENDED, now)
    return [] if step.after is alarm else [step]


def _by_event(alarm: Alarm, event: Event, now: datetime) -> Transition:
    state = after(alarm.state, event, is_rescue=alarm.is_rescue)
    if state is alarm.state:
        return _step(alarm, alarm, event)
    return _step(alarm, replace(alarm, state=state, changed_at=now), event)


def _step(
    before: Alarm, changed: Alarm, event: str, *, announces: bool = False
) -> Transition:
    return Transition(before=before, after=changed, event=event, announces=announces)
