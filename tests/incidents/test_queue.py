from datetime import timedelta

import pytest

from almenara.core.ids import PersonId
from almenara.core.labels import Labels
from almenara.incidents.alarm import (
    Alarm,
    AlarmState,
    Alert,
    Priority,
    Subject,
    SubjectKind,
)
from almenara.incidents.queue import (
    StaleVersion,
    Transition,
    acknowledge,
    close,
    decide,
    queue_order,
    silence,
)
from tests.incidents.sea import NOON, numbered

BOAT = Subject(kind=SubjectKind.CONTACT, id="T1")
OTHER = Subject(kind=SubjectKind.CONTACT, id="T2")
MINUTE = timedelta(minutes=1)
WATCH = PersonId("watch-1")


def alert(rule="zone_entered", subject=BOAT, **changes) -> Alert:
    return Alert(
        **{
            "rule": rule,
            "rule_version": 1,
            "subject": subject,
            "priority": Priority.WARNING,
            "is_rescue": False,
            "because": (),
            "suggested": "look.camera",
            **changes,
        }
    )


RESCUE = alert("adrift", priority=Priority.ALARM, is_rescue=True)


class Desk:
    """Keeps alarms as the store does, and counts what rang."""

    def __init__(self) -> None:
        self.alarms: dict[Subject, Alarm] = {}
        self.rang = 0
        self.now = NOON
        self._names = numbered()

    def judge(self, *alerts: Alert, after: timedelta = MINUTE, **kwargs):
        self.now += after
        steps = decide(self.alarms, alerts, self.now, self._names, **kwargs)
        for step in steps:
            self.keep(step)
        return steps

    def keep(self, step: Transition) -> None:
        self.alarms = {
            s: a for s, a in self.alarms.items() if a.alarm_id != step.after.alarm_id
        } | {step.after.subject: step.after}
        self.rang += step.announces

    def acknowledge(self, subject: Subject = BOAT) -> None:
        alarm = self.alarms[subject]
        step = acknowledge(alarm, WATCH, alarm.version, self.now)
        assert isinstance(step, Transition)
        self.keep(step)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_alert_becomes_an_alarm_that_rings(desk: Desk):
    (step,) = desk.judge(alert(), labels={BOAT: Labels(simulated=True)})

    assert (step.before, step.event, step.announces) == (None, "raised", True)
    assert step.after.state is AlarmState.UNACKNOWLEDGED
    assert step.after.labels.simulated


def test_nothing_new_is_no_transition(desk: Desk):
    desk.judge(alert())

    assert desk.judge(alert()) == ()


def test_a_further_reason_joins_without_ringing(desk: Desk):
    desk.judge(alert())
    (step,) = desk.judge(alert(), alert("closing_on_coast"))

    assert (step.event, step.announces, step.after.version) == ("joined", False, 1)
    assert [a.rule for a in step.after.alerts] == ["closing_on_coast", "zone_entered"]


def test_the_first_rescue_reason_rings_again_after_acknowledgement(desk: Desk):
    desk.judge(alert())
    desk.acknowledge()
    (step,) = desk.judge(alert(), RESCUE)

    assert step.announces
    assert step.after.version == 2
    assert step.after.state is AlarmState.UNACKNOWLEDGED
    assert step.after.acknowledged_by is None
    assert step.after.alerts[0].rule == "adrift"


def test_a_rescue_reason_rings_even_where_the_priority_stays(desk: Desk):
    desk.judge(alert(priority=Priority.ALARM))
    desk.acknowledge()
    (step,) = desk.judge(alert(priority=Priority.ALARM), RESCUE)

    assert step.announces
    assert step.after.is_rescue


def test_an_acknowledgement_is_good_for_the_version_it_saw(desk: Desk):
    desk.judge(alert())
    desk.judge(alert(), RESCUE)

    assert acknowledge(desk.alarms[BOAT], WATCH, 1, desk.now) == StaleVersion(
        seen=1, current=2
    )


def test_the_first_to_acknowledge_stays(desk: Desk):
    desk.judge(alert())
    desk.acknowledge()
    step = acknowledge(desk.alarms[BOAT], PersonId("watch-2"), 1, desk.now)

    assert isinstance(step, Transition)
    assert step.after is step.before
    assert step.after.acknowledged_by == WATCH


