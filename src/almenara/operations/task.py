"""A task: what is asked for, and what became of it.

Between centres a task is a request: its owner accepts, declines or makes another
proposal, and nothing of ours moves by itself. Who asks owns the *definition* and counts
its versions; who performs owns the *status* and counts those. A write that does not
know the newest version of what it is about is refused and shows the newer one.

Source: docs/design/operations.md, "Tasks".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from almenara.core.ids import CentreId, PersonId
from almenara.core.values import Position


class TaskState(StrEnum):
    """Where in its life a task is."""

    DRAFT = "draft"
    REQUESTED = "requested"
    DELIVERED = "delivered"
    """The other side's receipt is there; nobody has looked yet."""

    SEEN = "seen"
    WILCO = "wilco"
    DECLINED = "declined"
    COUNTERED = "countered"
    """Another proposal lies on the asker's table."""

    EXECUTING = "executing"
    DONE = "done"
    NOT_DONE = "not_done"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REPLACED = "replaced"


class TaskEvent(StrEnum):
    """Everything that can happen to a task."""

    REQUEST = "request"
    RECEIPT = "receipt"
    SEE = "see"
    ACCEPT = "accept"
    DECLINE = "decline"
    COUNTER = "counter"
    BEGIN = "begin"
    FINISH = "finish"
    FAIL = "fail"
    ASK_TO_CANCEL = "ask_to_cancel"
    CANCEL = "cancel"
    TOO_LATE = "too_late"
    """It was done, or cannot be stopped any more."""

    EXPIRE = "expire"
    REPLACE = "replace"


class Side(StrEnum):
    """Whose act an event is."""

    ASKER = "asker"
    PERFORMER = "performer"
    LINK = "link"
    """A receipt, or time: no person's act."""


_S, _E = TaskState, TaskEvent
OPEN = frozenset(
    {
        _S.REQUESTED,
        _S.DELIVERED,
        _S.SEEN,
        _S.WILCO,
        _S.COUNTERED,
        _S.EXECUTING,
        _S.CANCEL_REQUESTED,
    }
)
ENDED = frozenset(
    {_S.DECLINED, _S.DONE, _S.NOT_DONE, _S.CANCELLED, _S.EXPIRED, _S.REPLACED}
)
UNDECIDED = (_S.REQUESTED, _S.DELIVERED, _S.SEEN)

TABLE: Mapping[tuple[TaskState, TaskEvent], TaskState] = MappingProxyType(
    {
        (_S.DRAFT, _E.REQUEST): _S.REQUESTED,
        (_S.REQUESTED, _E.RECEIPT): _S.DELIVERED,
        (_S.REQUESTED, _E.SEE): _S.SEEN,
        (_S.DELIVERED, _E.SEE): _S.SEEN,
        (_S.WILCO, _E.BEGIN): _S.EXECUTING,
        (_S.EXECUTING, _E.FINISH): _S.DONE,
        (_S.EXECUTING, _E.FAIL): _S.NOT_DONE,
        (_S.WILCO, _E.FAIL): _S.NOT_DONE,
        (_S.CANCEL_REQUESTED, _E.CANCEL): _S.CANCELLED,
        (_S.CANCEL_REQUESTED, _E.TOO_LATE): _S.EXECUTING,
        (_S.CANCEL_REQUESTED, _E.FINISH): _S.DONE,
        **{(state, _E.ACCEPT): _S.WILCO for state in UNDECIDED},
        **{(state, _E.DECLINE): _S.DECLINED for state in UNDECIDED},
        **{(state, _E.COUNTER): _S.COUNTERED for state in UNDECIDED},
        **{(state, _E.EXPIRE): _S.EXPIRED for state in (*UNDECIDED, _S.COUNTERED)},
        **{
            (state, _E.ASK_TO_CANCEL): _S.CANCEL_REQUESTED
            for state in (*UNDECIDED, _S.COUNTERED, _S.WILCO, _S.EXECUTING)
        },
        **{
            (state, _E.REPLACE): _S.REPLACED
            for state in (*UNDECIDED, _S.COUNTERED, _S.WILCO)
        },
    }
)
"""What is not here is refused."""

