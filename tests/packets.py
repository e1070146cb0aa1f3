"""Packets for tests that do not care what is in the picture."""

from datetime import timedelta

from almenara.core.ids import StreamId
from almenara.core.media import Codec, Packet, StreamFormat, TimeSource
from tests.conftest import NOON

FORMAT = StreamFormat(
    codec=Codec.H264, width_px=64, height_px=48, parameter_sets=(b"\x67", b"\x68")
)


def packet(n: int, *, key: bool = False, stream: str = "s", size: int = 10) -> Packet:
    """The ``n``-th packet of a stream; its pts is its number."""
    at = NOON + timedelta(milliseconds=40 * n)
    return Packet(
        stream_id=StreamId(stream),
        format=FORMAT,
        nal_units=(bytes([0x65 if key else 0x41]) + bytes(size),),
        is_key=key,
        pts_90k=n,
        dts_90k=n,
        captured_at=at,
        captured_by=TimeSource.ARRIVAL,
        received_at=at,
        received_monotonic_s=0.04 * n,
    )
