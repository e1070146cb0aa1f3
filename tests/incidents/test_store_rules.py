"""What people are told of disks and stores."""

import pytest

from almenara.incidents.alarm import Priority, SubjectKind
from almenara.incidents.rules import judge
from almenara.incidents.stores import StoreFacts


def test_a_store_that_works_is_not_mentioned():
    assert judge([], stores=[StoreFacts(store_id="main", hours_left=72.1)]) == []
    assert judge([], stores=[StoreFacts(store_id="main")]) == []


@pytest.mark.parametrize(
    ("hours", "priority"),
    [
        (72.0, Priority.CAUTION),
        (24.1, Priority.CAUTION),
        (24.0, Priority.WARNING),
        (1.1, Priority.WARNING),
        (1.0, Priority.ALARM),
        (0.0, Priority.ALARM),
    ],
)
def test_the_warning_grows_as_the_room_shrinks(hours: float, priority: Priority):
    (alert,) = judge([], stores=[StoreFacts(store_id="store", hours_left=hours)])

    assert alert.priority is priority
    assert alert.subject.kind is SubjectKind.STORE
    assert alert.because[0].values == {"hours": round(hours, 1)}


def test_a_failing_disk_is_an_alarm_with_the_disks_own_words():
    facts = StoreFacts(store_id="main", state="failing", detail="Input/output error")
    (alert,) = judge([], stores=[facts])

    assert (alert.rule, alert.priority) == ("store_failing", Priority.ALARM)
    assert alert.because[0].values["detail"] == "Input/output error"
    assert not alert.is_rescue


def test_a_full_store_is_an_alarm():
    (alert,) = judge([], stores=[StoreFacts(store_id="store", state="full")])

    assert (alert.rule, alert.priority) == ("store_full", Priority.ALARM)
