"""The two sockets: the picture as it changes, and the moving picture of one camera.

A subscriber never has a queue of messages: each delta leads from what was last sent to
what is true now. A send that took too long is followed by a new snapshot. Each message
is decided for its subscriber; the session is asked again every few seconds.

Source: docs/design/first-light.md, "The wire between console and browser".
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, WebSocket
from starlette.requests import HTTPConnection
from starlette.websockets import (
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketState,
)

from almenara.console.api.alarms import AlarmDesk
from almenara.console.api.picture import PictureFeed
from almenara.console.api.stations import StationDesk, camera_header
from almenara.console.api.video import LiveVideo
from almenara.console.boundary import json_text
from almenara.console.gate import AuditLog, Caller, Gate, Needs
from almenara.console.live_queue import LiveQueue, framed
from almenara.console.problems import Problem
from almenara.console.scene import Json, Scene, delta, heartbeat, snapshot
from almenara.console.sight import Sight
from almenara.core.ids import CameraId
from almenara.core.media import LiveInit
from almenara.core.time import Clock
from almenara.evidence.access import Action, Header
from almenara.evidence.audit import AuditObject

HEARTBEAT = timedelta(seconds=1)
SESSION_CHECK = timedelta(seconds=3)
"""A session that ended is cut off within five seconds."""

PACE = timedelta(milliseconds=100)
"""Between two deltas; ten a second are more than eyes follow."""

SLOW_S = 3.0
"""A send that took longer is followed by a snapshot."""

MOST_PER_SESSION = 64

SESSION_ENDED, FORBIDDEN, NOT_FOUND, TOO_MANY = 4401, 4403, 4404, 4429
CLOSE_CODES = {401: SESSION_ENDED, 403: FORBIDDEN, 404: NOT_FOUND}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketPorts:
    """What the sockets need from the rest of Almenara."""

    sight: Sight
    picture: PictureFeed
    alarms: AlarmDesk
    stations: StationDesk
    live: LiveVideo
    audit: AuditLog


class Admits:
    """The declared policy of a socket: who may come in, or the reason why not.

    A socket is accepted before it is refused, because a browser hides the answer to a
    handshake from its page, and the page must know whether to sign in again.
    """

    def __init__(self, needs: Needs) -> None:
        self.action = needs.action
        self._needs = needs

    async def __call__(self, connection: HTTPConnection) -> Caller | Problem:
        try:
            return await self._needs(connection)
        except Problem as problem:
            return problem


class Watcher:
    """One socket of somebody who was let in."""

    def __init__(self, socket: WebSocket, caller: Caller, gate: Gate) -> None:
        self.caller = caller
        self._socket, self._gate = socket, gate
        self._turn = anyio.Lock()

    async def tell(self, message: Json) -> None:
        """Send one text message."""
        async with self._turn:
            await self._socket.send_text(json_text(message))

    async def show(self, message: bytes) -> None:
        """Send one binary message."""
        async with self._turn:
            await self._socket.send_bytes(message)

    async def over(self, clock: Clock, action: Action, *, acting: bool) -> int:
        """Wait until the session or the right ends; the close code for it."""
        while True:
            await clock.sleep(SESSION_CHECK)
            now = await self._gate.still(self.caller, acting=acting)
            if now is None:
                return SESSION_ENDED
            self.caller = now
            if not now.sees(action, Header(kind="socket", id=action)):
                return FORBIDDEN

    async def hear(self) -> None:
        """Until the peer goes away; whatever it says means that somebody is there."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if await self._gate.still(self.caller, acting=True) is not None:
                await self._gate.touch(self.caller.session)

    async def run(
        self,
        over: Callable[[], Awaitable[int]],
        *jobs: Callable[[], Awaitable[None]],
    ) -> None:
        """Do all jobs until the first of them ends, the peer goes, or it is over."""
        code = 1000
        async with anyio.create_task_group() as tasks:

            async def until_it_ends(job: Callable[[], Awaitable[None]]) -> None:
                with suppress(WebSocketDisconnect, WebSocketDisconnected):
                    await job()
                tasks.cancel_scope.cancel()

            async def until_over() -> None:
                nonlocal code
                code = await over()
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_over)
            for job in (self.hear, *jobs):
                tasks.start_soon(until_it_ends, job)
        if (
            self._socket.client_state is WebSocketState.CONNECTED
            and self._socket.application_state is WebSocketState.CONNECTED
        ):
            await self._socket.close(code)


