"""What may be said between centres, to the letter; and what there is no word for."""

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.exchange import messages
from almenara.exchange.envelope import Strict
from almenara.exchange.ledger import Outcome
from almenara.exchange.messages import MESSAGES, body_of, fields_of, understand
from tests.exchange.test_envelope import claims

PLACE = {
    "latitude_deg": 36.0,
    "longitude_deg": -5.6,
    "major_m": 120.0,
    "minor_m": 15.0,
    "orientation_deg": 12.0,
    "at_ms": 1_770_000_000_000,
}
GOLDEN: dict[str, dict[str, object]] = {
    "rescue.case": {
        "case": "es-17",
        "version": 3,
        "phase": "distress",
        "coordinator": "es",
        "position": PLACE,
        "people": {"at_least": 20, "at_most": None},
        "factors": [{"number": 3, "state": "likely_adverse", "at_ms": None}],
        "craft": "inflatable",
        "length_m": 8.0,
        "reasons": [{"key": "adrift.minutes", "values": {"minutes": 14.0}}],
        "contact": "MRCC, +34 000",
    },
    "rescue.custody": {
        "case": "es-17",
        "epoch": 0,
        "entry": "offer",
        "number": 2,
        "at_ms": 1,
        "reason": None,
    },
    "bearing": {
        "station": "es:1",
        "latitude_deg": 36.0,
        "longitude_deg": -5.6,
        "height_m": 50.0,
        "position_std_m": 5.0,
        "at_ms": 1,
        "clock_error_ms": 20,
        "azimuth_deg": 181.25,
        "noise_std_deg": 0.01,
        "bias_std_deg": 0.03,
        "elevation_deg": None,
        "elevation_std_deg": None,
        "sensor": "thermal",
        "contact": "es:1:7",
        "existence": 0.9,
        "craft": "small_craft",
        "origin": "es:1",
    },
    "recall.answer": {
        "of": "00000000-0000-0000-0000-000000000001",
        "answer": "kept",
        "ground": "court_order",
        "to": [],
    },
}


def said(kind: str, body: object, ver: int = 1) -> Outcome:
    return understand(claims(type=kind, ver=ver, body=body))


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_bodies_are_understood_and_come_back_the_same(kind: str):
    model = MESSAGES[kind, 1].model_validate(GOLDEN[kind])

    assert said(kind, GOLDEN[kind]) == Outcome(accepted=True)
    assert body_of(model) == GOLDEN[kind]


def test_an_unknown_type_or_version_is_set_aside_with_a_code():
    assert said("person", {}).code == "EntityTypeNotAccepted"
    assert said("rescue.case", GOLDEN["rescue.case"], ver=2).code == (
        "EntityTypeNotAccepted"
    )


@pytest.mark.parametrize(
    "spoilt",
    [
        {"people": {"at_least": 5, "at_most": 3}},
        {"people": 20},
        {"nationality": "x"},
        {"position": {**PLACE, "latitude_deg": 91.0}},
        {"position": {**PLACE, "latitude_deg": float("inf")}},
        {"craft": "suspect"},
        {"phase": "fine"},
    ],
)
def test_a_body_of_another_form_is_set_aside(spoilt: dict[str, object]):
    body = {**GOLDEN["rescue.case"], **spoilt}
    model_says = said("rescue.case", json.loads(json.dumps(body)))

    assert model_says == Outcome(accepted=False, code="BadRequest")


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(), max_size=5))
def test_noise_is_set_aside_and_never_raises(body: dict[str, object]):
    for kind, _ in MESSAGES:
        assert said(kind, body).code in ("BadRequest", "Success")


def models() -> Iterator[type[Strict]]:
    for name in vars(messages):
        value = getattr(messages, name)
        if isinstance(value, type) and issubclass(value, Strict):
            yield value


PERSON = re.compile(
    r"name|nation|sex|gender|(^|_)age$|birth|face|likeness|gait|skin|religio|ethnic|passport"
    r"|photo|picture|image|video|migra|suspect|host|enemy|target|threat",
    re.IGNORECASE,
)


def test_there_is_no_word_for_a_person_or_a_picture_or_an_enemy():
    named = {
        field
        for model in models()
        for field in model.model_fields
        if PERSON.search(field)
    }
    schema = json.dumps([MESSAGES[key].model_json_schema() for key in MESSAGES])
    values = set(re.findall(r'"([a-z_]+)"', schema))

    assert named == set()
    assert not {v for v in values if re.search(r"suspect|hostile|enemy|target", v)}


def test_an_allow_list_names_fields_that_exist():
    assert "people" in fields_of("rescue.case")
    assert fields_of("person") == frozenset()
