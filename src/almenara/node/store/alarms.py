"""Alarms in the store: the row, its trail and the audit in one transaction.

An alarm is shown only after this transaction: what a person sees survives a power cut.
Rows are never deleted here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.core.ids import AlarmId, PersonId
from almenara.core.labels import Labels
from almenara.evidence.audit import AuditEntry
from almenara.evidence.leaves import AlarmStep
from almenara.incidents.alarm import (
    Alarm,
    AlarmState,
    Alert,
    Priority,
    Subject,
    SubjectKind,
)
from almenara.incidents.load import Announcement
from almenara.node.store import audit, evidence_log
from almenara.node.store.base import UtcMicros, metadata, next_number
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

alarm = sa.Table(
    "alarm",
    metadata,
    sa.Column("alarm_id", sa.Text, primary_key=True),
    sa.Column("subject_kind", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("is_rescue", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("raised_at", UtcMicros, nullable=False),
    sa.Column("changed_at", UtcMicros, nullable=False),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_at", UtcMicros),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("alerts", sa.Text, nullable=False),
    sa.CheckConstraint("priority between 1 and 4", name="ck_alarm_priority"),
    sa.CheckConstraint(
        "(acknowledged_by is null) = (acknowledged_at is null)",
        name="ck_alarm_acknowledged",
    ),
)
sa.Index("alarm_state", alarm.c.state, alarm.c.priority.desc(), alarm.c.raised_at)

alarm_trail = sa.Table(
    "alarm_trail",
    metadata,
    sa.Column(
        "step_id",
        sa.BigInteger,
        primary_key=True,
        default=next_number("alarm_trail", "step_id"),
    ),
    sa.Column("alarm_id", sa.Text, sa.ForeignKey("alarm.alarm_id"), nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("state_before", sa.Text),
    sa.Column("state_after", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("announces", sa.Boolean, nullable=False),
    sa.Column("person_id", sa.Text),
)
sa.Index("alarm_trail_alarm", alarm_trail.c.alarm_id, alarm_trail.c.step_id)

_LABELS = TypeAdapter(Labels)
_ALERTS: TypeAdapter[tuple[Alert, ...]] = TypeAdapter(tuple[Alert, ...])
RINGING = (AlarmState.UNACKNOWLEDGED.value, AlarmState.SILENCED.value)
CLOSED = AlarmState.NORMAL.value


class Step(Protocol):
    """One change of one alarm, as ``incidents`` decided it."""

    @property
    def before(self) -> Alarm | None:
        """None for a new alarm."""
        ...

    @property
    def after(self) -> Alarm:
        """As it is from now on."""
        ...

    @property
    def event(self) -> str:
        """What happened, as a stable key."""
        ...

    @property
    def announces(self) -> bool:
        """Whether it rings (again)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailStep:
    """One line of an alarm's history."""

    at: datetime
    event: str
    state_before: AlarmState | None
    state_after: AlarmState
    version: int
    announces: bool
    person_id: PersonId | None
    """None where no person acted."""


class SqlAlarmDesk:
    """Keeps what the alarm queue decides; the node publishes after :meth:`commit`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def commit(
        self, steps: Sequence[Step], entries: Iterable[AuditEntry] = ()
    ) -> None:
        """Write all of it or nothing.

        Args:
            steps: In the order they happened.
            entries: Who did it; a step that no person caused leaves none of its own.
        """
        lines = tuple(entries)
        person_id = lines[0].actor.person_id if lines else None

        def work(connection: sa.Connection) -> None:
            for step in steps:
                kept = _keep(connection, step.after)
                row = _trail_row(step, person_id)
                done = connection.execute(sa.insert(alarm_trail), row)
                (step_id,) = done.inserted_primary_key or (0,)
                leaf = trail_leaf({**row, "step_id": step_id}, alarm_sha256(kept))
                evidence_log.append(connection, leaf)
            audit.append(connection, lines)

        await self._store.write(work)

    async def load(self) -> tuple[Alarm, ...]:
        """Every alarm that is not over, oldest first: where a restart goes on."""
        wanted = sa.select(alarm).where(alarm.c.state != CLOSED)
        return await self._read(wanted.order_by(alarm.c.raised_at))

    async def queue(self, *, limit: int) -> tuple[Alarm, ...]:
        """What is not over: emergencies, unacknowledged, returned, acknowledged."""
        rank = sa.case(
            (alarm.c.priority == int(Priority.EMERGENCY), 0),
            (alarm.c.state.in_(RINGING), 1),
            (alarm.c.state == AlarmState.RECTIFIED.value, 2),
            else_=3,
        )
        wanted = sa.select(alarm).where(alarm.c.state != CLOSED)
        order = (rank, alarm.c.priority.desc(), alarm.c.raised_at, alarm.c.alarm_id)
        return await self._read(wanted.order_by(*order).limit(limit))

    async def between(self, start: datetime, end: datetime) -> tuple[Alarm, ...]:
        """Every alarm that was open at some moment of [start, end), oldest first."""
        lasted = (alarm.c.state != CLOSED) | (alarm.c.changed_at >= start)
        wanted = sa.select(alarm).where(alarm.c.raised_at < end, lasted)
        return await self._read(wanted.order_by(alarm.c.raised_at, alarm.c.alarm_id))

    async def get(self, alarm_id: AlarmId) -> Alarm | None:
        """One alarm, open or long closed."""
        found = await self._read(sa.select(alarm).where(alarm.c.alarm_id == alarm_id))
        return found[0] if found else None

    async def trail(self, alarm_id: AlarmId) -> tuple[TrailStep, ...]:
        """What happened to it, oldest first."""
        wanted = sa.select(alarm_trail).where(alarm_trail.c.alarm_id == alarm_id)

        def work(connection: sa.Connection) -> tuple[TrailStep, ...]:
            rows = connection.execute(wanted.order_by(alarm_trail.c.step_id))
            return tuple(map(_trail_step, rows.mappings()))

        return await self._store.read(work)

    async def announcements(
        self, begin: datetime, end: datetime
    ) -> tuple[Announcement, ...]:
        """Every time that an alarm rang in a span, with how it was answered."""
        step, own = alarm_trail, alarm
        rang = step.join(own, step.c.alarm_id == own.c.alarm_id)
        wanted = (
            sa.select(own, step.c.at, step.c.version.label("rang_version"))
            .select_from(rang)
            .where(step.c.announces, step.c.at >= begin, step.c.at < end)
            .order_by(step.c.at)
        )
        answers = sa.select(step.c.alarm_id, step.c.at, step.c.event).where(
            step.c.at >= begin, step.c.event.in_(("acknowledged", "ended"))
        )

        def work(connection: sa.Connection) -> tuple[Announcement, ...]:
            told: dict[tuple[str, str], list[datetime]] = {}
            for row in connection.execute(answers.order_by(step.c.at)):
                told.setdefault((row.alarm_id, row.event), []).append(row.at)
            return tuple(
                _announcement(row, told)
                for row in connection.execute(wanted).mappings()
            )

        return await self._store.read(work)

    async def _read(self, wanted: sa.Select[tuple[object, ...]]) -> tuple[Alarm, ...]:
        def work(connection: sa.Connection) -> tuple[Alarm, ...]:
            return tuple(map(_alarm, connection.execute(wanted).mappings()))

        return await self._store.read(work)


def alarm_sha256(row: Mapping[Any, Any]) -> bytes:
    """What a leaf commits to of an alarm's whole row."""
    return evidence_log.row_sha256(row)


