"""A coded clip in memory, and as an MP4 file.

Pictures are tuples of NAL units without start codes, in decoding order, which is also
the order of display: the simulator codes no B pictures.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from almenara.core.errors import MediaError
from almenara.core.media import Codec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A loop of coded pictures; the first is a key picture."""

    codec: Codec
    width_px: int
    height_px: int
    fps: int
    parameter_sets: tuple[bytes, ...]
    pictures: tuple[tuple[bytes, ...], ...]
    keys: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.pictures or not self.keys[0] or len(self.keys) != len(self):
            raise ValueError("a clip begins with a key picture")

    def __len__(self) -> int:
        return len(self.pictures)


class ClipWriter:
    """Codes grey pictures into an MP4 file: one key picture a second, no B pictures.

    Args:
        path: Written in place; the caller renames it when it is whole.
        fps: Constant.
        bitrate_kbps: Mean over a second.
        codec: H.264 by libx264 or H.265 by libx265, on one thread: same in, same out.
    """

    def __init__(
        self, path: Path, *, fps: int, bitrate_kbps: int, codec: Codec = Codec.H264
    ) -> None:
        self._fps, self._bitrate_kbps, self._codec = fps, bitrate_kbps, codec
        self._out = av.open(
            str(path), "w", format="mp4", options={"fflags": "+bitexact"}
        )
        self._stream: av.VideoStream | None = None
        self._planes = np.empty((0, 0), np.uint8)
        self._count = 0

    def add(self, luma: npt.NDArray[np.uint8]) -> None:
        """Code one picture of shape (height, width), even sizes, all alike."""
        height, width = luma.shape
        if self._stream is None:
            self._planes = np.full((height * 3 // 2, width), 128, np.uint8)
            self._stream = _coder(
                self._out,
                width=width,
                height=height,
                fps=self._fps,
                bitrate_kbps=self._bitrate_kbps,
                codec=self._codec,
            )
        self._planes[:height] = luma
        frame = av.VideoFrame.from_ndarray(self._planes, format="yuv420p")
        frame.pts, frame.time_base = self._count, Fraction(1, self._fps)
        self._count += 1
        self._out.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._out.mux(self._stream.encode(None))
        self._out.close()


def write_clip(
    path: Path,
    pictures: Iterable[npt.NDArray[np.uint8]],
    *,
    fps: int,
    bitrate_kbps: int,
    codec: Codec = Codec.H264,
) -> None:
    """Code all the pictures into one file, as :class:`ClipWriter` does."""
    writer = ClipWriter(path, fps=fps, bitrate_kbps=bitrate_kbps, codec=codec)
    for luma in pictures:
        writer.add(luma)
    writer.close()


def _coder(
    out: "av.container.OutputContainer",
    *,
    width: int,
    height: int,
    fps: int,
    bitrate_kbps: int,
    codec: Codec,
) -> av.VideoStream:
    name = {Codec.H264: "libx264", Codec.H265: "libx265"}[codec]
    common = f"keyint={fps}:min-keyint={fps}:scenecut=0"
    options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "maxrate": f"{bitrate_kbps}k",
        "bufsize": f"{bitrate_kbps}k",
    }
    if codec is Codec.H264:
        options["x264-params"] = common
    else:
        options["x265-params"] = f"{common}:log-level=none:pools=none:frame-threads=1"
    stream = out.add_stream(name, rate=fps, options=options)
    assert isinstance(stream, av.VideoStream)  # noqa: S101  # by the codec's name
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.bit_rate = bitrate_kbps * 1000
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = Fraction(1, fps)
    return stream


def read_clip(path: Path) -> Clip:
    """The whole clip of an MP4 file as :func:`write_clip` writes it.

    Raises:
        MediaError: It is no such file.
    """
    try:
        with av.open(str(path)) as source:
            stream = source.streams.video[0]
            codec = {"h264": Codec.H264, "hevc": Codec.H265}[stream.codec_context.name]
            sets = tuple(_parameter_sets(codec, stream.codec_context.extradata or b""))
            packets = [p for p in source.demux(stream) if p.size]
            return Clip(
                codec=codec,
                width_px=stream.width,
                height_px=stream.height,
                fps=round(float(stream.average_rate or 0)),
                parameter_sets=sets,
                pictures=tuple(tuple(_nal_units(bytes(p))) for p in packets),
                keys=tuple(p.is_keyframe for p in packets),
            )
    except (av.FFmpegError, KeyError, IndexError, ValueError) as fault:
        raise MediaError(f"{path.name}: {fault}") from fault


def _nal_units(data: bytes) -> Iterator[bytes]:
    """Of one MP4 sample: each behind its length in four bytes."""
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : end]
        at = end


def _parameter_sets(codec: Codec, extradata: bytes) -> Iterator[bytes]:
    """Of avcC or hvcC (ISO/IEC 14496-15, 5.3.3 and 8.3.3)."""
    if codec is Codec.H264:
        at = 5
        for mask in (0x1F, 0xFF):
            count, at = extradata[at] & mask, at + 1
            for _ in range(count):
                size = int.from_bytes(extradata[at : at + 2], "big")
                yield extradata[at + 2 : at + 2 + size]
                at += 2 + size
        return
    at = 23
    for _ in range(extradata[22]):
        kind, count = extradata[at] & 0x3F, int.from_bytes(extradata[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            if kind in (32, 33, 34):
                yield extradata[at + 2 : at + 2 + size]
            at += 2 + size
