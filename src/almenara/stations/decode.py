"""Packets to luma, with the decoder's own memory and nothing else.

Runs in a watch worker, whose life is worth little: what a camera sends is read by
native code here. The picture size is read from the sequence parameter set first, so
nobody can make a decoder ask for gigabytes. The luma plane goes on as a read-only
view; converting or copying it would cost more than looking at it.

Source: docs/design/first-light.md, step 5.
"""

from collections import OrderedDict
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from almenara.core.errors import MediaError
from almenara.core.ids import CameraId
from almenara.core.media import Codec, Frame, StreamFormat
from almenara.stations.bitstream import (
    is_slice,
    join_annex_b,
    parameter_kind,
    read_sequence,
)

PLANAR_LUMA: Final = frozenset(
    {
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuvj422p",
        "yuv444p",
        "yuvj444p",
        "gray",
        "nv12",
    }
)
"""Eight bits a pixel, luma in a plane of its own."""

MAX_WAITING: Final = 64
_NAMES: Final = {Codec.H264: "h264", Codec.H265: "hevc"}
_TICK: Final = Fraction(1, 90_000)


class Decoder:
    """Decodes one stream of one camera, packet by packet."""

    def __init__(self, camera_id: CameraId) -> None:
        self.decoded = 0
        self.damaged = 0
        """Packets the decoder refused."""

        self._camera_id = camera_id
        self._format: StreamFormat | None = None
        self._context: VideoCodecContext | None = None
        self._captured: OrderedDict[int, datetime] = OrderedDict()

    def decode(
        self,
        packet_format: StreamFormat,
        nal_units: tuple[bytes, ...],
        captured_at: datetime,
        pts_90k: int,
    ) -> list[Frame]:
        """The pictures this packet completed: often one, none while reordering.

        Args:
            packet_format: A new object makes a new decoder.
            nal_units: One access unit, without start codes.
            captured_at: Of this packet; each frame gets that of its own packet.
            pts_90k: Tells them apart while the decoder reorders.

        Raises:
            MediaError: The packet is no picture, or one larger than 8192 by 8192, or of
                more than eight bits; the next packet may be good.
        """
        if packet_format is not self._format or self._context is None:
            self._open(packet_format)
        self._check_sets(packet_format.codec, nal_units)
        packet = av.Packet(join_annex_b(nal_units))
        packet.pts = packet.dts = pts_90k
        packet.time_base = _TICK
        self._captured[pts_90k] = captured_at
        while len(self._captured) > MAX_WAITING:
            self._captured.popitem(last=False)
        return self._run(packet)

    def flush(self) -> list[Frame]:
        """Take out what waits for reordering and start anew at the next key picture."""
        if self._context is None:
            return []
        try:
            frames = self._run(None)
        except MediaError:
            frames = []
        self._context.flush_buffers()
        self._captured.clear()
        return frames

    def _open(self, packet_format: StreamFormat) -> None:
        self._context = None
        for unit in packet_format.parameter_sets:
            if parameter_kind(packet_format.codec, unit) == "sps":
                self._checked(packet_format.codec, unit)
        context = av.CodecContext.create(_NAMES[packet_format.codec], "r")
        if not isinstance(context, VideoCodecContext):  # pragma: no cover
            raise MediaError("no video decoder")
        context.thread_count = 1
        context.extradata = join_annex_b(packet_format.parameter_sets)
        # Belt and braces: the decoder itself refuses more pixels than this.
        context.options = {"max_pixels": str(8192 * 8192)}
        self._context, self._format = context, packet_format
        self._captured.clear()

    def _check_sets(self, codec: Codec, nal_units: tuple[bytes, ...]) -> None:
        for unit in nal_units:
            if is_slice(codec, unit):
                return
            if parameter_kind(codec, unit) == "sps":
                self._checked(codec, unit)

    def _checked(self, codec: Codec, unit: bytes) -> None:
        try:
            read_sequence(codec, unit)
        except MediaError:
            self.damaged += 1
            raise

    def _run(self, packet: "av.Packet[Any] | None") -> list[Frame]:
        assert self._context is not None  # noqa: S101 -- callers have opened it
        try:
            pictures = self._context.decode(packet)
        except (av.FFmpegError, EOFError, ValueError) as error:
            self.damaged += 1
            raise MediaError("the decoder refuses this packet") from error
        return [frame for p in pictures if (frame := self._frame(p)) is not None]

    def _frame(self, picture: VideoFrame) -> Frame | None:
        captured_at = self._captured.pop(picture.pts or 0, None)
        if captured_at is None or picture.is_corrupt:
            self.damaged += 1
            return None
        self.decoded += 1
        return Frame(
            camera_id=self._camera_id, captured_at=captured_at, luma=luma(picture)
        )


def luma(picture: VideoFrame) -> npt.NDArray[np.uint8]:
    """The luma of a decoded picture: shape (height, width), a read-only view.

    Raises:
        MediaError: The pixels have more than eight bits, or no luma plane.
    """
    if picture.format.name not in PLANAR_LUMA:
        raise MediaError(f"pixels of format {picture.format.name}")
    plane = picture.planes[0]
    rows: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8)
    rows = rows[: plane.line_size * plane.height]
    view = rows.reshape(plane.height, plane.line_size)[:, : plane.width]
    view.flags.writeable = False
    return view
