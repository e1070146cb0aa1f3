"""One link, step by step: gaps, forks, quarantine, suspension, restored backups."""

import copy
from datetime import timedelta

import pytest

from almenara.core.errors import EnvelopeRefusedError
from almenara.core.ids import CentreId, PersonId
from almenara.core.time import ManualClock
from almenara.exchange.judgement import Cursor, Heard, Verdict, judge
from almenara.exchange.ledger import Outcome
from almenara.exchange.link import Link, Reply
from almenara.exchange.release import Gate
from almenara.exchange.stream import ExchangeStream, Lane
from tests.exchange.centres import BEGIN, ES, MA, agreement, item, link, names, record
from tests.exchange.memory import GENESIS, MemoryLedger

OUT = ExchangeStream(sender=ES, receiver=MA, lane=Lane.BULK)
BACK = ExchangeStream(sender=MA, receiver=ES, lane=Lane.BULK)


class Pair:
    """Two centres whose network is the test."""

    def __init__(self, clock: ManualClock, **changes) -> None:
        self.es_ledger = MemoryLedger(me=ES, partner=MA)
        self.ma_ledger = MemoryLedger(me=MA, partner=ES)
        self.es: Link = link(
            ES, MA, self.es_ledger, clock, gate=changes.pop("gate", None)
        )
        self.ma: Link = link(MA, ES, self.ma_ledger, clock, **changes)
        self.names = names(7)

    def tell(self, count: int = 1, **changes) -> list[str]:
        told = [next(self.names) for _ in range(count)]
        for name in told:
            self.es_ledger.tell(item(name, record(**changes)))
        return told

    def carry(self) -> Heard | None:
        self.es.seal_waiting(Lane.BULK)
        batch = self.es.batch(Lane.BULK)
        assert batch is not None
        return self.es.answered(
            Lane.BULK, self.ma.arrive(batch.stream.name, batch.body)
        )

    @property
    def applied(self) -> list[str]:
        return self.ma_ledger.effects[OUT.name]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN + timedelta(days=60))


@pytest.fixture
def pair(clock: ManualClock) -> Pair:
    return Pair(clock)


def test_what_is_told_is_applied_and_acknowledged(pair: Pair):
    told = pair.tell(3)

    assert pair.carry() is Heard.NEWS
    assert pair.applied == told
    assert pair.es.batch(Lane.BULK) is None


def test_a_batch_that_comes_again_changes_nothing(pair: Pair):
    told = pair.tell(2)
    pair.es.seal_waiting(Lane.BULK)
    batch = pair.es.batch(Lane.BULK)
    assert batch is not None

    first = pair.ma.arrive(OUT.name, batch.body)
    again = pair.ma.arrive(OUT.name, batch.body)

    assert (first.status, again.status) == (200, 200)
    assert pair.applied == told


def test_a_hole_is_answered_with_what_is_expected(pair: Pair):
    pair.tell(3)
    pair.es.seal_waiting(Lane.BULK)
    later = pair.es_ledger.ours[OUT.name][2].raw

    reply = pair.ma.arrive(OUT.name, later)

    assert reply.status == 409
    assert pair.applied == []
    assert pair.es.seals.open_receipt(reply.receipt).last_applied_seq == 0


def test_another_history_freezes_its_stream_and_no_other(pair: Pair, clock):
    pair.tell()
    pair.carry()
    other = Pair(clock)
    other.tell(2, fields={"what": "another history"})
    other.es.seal_waiting(Lane.BULK)

    reply = pair.ma.arrive(OUT.name, other.es_ledger.ours[OUT.name][1].raw)

    assert reply.status == 423
    assert OUT.name in pair.ma_ledger.halted
    urgent = next(pair.names)
    pair.es_ledger.tell(item(urgent, record(lane=Lane.URGENT)))
    pair.es.seal_waiting(Lane.URGENT)
    batch = pair.es.batch(Lane.URGENT)
    assert batch is not None
    assert pair.ma.arrive(batch.stream.name, batch.body).status == 200


