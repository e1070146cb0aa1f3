"""Two signatures over the same words; either side suspends alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.core.ids import CentreId, PersonId
from almenara.core.values import Position
from almenara.operations.operation import (
    Operation,
    OperationState,
    Signature,
    Terms,
    amend,
    propose,
    resume,
    sign,
    suspend,
)
from tests.conftest import NOON

ES, MA = CentreId("es"), CentreId("ma")
DAY = timedelta(days=1)
AREA = tuple(
    Position(latitude_deg=lat, longitude_deg=lon)
    for lat, lon in ((36.0, -5.6), (36.0, -5.4), (35.9, -5.5))
)
TERMS = Terms(
    name="Levante",
    start=NOON + DAY,
    end=NOON + 3 * DAY,
    area=AREA,
    purpose="sar",
    legal_basis="agreement of 2026",
    releases=("track.summary", "bearing"),
)


def signature(centre: CentreId, digest: str = TERMS.digest) -> Signature:
    return Signature(centre_id=centre, person_id=PersonId("p"), digest=digest, at=NOON)


def agreed() -> Operation:
    operation = propose("op-1", (ES, MA), TERMS)
    return sign(sign(operation, 1, signature(ES)), 1, signature(MA))


def test_from_draft_to_its_own_end():
    operation = propose("op-1", (ES, MA), TERMS)
    assert operation.state(NOON) is OperationState.DRAFT
    operation = sign(operation, 1, signature(ES))
    assert operation.state(NOON) is OperationState.PROPOSED
    operation = sign(operation, 1, signature(MA))
    assert operation.state(NOON) is OperationState.AGREED
    assert operation.state(NOON + DAY) is OperationState.ACTIVE
    assert operation.state(NOON + 3 * DAY) is OperationState.ENDED


def test_what_it_releases_ends_with_it():
    operation = agreed()

    assert not operation.releases("bearing", NOON)
    assert operation.releases("bearing", NOON + DAY)
    assert not operation.releases("incident", NOON + DAY)
    assert not operation.releases("bearing", NOON + 3 * DAY)
    assert not suspend(operation, MA).releases("bearing", NOON + DAY)


def test_two_signatures_of_one_side_are_one():
    operation = propose("op-1", (ES, MA), TERMS)
    twice = sign(sign(operation, 1, signature(ES)), 1, signature(ES))

    assert twice.state(NOON) is OperationState.PROPOSED
    assert len(twice.versions[0].signatures) == 1


def test_an_amendment_holds_only_when_both_have_signed_it():
    longer = replace(TERMS, end=NOON + 5 * DAY)
    operation = amend(agreed(), longer)
    operation = sign(operation, 2, signature(ES, longer.digest))
    assert operation.state(NOON + 4 * DAY) is OperationState.ENDED

    operation = sign(operation, 2, signature(MA, longer.digest))
    assert operation.state(NOON + 4 * DAY) is OperationState.ACTIVE


def test_a_signature_under_other_words_counts_for_nothing():
    longer = replace(TERMS, end=NOON + 5 * DAY)
    operation = propose("op-1", (ES, MA), TERMS)
    with pytest.raises(ValueError, match="other words"):
        sign(operation, 1, signature(ES, longer.digest))
    with pytest.raises(ValueError, match="nobody to sign"):
        sign(operation, 1, signature(CentreId("fr")))
    with pytest.raises(ValueError, match="nobody to sign"):
        sign(operation, 2, signature(ES))


def test_either_side_suspends_alone_and_lifts_only_its_own():
    operation = suspend(suspend(agreed(), ES), MA)

    operation = resume(operation, ES)
    assert operation.state(NOON + DAY) is OperationState.SUSPENDED
    assert resume(operation, MA).state(NOON + DAY) is OperationState.ACTIVE


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Poniente"},
        {"end": NOON + 4 * DAY},
        {"area": (*AREA, AREA[0])},
        {"purpose": "border"},
        {"legal_basis": "another"},
        {"units": ("boat-1",)},
        {"releases": ("bearing",)},
    ],
)
def test_every_word_is_signed(changes):
    assert replace(TERMS, **changes).digest != TERMS.digest


@pytest.mark.parametrize("changes", [{"end": NOON}, {"area": AREA[:2]}])
def test_terms_that_mean_nothing_are_refused(changes):
    with pytest.raises(ValueError, match="Levante"):
        replace(TERMS, **changes)
