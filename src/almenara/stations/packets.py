"""Access units to ``Packet``: format, times and key flag, the same for every driver."""

from dataclasses import dataclass
from datetime import datetime

from almenara.core.ids import StreamId
from almenara.core.media import Codec, Packet, StreamFormat
from almenara.stations.bitstream import is_key
from almenara.stations.formats import FormatTracker
from almenara.stations.timeline import Stamp, Timeline

__all__ = ["Arrival", "PacketMaker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When something was received, on both of our clocks."""

    at: datetime
    monotonic_s: float


class PacketMaker:
    """Makes the packets of one connection."""

    def __init__(
        self, stream_id: StreamId, codec: Codec, *, declared_fps: float | None = None
    ) -> None:
        self.formats = FormatTracker(codec, declared_fps=declared_fps)
        self.timeline = Timeline()
        self.before_format = 0
        """Access units dropped because nobody could have decoded them yet."""

        self._stream_id = stream_id
        self._codec = codec
        self._declared_fps = declared_fps

    def from_rtp(
        self, nal_units: tuple[bytes, ...], timestamp: int, arrival: Arrival
    ) -> Packet | None:
        """The packet of an access unit with a 32-bit timestamp.

        Returns:
            None while no complete set of parameter sets has been seen.

        Raises:
            MediaError: A parameter set that cannot be read or promises too large a
                picture.
        """
        stream_format = self.formats.see(nal_units)
        sequence = self.formats.sequence
        if stream_format is None or sequence is None:
            self.before_format += 1
            return None
        stamp = self.timeline.stamp(
            timestamp,
            received_at=arrival.at,
            monotonic_s=arrival.monotonic_s,
            reorder=sequence.reorder or 0,
            fps=self._declared_fps or sequence.fps,
        )
        return self._packet(nal_units, stream_format, stamp, arrival)

    def with_stamp(
        self, nal_units: tuple[bytes, ...], stamp: Stamp, arrival: Arrival
    ) -> Packet | None:
        """The packet of an access unit whose times are known; as ``from_rtp``."""
        stream_format = self.formats.see(nal_units)
        if stream_format is None:
            self.before_format += 1
            return None
        return self._packet(nal_units, stream_format, stamp, arrival)

    def _packet(
        self,
        nal_units: tuple[bytes, ...],
        stream_format: StreamFormat,
        stamp: Stamp,
        arrival: Arrival,
    ) -> Packet:
        return Packet(
            stream_id=self._stream_id,
            format=stream_format,
            nal_units=nal_units,
            is_key=is_key(self._codec, nal_units),
            pts_90k=stamp.pts_90k,
            dts_90k=stamp.dts_90k,
            captured_at=stamp.captured_at,
            captured_by=stamp.captured_by,
            received_at=arrival.at,
            received_monotonic_s=arrival.monotonic_s,
        )
