"""Two nodes' links over mutual TLS: told, suspended, and strangers kept out."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from almenara.core.errors import ConfigError
from almenara.core.ids import CentreId
from almenara.exchange.pairing import Pairing, genesis_of
from almenara.exchange.stream import ExchangeStream, Lane
from almenara.node.clock import SystemClock
from almenara.node.partners import Certificates, Identity, Partners, identity
from almenara.node.store.database import Store, open_store
from almenara.node.store.exchange import SqlLedger, SqlPartners
from tests.contracts.test_ledger import ANY_ENTRY
from tests.exchange.centres import ES, MA, agreement, item, names, record
from tests.node.certificates import authority_and_leaf

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CLOCK = SystemClock()
OUT = ExchangeStream(sender=ES, receiver=MA, lane=Lane.URGENT)
INCIDENT = {
    "incident": "es-1",
    "version": 1,
    "what": "craft_adrift",
    "where": None,
    "at_ms": 1,
    "certainty": "likely",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Side:
    """One centre with its store, its certificates and its port."""

    def __init__(self, me: CentreId, folder: Path, store: Store) -> None:
        self.me, self.store, self.port = me, store, free_port()
        self.own: Identity = identity(folder / "keys", me, CLOCK)
        self.files = authority_and_leaf(folder / "tls", me, CLOCK.now())

    def meet(self, other: "Side") -> None:
        keys = (self.own.public, other.own.public)
        fields = {"incident": frozenset(INCIDENT)}
        pairing = Pairing(
            partner=other.me,
            name=str(other.me),
            url=f"https://127.0.0.1:{other.port}",
            listen=f"127.0.0.1:{self.port}",
            authority_pem=other.files[0].read_text(),
            telephone="+0",
            keys=keys,
            agreement=replace(
                agreement(other.me),
                fields=fields,
                valid_until=CLOCK.now().replace(year=2100),
            ),
            genesis=genesis_of(keys, "agreement of 2026"),
        )
        SqlPartners(self.store).pair(pairing, self.me, ANY_ENTRY)

    def ledger(self, other: "Side") -> SqlLedger:
        return SqlLedger(self.store, self.me, other.me, CLOCK)

    def partners(self) -> Partners:
        certificates = Certificates(
            certificate_file=self.files[1], key_file=self.files[2]
        )
        return Partners(
            self.store, self.me, lambda: self.own, CLOCK, certificates=certificates
        )


@contextlib.asynccontextmanager
async def running(*sides: Side) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        kept = [tasks.create_task(side.partners().run()) for side in sides]
        yield
        for task in kept:
            task.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):
            await CLOCK.sleep(timedelta(milliseconds=50))


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    with (
        open_store(tmp_path / "es" / "s.db") as es_store,
        open_store(tmp_path / "ma" / "s.db") as ma_store,
    ):
        es = Side(ES, tmp_path / "es", es_store)
        ma = Side(MA, tmp_path / "ma", ma_store)
        es.meet(ma)
        ma.meet(es)
        yield es, ma


def tell(es: Side, ma: Side, name: str) -> None:
    said = record(lane=Lane.URGENT, fields=INCIDENT)
    es.ledger(ma).tell(item(name, said))


async def test_two_centres_tell_each_other_over_mutual_tls(sides):
    es, ma = sides
    fresh = names()
    async with running(es, ma):
        for _ in range(3):
            tell(es, ma, next(fresh))
        await until(lambda: es.ledger(ma).receipted(OUT) == 3)

    assert ma.ledger(es).cursor(OUT).next_seq == 4
    assert es.ledger(ma).head(OUT) == ma.ledger(es).cursor(OUT)


async def test_a_stranger_is_stopped_before_a_word(sides, tmp_path: Path):
    es, ma = sides
    stranger = authority_and_leaf(tmp_path / "x", "stranger", CLOCK.now())
    url = f"https://127.0.0.1:{ma.port}/exchange/v1/es%3Ema/urgent/1"
    context = ssl.create_default_context(cadata=ma.files[0].read_text())
    tell(es, ma, next(names()))
    async with running(es, ma):
        await until(lambda: es.ledger(ma).receipted(OUT) == 1)
        for files in (None, stranger):
            if files is not None:
                context.load_cert_chain(files[1], files[2])
            async with httpx.AsyncClient(verify=context) as client:
                with pytest.raises(httpx.HTTPError):
                    await client.put(url, content=b"x")

    assert ma.ledger(es).cursor(OUT).next_seq == 2


async def test_a_suspended_link_stands_still_and_goes_on_when_it_is_resumed(sides):
    es, ma = sides
    fresh = names()
    async with running(es, ma):
        tell(es, ma, next(fresh))
        await until(lambda: es.ledger(ma).receipted(OUT) == 1)
        partners = SqlPartners(es.store)
        partners.suspend(MA, why="doubt", entry=ANY_ENTRY)
        tell(es, ma, next(fresh))
        state = es.ledger(ma).states()[0]
        assert (state.queued, state.sealed_seq) == (1, 1)

        partners.suspend(MA, why=None, entry=ANY_ENTRY)
        await until(lambda: es.ledger(ma).receipted(OUT) == 2)


def test_our_key_is_made_once_and_is_the_same_ever_after(tmp_path: Path):
    first = identity(tmp_path / "keys", ES, CLOCK)
    second = identity(tmp_path / "keys", ES, CLOCK)

    assert first.public == second.public
    assert first.public.signed(b"x", second.key.sign(b"x"))
    assert "secret" not in repr(first)
    with pytest.raises(ConfigError, match="the key of es"):
        identity(tmp_path / "keys", MA, CLOCK)
