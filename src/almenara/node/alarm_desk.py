"""The alarm desk: decides with ``incidents``, commits with the store, then tells.

The open alarms are held in memory, as committed; a restart reads them back. One change
at a time goes through: decided, committed, taken over, told. If the commit fails
nothing has happened, and the next judgement decides the same again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import uuid4

import structlog
from prometheus_client import Counter

from almenara.console.api.alarms import StaleVersionError
from almenara.console.feed import Bell
from almenara.core.ids import AlarmId
from almenara.core.labels import Labels
from almenara.evidence.audit import AuditEntry
from almenara.incidents import queue
from almenara.incidents.alarm import Alarm, AlarmState, Alert, Subject
from almenara.incidents.escalation import Escalation
from almenara.incidents.queue import StaleVersion, Transition
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.node.store.alarms import SqlAlarmDesk

log = structlog.get_logger(__name__)

ESCALATED = Counter(
    "almenara_alarms_escalated_total", "Alarms told to more people.", ["level"]
)
RAISED = Counter("almenara_alarms_raised_total", "New alarms.", ["rule", "priority"])


class AlarmDesk:
    """Fulfils ``console.api.alarms.AlarmDesk``."""

    def __init__(self, kept: SqlAlarmDesk, *, limits: Thresholds = DEFAULT) -> None:
        self._kept = kept
        self._limits = limits
        self._open: dict[AlarmId, Alarm] = {}
        self._ended: dict[AlarmId, Alarm] = {}
        """Lately: what a person has seen stays quiet when it comes back soon."""

        self._escalation = Escalation(thresholds=limits)
        self._turn = asyncio.Lock()
        self._bell = Bell()

    async def reload(self) -> None:
        """Take up the alarms of the run before."""
        self._open = {alarm.alarm_id: alarm for alarm in await self._kept.load()}

    async def judge(
        self,
        alerts: Sequence[Alert],
        now: datetime,
        *,
        labels: Mapping[Subject, Labels],
        survivors: Mapping[Subject, Subject],
    ) -> tuple[Transition, ...]:
        """Let the alerts of one judgement become what they become.

        Raises:
            StoreError: Nothing was committed, so nothing changed.
        """
        async with self._turn:
            self._forget(now)
            steps = queue.decide(
                self._by_subject(),
                alerts,
                now,
                lambda: AlarmId(str(uuid4())),
                labels=labels,
                survivors=survivors,
                limits=self._limits,
            )
            if steps:
                await self._carry_out(steps)
        self._escalate(now)
        for step in steps:
            if step.before is None:
                first = step.after.alerts[0]
                RAISED.labels(first.rule, step.after.priority.name.lower()).inc()
        return steps

    async def queue(self, *, limit: int) -> tuple[Alarm, ...]:
        return tuple(queue.queue_order(self._open.values())[:limit])

    async def get(self, alarm_id: AlarmId) -> Alarm | None:
        return self._open.get(alarm_id) or await self._kept.get(alarm_id)

    async def acknowledge(
        self, alarm_id: AlarmId, *, version: int, entry: AuditEntry
    ) -> Alarm | None:
        async with self._turn:
            alarm = await self.get(alarm_id)
            if alarm is None:
                return None
            step = queue.acknowledge(alarm, entry.actor.person_id, version, entry.at)
            if isinstance(step, StaleVersion):
                raise StaleVersionError(alarm_id)
            await self._carry_out((step,), entry)
            return step.after

    async def silence(self, alarm_id: AlarmId, *, entry: AuditEntry) -> Alarm | None:
        async with self._turn:
            alarm = await self.get(alarm_id)
            if alarm is None:
                return None
            step = queue.silence(alarm, entry.at)
            await self._carry_out((step,), entry)
            return step.after

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        return self._bell.heard()

    def _escalate(self, now: datetime) -> None:
        """Note what nobody has acknowledged in time; who is told is the outside's."""
        self._escalation, steps = self._escalation.read(self._open.values(), now)
        for step in steps:
            level = step.level.name.lower()
            ESCALATED.labels(level).inc()
            log.warning(
                "alarm_escalated",
                alarm=step.alarm_id,
                level=level,
                waited_s=round(step.waited_s, 1),
            )

    def _by_subject(self) -> dict[Subject, Alarm]:
        """One alarm per subject: the newest, if an old one still waits to be seen."""
        known = [*self._ended.values(), *self._open.values()]
        oldest_first = sorted(known, key=lambda a: a.raised_at)
        return {alarm.subject: alarm for alarm in oldest_first}

    async def _carry_out(
        self, steps: Sequence[Transition], *entries: AuditEntry
    ) -> None:
        await self._kept.commit(steps, entries)
        for step in steps:
            self._take_over(step.after)
        self._bell.ring()

    def _take_over(self, alarm: Alarm) -> None:
        over = alarm.state is AlarmState.NORMAL
        kept, left = (self._ended, self._open) if over else (self._open, self._ended)
        kept[alarm.alarm_id] = alarm
        left.pop(alarm.alarm_id, None)

    def _forget(self, now: datetime) -> None:
        oldest = now - self._limits.same_situation_within
        self._ended = {
            key: alarm
            for key, alarm in self._ended.items()
            if alarm.changed_at > oldest
        }
