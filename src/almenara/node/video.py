"""Video for the console: live, recorded and still, asked for by camera.

Fulfils ``LiveVideo``, ``Playback`` and ``Stills`` of ``console.api.video`` with what
the recorder, the hub and the watch workers have. People ask by camera; recordings are
kept by stream, so that old footage never changes its camera.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

from almenara.console.api.video import Still
from almenara.core.ids import CameraId, StreamId
from almenara.core.media import LiveMessage, Timeline
from almenara.recording.live import LiveHub
from almenara.recording.playback import Playback

MainStream = Callable[[CameraId], StreamId | None]


class CameraLive:
    """Live pictures by camera."""

    def __init__(self, hub: LiveHub, stream_of: MainStream) -> None:
        self._hub = hub
        self._stream_of = stream_of

    @asynccontextmanager
    async def watch(
        self, camera_id: CameraId
    ) -> AsyncIterator[AsyncIterator[LiveMessage]]:
        stream_id = self._stream_of(camera_id)
        messages = _nothing() if stream_id is None else self._hub.watch(stream_id)
        async with aclosing(messages) as open_messages:
            yield open_messages


async def _nothing() -> AsyncGenerator[LiveMessage]:
    for message in tuple[LiveMessage, ...]():
        yield message


class CameraPlayback:
    """Recorded pictures by camera."""

    def __init__(self, playback: Playback, stream_of: MainStream) -> None:
        self._playback = playback
        self._stream_of = stream_of

    async def timeline(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> Timeline:
        stream_id = self._stream_of(camera_id)
        if stream_id is None:
            return Timeline(spans=(), gaps=())
        return await self._playback.timeline(stream_id, start, end)

    async def clip(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> AsyncIterator[bytes]:
        stream_id = self._stream_of(camera_id)
        if stream_id is not None:
            async for piece in self._playback.clip(stream_id, start, end):
                yield piece


class LastStills:
    """The last still of each camera, in memory."""

    def __init__(self) -> None:
        self._stills: dict[CameraId, Still] = {}

    def put(self, camera_id: CameraId, captured_at: datetime, jpeg: bytes) -> None:
        """Replace a camera's still."""
        self._stills[camera_id] = Still(jpeg=jpeg, captured_at=captured_at)

    def latest(self, camera_id: CameraId) -> Still | None:
        return self._stills.get(camera_id)
