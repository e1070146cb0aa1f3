"""Real coded pictures for the tests, cut into packets as a camera would."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any

import av
import numpy as np

from almenara.core.ids import StreamId
from almenara.core.media import Codec, Packet, StreamFormat, TimeSource
from almenara.stations.bitstream import is_key, parameter_kind, split_annex_b
from tests.conftest import NOON

FPS = 10
STREAM = StreamId("7b0b6a3e-0d51-4c67-9d0e-2f6d5c1a9b10")
SIZE_PX = (64, 48)


def film(
    seconds: int,
    *,
    codec: Codec = Codec.H264,
    gop: int = FPS,
    b_frames: int = 0,
    stream_id: StreamId = STREAM,
) -> tuple[Packet, ...]:
    """Some seconds of noise that moves, beginning at noon, in decoding order."""
    return tuple(_packets(seconds, codec, gop, b_frames, stream_id))


def _encoder(codec: Codec, gop: int, b_frames: int) -> Any:
    name = "libx264" if codec is Codec.H264 else "libx265"
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = SIZE_PX
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    shape = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}"
    key = "x264-params" if codec is Codec.H264 else "x265-params"
    quiet = "" if codec is Codec.H264 else ":log-level=none:pools=1"
    encoder.options = {
        key: f"{shape}:repeat-headers=1{quiet}",
        "preset": "ultrafast",
    }
    return encoder


def _packets(
    seconds: int, codec: Codec, gop: int, b_frames: int, stream_id: StreamId
) -> Iterator[Packet]:
    encoder = _encoder(codec, gop, b_frames)
    width, height = SIZE_PX
    noise = np.random.default_rng(0).integers(0, 255, (height * 2, width), np.uint8)
    grey = np.full((height // 2, width), 128, np.uint8)
    coded = []
    for n in range(seconds * FPS):
        picture = np.vstack([noise[n % height : n % height + height], grey])
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts = n
        coded += encoder.encode(frame)
    coded += encoder.encode(None)
    first = split_annex_b(bytes(coded[0]))
    form = StreamFormat(
        codec=codec,
        width_px=width,
        height_px=height,
        parameter_sets=tuple(
            nal for nal in first if parameter_kind(codec, nal) is not None
        ),
    )
    start = min(int(p.dts) for p in coded)
    for packet in coded:
        units = split_annex_b(bytes(packet))
        dts_90k = (int(packet.dts) - start) * 90_000 // FPS
        at = NOON + timedelta(seconds=dts_90k / 90_000)
        yield Packet(
            stream_id=stream_id,
            format=form,
            nal_units=units,
            is_key=is_key(codec, units),
            pts_90k=(int(packet.pts) - start) * 90_000 // FPS,
            dts_90k=dts_90k,
            captured_at=at,
            captured_by=TimeSource.CAMERA,
            received_at=at,
            received_monotonic_s=dts_90k / 90_000,
        )
