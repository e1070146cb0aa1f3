"""One contract for every ledger of the exchange, in memory and in a real store."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from almenara.core.ids import PersonId
from almenara.core.time import ManualClock
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
)
from almenara.exchange.judgement import Cursor, Heard
from almenara.exchange.ledger import Outcome, Sealed
from almenara.exchange.link import Link
from almenara.exchange.pairing import Pairing
from almenara.exchange.stream import ExchangeStream, Lane
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.exchange import SqlLedger, SqlPartners
from tests.exchange.centres import BEGIN, ES, MA, agreement, item, keys, link, record
from tests.exchange.centres import names as fresh_names
from tests.exchange.memory import GENESIS, MemoryLedger

OUT = ExchangeStream(sender=ES, receiver=MA, lane=Lane.BULK)
IN = ExchangeStream(sender=MA, receiver=ES, lane=Lane.BULK)
NAME = next(fresh_names())
ANY_ENTRY = AuditEntry(
    entry_id="e",
    at=BEGIN,
    actor=AuditActor(person_id=PersonId("p"), name="p"),
    action=AuditAction.SECURITY,
    act="partner.pair",
    object=AuditObject(kind="partner", id="ma"),
)


def pairing(partner) -> Pairing:
    return Pairing(
        partner=partner,
        name=str(partner),
        url="https://127.0.0.1:1",
        listen="127.0.0.1:2",
        authority_pem=None,
        telephone="+0",
        keys=tuple(keys()[2].keys.values()),
        agreement=agreement(partner),
        genesis=GENESIS,
    )


def sql_ledger(store: Store, me, partner, clock) -> SqlLedger:
    SqlPartners(store).pair(pairing(partner), me, ANY_ENTRY)
    return SqlLedger(store, me, partner, clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN + timedelta(days=60))


@pytest.fixture(params=["memory", "sql"])
def ledger(request, tmp_path: Path, clock) -> Iterator[MemoryLedger | SqlLedger]:
    if request.param == "memory":
        yield MemoryLedger(me=ES, partner=MA)
        return
    with open_store(tmp_path / "es.db") as store:
        yield sql_ledger(store, ES, MA, clock)


def sealed(seq: int, text: str = "x") -> Sealed:
    return Sealed(seq=seq, digest=f"{seq:064d}", raw=text.encode())


def test_a_new_stream_begins_with_the_genesis(ledger):
    assert ledger.head(OUT) == Cursor(next_seq=1, head=GENESIS)
    assert ledger.cursor(IN) == Cursor(next_seq=1, head=GENESIS)
    assert ledger.applied(IN, 0) == GENESIS
    assert ledger.receipted(OUT) == 0
    assert ledger.epoch(OUT) == 1
    assert (ledger.frozen(OUT), ledger.suspended(), ledger.doubtful(OUT)) == (
        None,
        False,
        False,
    )


def test_what_is_queued_twice_is_queued_once_and_comes_back_whole(ledger):
    queued = item(NAME, record(), ctx="case-1")
    ledger.tell(queued)
    ledger.tell(queued)

    assert ledger.queued(OUT) == queued
    ledger.keep_sealed(OUT, NAME, sealed(1))
    assert ledger.queued(OUT) is None


def test_lanes_do_not_mix(ledger):
    ledger.tell(item(NAME, record(lane=Lane.URGENT)))

    assert ledger.queued(OUT) is None


def test_what_is_sealed_moves_the_head_and_is_found_again(ledger):
    for seq in (1, 2, 3):
        ledger.keep_sealed(OUT, None, sealed(seq))

    assert ledger.head(OUT) == Cursor(next_seq=4, head=sealed(3).digest)
    assert ledger.sealed(OUT, 2) == sealed(2)
    assert ledger.sealed(OUT, 4) is None
    assert list(ledger.sealed_after(OUT, 1, 1)) == [sealed(2)]


def test_a_receipt_may_go_back(ledger):
    ledger.keep_receipt(OUT, 5, b"r")
    ledger.keep_receipt(OUT, 3, b"r")

    assert ledger.receipted(OUT) == 3


def test_a_frozen_stream_is_frozen_alone(ledger):
    ledger.freeze(OUT, "two histories")

    assert ledger.frozen(OUT) == "two histories"
    assert ledger.frozen(IN) is None


# -- the real store alone --------------------------------------------------------------


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with open_store(tmp_path / "es.db") as es, open_store(tmp_path / "ma.db") as ma:
        yield es, ma


def both(stores, clock, **changes) -> tuple[Link, Link, SqlLedger, SqlLedger]:
    es_store, ma_store = stores
    es = sql_ledger(es_store, ES, MA, clock)
    ma = sql_ledger(ma_store, MA, ES, clock)
    return (
        link(ES, MA, es, clock),
        link(MA, ES, ma, clock, **changes),
        es,
        ma,
    )


def carry(es: Link, ma: Link) -> Heard | None:
    es.seal_waiting(Lane.BULK)
    batch = es.batch(Lane.BULK)
    assert batch is not None
    return es.answered(Lane.BULK, ma.arrive(batch.stream.name, batch.body))


def test_two_real_stores_tell_each_other_once_and_in_order(stores, clock):
    es, ma, es_ledger, ma_ledger = both(stores, clock)
    fresh = fresh_names(3)
    for _ in range(5):
        es_ledger.tell(item(next(fresh), record()))

    assert carry(es, ma) is Heard.NEWS
    assert es.batch(Lane.BULK) is None
    assert ma_ledger.cursor(OUT) == es_ledger.head(OUT)
    assert ma_ledger.seen().bulk == 5


def test_an_act_whose_answer_was_lost_may_be_asked_again(stores, clock):
    es, ma, es_ledger, ma_ledger = both(stores, clock)
    es_ledger.tell(item(NAME, record()))
    es.seal_waiting(Lane.BULK)
    first = es_ledger.sealed(OUT, 1)
    assert first is not None
    es_ledger.keep_sealed(OUT, NAME, first)
    batch = es.batch(Lane.BULK)
    assert batch is not None

    assert ma.arrive(OUT.name, batch.body).status == 200
    assert ma.arrive(OUT.name, batch.body).status == 200
    assert ma_ledger.cursor(OUT).next_seq == 2


def test_a_message_id_that_comes_twice_is_set_aside(stores, clock):
    es, ma, es_ledger, ma_ledger = both(stores, clock)
    es_ledger.tell(item(NAME, record()))
    carry(es, ma)
    claims = ma.seals.open(es_ledger.sealed_after(OUT, 0, 1)[0].raw)
    again = claims.model_copy(
        update={"seq": 2, "prev": es_ledger.head(OUT).head, "body": {"what": "other"}}
    )
    raw = es.seals.seal(again)

    assert ma.arrive(OUT.name, raw).status == 200
    ma.seal_waiting(Lane.BULK)
    answer = es.seals.open(ma_ledger.sealed_after(IN, 0, 1)[0].raw)
    assert (answer.type, answer.body) == ("ack", {"code": "InvalidRequestObject"})


@pytest.mark.anyio
async def test_every_disclosure_and_every_refusal_leaves_a_line(stores, clock):
    es, ma, es_ledger, _ = both(
        stores, clock, content=lambda _: Outcome(accepted=False, code="BadRequest")
    )
    es_ledger.tell(item(NAME, record()))
    es_ledger.tell(item(next(fresh_names(9)), record(to=ES)))
    carry(es, ma)
    ma.arrive(OUT.name, b"noise")

    told = [
        r.entry.act
        for r in await SqlAuditLog(stores[0]).read(limit=50, before_seq=None)
    ]
    heard = [
        r.entry.act
        for r in await SqlAuditLog(stores[1]).read(limit=50, before_seq=None)
    ]
    assert told.count("exchange.seal") == 2
    assert "exchange.withheld" in told
    assert heard.count("exchange.quarantine") == 1
    assert "exchange.envelope_refused" in heard


def test_a_suspended_link_stands_still_until_it_is_resumed(stores, clock):
    es, ma, es_ledger, _ = both(stores, clock)
    partners = SqlPartners(stores[0])
    es_ledger.tell(item(NAME, record()))

    assert partners.suspend(MA, why="suspicion", entry=ANY_ENTRY)
    assert partners.suspended(MA) == "suspicion"
    assert es.seal_waiting(Lane.BULK) == 0

    assert partners.suspend(MA, why=None, entry=ANY_ENTRY)
    assert carry(es, ma) is Heard.NEWS


def test_pairing_again_keeps_the_streams(stores, clock):
    es, ma, es_ledger, _ = both(stores, clock)
    es_ledger.tell(item(NAME, record()))
    carry(es, ma)

    SqlPartners(stores[0]).pair(pairing(MA), ES, ANY_ENTRY)

    assert es_ledger.head(OUT).next_seq == 2
    assert SqlPartners(stores[0]).all() == (pairing(MA),)


@pytest.mark.parametrize(
    ("which", "verb"),
    [
        (0, "update exchange_sealed set digest = 'x'"),
        (0, "delete from exchange_sealed"),
        (1, "update exchange_inbox set digest = 'x'"),
        (1, "delete from exchange_inbox"),
    ],
)
def test_what_was_sealed_and_applied_cannot_be_changed(stores, clock, which, verb):
    es, ma, es_ledger, _ = both(stores, clock)
    es_ledger.tell(item(NAME, record()))
    carry(es, ma)

    with pytest.raises(Exception, match="append-only"):
        stores[which].submit(lambda c: c.exec_driver_sql(verb).close()).result()
