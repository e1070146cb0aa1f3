"""Pictures on their way: packets as a camera sent them, frames as a decoder made them.

Media time is the camera's own and counts in units of 1/90 000 s (``_90k``); it means
nothing to anybody but the stream it belongs to. Wall time is aware UTC ``datetime``,
and every packet says how its capture time is known.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from almenara.core.ids import CameraId, StreamId


class Codec(StrEnum):
    """What Almenara records and decodes."""

    H264 = "h264"
    H265 = "h265"


class TimeSource(StrEnum):
    """How the capture time of a packet is known, best first."""

    CAMERA = "camera"
    """The camera's clock, by its RTCP sender reports."""

    FILE = "file"
    """A recording's own media time, laid on the time it was started."""

    ARRIVAL = "arrival"
    """The moment we received it: late by the unknown delay of the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """What a decoder must know before the first packet; a change is a new value."""

    codec: Codec
    width_px: int
    height_px: int
    parameter_sets: tuple[bytes, ...]
    """NAL units without start codes: SPS, PPS (H.264) or VPS, SPS, PPS (H.265)."""

    declared_fps: float | None = None
    """What the camera says; never used for durations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packet:
    """One coded picture (access unit) as received."""

    stream_id: StreamId
    format: StreamFormat
    """The same object for all packets of one format: compare with ``is``."""

    nal_units: tuple[bytes, ...]
    """The access unit's NAL units, byte for byte as received, without start codes."""

    is_key: bool
    """Decoding can start here (IDR, or CRA/BLA in H.265)."""

    pts_90k: int
    dts_90k: int
    """Decoding order; never decreases within a run of one connection."""

    captured_at: datetime
    captured_by: TimeSource
    received_at: datetime
    received_monotonic_s: float

    @property
    def size_bytes(self) -> int:
        """Length of the payload without framing."""
        return sum(map(len, self.nal_units))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One decoded picture: its luma. Read-only, shared without copying."""

    camera_id: CameraId
    captured_at: datetime
    luma: npt.NDArray[np.uint8]
    """Shape (height, width), row 0 at the top; a view of the decoder's own plane."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveInit:
    """What a player needs before the next fragment; sent anew when formats change."""

    codec: str
    """RFC 6381 string, such as ``avc1.64001f``."""

    width_px: int
    height_px: int
    data: bytes
    """``ftyp`` and ``moov``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveFragment:
    """One coded picture as ``moof`` and ``mdat``."""

    captured_at: datetime
    dts_90k: int
    is_key: bool
    data: bytes


LiveMessage = LiveInit | LiveFragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Recorded without a break, and durable: [start, end)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nothing was recorded in [start, end), and why."""

    start: datetime
    end: datetime | None
    """None while it lasts."""

    cause: str
    """camera_silent, camera_refused, link, restart, backpressure, disk_full, io_error,
    planned, failover, clock or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What is kept of one stream in an interval: spans and gaps, disjoint, by time."""

    spans: tuple[Span, ...]
    gaps: tuple[Gap, ...]
