"""The link over HTTPS: what a partner may ask of us, and how we speak to it.

* ``PUT /exchange/v1/{stream}/{first_seq}``: a batch, one envelope a line; an empty one
  is a question
* ``GET /exchange/v1/{stream}/{seq}``: one of the asker's own envelopes, as we keep it

Every answer that counts is a signed receipt in the body. A listener belongs to one
partner, behind mutual TLS of its own: who is asking is known by the envelopes'
signatures, TLS is the second wall. Whatever is not understood is 404 and nothing else.

Source: docs/design/exchange.md, "Receiving".
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote

import httpx
import structlog
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from almenara.core.errors import AlmenaraError
from almenara.core.time import Clock
from almenara.exchange.judgement import Heard
from almenara.exchange.link import MOST_BATCH_BYTES, Link, Reply
from almenara.exchange.stream import ExchangeStream, Lane

log = structlog.get_logger()

PREFIX = "/exchange/v1"
MEDIA_TYPE = "application/jose"
PATIENCE = httpx.Timeout(10.0, connect=5.0)
CAP_S = {Lane.URGENT: 5.0, Lane.BULK: 60.0}
"""The longest wait between two attempts; the phone is quicker beyond that."""

IDLE = timedelta(milliseconds=200)
"""How often an outbox is looked into while there is nothing to send."""

SENT = Counter(
    "almenara_exchange_batches_total",
    "Batches sent, by lane and answer.",
    ["lane", "answer"],
)


class Keeper(Protocol):
    """Gives a partner its own envelopes back, should it have lost them."""

    def kept(self, stream: ExchangeStream, seq: int) -> bytes | None:
        """The bytes we applied at that number."""
        ...


def partner_app(link: Link, keeper: Keeper) -> Starlette:
    """The application of one partner's listener."""
    turn = asyncio.Lock()  # a link is for one caller at a time

    async def put(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        name = _name(request)
        async with turn:
            reply = await asyncio.to_thread(link.arrive, name, body)
        return Response(reply.receipt, reply.status, media_type=MEDIA_TYPE)

    async def get(request: Request) -> Response:
        seq = int(request.path_params["seq"])
        stream = _stream(_name(request))
        if stream is None or stream != link.incoming(stream.lane):
            return Response(status_code=404)
        raw = await asyncio.to_thread(keeper.kept, stream, seq)
        if raw is None:
            return Response(status_code=404)
        return Response(raw, media_type=MEDIA_TYPE)

    path = f"{PREFIX}/{{direction}}/{{lane}}/{{seq:int}}"
    return Starlette(
        routes=[
            Route(path, put, methods=["PUT"]),
            Route(path, get, methods=["GET"]),
        ]
    )


def _name(request: Request) -> str:
    return f"{request.path_params['direction']}/{request.path_params['lane']}"


def _stream(name: str) -> ExchangeStream | None:
    try:
        return ExchangeStream.named(name)
    except ValueError:
        return None


async def _body(request: Request) -> bytes | None:
    """What was sent; None if it is more than a batch may be."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BATCH_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


@dataclass(slots=True, kw_only=True)
class Speaker:
    """Sends one link's lanes to its partner, each on a connection of its own."""

    link: Link
    client: Callable[[], httpx.AsyncClient]
    """A new connection, with the partner's address and certificates."""

    clock: Clock
    chance: Callable[[], float]
    """In [0, 1): two centres that come back do not knock in step."""

    waits_s: dict[Lane, float] = field(default_factory=dict[Lane, float])

    async def run(self) -> None:
        """Send until cancelled; a failing link costs itself and nothing else."""
        async with asyncio.TaskGroup() as tasks:
            for lane in Lane:
                tasks.create_task(self._speak(lane))

    async def _speak(self, lane: Lane) -> None:
        async with self.client() as client:
            while True:
                await self.clock.sleep(await self.step(lane, client))

    async def step(self, lane: Lane, client: httpx.AsyncClient) -> timedelta:
        """Seal, send a batch, take in the answer; how long to wait before the next."""
        await asyncio.to_thread(self.link.seal_waiting, lane)
        batch = await asyncio.to_thread(self.link.batch, lane)
        if batch is None:
            self.waits_s.pop(lane, None)
            return IDLE
        heard = await self._sent(lane, client, batch.first_seq, batch.body)
        SENT.labels(lane.value, heard or "none").inc()
        if heard is Heard.AHEAD:
            await self._recover(lane, client)
        if heard in (Heard.NEWS, Heard.AHEAD, Heard.WENT_BACK):
            self.waits_s.pop(lane, None)
            return timedelta()
        return self._wait(lane)

    async def _sent(
        self, lane: Lane, client: httpx.AsyncClient, first_seq: int, body: bytes
    ) -> Heard | None:
        path = _path(self.link.outgoing(lane), first_seq)
        reply = await self._asked(client.put(path, content=body))
        if reply is None:
            return None
        return await asyncio.to_thread(self.link.answered, lane, reply)

    async def _recover(self, lane: Lane, client: httpx.AsyncClient) -> None:
        """Take our own envelopes back from the partner, one by one."""
        loop = asyncio.get_running_loop()
        stream = self.link.outgoing(lane)

        def fetch(seq: int) -> bytes | None:
            asking = self._asked(client.get(_path(stream, seq)))
            reply = asyncio.run_coroutine_threadsafe(asking, loop).result()
            found = reply is not None and reply.status == 200
            return reply.receipt if reply is not None and found else None

        try:
            count = await asyncio.to_thread(self.link.recover, lane, fetch)
        except AlmenaraError as error:
            log.error("exchange_recovery_failed", lane=lane, reason=str(error))
            return
        log.warning("exchange_recovered", lane=lane, envelopes=count)

    async def _asked(self, asking: Awaitable[httpx.Response]) -> Reply | None:
        """The answer; None if there was none, or one too long to be one."""
        try:
            answer = await asking
        except httpx.HTTPError as error:
            log.info("exchange_unreachable", partner=self.link.partner, why=repr(error))
            return None
        if len(answer.content) > MOST_BATCH_BYTES:
            return None
        return Reply(status=answer.status_code, receipt=answer.content)

    def _wait(self, lane: Lane) -> timedelta:
        """Doubling, with jitter, capped."""
        wait_s = self.waits_s.get(lane, 0.5)
        self.waits_s[lane] = min(2.0 * wait_s, CAP_S[lane])
        return timedelta(seconds=wait_s * (0.5 + 0.5 * self.chance()))


def _path(stream: ExchangeStream, seq: int) -> str:
    direction, _, lane = stream.name.partition("/")
    return f"{PREFIX}/{quote(direction, safe='')}/{lane}/{seq}"
