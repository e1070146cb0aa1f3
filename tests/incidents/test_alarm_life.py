"""What happens to alarms nobody answers, to many at once, and to those put aside."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.core.ids import AlarmId, PersonId
from almenara.incidents.alarm import (
    Alarm,
    AlarmState,
    Alert,
    Priority,
    Subject,
    SubjectKind,
)
from almenara.incidents.escalation import Escalation, Level
from almenara.incidents.flood import is_flood, rows
from almenara.incidents.load import Announcement, alarm_load
from almenara.incidents.shelving import Refusal, Shelved, shelve, still_shelved
from almenara.incidents.thresholds import DEFAULT
from tests.incidents.sea import NOON

ANA = PersonId("ana")
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def alarm(number: int = 1, rule: str = "zone_entered", **changes) -> Alarm:
    subject = Subject(kind=SubjectKind.CONTACT, id=f"T{number}")
    made = Alarm(
        alarm_id=AlarmId(f"A{number}"),
        subject=subject,
        state=AlarmState.UNACKNOWLEDGED,
        priority=Priority.WARNING,
        is_rescue=False,
        version=1,
        alerts=(
            Alert(
                rule=rule,
                rule_version=1,
                subject=subject,
                priority=Priority.WARNING,
                is_rescue=False,
                because=(),
                suggested="look.camera",
            ),
        ),
        raised_at=NOON,
        changed_at=NOON,
    )
    return replace(made, **changes)


SOS = alarm(priority=Priority.EMERGENCY, is_rescue=True)


def levels(one: Alarm, *seconds: float, **options) -> list[Level]:
    book, told = Escalation(), []
    for s in seconds:
        book, steps = book.read([one], NOON + timedelta(seconds=s), **options)
        told += [step.level for step in steps]
    return told


def test_an_emergency_goes_to_all_consoles_and_then_outside():
    assert levels(SOS, 0, 29, 30, 59, 60, 300) == [Level.ALL_CONSOLES, Level.OUTSIDE]
    assert levels(SOS, 0, 29) == []


def test_an_alarm_goes_to_all_consoles_after_two_minutes_and_no_further():
    grave = alarm(priority=Priority.ALARM)

    assert levels(grave, 0, 119, 120, 3600) == [Level.ALL_CONSOLES]
    assert levels(alarm(), 0, 3600) == []


def test_where_no_console_can_be_heard_an_emergency_goes_outside_at_once():
    assert levels(SOS, 0, sound_confirmed=False) == [Level.OUTSIDE]


def test_silence_does_not_stop_the_clock_and_an_acknowledgement_does():
    silenced = replace(SOS, state=AlarmState.SILENCED, changed_at=NOON + 20 * SECOND)
    book, _ = Escalation().read([SOS], NOON)
    book, steps = book.read([silenced], NOON + 31 * SECOND)
    assert [s.level for s in steps] == [Level.ALL_CONSOLES]
    known = replace(SOS, state=AlarmState.ACKNOWLEDGED)
    _, steps = book.read([known], NOON + 61 * SECOND)
    assert steps == ()


def test_a_rescue_that_ended_unseen_still_goes_up():
    assert levels(replace(SOS, state=AlarmState.RECTIFIED), 0, 30) == [
        Level.ALL_CONSOLES
    ]


def test_a_restart_counts_from_when_it_rang():
    _, steps = Escalation().read([SOS], NOON + 61 * SECOND)

    assert [s.level for s in steps] == [Level.OUTSIDE]


def test_a_new_announcement_waits_anew_and_never_comes_down():
    book, _ = Escalation().read([alarm(priority=Priority.ALARM)], NOON)
    book, _ = book.read([alarm(priority=Priority.ALARM)], NOON + 120 * SECOND)
    graver = replace(SOS, version=2, changed_at=NOON + 130 * SECOND)
    book, steps = book.read([graver], NOON + 130 * SECOND)
    assert steps == ()
    book, steps = book.read([graver], NOON + 165 * SECOND)
    assert steps == ()  # it is with all consoles already
    _, steps = book.read([graver], NOON + 190 * SECOND)
    assert [s.level for s in steps] == [Level.OUTSIDE]


def aside(one: Alarm, **changes) -> Shelved | Refusal:
    return shelve(
        one,
        **{
            "version": one.version,
            "person": ANA,
            "reason": "dredger at work",
            "until": NOON + HOUR,
            "now": NOON,
            **changes,
        },
    )


def test_an_alarm_is_put_aside_with_an_end_a_reason_and_a_name():
    kept = aside(alarm())

    assert isinstance(kept, Shelved)
    assert (kept.until, kept.person_id) == (NOON + HOUR, ANA)


@pytest.mark.parametrize(
    ("one", "changes", "refusal"),
    [
        (SOS, {}, Refusal.RESCUE),
        (alarm(is_rescue=True), {}, Refusal.RESCUE),
        (alarm(priority=Priority.EMERGENCY), {}, Refusal.EMERGENCY),
        (alarm(), {"reason": "  "}, Refusal.NO_REASON),
        (alarm(), {"until": NOON}, Refusal.NO_END),
        (alarm(), {"until": NOON + DEFAULT.shelve_longest + SECOND}, Refusal.TOO_LONG),
        (alarm(), {"version": 0}, Refusal.STALE),
    ],
)
def test_what_may_not_be_put_aside_is_refused_with_its_reason(one, changes, refusal):
    assert aside(one, **changes) is refusal


def test_what_was_put_aside_comes_back_at_its_end_or_when_it_becomes_graver():
    kept = aside(alarm())
    assert isinstance(kept, Shelved)
    shelf = {kept.alarm_id: kept}

    assert still_shelved([alarm()], shelf, NOON + HOUR - SECOND) == shelf
    assert still_shelved([alarm()], shelf, NOON + HOUR) == {}
    assert still_shelved([alarm(version=2)], shelf, NOON) == {}
    assert still_shelved([alarm(is_rescue=True)], shelf, NOON) == {}


def many(count: int, **changes) -> list[Alarm]:
    return [alarm(n, **changes) for n in range(count)]


def test_ten_alarms_are_ten_rows_and_eleven_of_one_cause_are_one():
    assert len(rows(many(10), NOON)) == 10
    (row,) = rows(many(11), NOON)
    assert row.is_group
    assert len(row.alarms) == 11


def test_eleven_alarms_over_an_hour_are_no_flood():
    spread = [
        replace(a, raised_at=NOON + n * timedelta(minutes=6))
        for n, a in enumerate(many(11))
    ]

    assert not is_flood(spread, NOON + HOUR)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["zone_entered", "landing", "adrift"]),
            st.booleans(),
            st.sampled_from(Priority),
        ),
        max_size=40,
    )
)
def test_no_row_hides_a_rescue_and_no_alarm_is_lost(made):
    alarms = [
        alarm(n, rule, is_rescue=rescue, priority=priority)
        for n, (rule, rescue, priority) in enumerate(made)
    ]
    shown = rows(alarms, NOON)

    assert sorted(a.alarm_id for r in shown for a in r.alarms) == sorted(
        a.alarm_id for a in alarms
    )
    for row in shown:
        if row.is_group:
            assert not any(
                a.is_rescue or a.priority is Priority.EMERGENCY for a in row.alarms
            )


def rang(minute: float, source: str = "zone T1", **changes) -> Announcement:
    return Announcement(
        **{
            "alarm_id": f"A{minute}",
            "source": source,
            "priority": Priority.WARNING,
            "at": NOON + timedelta(minutes=minute),
            **changes,
        }
    )


def test_the_load_counts_empty_windows():
    load = alarm_load(
        [rang(n / 2, f"s{n}") for n in range(12)],
        begin=NOON,
        end=NOON + 10 * HOUR,
    )

    assert (load.per_hour, load.per_day) == pytest.approx((1.2, 28.8))
    assert load.most_in_10_min == 12
    assert load.flood_share == pytest.approx(1 / 60)
    assert load.top_share == pytest.approx(10 / 12)


def test_chattering_fleeting_and_stale_alarms_are_counted():
    day = 25 * HOUR
    load = alarm_load(
        [
            *(rang(n / 3, "flapping") for n in range(3)),
            rang(60, "short", ended_at=NOON + HOUR + 5 * SECOND),
            rang(
                60.5,
                "seen",
                acknowledged_at=NOON + HOUR + 42 * SECOND,
                priority=Priority.ALARM,
            ),
        ],
        begin=NOON,
        end=NOON + day,
    )

    assert (load.chattering, load.fleeting) == (1, 1)
    assert load.stale == 3
    assert load.acknowledged_median_s == 12.0
    assert dict(load.by_priority)["alarm"] == 1


def test_a_quiet_span_has_a_load_of_nought_and_an_empty_one_none():
    quiet = alarm_load([], begin=NOON, end=NOON + HOUR)

    assert (quiet.per_day, quiet.top_share, quiet.acknowledged_p95_s) == (0, 0, None)
    with pytest.raises(ValueError, match="empty"):
        alarm_load([], begin=NOON, end=NOON)
