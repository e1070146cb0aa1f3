"""Serves clips over RTSP for ever, as cameras would, with faults on demand.

One timer paces all streams: picture *n* of a stream is due ``n / fps`` seconds after
the common epoch and shows the world at that time modulo the loop, so every camera and
the AIS tell the same story. Media time runs on when a clip begins again. A client joins
at a key picture, behind a sender report that ties media time to the clock; one that
does not read is dropped. TCP interleaved only.

Source: RFC 2326; RFC 3550 6.4.1; docs/design/first-light.md, "Processes".
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from almenara.core.time import Clock
from almenara.simulation.clip import Clip
from almenara.simulation.rtp import (
    PackedPicture,
    describe,
    on_channel,
    pack,
    sender_report,
    stamped,
)

_LOG = structlog.get_logger()
_MOST_UNSENT_BYTES = 4 << 20
_MOST_REQUEST_BYTES = 16 << 10
_MOST_LATE_S = 1.0
"""Behind by more, the pacer drops pictures instead of sending a burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a camera does wrong; counts are pictures since the first viewer came."""

    refuse_status: int | None = None
    """Answer DESCRIBE with this."""

    garbage_sdp: bool = False
    endless_header: bool = False
    """Answer DESCRIBE with header bytes that never end."""

    cut_nal_units: bool = False
    silent_after: int | None = None
    reset_after: int | None = None
    jump_after: int | None = None
    jump_90k: int = 90_000 * 3600
    change_after: int | None = None
    changed: Clip | None = None
    """The clip to go on with after ``change_after``: another size, or another codec."""


@dataclass(slots=True, eq=False)
class _Viewer:
    writer: asyncio.StreamWriter
    channel: int
    joined: bool = False


@dataclass(slots=True, eq=False)
class _Stream:
    path: str
    clip: Clip
    fault: Fault
    pictures: list[PackedPicture]
    ssrc: int
    viewers: list[_Viewer] = field(default_factory=list)
    sequence: int = 0
    packets: int = 0
    octets: int = 0
    sent: int = 0
    reported_at: int = -(1 << 40)
    """Number of the picture before which the last sender report went out."""


@dataclass(slots=True, eq=False)
class _Conversation:
    """One connection: at most one stream is set up on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stream: _Stream | None = None
    viewer: _Viewer | None = None


