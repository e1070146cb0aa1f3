"""Two real centres over loopback sockets, with a proxy that cuts the line."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn

from almenara.core.ids import CentreId
from almenara.core.time import ManualClock
from almenara.exchange.link import Link
from almenara.exchange.stream import ExchangeStream, Lane
from almenara.exchange.wire import PREFIX, Speaker, partner_app
from almenara.node.store.database import Store, open_store
from almenara.node.store.exchange import SqlLedger
from tests.contracts.test_ledger import sql_ledger
from tests.exchange.centres import BEGIN, ES, MA, item, link, names, record

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OUT = ExchangeStream(sender=ES, receiver=MA, lane=Lane.BULK)


class Node:
    """One centre: a store, a link, a listener."""

    def __init__(self, me: CentreId, partner: CentreId, store: Store, clock) -> None:
        self.ledger: SqlLedger = sql_ledger(store, me, partner, clock)
        self.link: Link = link(me, partner, self.ledger, clock)
        self.clock = clock

    def speaker(self, port: int) -> Speaker:
        return Speaker(
            link=self.link,
            client=lambda: httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"),
            clock=self.clock,
            chance=random.Random(1).random,
        )


class QuietServer(uvicorn.Server):
    """Leaves signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def listening(node: Node) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        partner_app(node.link, node.ledger), log_config=None, lifespan="off"
    )
    server = QuietServer(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True


class Cutter:
    """A TCP proxy that passes a seeded number of bytes and then cuts."""

    def __init__(self, port: int, seed: int) -> None:
        self._port, self._rng = port, random.Random(seed)
        self.calm = False
        self.cuts = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        left = 10**9 if self.calm else self._rng.randrange(200, 12_000)

        async def pump(source, sink) -> None:
            nonlocal left
            while data := await source.read(512):
                left -= len(data)
                if left < 0:
                    self.cuts += 1
                    break
                sink.write(data)
                await sink.drain()

        with contextlib.suppress(ConnectionError):
            done, waiting = await asyncio.wait(
                [
                    asyncio.ensure_future(pump(reader, back)),  # noqa: TID251 - a test's proxy
                    asyncio.ensure_future(pump(there, writer)),  # noqa: TID251
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in (*done, *waiting):
                task.cancel()
        for end in (writer, back):
            end.transport.abort()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN + timedelta(days=60))


@pytest.fixture
async def centres(tmp_path: Path, clock) -> AsyncIterator[tuple[Node, Node]]:
    with open_store(tmp_path / "es.db") as es, open_store(tmp_path / "ma.db") as ma:
        yield Node(ES, MA, es, clock), Node(MA, ES, ma, clock)


def applied(node: Node, stream: ExchangeStream = OUT) -> int:
    return node.ledger.cursor(stream).next_seq - 1


async def test_what_is_told_is_there_after_one_step(centres):
    es, ma = centres
    es.ledger.tell(item(next(names()), record()))
    async with listening(ma) as port:
        speaker = es.speaker(port)
        async with speaker.client() as client:
            await speaker.step(Lane.BULK, client)

    assert applied(ma) == 1
    assert es.ledger.receipted(OUT) == 1


async def test_a_line_that_is_cut_again_and_again_loses_and_doubles_nothing(centres):
    es, ma = centres
    fresh = names()
    total = 60
    async with listening(ma) as port:
        cutter = Cutter(port, seed=7)
        async with cutter.listening() as through:
            speaker = es.speaker(through)
            for step in range(400):
                if step < total:
                    text = "x" * (step * 37 % 900)
                    es.ledger.tell(item(next(fresh), record(fields={"what": text})))
                cutter.calm = step >= 200
                async with speaker.client() as client:
                    await speaker.step(Lane.BULK, client)
                if es.ledger.receipted(OUT) == total:
                    break

    assert cutter.cuts > 10
    assert applied(ma) == total
    assert es.ledger.head(OUT) == ma.ledger.cursor(OUT)
    assert ma.ledger.frozen(OUT) is None


async def test_a_restored_centre_gets_its_own_envelopes_back(
    centres, tmp_path: Path, clock
):
    es, ma = centres
    fresh = names()
    async with listening(ma) as port:
        speaker = es.speaker(port)
        async with speaker.client() as client:
            for _ in range(3):
                es.ledger.tell(item(next(fresh), record()))
                await speaker.step(Lane.BULK, client)
        with open_store(tmp_path / "restored.db") as older:
            again = Node(ES, MA, older, clock)
            again.ledger.doubt()
            again.ledger.tell(item(next(fresh), record()))
            speaker = again.speaker(port)
            async with speaker.client() as client:
                for _ in range(4):
                    await speaker.step(Lane.BULK, client)

            assert applied(ma) == 4
            assert again.ledger.head(OUT) == ma.ledger.cursor(OUT)
            assert ma.ledger.frozen(OUT) is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/nobody%3Enowhere/bulk/1", 404),
        ("PUT", "/ma%3Ees/bulk/1", 404),
        ("GET", "/es%3Ema/bulk/99", 404),
        ("GET", "/ma%3Ees/bulk/1", 404),
        ("PUT", "/es%3Ema/slow/1", 404),
        ("POST", "/es%3Ema/bulk/1", 405),
        ("GET", "/../../etc/passwd", 404),
    ],
)
async def test_what_is_foreign_gets_nothing(centres, method, path, status):
    _, ma = centres
    async with (
        listening(ma) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answer = await client.request(method, PREFIX + path, content=b"x")

    assert answer.status_code == status
    assert answer.content in (b"", b"Not Found", b"Method Not Allowed")
    assert applied(ma) == 0


async def test_a_body_without_end_is_cut_off(centres):
    _, ma = centres

    async def endless():
        for _ in range(100):
            yield b"x" * 100_000

    async with (
        listening(ma) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.put(f"{PREFIX}/es%3Ema/bulk/1", content=endless())
            assert answer.status_code == 413
    assert applied(ma) == 0


async def test_a_partner_that_does_not_answer_is_asked_less_and_less_often(centres):
    es, _ = centres
    es.ledger.tell(item(next(names()), record()))
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    speaker = es.speaker(port)
    async with speaker.client() as client:
        waits = [
            (await speaker.step(Lane.BULK, client)).total_seconds() for _ in range(9)
        ]

    assert max(waits) <= 60.0
    assert waits[-1] > 4 * waits[0]
    assert es.ledger.receipted(OUT) == 0


async def test_an_answer_of_somebody_else_is_no_answer(centres):
    es, _ = centres
    es.ledger.tell(item(next(names()), record()))

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(200, content=b"thank you")

    speaker = es.speaker(1)
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://x", transport=transport) as client:
        assert (await speaker.step(Lane.BULK, client)).total_seconds() > 0

    assert es.ledger.receipted(OUT) == 0
