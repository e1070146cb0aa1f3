"""Nothing leaves by default, and nothing leaves that nobody named."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import CentreId, PersonId
from almenara.core.labels import Labels, Purpose, Sensitivity
from almenara.exchange.release import Gate, Hurdle, Record, Released, Withheld
from almenara.exchange.stream import Lane
from tests.exchange.centres import BEGIN, END, MA, agreement, record

NOW = BEGIN + timedelta(days=60)
GATE = Gate(agreement=agreement())


def why(said: Record, gate: Gate = GATE, now=NOW) -> Hurdle | None:
    decision = gate.decide(said, now)
    return decision.hurdle if isinstance(decision, Withheld) else None


def labelled(**changes) -> Record:
    said = record()
    return replace(said, labels=replace(said.labels, **changes))


def test_what_is_released_holds_the_named_fields_and_no_other():
    said = record(fields={"what": "adrift", "secret": "x", "where": [36, -5]})

    decision = GATE.decide(said, NOW)

    assert isinstance(decision, Released)
    assert decision.body == {"what": "adrift", "where": [36, -5]}
    assert decision.label.onward is False


@pytest.mark.parametrize(
    ("said", "hurdle"),
    [
        (labelled(releasable_to=frozenset()), Hurdle.RECIPIENT),
        (labelled(releasable_to=frozenset({CentreId("fr")})), Hurdle.RECIPIENT),
        (labelled(sensitivity=Sensitivity.RED), Hurdle.SENSITIVITY),
        (labelled(purpose=Purpose.LAW_ENFORCEMENT), Hurdle.PURPOSE),
        (labelled(purpose=Purpose.AUDIT), Hurdle.PURPOSE),
        (labelled(purpose=Purpose.MAINTENANCE), Hurdle.PURPOSE),
        (labelled(exercise=True), Hurdle.EXERCISE),
        (labelled(simulated=True), Hurdle.EXERCISE),
        (record("unit.summary"), Hurdle.TYPE),
        (record(has_picture=True), Hurdle.APPROVAL),
        (record(has_free_text=True), Hurdle.APPROVAL),
        (record("evidence.pointer"), Hurdle.APPROVAL),
    ],
)
def test_each_hurdle_stands_by_itself(said: Record, hurdle: Hurdle):
    assert why(record()) is None
    assert why(said) is hurdle


def test_a_suspended_link_and_an_agreement_out_of_force_let_nothing_out():
    assert why(record(), replace(GATE, suspended=True)) is Hurdle.SUSPENDED
    assert why(record(), now=END) is Hurdle.AGREEMENT
    assert why(record(), now=BEGIN - timedelta(seconds=1)) is Hurdle.AGREEMENT


def test_sharing_distress_is_one_act_and_needs_no_release_of_its_own():
    said = record(
        "rescue.case",
        lane=Lane.URGENT,
        fields={"phase": "distress", "position": [36, -5]},
        labels=Labels(purpose=Purpose.SAR, personal_data=False),
    )
    assert why(said) is None
    strict = Gate(agreement=agreement(rescue_standing=False))
    decision = strict.decide(said, NOW)
    assert decision == Withheld(hurdle=Hurdle.RECIPIENT, is_rescue=True)


def test_an_exercise_has_streams_of_its_own():
    drill = Gate(agreement=agreement(exercise=True))

    assert why(labelled(exercise=True), drill) is None
    assert why(labelled(simulated=True), drill) is None
    assert why(record(), drill) is Hurdle.EXERCISE


def test_once_persons_are_in_care_their_number_and_way_need_a_second_person():
    said = record(
        "rescue.case",
        fields={"phase": "distress", "people": [3, 5]},
        in_care=True,
        requested_by=PersonId("a"),
    )
    assert why(said) is Hurdle.IN_CARE
    assert why(replace(said, approved_by=frozenset({PersonId("a")}))) is Hurdle.IN_CARE
    assert why(replace(said, approved_by=frozenset({PersonId("b")}))) is None
    custody = record("rescue.custody", fields={"entry": "closed"}, in_care=True)
    assert why(custody) is None


labels = st.builds(
    Labels,
    purpose=st.sampled_from(Purpose),
    sensitivity=st.sampled_from(Sensitivity),
    personal_data=st.booleans(),
    releasable_to=st.sets(st.sampled_from([MA, CentreId("fr")])).map(frozenset),
    exercise=st.booleans(),
    simulated=st.booleans(),
)
fields = st.dictionaries(
    st.sampled_from(["what", "where", "mmsi", "people", "face", "name", "picture"]),
    st.just("canary"),
)


@given(
    st.builds(
        Record,
        type=st.sampled_from(["incident", "rescue.case", "unit.summary", "person"]),
        ver=st.just(1),
        lane=st.sampled_from(Lane),
        fields=fields,
        labels=labels,
        in_care=st.booleans(),
        has_picture=st.booleans(),
        has_free_text=st.booleans(),
    )
)
def test_no_record_gets_out_what_the_agreement_does_not_name(said: Record):
    decision = GATE.decide(said, NOW)
    if isinstance(decision, Withheld):
        return
    allowed = GATE.agreement.fields[said.type]
    assert set(decision.body) <= allowed
    assert "face" not in json.dumps(dict(decision.body))
    assert not said.labels.exercise
    assert not said.labels.simulated
    assert not said.has_picture
    rescue = said.type.startswith("rescue.")
    assert rescue or MA in said.labels.releasable_to