def test_content_that_is_not_taken_never_stops_the_stream(clock: ManualClock):
    def picky(claims) -> Outcome:
        accepted = claims.body["what"] != "poison"
        return Outcome(accepted=accepted, code="BadRequest")

    pair = Pair(clock, content=picky)
    before = pair.tell()
    poison = pair.tell(fields={"what": "poison"})
    after = pair.tell()

    assert pair.carry() is Heard.NEWS
    assert pair.applied == before + after
    assert pair.ma_ledger.quarantined == poison
    pair.ma.seal_waiting(Lane.BULK)
    (answer,) = pair.ma_ledger.ours[BACK.name]
    claims = pair.es.seals.open(answer.raw)
    assert (claims.type, claims.re, claims.body) == (
        "ack",
        poison[0],
        {"code": "BadRequest"},
    )


def test_nothing_is_sealed_sent_or_applied_while_the_link_is_suspended(pair: Pair):
    pair.tell()
    pair.es.seal_waiting(Lane.BULK)
    batch = pair.es.batch(Lane.BULK)
    assert batch is not None
    more = pair.tell()

    pair.es_ledger.is_suspended = pair.ma_ledger.is_suspended = True
    assert pair.es.seal_waiting(Lane.BULK) == 0
    assert pair.es.batch(Lane.BULK) is None
    assert pair.ma.arrive(OUT.name, batch.body).status == 423
    assert pair.applied == []

    pair.es_ledger.is_suspended = pair.ma_ledger.is_suspended = False
    assert pair.carry() is Heard.NEWS
    assert pair.applied[-1:] == more


def test_a_label_tightened_after_queueing_leaves_an_empty_slot(clock: ManualClock):
    gate = Gate(agreement=agreement(MA))
    pair = Pair(clock, gate=gate)
    canary = "canary-4711"
    pair.tell(
        fields={"what": canary}, labels=record(to=CentreId("nobody")).labels
    )  # released to nobody any more
    told = pair.tell()

    pair.carry()

    assert len(pair.applied) == 2  # the slot is kept, so the stream has no hole
    sent = b"".join(entry.raw for entry in pair.es_ledger.ours[OUT.name])
    first = pair.ma.seals.open(pair.es_ledger.ours[OUT.name][0].raw)
    assert (first.type, first.body) == ("void", {"reason": "recipient"})
    assert canary.encode() not in sent
    assert pair.applied[1:] == told
    assert any("withheld:recipient" in note for note in pair.es_ledger.notes)


def test_what_is_too_large_for_its_lane_leaves_an_empty_slot(pair: Pair):
    pair.tell(fields={"what": "x" * 300_000})

    assert pair.carry() is Heard.NEWS
    first = pair.ma.seals.open(pair.es_ledger.ours[OUT.name][0].raw)
    assert first.body == {"reason": "size"}


def test_a_partner_restored_from_a_backup_is_told_again_with_the_same_bytes(
    pair: Pair,
):
    told = pair.tell(2)
    pair.carry()
    backup = copy.deepcopy(pair.ma_ledger)
    told += pair.tell(3)
    pair.carry()
    before = list(pair.ma_ledger.bytes_kept[OUT.name])

    pair.ma_ledger = backup
    pair.ma = link(MA, ES, backup, pair.ma.clock)
    told += pair.tell()
    pair.es.seal_waiting(Lane.BULK)
    assert pair.carry() is Heard.WENT_BACK
    assert pair.carry() is Heard.NEWS

    assert pair.applied == told
    assert pair.ma_ledger.bytes_kept[OUT.name][:5] == before
    assert any("partner_restored" in note for note in pair.es_ledger.notes)


