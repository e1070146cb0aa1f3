import itertools

import pytest

from almenara.incidents.alarm import AlarmState
from almenara.incidents.life import TABLE, Event, after

N, V, S, A, O, U = (AlarmState(letter) for letter in "NVSAOU")  # noqa: E741  the letters of IEC 62923

# Written by hand from docs/design/alarms.md, "Life cycle": a row for each state, a
# column for each event; a dot changes nothing.
EVENTS = [
    Event.RAISED,
    Event.ENDED,
    Event.GRAVER,
    Event.SILENCED,
    Event.SOUND_RETURNED,
    Event.ACKNOWLEDGED,
    Event.CLOSED,
    Event.TRANSFERRED,
    Event.RETURNED,
]
BY_HAND = {
    N: "V.V......",
    V: ".U.S.ANO.",
    S: ".UV.VAN..",
    A: ".NV...NO.",
    O: ".NV...N.V",
    U: "V.V..NN..",
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(AlarmState, Event)))
def test_every_event_in_every_state_does_what_the_document_says(state, event):
    letter = BY_HAND[state][EVENTS.index(event)]

    assert after(state, event) is (state if letter == "." else AlarmState(letter))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(AlarmState, Event)))
def test_a_rescue_once_taken_on_ends_by_a_person_alone(state, event):
    by_rescue = after(state, event, is_rescue=True)

    if state is not N and by_rescue is N:
        assert event is Event.CLOSED
    if state in (V, S) and event is Event.ENDED:
        assert by_rescue is U


def test_the_table_holds_no_row_that_changes_nothing():
    assert all(state is not result for (state, _), result in TABLE.items())
