"""Any video file plays a camera, in real time or as fast as it is read.

A file may be hostile and a demuxer is native code, so it runs in a disposable confined
child (``demux_child``); what comes back through the pipe is bounded and checked here. A
child that dies, hangs or talks nonsense costs this one camera.

Source: docs/design/first-light.md.
"""

import asyncio
import math
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from almenara.core.errors import (
    MediaError,
    StationRejectedError,
    StationUnreachableError,
)
from almenara.core.ids import StationId, StreamId
from almenara.core.media import Codec, Packet, TimeSource
from almenara.core.time import Clock
from almenara.stations.bitstream import (
    read_configuration,
    split_annex_b,
    split_length_prefixed,
)
from almenara.stations.packets import Arrival, PacketMaker
from almenara.stations.timeline import RATE, Stamp

HEADER_BYTES: Final = 21
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
LARGEST_STEP_90K: Final = 60 * RATE
READ_S: Final = 10.0
"""Longest wait for the child: it reads a local file."""

_CHILD: Final = "almenara.stations.drivers.demux_child"


@dataclass(frozen=True, slots=True)
class _Message:
    kind: str
    first: int
    second: int
    payload: bytes


class FileDriver:
    """Fulfils ``stations.Driver`` with a file that pretends to be a camera."""

    def __init__(
        self,
        path: Path,
        *,
        stream_id: StreamId,
        station_id: StationId,
        clock: Clock,
        loop: bool = False,
        paced: bool = True,
    ) -> None:
        """Remember the file; it is opened by ``reports``.

        Args:
            path: A regular file.
            stream_id: Of the packets.
            station_id: Named in errors.
            clock: Paces, and stamps: media time is laid on its time at the start.
            loop: Begin again at the end, for ever.
            paced: Wait for each packet's time; otherwise as fast as it is read.
        """
        self._path = path
        self._stream_id = stream_id
        self._station_id = station_id
        self._clock = clock
        self._loop = loop
        self._paced = paced

    async def reports(self) -> AsyncGenerator[Packet, None]:
        child = await self._start()
        try:
            source = _Source(child, self._station_id)
            maker, prefix_bytes = self._open(await source.next())
            pace = _Pace(self._clock)
            while (message := await source.next()).kind != "Z":
                if message.kind == "L":
                    pace.again()
                    continue
                stamp = pace.stamp(message.first, message.second)
                if self._paced:
                    await pace.wait(stamp.dts_90k)
                packet = self._packet(maker, message.payload, prefix_bytes, stamp)
                if packet is not None:
                    yield packet
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            # Reading to the end, not only waiting: the pipe may be full and paused.
            await child.communicate()

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            reason = error.strerror or "cannot be opened"
            raise StationRejectedError(self._station_id, reason) from error
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", _CHILD, "loop" if self._loop else "once"),
                stdin=descriptor,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
                limit=1024 * 1024,
            )
        finally:
            os.close(descriptor)

    def _open(self, message: _Message) -> tuple[PacketMaker, int]:
        if message.kind == "E":
            what = message.payload.decode("ascii", "replace")
            raise StationRejectedError(
                self._station_id,
                f"{what}: convert it to H.264, for example with "
                "ffmpeg -i <file> -c:v libx264 -an <new file>.mp4",
            )
        if message.kind != "O":
            raise StationRejectedError(self._station_id, "the file cannot be read")
        codec = Codec.H265 if message.second == 1 else Codec.H264
        fps = message.first / 1000 if 0 < message.first < 1_000_000 else None
        maker = PacketMaker(self._stream_id, codec, declared_fps=fps)
        try:
            sets, prefix_bytes = read_configuration(codec, message.payload)
            maker.formats.see(sets)
        except MediaError as error:
            raise StationRejectedError(self._station_id, str(error)) from error
        return maker, prefix_bytes

    def _packet(
        self, maker: PacketMaker, data: bytes, prefix_bytes: int, stamp: Stamp
    ) -> Packet | None:
        arrival = Arrival(at=self._clock.now(), monotonic_s=self._clock.monotonic_s())
        try:
            if prefix_bytes:
                units = split_length_prefixed(data, prefix_bytes)
            else:
                units = split_annex_b(data)
            return maker.with_stamp(units, stamp, arrival)
        except MediaError as error:
            raise StationRejectedError(self._station_id, str(error)) from error


class _Source:
    """Reads the child's frames, believing none of them."""

    def __init__(
        self, child: asyncio.subprocess.Process, station_id: StationId
    ) -> None:
        assert child.stdout is not None  # noqa: S101 -- it was asked for
        self._out = child.stdout
        self._station_id = station_id

    async def next(self) -> _Message:
        """The next frame.

        Raises:
            StationRejectedError: The child died: this file cannot be read.
            StationUnreachableError: It hangs.
        """
        try:
            async with asyncio.timeout(READ_S):
                head = await self._out.readexactly(HEADER_BYTES)
                length = int.from_bytes(head[17:], "big")
                if length > MAX_PAYLOAD_BYTES:
                    raise StationRejectedError(self._station_id, "packet too large")
                payload = await self._out.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise StationRejectedError(
                self._station_id, "cannot be decoded: the reader died of this file"
            ) from error
        except TimeoutError as error:
            raise StationUnreachableError(
                self._station_id, "the file's reader hangs"
            ) from error
        return _Message(
            kind=chr(head[0]),
            first=int.from_bytes(head[1:9], "big", signed=True),
            second=int.from_bytes(head[9:17], "big", signed=True),
            payload=payload,
        )


class _Pace:
    """Lays a file's media time on the clock's time, one pass after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at: datetime = clock.now()
        self._began_s = clock.monotonic_s()
        self._base: int | None = None
        self._shift = 0
        self._last: int | None = None
        self._step = RATE // 25

    def again(self) -> None:
        """The next packet follows the last one by its usual distance."""
        self._base = None

    def stamp(self, pts: int, dts: int) -> Stamp:
        """The times of the next packet."""
        if self._base is None:
            self._base = dts
            self._shift = 0 if self._last is None else self._last + self._step
        dts_90k = dts - self._base + self._shift
        if self._last is not None:
            step = dts_90k - self._last
            if not 0 < step < LARGEST_STEP_90K:
                # A file whose time jumps goes on where it was.
                self._shift += self._step - step
                dts_90k = self._last + self._step
            elif step < RATE:
                self._step = step
        self._last = dts_90k
        reordered = pts - dts
        pts_90k = dts_90k + (reordered if abs(reordered) < LARGEST_STEP_90K else 0)
        return Stamp(
            pts_90k=pts_90k,
            dts_90k=dts_90k,
            captured_at=self._began_at + timedelta(seconds=pts_90k / RATE),
            captured_by=TimeSource.FILE,
        )

    async def wait(self, dts_90k: int) -> None:
        """Return when the packet of this decoding time is due."""
        ahead_s = self._began_s + dts_90k / RATE - self._clock.monotonic_s()
        if ahead_s > 0 and math.isfinite(ahead_s):
            await self._clock.sleep(timedelta(seconds=ahead_s))
