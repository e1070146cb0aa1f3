"""The disposable process that reads a strange file: ``python -m`` it, never import it.

The file is standard input, opened by the parent; what it holds goes to standard output
in the frames below. Once confined, this process can open nothing, connect nowhere and
start nothing, so a file that owns the demuxer owns a process with one pipe. No decoder
is ever made here: its list of allowed codecs is empty.

Frames: one letter, two signed 64-bit numbers, 32-bit length, payload; big endian.
``O`` opened (frames a second times 1000, codec: 0 H.264, 1 H.265; codec header),
``P`` packet (pts, dts in 1/90 000 s), ``L`` the file begins again, ``Z`` the end,
``E`` refused (payload: why, plain text).
"""

import os
import struct
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import av.subtitles.stream

from almenara.stations.limits import MIB, confine

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FRAME: Final = struct.Struct(">cqqI")
MEMORY_BYTES: Final = 1024 * MIB
_CODECS: Final = {"h264": 0, "hevc": 1}
_FORMATS: Final = "mov,matroska,mpegts,avi,flv,h264,hevc,mpeg"


class _Out:
    """Writes frames to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=256 * 1024)

    def put(self, kind: bytes, first: int, second: int, payload: bytes) -> None:
        self._file.write(FRAME.pack(kind, first, second, len(payload)))
        self._file.write(payload)

    def flush(self) -> None:
        self._file.flush()


def main() -> int:
    """Demux standard input; the only argument is ``once`` or ``loop``."""
    out = _Out(os.dup(1))
    av.logging.set_level(None)
    confine(MEMORY_BYTES)
    try:
        demux(out, loop=sys.argv[1:] == ["loop"])
    except BrokenPipeError:
        return 0
    except (av.FFmpegError, MemoryError, ValueError):
        out.put(b"E", 0, 0, b"the file cannot be read")
    out.flush()
    return 0


def demux(out: _Out, *, loop: bool) -> None:
    """Send what the first video stream holds."""
    source = os.fdopen(0, "rb", buffering=0)
    options = {"format_whitelist": _FORMATS, "codec_whitelist": "none"}
    with av.open(source, "r", options=options) as container:
        if not container.streams.video:
            out.put(b"E", 0, 0, b"there is no video in it")
            return
        stream = container.streams.video[0]
        context = stream.codec_context
        name = context.name if context is not None else "unknown"
        if name not in _CODECS:
            out.put(b"E", 0, 0, name.encode("ascii", "replace")[:40])
            return
        rate = int((stream.average_rate or 0) * 1000)
        out.put(b"O", rate, _CODECS[name], bytes(context.extradata or b""))
        while True:
            count = _send(out, container, stream, rate)
            out.put(b"L" if loop and count else b"Z", 0, 0, b"")
            if not (loop and count):
                return
            container.seek(0)


def _send(
    out: _Out, container: "InputContainer", stream: "VideoStream", rate: int
) -> int:
    """One pass over the file; the number of packets."""
    ticks = 90_000 * (stream.time_base or Fraction(1, 90_000))
    step = 90_000_000 // rate if rate > 0 else 3_600
    count = 0
    dts = -step
    for packet in container.demux(stream):
        if not packet.size:
            continue
        given = packet.dts if packet.dts is not None else packet.pts
        # A raw byte stream has no times: count pictures.
        if given is None:
            dts += step
        else:
            dts = max(int(given * ticks), dts + 1 if count else -(1 << 62))
        pts = dts if packet.pts is None else int(packet.pts * ticks)
        out.put(b"P", pts, dts, bytes(packet))
        count += 1
        if count % 8 == 0:
            out.flush()
    out.flush()
    return count


if __name__ == "__main__":
    sys.exit(main())