def trail_leaf(row: Mapping[Any, Any], alarm_sha256: bytes) -> AlarmStep:
    """What the log says of a step, made of its row."""
    names = (each.name for each in fields(AlarmStep) if each.name != "alarm_sha256")
    return AlarmStep(**{n: row[n] for n in names}, alarm_sha256=alarm_sha256)


def _announcement(
    row: sa.RowMapping, told: dict[tuple[str, str], list[datetime]]
) -> Announcement:
    rang = _alarm(row)
    rule = rang.alerts[0].rule if rang.alerts else "unknown"

    def first(event: str) -> datetime | None:
        later = (t for t in told.get((rang.alarm_id, event), ()) if t >= row["at"])
        return next(later, None)

    return Announcement(
        alarm_id=rang.alarm_id,
        source=f"{rule} {rang.subject.kind}:{rang.subject.id}",
        priority=rang.priority,
        at=row["at"],
        acknowledged_at=first("acknowledged"),
        ended_at=first("ended"),
    )


def _keep(connection: sa.Connection, kept: Alarm) -> dict[str, object]:
    row: dict[str, object] = {
        "alarm_id": kept.alarm_id,
        "subject_kind": kept.subject.kind.value,
        "subject_id": kept.subject.id,
        "state": kept.state.value,
        "priority": int(kept.priority),
        "is_rescue": kept.is_rescue,
        "version": kept.version,
        "raised_at": kept.raised_at,
        "changed_at": kept.changed_at,
        "acknowledged_by": kept.acknowledged_by,
        "acknowledged_at": kept.acknowledged_at,
        "labels": to_text(_LABELS, kept.labels),
        "alerts": to_text(_ALERTS, kept.alerts),
    }
    changed = connection.execute(
        sa.update(alarm).where(alarm.c.alarm_id == kept.alarm_id).values(row)
    )
    if changed.rowcount == 0:
        connection.execute(sa.insert(alarm).values(row))
    return row


def _alarm(row: sa.RowMapping) -> Alarm:
    return Alarm(
        alarm_id=AlarmId(row["alarm_id"]),
        subject=Subject(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]),
        state=AlarmState(row["state"]),
        priority=Priority(row["priority"]),
        is_rescue=row["is_rescue"],
        version=row["version"],
        alerts=from_text(_ALERTS, row["alerts"]),
        raised_at=row["raised_at"],
        changed_at=row["changed_at"],
        acknowledged_by=row["acknowledged_by"],
        acknowledged_at=row["acknowledged_at"],
        labels=from_text(_LABELS, row["labels"]),
    )


def _trail_row(step: Step, person_id: PersonId | None) -> dict[str, object]:
    return {
        "alarm_id": step.after.alarm_id,
        "at": step.after.changed_at,
        "event": str(step.event),
        "state_before": step.before.state.value if step.before else None,
        "state_after": step.after.state.value,
        "version": step.after.version,
        "announces": bool(step.announces),
        "person_id": person_id,
    }


def _trail_step(row: sa.RowMapping) -> TrailStep:
    before = row["state_before"]
    return TrailStep(
        at=row["at"],
        event=row["event"],
        state_before=AlarmState(before) if before else None,
        state_after=AlarmState(row["state_after"]),
        version=row["version"],
        announces=row["announces"],
        person_id=row["person_id"],
    )
