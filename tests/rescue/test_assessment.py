"""The ten factors over all 4¹⁰ vectors; unknown is never safe; down takes two."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, PersonId
from almenara.rescue.assessment import (
    Assessment,
    Factor,
    Finding,
    Judgement,
    SourceKind,
    phases_of,
    propose,
)
from almenara.rescue.phases import (
    AGREE_WITHIN,
    LoweringRequest,
    Phase,
    PhaseDecision,
    agreed,
    raised,
)
from tests.conftest import NOON

ANA, BEN = PersonId("ana"), PersonId("ben")
SOON = NOON + timedelta(minutes=1)
ALL = (
    np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T
)  # row i: the digits of i in base four
PHASES = phases_of(ALL)
STEP = 4 ** np.arange(9, -1, -1)


def judgement(factor=Factor.LOAD, finding=Finding.OBSERVED_ADVERSE, **changes):
    values = {"source": SourceKind.REPORTED, "source_time": NOON, "who": ANA, **changes}
    return Judgement(factor=factor, finding=finding, **values)


def blank() -> Assessment:
    return Assessment(version=0, at=NOON, by=ANA)


def request(**changes) -> LoweringRequest:
    made = LoweringRequest(
        case_id=CaseId("c1"),
        phase=Phase.UNCERTAINTY,
        closes=False,
        reason="all aboard the lifeboat",
        decisions_seen=2,
        assessment_seen=3,
        asked_by=ANA,
        asked_at=NOON,
        proposed=Phase.UNCERTAINTY,
    )
    return replace(made, **changes)


def agree(asked: LoweringRequest, **changes) -> PhaseDecision:
    values = {"by": BEN, "at": SOON, "decisions": 2, "assessment": 3, **changes}
    return agreed(asked, **values)


# -- all vectors -------------------------------------------------------------------


def test_every_vector_has_a_phase_and_every_phase_a_vector():
    assert len(PHASES) == 4**10 == 1_048_576
    assert set(PHASES.tolist()) == set(map(int, Phase))


@pytest.mark.parametrize("factor", range(10))
@pytest.mark.parametrize("finding", range(3))
def test_a_worse_finding_never_lowers_the_phase(factor: int, finding: int):
    here = ALL[:, factor] == finding
    worse = np.flatnonzero(here) + STEP[factor]

    assert (PHASES[worse] >= PHASES[here]).all()


def test_no_vector_with_an_unknown_is_safe():
    some_unknown = (ALL == Finding.UNKNOWN).any(axis=1)

    assert (PHASES[some_unknown] >= Phase.UNCERTAINTY).all()
    assert PHASES[~some_unknown].min() == Phase.NONE


def test_only_ten_good_findings_propose_no_phase():
    safe = ALL[PHASES == Phase.NONE]

    assert safe.tolist() == [[Finding.OBSERVED_GOOD] * 10]


def test_all_unknown_gives_at_least_uncertainty_and_says_what_is_not_known():
    proposal = propose(blank())

    assert proposal.phase >= Phase.UNCERTAINTY
    assert proposal.unknown == tuple(factor.value for factor in Factor)


def test_the_function_for_one_assessment_agrees_with_the_one_for_all():
    rng = np.random.default_rng(1)
    for row in rng.integers(0, 4**10, 200):
        findings = ALL[row].copy()
        findings[8] = 3 if findings[8] > 1 else 1
        made = blank().revised(
            [
                judgement(f, Finding(int(v)))
                for f, v in zip(Factor, findings, strict=True)
            ],
            at=NOON,
            by=ANA,
        )
        assert propose(made).phase == phases_of(findings[None])[0]


def test_an_overloaded_boat_alone_is_an_alert_and_with_bad_weather_distress():
    crowded = blank().revised([judgement()], at=NOON, by=ANA)
    storm = crowded.revised([judgement(Factor.WEATHER)], at=NOON, by=ANA)

    assert propose(crowded).phase is Phase.ALERT
    assert propose(storm).phase is Phase.DISTRESS
    keys = [reason.key for reason in propose(storm).because]
    assert keys == [
        "factor.load",
        "factor.weather",
        "factors.together",
        "factors.unknown",
    ]


# -- what may be entered -----------------------------------------------------------


@pytest.mark.parametrize("source", set(SourceKind) - {SourceKind.REPORTED})
def test_children_aboard_are_believed_from_a_persons_report_alone(source):
    with pytest.raises(CaseRefusedError, match="reported_only"):
        judgement(Factor.VULNERABLE, source=source)
    assert judgement(Factor.VULNERABLE).finding is Finding.OBSERVED_ADVERSE


@pytest.mark.parametrize("finding", [Finding.OBSERVED_GOOD, Finding.LIKELY_ADVERSE])
def test_children_aboard_is_yes_or_unknown(finding):
    with pytest.raises(CaseRefusedError, match="yes_or_unknown"):
        judgement(Factor.VULNERABLE, finding)


def test_not_knowing_does_not_undo_what_was_seen():
    seen = blank().revised([judgement()], at=NOON, by=ANA)
    forgotten = judgement(finding=Finding.UNKNOWN, source_time=SOON)

    with pytest.raises(CaseRefusedError, match="unknown_undoes_nothing"):
        seen.revised([forgotten], at=SOON, by=ANA)
    corrected = seen.revised(
        [replace(forgotten, correction="another boat")], at=SOON, by=ANA
    )
    assert (corrected.version, corrected.of(Factor.LOAD)) == (2, Finding.UNKNOWN)
    assert seen.of(Factor.LOAD) is Finding.OBSERVED_ADVERSE


def test_an_older_source_does_not_overwrite_a_newer_one():
    seen = blank().revised([judgement()], at=NOON, by=ANA)
    older = judgement(
        finding=Finding.OBSERVED_GOOD, source_time=NOON - timedelta(hours=1)
    )

    with pytest.raises(CaseRefusedError, match="older_source"):
        seen.revised([older], at=SOON, by=ANA)


# -- phases ------------------------------------------------------------------------


@pytest.mark.parametrize(("current", "wanted"), list(product(Phase, Phase)))
def test_one_person_raises_in_one_act_and_never_lowers(current, wanted):
    if wanted < current:
        with pytest.raises(CaseRefusedError, match="second_person"):
            raised(current, wanted, proposed=Phase.NONE, at=NOON, by=ANA)
    else:
        decision = raised(current, wanted, proposed=Phase.NONE, at=NOON, by=ANA)
        assert decision.phase is wanted


def test_a_second_person_lowers_what_the_first_asked_for():
    decision = agree(request())

    assert (decision.phase, decision.by, decision.agreed_by) == (
        Phase.UNCERTAINTY,
        ANA,
        BEN,
    )
    assert decision.reason == "all aboard the lifeboat"


@pytest.mark.parametrize(
    ("asked", "changes", "why"),
    [
        ({}, {"by": ANA}, "second_person"),
        ({"reason": "  "}, {}, "reason_missing"),
        ({"used": True}, {}, "request_used"),
        ({}, {"at": NOON + AGREE_WITHIN + timedelta(seconds=1)}, "request_expired"),
        ({}, {"at": NOON - timedelta(seconds=1)}, "request_expired"),
        ({}, {"decisions": 3}, "request_overtaken"),
        ({}, {"assessment": 4}, "request_overtaken"),
    ],
)
def test_nothing_less_than_a_fresh_second_opinion_lowers(asked, changes, why):
    with pytest.raises(CaseRefusedError, match=why):
        agree(request(**asked), **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"case_id": "c2"},
        {"phase": Phase.NONE},
        {"closes": True},
        {"reason": "other"},
        {"decisions_seen": 9},
        {"assessment_seen": 9},
        {"asked_by": BEN},
        {"asked_at": SOON},
    ],
)
def test_the_digest_changes_with_everything_that_was_asked(change):
    assert request(**change).digest != request().digest