WHOSE: Mapping[TaskEvent, Side] = MappingProxyType(
    {
        _E.REQUEST: Side.ASKER,
        _E.RECEIPT: Side.LINK,
        _E.SEE: Side.PERFORMER,
        _E.ACCEPT: Side.PERFORMER,
        _E.DECLINE: Side.PERFORMER,
        _E.COUNTER: Side.PERFORMER,
        _E.BEGIN: Side.PERFORMER,
        _E.FINISH: Side.PERFORMER,
        _E.FAIL: Side.PERFORMER,
        _E.ASK_TO_CANCEL: Side.ASKER,
        _E.CANCEL: Side.PERFORMER,
        _E.TOO_LATE: Side.PERFORMER,
        _E.EXPIRE: Side.LINK,
        _E.REPLACE: Side.ASKER,
    }
)
NEEDS_REASON = frozenset({_E.DECLINE, _E.FAIL, _E.TOO_LATE, _E.ASK_TO_CANCEL})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPatience:
    """How long silence may last before people are told."""

    undelivered: timedelta = timedelta(minutes=2)
    unseen: timedelta = timedelta(minutes=10)
    undelivered_rescue: timedelta = timedelta(seconds=60)
    unseen_rescue: timedelta = timedelta(minutes=5)


class TaskAlarm(StrEnum):
    """What silence means."""

    TELEPHONE = "telephone"
    """It did not even arrive: call."""

    WATCH_OFFICER = "watch_officer"
    """It arrived and nobody has looked: tell the officers of both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What is asked for; its asker alone changes it."""

    what: str
    """A key: assist, search, look, escort, relay, other."""

    life_at_risk: bool
    position: Position | None = None
    until: datetime | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStep:
    """One transition: who, when, on behalf of which centre, and why."""

    event: TaskEvent
    at: datetime
    centre_id: CentreId
    person_id: PersonId | None
    """None where no person acted: a receipt, an expiry."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as it stands, with all that happened to it."""

    task_id: str
    asker: CentreId
    performer: CentreId
    definition: TaskDefinition
    definition_version: int = 1
    status_version: int = 0
    state: TaskState = TaskState.DRAFT
    steps: tuple[TaskStep, ...] = ()
    proposal: TaskDefinition | None = None
    """Of the performer, while the task is countered."""

    replaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why an act changes nothing: a stable key, and the task as it is."""

    why: str
    """``state``, ``side``, ``version`` or ``reason``."""

    current: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAct:
    """What somebody wants to do, and which versions they looked at."""

    step: TaskStep
    definition_version: int
    status_version: int
    definition: TaskDefinition | None = None
    """The counter-proposal, or what replaces it."""

    replaced_by: str | None = field(default=None)


def act(task: Task, wanted: TaskAct) -> Task | Refused:
    """Do something to a task, or say why not.

    A performer's act is good only for the definition it saw, and an asker's only for
    the status it saw: whoever was overtaken sees the newer one first.
    """
    step = wanted.step
    why = _why_not(task, wanted)
    if why is not None:
        return Refused(why=why, current=task)
    is_performers = WHOSE[step.event] is not Side.ASKER
    return replace(
        task,
        state=TABLE[task.state, step.event],
        status_version=task.status_version + is_performers,
        definition_version=task.definition_version
        + (step.event in (TaskEvent.ASK_TO_CANCEL, TaskEvent.REPLACE)),
        steps=(*task.steps, step),
        proposal=wanted.definition if step.event is TaskEvent.COUNTER else None,
        replaced_by=wanted.replaced_by
        if step.event is TaskEvent.REPLACE
        else task.replaced_by,
    )


def _why_not(task: Task, wanted: TaskAct) -> str | None:
    step = wanted.step
    if (task.state, step.event) not in TABLE:
        return "state"
    side = WHOSE[step.event]
    centre = {Side.ASKER: task.asker, Side.PERFORMER: task.performer}.get(side)
    if centre is not None and (step.centre_id != centre or step.person_id is None):
        return "side"
    if side is not Side.LINK and (
        wanted.definition_version,
        wanted.status_version,
    ) != (task.definition_version, task.status_version):
        return "version"
    if step.event in NEEDS_REASON and not step.reason:
        return "reason"
    if step.event is TaskEvent.COUNTER and wanted.definition is None:
        return "reason"
    return None


def silence(
    task: Task, now: datetime, patience: TaskPatience | None = None
) -> TaskAlarm | None:
    """Whom to tell because nothing was heard; a life at risk waits less."""
    limits = patience or TaskPatience()
    rescue = task.definition.life_at_risk
    asked_at = next(
        (s.at for s in reversed(task.steps) if s.event is TaskEvent.REQUEST), None
    )
    if asked_at is None:
        return None
    waited = now - asked_at
    if task.state is TaskState.REQUESTED:
        limit = limits.undelivered_rescue if rescue else limits.undelivered
        return TaskAlarm.TELEPHONE if waited >= limit else None
    if task.state is TaskState.DELIVERED:
        limit = limits.unseen_rescue if rescue else limits.unseen
        return TaskAlarm.WATCH_OFFICER if waited >= limit else None
    return None
