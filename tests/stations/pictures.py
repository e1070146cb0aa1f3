"""Packets and coded clips for the tests of the stations."""

import functools
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np

from almenara.core.ids import StreamId
from almenara.core.media import Codec, Packet, StreamFormat, TimeSource
from almenara.simulation.clip import Clip, read_clip, write_clip

STREAM = StreamId("stream")
FORMAT = StreamFormat(
    codec=Codec.H264, width_px=640, height_px=480, parameter_sets=(b"g", b"h")
)


def packet(
    number: int,
    at: datetime,
    *,
    is_key: bool = False,
    declared_fps: float | None = None,
) -> Packet:
    """A packet without a picture."""
    stream_format = FORMAT
    if declared_fps is not None:
        stream_format = StreamFormat(
            codec=Codec.H264,
            width_px=640,
            height_px=480,
            parameter_sets=(b"g", b"h"),
            declared_fps=declared_fps,
        )
    return Packet(
        stream_id=STREAM,
        format=stream_format,
        nal_units=(b"e" if is_key else b"a",),
        is_key=is_key,
        pts_90k=number * 3600,
        dts_90k=number * 3600,
        captured_at=at,
        captured_by=TimeSource.ARRIVAL,
        received_at=at,
        received_monotonic_s=number / 25,
    )


@functools.cache
def clip(
    codec: Codec = Codec.H264, width_px: int = 192, height_px: int = 128, fps: int = 25
) -> Clip:
    """Two seconds of noise on a slope, coded with a key picture a second."""
    rng = np.random.default_rng(7)
    slope = np.add.outer(np.arange(height_px), np.arange(width_px)) % 200
    pictures = [
        (slope + rng.integers(0, 40, slope.shape)).astype(np.uint8)
        for _ in range(2 * fps)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, pictures, fps=fps, bitrate_kbps=500, codec=codec)
        return read_clip(path)
