"""The other end of a websocket, speaking ASGI to the application without a port."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.types import ASGIApp

from tests.console.browser import COOKIE, URL

HOST = URL.removeprefix("http://")


class Peer:
    """What a page sees of its socket."""

    def __init__(self) -> None:
        self._out, self.inbox = anyio.create_memory_object_stream[Any](10_000)
        self.outbox, self._in = anyio.create_memory_object_stream[Any](10)

    async def receive(self) -> Any:
        return await self._in.receive()

    async def send(self, message: Any) -> None:
        await self._out.send(message)

    async def heard(self) -> Any:
        """The next message: a dict, bytes, or the close code as an int."""
        with anyio.fail_after(10):
            message = await self.inbox.receive()
        if message["type"] == "websocket.accept":
            return await self.heard()
        if message["type"] == "websocket.close":
            return message.get("code", 1000)
        if message["type"].startswith("websocket.http"):
            return message.get("status")
        text = message.get("text")
        return message["bytes"] if text is None else json.loads(text)

    def close(self) -> None:
        for stream in (self._out, self.inbox, self.outbox, self._in):
            stream.close()

    async def say(self, text: str) -> None:
        await self.outbox.send({"type": "websocket.receive", "text": text})


@asynccontextmanager
async def connected(
    app: ASGIApp, path: str, token: str | None = None, *, origin: str | None = URL
) -> AsyncIterator[Peer]:
    """A socket from a page of ``origin``; gone at the end of the block."""
    peer = Peer()
    headers = [(b"host", HOST.encode())]
    if token:
        headers.append((b"cookie", f"{COOKIE}={token}".encode()))
    if origin:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8080),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await peer.outbox.send({"type": "websocket.connect"})
    over = anyio.Event()

    async def serve() -> None:
        await app(scope, peer.receive, peer.send)
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield peer
        await peer.outbox.send({"type": "websocket.disconnect", "code": 1001})
        with anyio.fail_after(5):
            await over.wait()
    peer.close()
