"""What happens now, for those who watch: one picture per fragment, from memory.

Bytes are made once and shared by all viewers, and only while somebody watches;
otherwise the hub merely remembers the packets since the last key picture, so that a new
viewer sees something at once. A viewer that cannot keep up loses pictures up to the
next key picture, never the connection and never anybody else's pictures.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import structlog

from almenara.core.errors import MediaError
from almenara.core.ids import StreamId
from almenara.core.media import (
    LiveFragment,
    LiveInit,
    LiveMessage,
    Packet,
    StreamFormat,
)
from almenara.core.time import Clock
from almenara.recording.codecs import codec_name
from almenara.recording.fmp4 import Sample, fragment, init_segment
from almenara.recording.timing import media_step

log = structlog.get_logger(__name__)

MAX_GROUP_BYTES = 8 * 1024 * 1024
"""A group of pictures larger than this is not remembered: viewers wait for the next."""

MAX_BEHIND = 100
"""Fragments a viewer may be behind, four seconds at 25/s, beside its first group."""

FIRST_STEP_90K = 3_600


class LiveHub:
    """Hands the packets of every stream to its viewers; lives on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[StreamId, _Stream] = {}

    def put(self, packet: Packet) -> None:
        """Take the next packet of a stream; never waits."""
        self._stream(packet.stream_id).put(packet)

    async def watch(self, stream_id: StreamId) -> AsyncGenerator[LiveMessage]:
        """An init, then fragments from a key picture on; ends only by being closed.

        Waits without end for a stream that sends nothing. ``LiveInit`` comes again
        whenever the format changes.
        """
        stream = self._stream(stream_id)
        viewer = stream.join()
        try:
            while True:
                await viewer.ready.wait()
                viewer.ready.clear()
                while viewer.messages:
                    yield viewer.messages.popleft()
        finally:
            stream.leave(viewer)

    def viewers(self, stream_id: StreamId) -> int:
        """How many watch this stream now."""
        return len(self._stream(stream_id).viewers)

    def _stream(self, stream_id: StreamId) -> "_Stream":
        return self._streams.setdefault(stream_id, _Stream())


@dataclass(eq=False, slots=True)
class _Viewer:
    messages: deque[LiveMessage] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    may_hold: int = MAX_BEHIND
    waits_for_key: bool = True
    knows: LiveInit | None = None

    def offer(self, init: LiveInit, part: LiveFragment) -> None:
        """Take one more picture, or give up all that waits until the next key one."""
        if part.is_key:
            self.waits_for_key = False
        elif len(self.messages) >= self.may_hold:
            self.messages.clear()
            self.knows = None  # what was cleared may have held the init
            self.waits_for_key = True
            self.may_hold = MAX_BEHIND
        if self.waits_for_key:
            return
        if self.knows is not init:
            self.messages.append(init)
            self.knows = init
        self.messages.append(part)
        self.ready.set()


@dataclass(eq=False, slots=True)
class _Shown:
    """A packet on the hub's own time line; its bytes are made when first needed."""

    packet: Packet
    base_90k: int
    duration_90k: int
    number: int
    part: LiveFragment | None = None

    def muxed(self) -> LiveFragment:
        if self.part is None:
            packet = self.packet
            sample = Sample(
                nal_units=packet.nal_units,
                is_key=packet.is_key,
                duration_90k=self.duration_90k,
                composition_90k=packet.pts_90k - packet.dts_90k,
            )
            head, pieces = fragment(
                [sample], sequence=self.number, base_90k=self.base_90k
            )
            self.part = LiveFragment(
                captured_at=packet.captured_at,
                dts_90k=self.base_90k,
                is_key=packet.is_key,
                data=b"".join((head, *pieces)),
            )
        return self.part


class _Stream:
    """One stream: its group of pictures, its time line and who watches."""

    def __init__(self) -> None:
        self.viewers: set[_Viewer] = set()
        self._group: list[_Shown] = []
        self._group_bytes = 0
        self._format: StreamFormat | None = None
        self._init: LiveInit | None = None
        self._last: Packet | None = None
        self._base_90k = 0
        self._step_90k = FIRST_STEP_90K
        self._number = 0

    def join(self) -> _Viewer:
        viewer = _Viewer(may_hold=MAX_BEHIND + len(self._group))
        if self._init is not None:
            for shown in self._group:
                viewer.offer(self._init, shown.muxed())
        self.viewers.add(viewer)
        return viewer

    def leave(self, viewer: _Viewer) -> None:
        self.viewers.discard(viewer)

    def put(self, packet: Packet) -> None:
        if packet.format is not self._format:
            self._change(packet.format)
        shown = self._placed(packet)
        if packet.is_key:
            self._group, self._group_bytes = [shown], packet.size_bytes
        elif self._group:
            self._group.append(shown)
            self._group_bytes += packet.size_bytes
            if self._group_bytes > MAX_GROUP_BYTES:
                self._group = []
        if self.viewers and self._init is not None:
            part = shown.muxed()
            for viewer in self.viewers:
                viewer.offer(self._init, part)

    def _change(self, stream_format: StreamFormat) -> None:
        """A new format: old pictures cannot be followed by new ones without a key."""
        self._format, self._group = stream_format, []
        for viewer in self.viewers:
            viewer.waits_for_key = True
        try:
            self._init = LiveInit(
                codec=codec_name(stream_format),
                width_px=stream_format.width_px,
                height_px=stream_format.height_px,
                data=init_segment(stream_format),
            )
        except MediaError as error:
            self._init = None
            log.warning("live_format_unreadable", reason=str(error))

    def _placed(self, packet: Packet) -> _Shown:
        """Lay the packet on a time line without jumps, whatever the camera's does."""
        if self._last is not None:
            step_90k = media_step(self._last.dts_90k, packet.dts_90k)
            if step_90k is not None and step_90k > 0:
                self._step_90k = step_90k
            self._base_90k += self._step_90k
        self._last = packet
        self._number += 1
        return _Shown(packet, self._base_90k, self._step_90k, self._number)
