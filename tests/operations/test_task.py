"""A task is a request: every step has its side, its versions and its reason."""

from datetime import timedelta
from itertools import product

import pytest

from almenara.core.ids import CentreId, PersonId
from almenara.operations.task import (
    ENDED,
    NEEDS_REASON,
    OPEN,
    TABLE,
    WHOSE,
    Refused,
    Side,
    Task,
    TaskAct,
    TaskAlarm,
    TaskDefinition,
    TaskEvent,
    TaskState,
    TaskStep,
    act,
    silence,
)
from tests.conftest import NOON

ES, MA = CentreId("es"), CentreId("ma")
ASKS, DOES = PersonId("asks"), PersonId("does")
LOOK = TaskDefinition(what="look", life_at_risk=False)


def task(state: TaskState = TaskState.DRAFT, **changes) -> Task:
    values = {"task_id": "t1", "asker": ES, "performer": MA, "definition": LOOK}
    return Task(**{**values, "state": state, **changes})


def wanted(of: Task, event: TaskEvent, minutes: float = 0.0, **changes) -> TaskAct:
    side = WHOSE[event]
    centre, person = {
        Side.ASKER: (ES, ASKS),
        Side.PERFORMER: (MA, DOES),
        Side.LINK: (MA, None),
    }[side]
    step = TaskStep(
        event=event,
        at=NOON + timedelta(minutes=minutes),
        centre_id=centre,
        person_id=person,
        reason="why" if event in NEEDS_REASON else None,
    )
    values = {
        "step": step,
        "definition_version": of.definition_version,
        "status_version": of.status_version,
        "definition": LOOK if event is TaskEvent.COUNTER else None,
    }
    return TaskAct(**{**values, **changes})


def done(of: Task, *events: TaskEvent) -> Task:
    for event in events:
        after = act(of, wanted(of, event))
        assert isinstance(after, Task), event
        of = after
    return of


def test_from_a_draft_to_done_with_everybody_who_acted():
    events = (
        TaskEvent.REQUEST,
        TaskEvent.RECEIPT,
        TaskEvent.SEE,
        TaskEvent.ACCEPT,
        TaskEvent.BEGIN,
        TaskEvent.FINISH,
    )
    over = done(task(), *events)

    assert over.state is TaskState.DONE
    assert tuple(step.event for step in over.steps) == events
    assert [s.person_id for s in over.steps] == [ASKS, None, DOES, DOES, DOES, DOES]


@pytest.mark.parametrize(("state", "event"), list(product(TaskState, TaskEvent)))
def test_what_the_table_does_not_know_changes_nothing(state, event):
    before = task(state)
    after = act(before, wanted(before, event))

    if (state, event) in TABLE:
        assert isinstance(after, Task)
        assert after.state is TABLE[state, event]
    else:
        assert after == Refused(why="state", current=before)


def test_what_has_ended_never_moves_again():
    assert not {(state, event) for state, event in TABLE if state in ENDED}
    assert OPEN | ENDED | {TaskState.DRAFT} == set(TaskState)


@pytest.mark.parametrize("event", [e for e in TaskEvent if WHOSE[e] is not Side.LINK])
def test_nobody_acts_for_the_other_side_or_without_a_name(event):
    (state,) = [s for s, e in TABLE if e is event][:1]
    before = task(state)
    good = wanted(before, event)
    other = ES if good.step.centre_id == MA else MA
    for step in (
        TaskStep(event=event, at=NOON, centre_id=other, person_id=DOES, reason="why"),
        TaskStep(
            event=event,
            at=NOON,
            centre_id=good.step.centre_id,
            person_id=None,
            reason="why",
        ),
    ):
        refused = act(before, wanted(before, event, step=step))
        assert isinstance(refused, Refused)
        assert refused.why == "side"


def test_whoever_was_overtaken_sees_the_newer_version_first():
    seen = done(task(), TaskEvent.REQUEST, TaskEvent.SEE)
    late = wanted(seen, TaskEvent.ACCEPT)
    cancelling = done(seen, TaskEvent.ASK_TO_CANCEL)
    assert cancelling.definition_version == seen.definition_version + 1

    accepted = done(seen, TaskEvent.ACCEPT)
    stale = wanted(seen, TaskEvent.ASK_TO_CANCEL)
    refused = act(accepted, stale)
    assert refused == Refused(why="version", current=accepted)
    assert isinstance(act(cancelling, late), Refused)


@pytest.mark.parametrize("event", sorted(NEEDS_REASON))
def test_a_no_needs_a_reason(event):
    (state,) = [s for s, e in TABLE if e is event][:1]
    before = task(state)
    good = wanted(before, event)
    step = TaskStep(
        event=event,
        at=NOON,
        centre_id=good.step.centre_id,
        person_id=good.step.person_id,
    )
    refused = act(before, wanted(before, event, step=step))
    assert isinstance(refused, Refused)
    assert refused.why == "reason"


def test_a_counter_proposal_lies_beside_the_request():
    other = TaskDefinition(what="search", life_at_risk=True)
    seen = done(task(), TaskEvent.REQUEST, TaskEvent.SEE)
    after = act(seen, wanted(seen, TaskEvent.COUNTER, definition=other))

    assert isinstance(after, Task)
    assert (after.definition, after.proposal) == (LOOK, other)


@pytest.mark.parametrize(
    ("rescue", "state", "minutes", "alarm"),
    [
        (False, TaskState.REQUESTED, 1.9, None),
        (False, TaskState.REQUESTED, 2.0, TaskAlarm.TELEPHONE),
        (True, TaskState.REQUESTED, 1.0, TaskAlarm.TELEPHONE),
        (False, TaskState.DELIVERED, 9.9, None),
        (False, TaskState.DELIVERED, 10.0, TaskAlarm.WATCH_OFFICER),
        (True, TaskState.DELIVERED, 5.0, TaskAlarm.WATCH_OFFICER),
        (True, TaskState.SEEN, 600.0, None),
    ],
)
def test_silence_is_told_and_a_life_at_risk_waits_less(rescue, state, minutes, alarm):
    definition = TaskDefinition(what="assist", life_at_risk=rescue)
    asked = done(task(definition=definition), TaskEvent.REQUEST)
    if state is not TaskState.REQUESTED:
        asked = done(asked, TaskEvent.RECEIPT)
    if state is TaskState.SEEN:
        asked = done(asked, TaskEvent.SEE)

    assert silence(asked, NOON + timedelta(minutes=minutes)) is alarm


def test_a_draft_is_silent_for_ever():
    assert silence(task(), NOON + timedelta(days=1)) is None