class RtspServer:
    """Many streams on one port.

    Args:
        clock: Wall time for capture times, monotonic time for pacing.
        epoch: When the world's time was zero; the clock's now by default.
    """

    def __init__(self, clock: Clock, epoch: datetime | None = None) -> None:
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._expected: set[str] = set()
        self._wake = asyncio.Event()
        self.start_over(epoch or clock.now())

    def start_over(self, epoch: datetime) -> None:
        """Let the world's time be zero at ``epoch``; only while nobody watches."""
        self.epoch = epoch
        ahead_s = (epoch - self._clock.now()).total_seconds()
        self._epoch_monotonic_s = self._clock.monotonic_s() + ahead_s

    def expect(self, path: str) -> None:
        """Answer 503 on this path until its clip is there, instead of 404."""
        self._expected.add(path)

    def add(self, path: str, clip: Clip, fault: Fault | None = None) -> None:
        """Serve the clip at ``rtsp://…/<path>``; replaces an earlier one."""
        fault = fault or Fault()
        ssrc = zlib.crc32(path.encode())
        self._streams[path] = _Stream(
            path=path,
            clip=clip,
            fault=fault,
            pictures=pack(clip, ssrc, cut_nal_units=fault.cut_nal_units),
            ssrc=ssrc,
        )
        self._wake.set()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Listen on loopback; yields the port. Clients are cut off at the end."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", port)
        async with asyncio.TaskGroup() as tasks:
            pacing = tasks.create_task(self._pace())
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                pacing.cancel()
                server.close()
                for stream in self._streams.values():
                    for viewer in stream.viewers:
                        viewer.writer.transport.abort()

    # Pacing -----------------------------------------------------------------

    async def _pace(self) -> None:
        """Send what is due, sleep until the next is."""
        numbers: dict[int, int] = {}
        while True:
            by_fps: dict[int, list[_Stream]] = {}
            for stream in self._streams.values():
                by_fps.setdefault(stream.clip.fps, []).append(stream)
            if not by_fps:
                await self._wake.wait()
                self._wake.clear()
                continue
            now_s = self._clock.monotonic_s() - self._epoch_monotonic_s
            wait_s = 1.0
            for fps, streams in by_fps.items():
                number = numbers.get(fps, 0)
                latest = int(now_s * fps)
                if not 0 <= latest - number <= fps * _MOST_LATE_S:
                    number = max(0, latest)
                while number <= now_s * fps:
                    for stream in streams:
                        self._send(stream, number)
                    number += 1
                numbers[fps] = number
                wait_s = min(wait_s, number / fps - now_s)
            await self._clock.sleep(timedelta(seconds=max(wait_s, 0.001)))

    def _send(self, stream: _Stream, number: int) -> None:
        """One picture to everybody who watches it."""
        if not stream.viewers:
            return
        fault, pictures = stream.fault, stream.pictures
        if fault.change_after is not None and stream.sent >= fault.change_after:
            assert fault.changed is not None  # noqa: S101  # the fault's two halves
            pictures = pack(fault.changed, stream.ssrc)
        picture = pictures[number % len(pictures)]
        pts_90k = number * 90_000 // stream.clip.fps
        if fault.jump_after is not None and stream.sent >= fault.jump_after:
            pts_90k += fault.jump_90k
        if fault.silent_after is not None and stream.sent >= fault.silent_after:
            return
        if fault.reset_after is not None and stream.sent >= fault.reset_after:
            for viewer in stream.viewers:
                viewer.writer.transport.abort()
            return
        report = self._report_due(stream, number, pts_90k, is_key=picture.is_key)
        wire = stamped(picture, stream.sequence, pts_90k)
        anybody = False
        for viewer in tuple(stream.viewers):
            anybody |= _deliver(stream, viewer, report, picture, wire)
        if anybody:
            stream.sent += 1
        stream.sequence += len(picture.starts)
        stream.packets += len(picture.starts)
        stream.octets += len(wire) - 16 * len(picture.starts)

    def _report_due(
        self, stream: _Stream, number: int, pts_90k: int, *, is_key: bool
    ) -> bytes:
        if not is_key and number - stream.reported_at < stream.clip.fps:
            return b""
        stream.reported_at = number
        return sender_report(
            stream.ssrc,
            self.epoch + timedelta(seconds=number / stream.clip.fps),
            pts_90k,
            packets=stream.packets,
            octets=stream.octets,
        )

    # Conversation -----------------------------------------------------------

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        talk = _Conversation(reader, writer)
        with suppress(
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            asyncio.CancelledError,
        ):
            while (request := await _read_request(reader)) is not None:
                await self._answer(talk, request)
                if request.method == "TEARDOWN":
                    break
        if talk.stream and talk.viewer and talk.viewer in talk.stream.viewers:
            talk.stream.viewers.remove(talk.viewer)
        writer.close()

    async def _answer(self, talk: _Conversation, request: "_Request") -> None:
        match request.method:
            case "OPTIONS":
                names = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
                _reply(talk, request, 200, f"Public: {names}")
            case "DESCRIBE":
                await self._describe(talk, request)
            case "SETUP":
                self._set_up(talk, request)
            case "PLAY" if talk.stream and talk.viewer:
                _reply(talk, request, 200, "Session: 1;timeout=60", "Range: npt=now-")
                if talk.viewer not in talk.stream.viewers:
                    talk.stream.viewers.append(talk.viewer)
            case "PLAY" | "PAUSE" | "RECORD" | "ANNOUNCE":
                _reply(talk, request, 455)
            case "GET_PARAMETER" | "SET_PARAMETER" | "TEARDOWN":
                _reply(talk, request, 200, "Session: 1;timeout=60")
            case _:
                _reply(talk, request, 501)
        await talk.writer.drain()

    async def _describe(self, talk: _Conversation, request: "_Request") -> None:
        stream = self._streams.get(request.path)
        if stream is None:
            _reply(talk, request, 503 if request.path in self._expected else 404)
            return
        if stream.fault.refuse_status is not None:
            _reply(talk, request, stream.fault.refuse_status)
            return
        while stream.fault.endless_header:
            talk.writer.write(b"RTSP/1.0 200 OK\r\n" + b"X-Filler: " + b"x" * 4096)
            await talk.writer.drain()
            await self._clock.sleep(timedelta(milliseconds=5))
        body = describe(stream.clip)
        if stream.fault.garbage_sdp:
            body = "\x00\xff m=video nonsense a=rtpmap" * 20
        base = f"Content-Base: {request.url.rstrip('/')}/"
        _reply(talk, request, 200, base, "Content-Type: application/sdp", body=body)

    def _set_up(self, talk: _Conversation, request: "_Request") -> None:
        stream = self._streams.get(request.path.removesuffix("/track0"))
        transport = request.headers.get("transport", "")
        if stream is None:
            _reply(talk, request, 404)
        elif "TCP" not in transport:
            _reply(talk, request, 461)
        else:
            channel = _channel(transport)
            talk.stream, talk.viewer = stream, _Viewer(talk.writer, channel)
            said = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
            said += f";ssrc={stream.ssrc:08X}"
            _reply(talk, request, 200, f"Transport: {said}", "Session: 1;timeout=60")


