"""Exactly one centre coordinates, whatever the network, the clocks and the disks do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.rescue import custody
from almenara.rescue.custody import (
    Act,
    Entry,
    Ledger,
    LevelAnswer,
    LevelQuestion,
    Message,
    NoticeKind,
    believed,
    notices,
)
from tests.conftest import NOON
from tests.rescue.two_centres import A, B, BrokenInvariantError, Coast

ANA, BEN = PersonId("ana"), PersonId("ben")
WHO: dict[str, Any] = {"at": NOON, "by": ANA}
HIM: dict[str, Any] = {"at": NOON, "by": BEN}
MINUTE = timedelta(minutes=1)


def pair() -> tuple[Ledger, Ledger]:
    """A case that A opened and B has heard of."""
    one = custody.opened(Ledger(case_id=CaseId("c"), own=A, partner=B), **WHO)
    return told(one, Ledger(case_id=CaseId("c"), own=B, partner=A))


def told(one: Ledger, other: Ledger) -> tuple[Ledger, Ledger]:
    """Everything delivered both ways until nothing changes."""
    for _ in range(4):
        other = heard(other, one)
        one = heard(one, other)
    return one, other


def heard(reader: Ledger, author: Ledger) -> Ledger:
    message = custody.to_tell(author)
    assert isinstance(message, Message)
    return custody.heard(reader, message, at=NOON)


def offered() -> tuple[Ledger, Ledger]:
    one, other = pair()
    return told(custody.offered(one, snapshot="digest", **WHO), other)


def levelled(asker: Ledger, partner: Ledger) -> tuple[Ledger, Ledger]:
    question = custody.to_tell(asker)
    assert isinstance(question, LevelQuestion)
    partner, answer = custody.questioned(partner, question)
    return custody.answered(asker, answer, at=NOON), partner


def acts(ledger: Ledger) -> list[Act]:
    return [entry.act for entry in ledger.mine]


# -- who coordinates ---------------------------------------------------------------


def test_who_opens_a_case_coordinates_it():
    one, other = pair()

    assert believed(one) == believed(other) == A
    assert one.standing.epoch == 0


def test_an_offer_changes_nothing():
    one, other = offered()

    assert believed(one) == believed(other) == A
    assert other.standing.offer is not None
    assert other.standing.offer.snapshot == "digest"


def test_only_an_accept_moves_custody_and_at_its_commit():
    one, other = offered()
    other = custody.accepted(other, **HIM)

    assert (believed(one), believed(other)) == (A, B)
    one, other = told(one, other)
    assert believed(one) == believed(other) == B
    assert one.standing.epoch == 1


def test_a_refused_offer_is_over_and_another_may_follow():
    one, other = offered()
    one, other = told(one, custody.refused(other, reason="no unit", **HIM))

    assert one.standing.offer is None
    one = custody.offered(one, snapshot="later", **WHO)
    assert one.standing.offer is not None


def test_the_offerer_cannot_withdraw_alone():
    one, other = offered()
    one = custody.withdrawal_requested(one, **WHO)

    assert one.standing.offer is not None
    with pytest.raises(CaseRefusedError, match="offer_open"):
        custody.offered(one, snapshot="again", **WHO)
    one, other = told(one, other)
    assert acts(other) == [Act.WITHDRAWN]
    assert one.standing.offer is None


def test_a_request_to_withdraw_that_crosses_an_accept_comes_too_late():
    one, other = offered()
    one = custody.withdrawal_requested(one, **WHO)
    other = custody.accepted(other, **HIM)

    one, other = told(one, other)

    assert acts(other) == [Act.ACCEPT]
    assert believed(one) == believed(other) == B


def test_a_close_that_crosses_an_accept_becomes_a_note():
    one, other = offered()
    one = custody.closed(one, reason="all safe", **WHO)
    other = custody.accepted(other, **HIM)

    assert believed(one) == A  # until it knows that nobody accepted
    one, other = told(one, other)

    assert believed(one) == believed(other) == B
    assert one.standing.closed is None
    assert [entry.act for entry in one.standing.notes] == [Act.CLOSED]


def test_a_close_that_nobody_crossed_ends_the_case_on_both_sides():
    one, other = offered()
    one, other = told(custody.closed(one, reason="all safe", **WHO), other)

    assert one.standing.closed == other.standing.closed is not None
    assert believed(one) is believed(other) is None


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda k: custody.offered(k, snapshot="s", **HIM), "not_coordinator"),
        (lambda k: custody.closed(k, reason="r", **HIM), "not_coordinator"),
        (lambda k: custody.withdrawal_requested(k, **HIM), "not_coordinator"),
        (lambda k: custody.opened(k, **HIM), "opened_already"),
        (lambda k: custody.accepted(k, **HIM), "no_offer"),
        (lambda k: custody.refused(k, reason="r", **HIM), "no_offer"),
    ],
)
def test_what_is_not_a_centres_to_do_is_refused(act, why):
    _, other = pair()

    with pytest.raises(CaseRefusedError, match=why):
        act(other)


def test_nothing_happens_to_a_closed_case():
    one, _ = pair()
    over = custody.closed(one, reason="all safe", **WHO)

    with pytest.raises(CaseRefusedError, match="case_closed"):
        custody.offered(over, snapshot="s", **WHO)


# -- the wire ----------------------------------------------------------------------


def test_a_message_heard_twice_late_or_with_a_hole_changes_nothing():
    one, other = offered()
    again = heard(other, one)
    hole = Message(
        case_id=CaseId("c"),
        author=A,
        incarnation=0,
        start=7,
        entries=one.mine,
        length=9,
        have=0,
        have_of=0,
    )

    assert again == other
    assert custody.heard(other, hole, at=NOON) == other


def test_a_receipt_counts_only_with_everything_its_author_had_said():
    one, other = offered()
    other = custody.accepted(other, **HIM)
    message = custody.to_tell(other)
    assert isinstance(message, Message)
    one = replace(one, confirmed=0)

    torn = replace(message, entries=())

    assert custody.heard(one, torn, at=NOON).confirmed == 0
    assert custody.heard(one, message, at=NOON).confirmed == 2


# -- restores ----------------------------------------------------------------------


def test_a_restored_centre_says_nothing_certain_before_it_is_level():
    one, other = offered()
    backup = other
    other = custody.accepted(other, **HIM)
    one, other = told(one, other)

    other = custody.restored(backup, incarnation=1)

    assert believed(other) is None
    with pytest.raises(CaseRefusedError, match="not_level"):
        custody.accepted(other, **HIM)
    other, one = levelled(other, one)
    assert believed(one) == believed(other) == B


def test_what_an_earlier_incarnation_had_under_way_is_refused():
    one, other = offered()
    backup = other
    late = custody.to_tell(custody.accepted(other, **HIM))
    other, one = levelled(custody.restored(backup, incarnation=1), one)

    assert isinstance(late, Message)
    assert custody.heard(one, late, at=NOON) == one
    assert believed(one) == believed(other) == A


def test_an_incarnation_that_was_forgotten_is_stepped_over():
    one, other = pair()
    one = replace(one, partner_incarnation=5)
    other = custody.restored(other, incarnation=1)

    refused, one = levelled(other, one)
    assert not refused.is_level
    other, one = levelled(refused, one)

    assert other.is_level
    assert other.incarnation == 6


def test_two_restored_centres_do_not_wait_for_each_other():
    one, other = offered()
    one = custody.restored(one, incarnation=1)
    other = custody.restored(other, incarnation=1)

    one, other = levelled(one, other)
    other, one = levelled(other, one)
    one, other = told(one, other)

    assert believed(one) == believed(other) == A


def test_an_answer_from_before_the_partners_own_restore_is_not_believed():
    one, other = offered()
    richer = custody.accepted(other, **HIM)
    one = custody.restored(one, incarnation=1)
    question = custody.to_tell(one)
    assert isinstance(question, LevelQuestion)
    _, stale = custody.questioned(richer, question)
    other = custody.restored(other, incarnation=1)
    other, one = levelled(other, one)

    assert custody.answered(one, stale, at=NOON) == one


def test_an_answer_to_another_question_is_not_believed():
    one, _ = offered()
    one = custody.restored(one, incarnation=3)
    other = LevelAnswer(
        case_id=CaseId("c"),
        author=B,
        asked=2,
        granted=True,
        known_incarnation=2,
        incarnation=0,
    )

    assert custody.answered(one, other, at=NOON) == one


# -- timers ------------------------------------------------------------------------


def unheard() -> Ledger:
    one, _ = pair()
    return custody.offered(one, snapshot="digest", **WHO)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0.9, []),
        (1, [(NoticeKind.UNDELIVERED, 1)]),
        (5, [(NoticeKind.UNDELIVERED, 1), (NoticeKind.UNANSWERED, 1)]),
        (14, [(NoticeKind.UNDELIVERED, 1), (NoticeKind.UNANSWERED, 2)]),
    ],
)
def test_people_are_told_of_an_offer_that_nobody_answers(minutes, expected):
    due = notices(unheard(), NOON + minutes * MINUTE)

    assert [(notice.kind, notice.nth) for notice in due] == expected


def test_a_delivered_offer_still_waits_for_a_person():
    one, _ = offered()

    assert [n.kind for n in notices(one, NOON + 5 * MINUTE)] == [NoticeKind.UNANSWERED]


def test_the_same_is_not_told_twice_and_the_next_contact_follows():
    one = unheard()
    told_of = frozenset(notices(one, NOON + 5 * MINUTE))

    assert notices(one, NOON + 9 * MINUTE, told_of) == ()
    assert notices(one, NOON + MINUTE, told_of) == ()  # a clock that went back
    (later,) = notices(one, NOON + 10 * MINUTE, told_of)
    assert (later.kind, later.nth) == (NoticeKind.UNANSWERED, 2)


def test_no_timer_ends_an_offer():
    _, other = offered()
    assert notices(other, NOON + timedelta(days=30))

    other = custody.accepted(other, at=NOON + timedelta(days=30), by=BEN)

    assert believed(other) == B
    assert notices(other, NOON + timedelta(days=31)) == ()


def test_two_linked_cases_with_two_coordinators_are_an_emergency():
    one, _ = pair()
    other = custody.opened(Ledger(case_id=CaseId("d"), own=B, partner=A), **HIM)

    assert custody.is_duplicate(one, other)
    assert not custody.is_duplicate(one, one)
    over = custody.closed(other, reason="one coordinator is enough", **HIM)
    assert not custody.is_duplicate(one, over)


# -- everything at once ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_the_three_invariants_hold_whatever_happens(seed: int):
    for one in range(seed, seed + 20):
        Coast(one).run()


def test_the_simulated_coast_does_hand_over_close_and_restore():
    runs = [Coast(seed).run() for seed in range(60)]

    assert sum(run.moves for run in runs) >= 30
    assert sum(run.restores for run in runs) >= 30


def broken(make) -> set[str]:
    found = set()
    for seed in range(150):
        try:
            make(seed).run()
        except BrokenInvariantError as error:
            found.add(str(error)[:2])
    return found


def test_dropping_custody_on_an_offer_breaks_the_second_invariant():
    def dropping(ledger: Ledger) -> CentreId | None:
        offer = ledger.standing.offer
        mine = ledger.is_level and offer is not None and offer.author == ledger.own
        return offer.addressee if mine and offer else believed(ledger)

    assert "I2" in broken(lambda seed: Coast(seed, believe=dropping))


def test_withdrawing_alone_breaks_the_first_invariant(monkeypatch):
    ends = custody._ends  # noqa: SLF001 - the very rule that this control breaks
    ask = custody.withdrawal_requested

    def alone(offer: Entry, entry: Entry) -> bool:
        by_offerer = entry.act is Act.WITHDRAWN and entry.author == offer.author
        return by_offerer or ends(offer, entry)

    def withdrawn(ledger: Ledger, **who) -> Ledger:
        asked = ask(ledger, **who)
        end = replace(asked.mine[-1], act=Act.WITHDRAWN, seq=len(asked.mine) + 1)
        return replace(asked, mine=(*asked.mine, end))

    monkeypatch.setattr(custody, "_ends", alone)
    monkeypatch.setattr(custody, "withdrawal_requested", withdrawn)

    assert "I1" in broken(Coast)
