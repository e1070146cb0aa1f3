"""The disposable process that decodes strange pictures: ``python -m`` it, never import.

As ``pictures`` it takes files from standard input, each a 32-bit length and its bytes;
as ``video`` standard input is the file itself. What it decodes goes to standard output
in the frames below. Once confined, it can open nothing, connect nowhere and start
nothing, so a file that owns the decoder owns a process with two pipes.

Frames: one letter, two signed 64-bit numbers, 32-bit length, payload; big endian.
``P`` picture (columns · 2³² + rows; bits a pixel: 8 or 16), rows of luma, little
endian; ``T`` time of the next picture (microseconds, or -1), ``Z`` the end of a file,
``E`` refused (payload: why, plain text).
"""

import io
import os
import struct
import sys
from fractions import Fraction
from typing import Any, BinaryIO, Final

import av
import av.subtitles.stream
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from almenara.stations.limits import MIB, confine

FRAME: Final = struct.Struct(">cqqI")
LENGTH: Final = struct.Struct(">I")
MEMORY_BYTES: Final = 2048 * MIB
MOST_PIXELS: Final = 8192 * 8192
_PICTURE_FORMATS: Final = (
    "png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,pgm_pipe,ppm_pipe,pnm_pipe,webp_pipe"
)
_PICTURE_CODECS: Final = "png,mjpeg,bmp,tiff,pgm,ppm,pnm,webp"
_VIDEO_FORMATS: Final = "mov,matroska,mpegts,avi,flv,h264,hevc,mpeg,ogg,ivf,asf,mjpeg"
_VIDEO_CODECS: Final = (
    "h264,hevc,mjpeg,mpeg1video,mpeg2video,mpeg4,msmpeg4v3,vp8,vp9,libdav1d,av1,"
    "rawvideo,ffv1,huffyuv,ffvhuff,utvideo,png,prores,theora,wmv2,wmv3,vc1,dvvideo"
)
_EIGHT_BIT: Final = ("yuv420p", "yuv422p", "yuv444p", "yuvj4", "gray", "nv12", "nv21")
_SIXTEEN_BIT: Final = ("gray9", "gray1", "rgb48", "bgr48", "rgba64", "bgra64", "ya16")


def luma(frame: VideoFrame) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Brightness of a decoded picture, as deep as it was stored.

    A bottom-up picture has rows that run backwards in memory. Only the converter knows
    how to walk them, so nothing here touches a plane whose lines are not forward.
    """
    name = frame.format.name
    if name.startswith(_SIXTEEN_BIT) or (name.startswith("yuv") and name[-2:] == "le"):
        return frame.reformat(format="gray16le").to_ndarray().astype(np.uint16)
    forward = all(plane.line_size > 0 for plane in frame.planes)
    if name.startswith(_EIGHT_BIT) and not name.endswith("e") and forward:
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8)
        rows = rows[: plane.line_size * plane.height]
        return rows.reshape(plane.height, plane.line_size)[:, : plane.width]
    if not forward:
        frame = frame.reformat(format="rgb24" if name != "rgb24" else "bgr24")
    return frame.reformat(format="gray").to_ndarray().astype(np.uint8)


class _Out:
    """Writes frames to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=256 * 1024)

    def put(self, kind: bytes, first: int, second: int, payload: bytes) -> None:
        self._file.write(FRAME.pack(kind, first, second, len(payload)))
        self._file.write(payload)

    def picture(self, pixels: npt.NDArray[Any]) -> None:
        rows, columns = pixels.shape
        raw = np.ascontiguousarray(pixels).tobytes()
        self.put(b"P", columns << 32 | rows, 8 * pixels.itemsize, raw)

    def flush(self) -> None:
        self._file.flush()


def decode(out: _Out, source: BinaryIO, formats: str, codecs: str, most: int) -> None:
    """Send the pictures of one file, at most ``most``, and its end.

    Raises:
        ValueError: It is no picture, or a larger one than is allowed.
        av.FFmpegError: It cannot be read.
    """
    options = {"format_whitelist": formats, "codec_whitelist": codecs}
    with av.open(source, "r", options=options) as container:
        if not container.streams.video:
            raise ValueError("there is no picture in it")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise ValueError("no decoder for it")
        if context.width * context.height > MOST_PIXELS:
            raise ValueError("the picture is too large")
        context.thread_count = 1
        context.options = {"max_pixels": str(MOST_PIXELS)}
        sent = 0
        for frame in container.decode(stream):
            if frame.width * frame.height > MOST_PIXELS:
                raise ValueError("the picture is too large")
            tick = stream.time_base or Fraction(1, 25)
            at = -1 if frame.pts is None else int(frame.pts * tick * 1_000_000)
            out.put(b"T", at, 0, b"")
            out.picture(luma(frame))
            out.flush()
            sent += 1
            if sent == most:
                break
        if sent == 0:
            raise ValueError("there is no picture in it")


def guarded(out: _Out, source: BinaryIO, *, video: bool) -> None:
    """Send one file's pictures, or why it is refused; then its end."""
    try:
        if video:
            decode(out, source, _VIDEO_FORMATS, _VIDEO_CODECS, 1 << 62)
        else:
            decode(out, source, _PICTURE_FORMATS, _PICTURE_CODECS, 1)
    except ValueError as error:
        # PyAV's errors are ValueErrors too: their text may quote the file, ours not.
        own = type(error) is ValueError
        why = str(error) if own else "it cannot be decoded"
        out.put(b"E", 0, 0, why.encode("ascii", "replace"))
    except (av.FFmpegError, MemoryError, OSError, EOFError):
        out.put(b"E", 0, 0, b"it cannot be decoded")
    out.put(b"Z", 0, 0, b"")
    out.flush()


def main() -> int:
    """Decode standard input; the only argument is ``pictures`` or ``video``."""
    out = _Out(os.dup(1))
    source = os.fdopen(0, "rb", buffering=0)
    av.logging.set_level(None)
    confine(MEMORY_BYTES)
    try:
        if sys.argv[1:] == ["video"]:
            guarded(out, source, video=True)
            return 0
        reader = io.BufferedReader(source, 1 << 20)
        while len(head := reader.read(LENGTH.size)) == LENGTH.size:
            body = reader.read(LENGTH.unpack(head)[0])
            guarded(out, io.BytesIO(body), video=False)
    except BrokenPipeError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