def _deliver(
    stream: _Stream,
    viewer: _Viewer,
    report: bytes,
    picture: PackedPicture,
    wire: bytearray,
) -> bool:
    """True when the viewer got the picture."""
    if not viewer.joined and not (picture.is_key and report):
        return False
    viewer.joined = True
    transport = viewer.writer.transport
    if transport.is_closing():
        stream.viewers.remove(viewer)
        return False
    if transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
        _LOG.warning("viewer_too_slow", path=stream.path)
        stream.viewers.remove(viewer)
        transport.abort()
        return False
    if viewer.channel:
        wire = on_channel(wire, picture.starts, viewer.channel)
    head = b""
    if report:
        size = len(report).to_bytes(2, "big")
        head = b"$" + bytes([viewer.channel + 1]) + size + report
    viewer.writer.write(head + wire)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    url: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """``camera/analysis`` of ``rtsp://host:port/camera/analysis``."""
        after = self.url.partition("://")[2] or self.url
        return after.partition("/")[2].partition("?")[0].strip("/")


_REASONS = {
    200: "OK",
    401: "Unauthorized",
    404: "Not Found",
    453: "Not Enough Bandwidth",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
    503: "Service Unavailable",
}


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """The next request, passing over receiver reports; None at the end."""
    while (first := await reader.read(1)) == b"$":
        head = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(head[1:], "big"))
    if not first:
        return None
    text = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    if len(text) > _MOST_REQUEST_BYTES:
        return None
    line, *rest = text.strip().split("\r\n")
    pairs = (item.partition(":") for item in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    with suppress(ValueError):
        await reader.readexactly(
            min(int(headers.get("content-length", "0")), _MOST_REQUEST_BYTES)
        )
    method, _, tail = line.partition(" ")
    return _Request(method=method, url=tail.partition(" ")[0], headers=headers)


def _reply(
    talk: _Conversation, request: _Request, status: int, *lines: str, body: str = ""
) -> None:
    said = [
        f"RTSP/1.0 {status} {_REASONS.get(status, 'Refused')}",
        f"CSeq: {request.headers.get('cseq', '0')}",
        *lines,
    ]
    raw = body.encode("latin-1")
    if raw:
        said.append(f"Content-Length: {len(raw)}")
    talk.writer.write("\r\n".join([*said, "", ""]).encode("latin-1") + raw)


def _channel(transport: str) -> int:
    """The even channel a client asks for; 0 when it says nothing sensible."""
    for part in transport.split(";"):
        name, _, value = part.strip().partition("=")
        first = value.partition("-")[0]
        if name == "interleaved" and first.isdigit() and int(first) <= 254:
            return int(first)
    return 0