def test_what_ended_unseen_waits_to_be_seen(desk: Desk):
    desk.judge(alert())
    (step,) = desk.judge()
    assert step.after.state is AlarmState.RECTIFIED

    desk.acknowledge()
    assert desk.alarms[BOAT].state is AlarmState.NORMAL


def test_twenty_crossings_in_and_out_are_one_alarm(desk: Desk):
    for _ in range(20):
        desk.judge(alert())
        desk.judge()

    assert desk.rang == 1
    assert {a.alarm_id for a in desk.alarms.values()} == {"A1"}


def test_twenty_crossings_after_acknowledgement_ring_no_more(desk: Desk):
    desk.judge(alert())
    desk.acknowledge()
    for _ in range(20):
        desk.judge()
        desk.judge(alert())

    assert desk.rang == 1
    assert desk.alarms[BOAT].acknowledged_by == WATCH
    assert desk.alarms[BOAT].state is AlarmState.ACKNOWLEDGED


def test_the_next_day_is_another_situation(desk: Desk):
    desk.judge(alert())
    desk.acknowledge()
    desk.judge()
    desk.judge(alert(), after=timedelta(hours=20))

    assert desk.rang == 2
    assert desk.alarms[BOAT].alarm_id == "A2"


def test_an_acknowledged_rescue_stays_until_a_person_closes_it(desk: Desk):
    desk.judge(RESCUE)
    desk.acknowledge()

    assert desk.judge() == ()
    assert desk.alarms[BOAT].state is AlarmState.ACKNOWLEDGED
    assert close(desk.alarms[BOAT], desk.now).after.state is AlarmState.NORMAL


def test_silence_lasts_thirty_seconds(desk: Desk):
    desk.judge(alert())
    desk.keep(silence(desk.alarms[BOAT], desk.now))

    assert desk.judge(alert(), after=timedelta(seconds=29)) == ()
    (step,) = desk.judge(alert(), after=timedelta(seconds=1))
    assert step.event == "sound_returned"
    assert step.after.state is AlarmState.UNACKNOWLEDGED
    assert not step.announces


def test_a_reason_that_joins_does_not_lengthen_the_silence(desk: Desk):
    desk.judge(alert())
    desk.keep(silence(desk.alarms[BOAT], desk.now))
    both = (alert(), alert("closing_on_coast"))
    desk.judge(*both, after=timedelta(seconds=20))

    (step,) = desk.judge(*both, after=timedelta(seconds=10))
    assert step.event == "sound_returned"


def test_the_alarm_of_a_merged_track_goes_on_with_the_survivor(desk: Desk):
    desk.judge(alert())
    desk.acknowledge()
    (step,) = desk.judge(alert(subject=OTHER), survivors={BOAT: OTHER})

    assert not step.announces
    assert step.after.alarm_id == "A1"
    assert step.after.subject == OTHER
    assert desk.rang == 1


def test_two_alarms_of_one_boat_become_one_to_deal_with(desk: Desk):
    desk.judge(alert(), alert(subject=OTHER))
    steps = desk.judge(alert(subject=OTHER), survivors={BOAT: OTHER})

    assert [s.after.subject for s in steps] == [BOAT]
    assert steps[0].after.state is AlarmState.RECTIFIED


def test_the_queue_is_in_the_order_of_what_must_be_done():
    def made(name, state, priority, minutes=0):
        return Alarm(
            alarm_id=name,
            subject=BOAT,
            state=state,
            priority=priority,
            is_rescue=False,
            version=1,
            alerts=(),
            raised_at=NOON + minutes * MINUTE,
            changed_at=NOON,
        )

    alarms = [
        made("done", AlarmState.ACKNOWLEDGED, Priority.ALARM),
        made("over", AlarmState.NORMAL, Priority.EMERGENCY),
        made("returned", AlarmState.RECTIFIED, Priority.ALARM),
        made("young", AlarmState.UNACKNOWLEDGED, Priority.WARNING, 5),
        made("old", AlarmState.SILENCED, Priority.WARNING, 1),
        made("grave", AlarmState.UNACKNOWLEDGED, Priority.ALARM, 9),
        made("sos", AlarmState.ACKNOWLEDGED, Priority.EMERGENCY),
    ]

    assert [a.alarm_id for a in queue_order(alarms)] == [
        "sos",
        "grave",
        "old",
        "young",
        "returned",
        "done",
        "over",
    ]