def test_a_centre_restored_from_a_backup_never_uses_a_number_twice(pair: Pair):
    pair.tell(2)
    pair.carry()
    backup = copy.deepcopy(pair.es_ledger)
    lost = pair.tell(3)
    pair.carry()

    backup.restored = {OUT.name}
    pair.es_ledger = backup
    pair.es = link(ES, MA, backup, pair.es.clock)
    new = pair.tell()
    assert pair.es.seal_waiting(Lane.BULK) == 0
    question = pair.es.batch(Lane.BULK)
    assert question is not None
    assert question.body == b""
    reply = pair.ma.arrive(OUT.name, b"")
    assert pair.es.answered(Lane.BULK, reply) is Heard.AHEAD

    kept = pair.ma_ledger.bytes_kept[OUT.name]
    assert (
        pair.es.recover(
            Lane.BULK, lambda seq: kept[seq - 1] if seq <= len(kept) else None
        )
        == 3
    )
    reply = pair.ma.arrive(OUT.name, b"")
    assert pair.es.answered(Lane.BULK, reply) is Heard.NEWS
    assert pair.carry() is Heard.NEWS
    assert pair.applied[2:] == lost + new
    assert pair.ma_ledger.halted == {}


def test_what_a_partner_gives_back_must_be_ours(pair: Pair, clock):
    pair.tell()
    pair.carry()
    other = Pair(clock)
    other.tell(2, fields={"what": "another"})
    other.carry()
    foreign = other.es_ledger.ours[OUT.name][1].raw

    with pytest.raises(EnvelopeRefusedError, match="order"):
        pair.es.recover(Lane.BULK, lambda _: foreign)


def test_an_answer_without_a_signature_is_no_answer(pair: Pair):
    pair.tell()
    pair.es.seal_waiting(Lane.BULK)

    assert pair.es.answered(Lane.BULK, Reply(status=200, receipt=b"ok")) is None
    assert pair.es.batch(Lane.BULK) is not None


def test_a_receipt_that_names_another_head_freezes_the_stream(pair: Pair, clock):
    pair.tell()
    pair.es.seal_waiting(Lane.BULK)
    other = Pair(clock)
    other.tell(fields={"what": "another"})
    other.es.seal_waiting(Lane.BULK)
    batch = other.es.batch(Lane.BULK)
    assert batch is not None
    reply = other.ma.arrive(OUT.name, batch.body)

    assert pair.es.answered(Lane.BULK, reply) is Heard.FORK
    assert OUT.name in pair.es_ledger.halted


@pytest.mark.parametrize("name", ["ma>es/bulk", "es>fr/bulk", "nowhere", "x" * 500])
def test_a_stream_that_is_not_ours_to_read_is_foreign(pair: Pair, name: str):
    assert pair.ma.arrive(name, b"x") == Reply(status=404)


def test_a_batch_too_large_is_refused_and_nothing_is_applied(pair: Pair):
    assert pair.ma.arrive(OUT.name, b"x" * (5 * 1024 * 1024)).status == 413
    assert pair.applied == []


def test_evidence_needs_two_others_than_who_asks(pair: Pair):
    asked = PersonId("officer")
    two = frozenset({PersonId("a"), PersonId("b")})
    fields = {"sha256": "0" * 64}
    for approved in (frozenset(), frozenset({asked, PersonId("a")}), two):
        pair.tell(
            type_="evidence.pointer",
            fields=fields,
            requested_by=asked,
            approved_by=approved,
        )
    pair.carry()

    kinds = [
        pair.ma.seals.open(entry.raw).type for entry in pair.es_ledger.ours[OUT.name]
    ]
    assert kinds == ["void", "void", "evidence.pointer"]


def test_every_place_in_the_order_has_one_verdict():
    cursor = Cursor(next_seq=3, head="head")
    cases = {
        (4, "head", None): Verdict.GAP,
        (3, "head", None): Verdict.APPLY,
        (3, "other", None): Verdict.FORK,
        (2, "any", "its"): Verdict.REPEAT,
        (2, "any", "another"): Verdict.FORK,
    }
    for (seq, prev, applied), verdict in cases.items():
        found = judge(cursor, seq=seq, prev=prev, digest="its", applied=applied)
        assert found is verdict
    assert GENESIS == "0" * 64