class Sockets:
    """Counts the open sockets of each session; one per application."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, caller: Caller) -> Iterator[bool]:
        """Whether this session may have another one."""
        key = caller.session.token_hash
        if self._open[key] >= MOST_PER_SESSION:
            yield False
            return
        self._open[key] += 1
        try:
            yield True
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


def router(ports: SocketPorts, gate: Gate, clock: Clock) -> APIRouter:
    """Bind the sockets to their ports."""
    api = APIRouter()
    sockets = Sockets()
    sees = Admits(Needs(gate, Action.PICTURE_READ))
    watches = Admits(Needs(gate, Action.VIDEO_LIVE))

    @api.websocket("/picture")
    async def picture(
        socket: WebSocket, who: Annotated[Caller | Problem, Depends(sees)]
    ) -> None:
        await socket.accept()
        if isinstance(who, Problem):
            await socket.close(CLOSE_CODES.get(who.status, 1008))
            return
        with sockets.one_more(who) as admitted:
            if not admitted:
                await socket.close(TOO_MANY)
                return
            await Teller(Watcher(socket, who, gate), ports, clock).run()

    @api.websocket("/live/{camera_id}")
    async def live(
        socket: WebSocket,
        camera_id: CameraId,
        who: Annotated[Caller | Problem, Depends(watches)],
    ) -> None:
        await socket.accept()
        try:
            if isinstance(who, Problem):
                raise who
            header = camera_header(ports.stations, camera_id)
            await who.must(Action.VIDEO_LIVE, header)
        except Problem as problem:
            await socket.close(CLOSE_CODES.get(problem.status, 1008))
            return
        with sockets.one_more(who) as admitted:
            if not admitted:
                await socket.close(TOO_MANY)
                return
            await Player(Watcher(socket, who, gate), camera_id, ports, clock).run()

    return api


class Teller:
    """Tells one subscriber the picture: a snapshot, deltas, heartbeats."""

    def __init__(self, watcher: Watcher, ports: SocketPorts, clock: Clock) -> None:
        self._watcher, self._ports, self._clock = watcher, ports, clock
        self._wake = asyncio.Event()
        self._alarms_changed = True
        self._seq = 0

    async def run(self) -> None:
        """Until the peer or the session is gone.

        A session that only went idle goes on: a console that holds the watch never goes
        dark, though acting needs a new sign-in.
        """
        watcher, clock = self._watcher, self._clock
        await watcher.run(
            lambda: watcher.over(clock, Action.PICTURE_READ, acting=False),
            self._tell,
            self._beat,
            lambda: self._listen(self._ports.picture.subscribe(), alarms=False),
            lambda: self._listen(self._ports.alarms.changes(), alarms=True),
        )

    async def _tell(self) -> None:
        before: Scene | None = None
        while True:
            after = await self._scene()
            message = self._message(before, after)
            started_s = self._clock.monotonic_s()
            if message is not None:
                self._seq += 1
                await self._watcher.tell(message)
            slow = self._clock.monotonic_s() - started_s > SLOW_S
            before = None if slow else after
            await self._clock.sleep(PACE)
            if before is not None:
                await self._wake.wait()

    async def _scene(self) -> Scene:
        self._wake.clear()
        afresh, self._alarms_changed = self._alarms_changed, False
        return await self._ports.sight.scene(self._watcher.caller, afresh=afresh)

    def _message(self, before: Scene | None, after: Scene) -> Json | None:
        if before is None or before.node != after.node:
            return snapshot(after, self._seq + 1)
        return delta(before, after, self._seq + 1)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT)
            now = self._clock.now()
            if self._seq:
                await self._watcher.tell(heartbeat(now, self._seq))
            self._wake.set()  # health and node have no bell of their own

    async def _listen(
        self,
        bell: AbstractAsyncContextManager[AsyncIterator[None]],
        *,
        alarms: bool,
    ) -> None:
        async with bell as rings:
            async for _ in rings:
                self._alarms_changed |= alarms
                self._wake.set()


class Player:
    """Plays one camera to one viewer; the audit has a line at its start and its end."""

    def __init__(
        self,
        watcher: Watcher,
        camera_id: CameraId,
        ports: SocketPorts,
        clock: Clock,
    ) -> None:
        self._watcher, self._camera_id = watcher, camera_id
        self._ports, self._clock = ports, clock
        self._queue = LiveQueue()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until the peer, the session or the camera is gone."""
        watcher, clock = self._watcher, self._clock
        began = clock.now()
        await self._note("video.live.start")
        try:
            await watcher.run(
                lambda: watcher.over(clock, Action.VIDEO_LIVE, acting=True),
                self._read,
                self._send,
            )
        finally:
            with anyio.CancelScope(shield=True):
                await self._note("video.live.end", began=began)

    async def _note(self, act: str, *, began: datetime | None = None) -> None:
        now = self._clock.now()
        span = began is not None and began < now
        thing = AuditObject(
            kind="camera",
            id=self._camera_id,
            start=began if span else None,
            end=now if span else None,
        )
        entry = self._watcher.caller.entry(Action.VIDEO_LIVE, thing, act=act)
        await self._ports.audit.record(replace(entry, at=now))

    async def _read(self) -> None:
        async with self._ports.live.watch(self._camera_id) as messages:
            async for message in messages:
                self._queue.put(message)
                self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (message := self._queue.take()) is not None:
                if isinstance(message, LiveInit) and not await self._open(message):
                    await anyio.sleep_forever()
                await self._watcher.show(framed(message))

    async def _open(self, init: LiveInit) -> bool:
        """Announce the format; False if browsers cannot play it and stills must do."""
        if not init.codec.startswith("avc"):
            await self._watcher.tell({"type": "stills"})
            return False
        opening = {
            "type": "open",
            "codec": init.codec,
            "width_px": init.width_px,
            "height_px": init.height_px,
        }
        await self._watcher.tell(opening)
        return True
