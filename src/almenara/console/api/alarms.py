"""The operator's queue: list it, acknowledge from it, silence it.

A handler does four things and no fifth: pass the gate, take typed values, await one
method of a port, return a wire model.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from almenara.console.gate import Caller, Gate, Needs
from almenara.console.problems import Problem, not_found
from almenara.console.wire import Body, Instant, Number, Place, Wire, known
from almenara.core.ids import AlarmId
from almenara.evidence.access import Action, Header
from almenara.evidence.audit import AuditEntry, AuditObject
from almenara.incidents.alarm import Alarm, Alert


class StaleVersionError(Exception):
    """The alarm announced again since the person saw it."""


class AlarmDesk(Protocol):
    """What this resource needs from the rest of Almenara; the node provides it."""

    async def queue(self, *, limit: int) -> tuple[Alarm, ...]:
        """Unacknowledged and active first, then as the queue is ordered."""
        ...

    async def get(self, alarm_id: AlarmId) -> Alarm | None:
        """One alarm, open or long closed."""
        ...

    async def acknowledge(
        self, alarm_id: AlarmId, *, version: int, entry: AuditEntry
    ) -> Alarm | None:
        """Mark as seen and write ``entry``, in one transaction, then publish.

        The first to acknowledge stays; a second one changes nothing and is still
        written. ``entry.actor`` and ``entry.at`` say who and when. None if there is no
        such alarm (nothing is written then).

        Raises:
            StaleVersionError: It announced again after ``version``; nothing is written.
        """
        ...

    async def silence(self, alarm_id: AlarmId, *, entry: AuditEntry) -> Alarm | None:
        """Stop the sound for 30 s; not an acknowledgement. Otherwise as above."""
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Woken after each committed change; several changes may be one waking."""
        ...


class SubjectRow(Wire):
    """What an alarm is about."""

    kind: str
    id: str


class ReasonRow(Wire):
    """A fact in keys and numbers."""

    key: str
    values: dict[str, float | str | None]


class AlertRow(Wire):
    """One rule's opinion."""

    rule: str
    rule_version: int
    priority: str
    is_rescue: bool
    because: list[ReasonRow]
    unknown: list[str]
    suggested: str
    position: Place | None
    sensors: list[str]
    confidence: Number
    observed_at: Instant | None


class AlarmRow(Wire):
    """An alarm on the wire."""

    alarm_id: str
    subject: SubjectRow
    state: str
    priority: str
    is_rescue: bool
    version: int
    raised_at: Instant
    changed_at: Instant
    acknowledged_by: str | None
    acknowledged_at: Instant | None
    alerts: list[AlertRow]
    position: Place | None
    position_std_m: Number
    simulated: bool
    exercise: bool


class AlarmQueue(Wire):
    """An object, never a bare array, so that it can grow."""

    items: list[AlarmRow]


class Acknowledgement(Body):
    """What was on the screen when the key went down."""

    version: Annotated[int, Field(ge=0, le=2**31)]


def alarm_row(alarm: Alarm) -> AlarmRow:
    """An alarm as the wire shows it; its place is that of its gravest placed alert."""
    placed = next((a for a in alarm.alerts if a.position is not None), None)
    return AlarmRow(
        alarm_id=alarm.alarm_id,
        subject=SubjectRow(kind=alarm.subject.kind, id=alarm.subject.id),
        state=alarm.state.value,
        priority=alarm.priority.name.lower(),
        is_rescue=alarm.is_rescue,
        version=alarm.version,
        raised_at=alarm.raised_at,
        changed_at=alarm.changed_at,
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=alarm.acknowledged_at,
        alerts=[_alert_row(alert) for alert in alarm.alerts],
        position=Place.model_validate(placed.position) if placed else None,
        position_std_m=placed.position_std_m if placed else None,
        simulated=alarm.labels.simulated,
        exercise=alarm.labels.exercise,
    )


def header_of(alarm: Alarm) -> Header:
    """What the gate knows of an alarm."""
    return Header(kind="alarm", id=alarm.alarm_id, labels=alarm.labels)


def visible(caller: Caller, alarms: Iterable[Alarm]) -> list[Alarm]:
    """Those that this person may know of."""
    return [a for a in alarms if caller.sees(Action.ALARM_READ, header_of(a))]


def router(desk: AlarmDesk, gate: Gate) -> APIRouter:
    """Bind the handlers to a desk; the composition root calls this once."""
    api = APIRouter(prefix="/alarms", tags=["alarms"])
    reads = Needs(gate, Action.ALARM_READ)
    acknowledges = Needs(gate, Action.ALARM_ACKNOWLEDGE)
    silences = Needs(gate, Action.ALARM_SILENCE)
    alarm_in_path = Annotated[AlarmId, Path(max_length=200)]

    async def theirs(caller: Caller, action: Action, alarm_id: AlarmId) -> Alarm:
        alarm = await desk.get(alarm_id)
        if alarm is None:
            raise not_found()
        await caller.must(action, header_of(alarm))
        return alarm

    @api.get("")
    async def queue(
        caller: Annotated[Caller, Depends(reads)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    ) -> AlarmQueue:
        alarms = visible(caller, await desk.queue(limit=limit))
        return AlarmQueue(items=[alarm_row(alarm) for alarm in alarms])

    @api.get("/{alarm_id}")
    async def one(
        alarm_id: alarm_in_path, caller: Annotated[Caller, Depends(reads)]
    ) -> AlarmRow:
        return alarm_row(await theirs(caller, Action.ALARM_READ, alarm_id))

    @api.post("/{alarm_id}/acknowledge")
    async def acknowledge(
        alarm_id: alarm_in_path,
        seen: Acknowledgement,
        caller: Annotated[Caller, Depends(acknowledges)],
    ) -> AlarmRow:
        await theirs(caller, Action.ALARM_ACKNOWLEDGE, alarm_id)
        thing = AuditObject(kind="alarm", id=alarm_id)
        entry = caller.entry(Action.ALARM_ACKNOWLEDGE, thing)
        try:
            after = await desk.acknowledge(alarm_id, version=seen.version, entry=entry)
        except StaleVersionError:
            raise Problem(409, "alarm.version", "it announced again since") from None
        if after is None:
            raise not_found()
        return alarm_row(after)

    @api.post("/{alarm_id}/silence")
    async def silence(
        alarm_id: alarm_in_path, caller: Annotated[Caller, Depends(silences)]
    ) -> AlarmRow:
        await theirs(caller, Action.ALARM_SILENCE, alarm_id)
        thing = AuditObject(kind="alarm", id=alarm_id)
        entry = caller.entry(Action.ALARM_SILENCE, thing)
        after = await desk.silence(alarm_id, entry=entry)
        if after is None:
            raise not_found()
        return alarm_row(after)

    return api


def _alert_row(alert: Alert) -> AlertRow:
    return AlertRow(
        rule=alert.rule,
        rule_version=alert.rule_version,
        priority=alert.priority.name.lower(),
        is_rescue=alert.is_rescue,
        because=[
            ReasonRow(key=reason.key, values=_values(reason.values))
            for reason in alert.because
        ],
        unknown=list(alert.unknown),
        suggested=alert.suggested,
        position=Place.model_validate(alert.position) if alert.position else None,
        sensors=list(alert.sensors),
        confidence=alert.confidence,
        observed_at=alert.observed_at,
    )


def _values(values: Mapping[str, float | str]) -> dict[str, float | str | None]:
    return {
        key: value if isinstance(value, str) else known(value)
        for key, value in values.items()
    }
