"""A case: up in one act, down with two, told to the coordination centre, in order."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from almenara.core.errors import CaseRefusedError
from almenara.core.labels import Labels, Purpose
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    RecordedEntry,
)
from almenara.rescue import case as acts
from almenara.rescue import custody
from almenara.rescue.assessment import Factor, Finding, Judgement, SourceKind
from almenara.rescue.case import Case, CustodyAct
from almenara.rescue.knew_when import RowKind, Sending, knew_when
from almenara.rescue.phases import Phase
from almenara.rescue.sitrep import (
    SHORT,
    UNKNOWN,
    Letter,
    Order,
    Urgency,
    Words,
)
from tests.conftest import NOON
from tests.rescue.cases import ANA, BEN, OWN, PARTNER, SOON, all_good, case, facts

LATER = SOON + timedelta(minutes=1)


def lowered(there: Case, *, by=BEN, closes=False) -> Case:
    asked = acts.ask_lower(
        there,
        Phase.UNCERTAINTY,
        closes=closes,
        reason="towed to port",
        at=SOON,
        by=ANA,
    ).case
    digest = asked.requests[-1].digest
    return acts.agree_lower(asked, digest, at=LATER, by=by).case


# -- opening ---------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_a_contact_goes_to_any_phase_in_one_act(phase):
    made = case(phase)

    assert made.phase == max(phase, Phase.UNCERTAINTY)
    assert custody.believed(made.ledger) == OWN
    assert made.version == 1


@pytest.mark.parametrize("label", ["exercise", "simulated"])
def test_labels_go_with_everything_that_comes_of_a_case(label):
    flags = {name: name == label for name in ("exercise", "simulated")}
    made = case(labels=Labels(exercise=flags["exercise"], simulated=flags["simulated"]))
    change = acts.report(made, Order(to=("mrcc",)), at=SOON, by=ANA)
    told = acts.decide(made, Phase.ALERT, at=SOON, by=ANA).notifications

    assert made.labels.purpose is Purpose.SAR
    for thing in (made.labels, change.case.reports[0], *told):
        assert getattr(thing, label)


def test_the_coordination_centre_is_told_of_every_change_with_all_there_is():
    opened = acts.open_case(
        case().case_id,
        origin=case().origin,
        own=OWN,
        partner=PARTNER,
        facts=facts(),
        labels=Labels(),
    )
    raised = acts.decide(opened.case, Phase.DISTRESS, at=SOON, by=ANA)

    for change in (opened, raised, acts.assess(opened.case, [], at=SOON, by=ANA)):
        (told,) = change.notifications
        assert [part.letter for part in told.parts] == list(Letter)
        assert told.key == f"{change.case.case_id}/{change.case.version}"


# -- never down by itself --------------------------------------------------------------


def single_handed(there: Case):
    """Everything that can happen without a second person."""
    later = NOON + timedelta(days=3)
    partner = custody.heard(
        replace(there.ledger, own=PARTNER, partner=OWN, mine=(), theirs=()),
        custody.to_tell(there.ledger),  # type: ignore[arg-type]  # a level ledger
        at=SOON,
    )
    news = custody.to_tell(partner)
    assert isinstance(news, custody.Message)
    yield lambda c: acts.assess(c, all_good(), at=SOON, by=ANA)
    yield lambda c: acts.assess(c, [], at=SOON, by=ANA)
    yield lambda c: acts.learn(c, facts(at=SOON, position=None))
    for phase in Phase:
        yield lambda c, p=phase: acts.decide(c, p, at=SOON, by=ANA)
        yield lambda c, p=phase: acts.ask_lower(
            c, p, closes=False, reason="r", at=SOON, by=ANA
        )
    yield lambda c: acts.ask_lower(
        c, Phase.NONE, closes=True, reason="r", at=SOON, by=ANA
    )
    yield lambda c: acts.agree_lower(c, c.requests[-1].digest, at=LATER, by=ANA)
    yield lambda c: acts.hand_over(c, CustodyAct.OFFER, at=SOON, by=ANA)
    yield lambda c: acts.hand_over(c, CustodyAct.WITHDRAW, at=SOON, by=ANA)
    yield lambda c: acts.remind(c, later)[0]
    yield lambda c: acts.hear_custody(c, news, at=later)
    yield lambda c: acts.report(c, Order(to=()), at=SOON, by=ANA)


def test_no_path_leads_from_unknown_to_no_distress_without_a_second_person():
    start = case(Phase.DISTRESS)
    everything = list(single_handed(start))
    walked = 0

    for path in product(everything, repeat=3):
        there = start
        for act in path:
            try:
                there = act(there).case
            except (CaseRefusedError, IndexError):
                break
            walked += 1
            assert there.phase is Phase.DISTRESS
            assert there.is_open
    assert walked > 5_000


def test_only_a_second_person_lowers_and_both_are_kept():
    there = lowered(case(Phase.DISTRESS))

    assert there.phase is Phase.UNCERTAINTY
    assert (there.decisions[-1].by, there.decisions[-1].agreed_by) == (ANA, BEN)
    assert [d.phase for d in there.decisions] == [Phase.DISTRESS, Phase.UNCERTAINTY]


def test_the_same_person_twice_is_one_person():
    with pytest.raises(CaseRefusedError, match="second_person"):
        lowered(case(Phase.DISTRESS), by=ANA)


def test_an_agreement_is_good_once():
    there = lowered(case(Phase.DISTRESS))
    raised = acts.decide(there, Phase.DISTRESS, at=LATER, by=ANA).case

    with pytest.raises(CaseRefusedError, match="request_used"):
        acts.agree_lower(raised, raised.requests[0].digest, at=LATER, by=BEN)


def test_what_was_learnt_meanwhile_makes_an_agreement_void():
    asked = acts.ask_lower(
        case(Phase.DISTRESS),
        Phase.ALERT,
        closes=False,
        reason="r",
        at=SOON,
        by=ANA,
    ).case
    news = acts.assess(asked, [], at=SOON, by=ANA).case

    with pytest.raises(CaseRefusedError, match="request_overtaken"):
        acts.agree_lower(news, asked.requests[0].digest, at=LATER, by=BEN)


@pytest.mark.parametrize(
    ("asking", "why"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"phase": Phase.DISTRESS}, "not_lower"),
        ({"phase": Phase.ALERT}, "not_lower"),
    ],
)
def test_what_cannot_be_asked_is_refused(asking, why):
    values = {"phase": Phase.NONE, "reason": "r", **asking}

    with pytest.raises(CaseRefusedError, match=why):
        acts.ask_lower(
            case(Phase.ALERT),
            values.pop("phase"),
            closes=False,
            at=SOON,
            by=ANA,
            **values,
        )


def test_an_unknown_request_is_refused():
    with pytest.raises(CaseRefusedError, match="request_unknown"):
        acts.agree_lower(case(), "0" * 64, at=SOON, by=BEN)


# -- closing ---------------------------------------------------------------------------


def test_two_close_a_case_and_then_nothing_more_happens_to_it():
    there = lowered(case(Phase.DISTRESS), closes=True)

    assert not there.is_open
    assert there.phase is Phase.NONE
    assert there.ledger.mine[-1].act is custody.Act.CLOSED
    for act in (
        lambda: acts.decide(there, Phase.DISTRESS, at=LATER, by=ANA),
        lambda: acts.assess(there, [], at=LATER, by=ANA),
        lambda: acts.hand_over(there, CustodyAct.OFFER, at=LATER, by=ANA),
    ):
        with pytest.raises(CaseRefusedError, match="case_closed"):
            act()


def partner_of(there: Case) -> custody.Ledger:
    empty = custody.Ledger(case_id=there.case_id, own=PARTNER, partner=OWN)
    return custody.heard(empty, custody.to_tell(there.ledger), at=SOON)  # type: ignore[arg-type]  # a level ledger


def test_who_handed_over_cannot_close_and_an_accept_opens_what_a_close_crossed():
    offered = acts.hand_over(case(), CustodyAct.OFFER, at=SOON, by=ANA).case
    taken = custody.accepted(partner_of(offered), at=SOON, by=BEN)
    message = custody.to_tell(taken)
    assert isinstance(message, custody.Message)

    handed = acts.hear_custody(offered, message, at=LATER).case
    with pytest.raises(CaseRefusedError, match="not_coordinator"):
        lowered(handed, closes=True)
    crossed = acts.hear_custody(lowered(offered, closes=True), message, at=LATER).case
    assert crossed.is_open
    assert custody.believed(crossed.ledger) == PARTNER


def test_an_offer_shows_everything_by_its_digest_and_reminds_people():
    offered = acts.hand_over(case(), CustodyAct.OFFER, at=SOON, by=ANA).case

    assert offered.ledger.mine[-1].snapshot == acts.digest_of(case())
    after, due = acts.remind(offered, SOON + timedelta(minutes=6))
    assert len(due) == 2
    assert acts.remind(after.case, SOON + timedelta(minutes=6))[1] == ()


def test_a_refusal_has_a_reason():
    with pytest.raises(CaseRefusedError, match="reason_missing"):
        acts.hand_over(case(), CustodyAct.REFUSE, at=SOON, by=ANA)


# -- reports ---------------------------------------------------------------------------


def test_a_short_report_has_a_to_f_and_says_unknown():
    bare = case(known=facts(craft=None, persons=None, position=None))

    made = acts.report(bare, Order(to=("mrcc",)), at=SOON, by=ANA).case.reports[0]

    assert [part.letter for part in made.parts] == list(SHORT)
    by_letter = {part.letter: part.said for part in made.parts}
    assert by_letter[Letter.POSITION] == (UNKNOWN,)
    assert by_letter[Letter.PERSONS] == (UNKNOWN,)
    assert by_letter[Letter.ASSISTANCE] == (UNKNOWN,)
    assert UNKNOWN in by_letter[Letter.IDENTITY]


def test_reports_are_numbered_and_a_correction_is_a_new_number():
    there = case(Phase.DISTRESS)
    for corrects in (None, 1):
        order = Order(
            to=("mrcc",),
            full=True,
            corrects=corrects,
            words={Letter.ASSISTANCE: Words(text="remolque", language="es")},
        )
        there = acts.report(there, order, at=SOON, by=ANA).case

    first, second = there.reports
    assert (first.number, second.number, second.corrects) == (1, 2, 1)
    assert first.urgency is Urgency.DISTRESS
    assert [part.letter for part in second.parts] == list(Letter)
    with pytest.raises(CaseRefusedError, match="report_unknown"):
        acts.report(there, Order(to=(), corrects=7), at=SOON, by=ANA)


def test_a_report_gives_a_position_only_with_its_error():
    unsure = case(known=facts(position_cov_m2=None))
    for there, key in (
        (case(), "sitrep.position_error"),
        (unsure, "sitrep.position_error_unknown"),
    ):
        made = acts.report(there, Order(to=()), at=SOON, by=ANA).case.reports[0]
        assert key in [reason.key for reason in made.parts[1].said]


# -- knew-when -------------------------------------------------------------------------


def test_knew_when_lays_everything_in_one_line_of_time():
    seen = Judgement(
        factor=Factor.LOAD,
        finding=Finding.OBSERVED_ADVERSE,
        source=SourceKind.SEEN,
        source_time=NOON - timedelta(minutes=2),
        who=ANA,
        evidence="segment/7",
    )
    there = acts.assess(case(), [seen], at=SOON, by=ANA).case
    there = lowered(acts.decide(there, Phase.DISTRESS, at=SOON, by=ANA).case)
    look = AuditEntry(
        entry_id="e",
        at=LATER,
        actor=AuditActor(person_id=BEN, name="Ben"),
        action=AuditAction.CONSULTATION,
        act="case.read",
        object=AuditObject(kind="case", id=there.case_id),
    )
    sent = Sending(key="k/1", queued_at=NOON, delivered_at=SOON, receipt="200")

    rows = knew_when(there, [RecordedEntry(seq=4, entry=look)], [sent])

    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert {row.kind for row in rows} == set(RowKind)
    load = [row for row in rows if row.what == "factor.load.observed_adverse"]
    assert [row.kind for row in load] == [RowKind.OBSERVED, RowKind.RECEIVED]
    assert load[0].evidence == "segment/7"
    assert any(row.actor == "ana, ben" for row in rows)
    assert rows == knew_when(there, [RecordedEntry(seq=4, entry=look)], [sent])
