"""RTP to access units: H.264 and H.265, byte for byte, and sender reports.

Feed it packets as they come; it returns whole access units with their 32-bit timestamp.
What was damaged on the way (a hole in the sequence numbers, a fragment without its
beginning) is dropped and counted, never handed on as if it were whole. Memory is
bounded by the largest access unit it accepts.

Source: RFC 3550 5.1, 6.4.1; RFC 6184 5.6-5.8 (H.264); RFC 7798 4.4 (H.265).
"""

from dataclasses import dataclass

from almenara.core.media import Codec
from almenara.stations.bitstream import is_slice

MAX_ACCESS_UNIT_BYTES = 16 * 1024 * 1024
MAX_UNITS = 4096

_SENDER_REPORT, _BYE = 200, 203


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture with what belongs to it."""

    timestamp: int
    nal_units: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """Which wall time the sender gives to which of its timestamps."""

    ntp: int
    timestamp: int


def read_control(packet: bytes) -> tuple[SenderReport | None, bool]:
    """The sender report of an RTCP packet, if any, and whether it says goodbye."""
    report, goodbye, at = None, False, 0
    while at + 8 <= len(packet) and packet[at] >> 6 == 2:
        kind = packet[at + 1]
        if kind == _SENDER_REPORT and at + 20 <= len(packet):
            report = SenderReport(
                ntp=int.from_bytes(packet[at + 8 : at + 16], "big"),
                timestamp=int.from_bytes(packet[at + 16 : at + 20], "big"),
            )
        goodbye = goodbye or kind == _BYE
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return report, goodbye


class Depacketizer:
    """Puts the access units of one stream together."""

    def __init__(self, codec: Codec, payload_type: int) -> None:
        self.lost = 0
        """Packets missing by their sequence numbers."""

        self.dropped = 0
        """Access units given up because something of them was missing or too large."""

        self._codec = codec
        self._payload_type = payload_type
        self._h264 = codec is Codec.H264
        self._expected: int | None = None
        self._timestamp = 0
        self._units: list[bytes] = []
        self._size = 0
        self._pieces: list[bytes] = []
        self._damaged = False
        self._hole = False
        self._has_slice = False

    def feed(self, packet: bytes) -> list[AccessUnit]:
        """The access units that ``packet`` completed: none, one, seldom two."""
        payload = self._payload(packet)
        if payload is None:
            return []
        found: list[AccessUnit] = []
        timestamp = int.from_bytes(packet[4:8], "big")
        if timestamp != self._timestamp:
            # Sets and SEI sent under a timestamp of their own wait for their picture.
            if self._has_slice or self._damaged:
                self._finish(found)
            self._timestamp = timestamp
        if self._hole:
            # The missing packet may have been the head of this picture, too.
            self._damaged, self._hole = True, False
        if len(payload) > 2:
            (self._take_h264 if self._h264 else self._take_h265)(payload)
        if packet[1] & 0x80 and (self._has_slice or self._damaged):
            self._finish(found)
        return found

    def _payload(self, packet: bytes) -> bytes | None:
        if len(packet) < 13 or packet[0] >> 6 != 2:
            return None
        if packet[1] & 0x7F != self._payload_type:
            return None
        sequence = packet[2] << 8 | packet[3]
        if self._expected is not None and sequence != self._expected:
            self.lost += (sequence - self._expected) & 0xFFFF
            self._damaged = self._hole = True
            self._pieces.clear()
        self._expected = (sequence + 1) & 0xFFFF
        first = packet[0]
        if first & 0x3F == 0:
            return packet[12:]
        begin = 12 + 4 * (first & 0x0F)
        if first & 0x10:
            begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
        end = len(packet) - (packet[-1] if first & 0x20 else 0)
        return packet[begin:end]

    def _take_h264(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if kind == 28:
            head = payload[1]
            self._fragment(
                payload[2:],
                bytes((payload[0] & 0xE0 | head & 0x1F,)),
                begins=bool(head & 0x80),
                ends=bool(head & 0x40),
            )
        elif kind == 24:
            self._aggregate(payload, 1)
        elif 1 <= kind <= 23:
            self._add(payload)
        else:
            self._damaged = True

    def _take_h265(self, payload: bytes) -> None:
        kind = (payload[0] >> 1) & 0x3F
        if kind == 49:
            head = payload[2]
            self._fragment(
                payload[3:],
                bytes((payload[0] & 0x81 | (head & 0x3F) << 1, payload[1])),
                begins=bool(head & 0x80),
                ends=bool(head & 0x40),
            )
        elif kind == 48:
            self._aggregate(payload, 2)
        elif kind < 48:
            self._add(payload)
        else:
            self._damaged = True

    def _fragment(self, piece: bytes, head: bytes, *, begins: bool, ends: bool) -> None:
        if begins:
            self._pieces = [head, piece]
        elif self._pieces:
            self._pieces.append(piece)
        else:
            self._damaged = True
            return
        self._size += len(piece)
        if self._size > MAX_ACCESS_UNIT_BYTES:
            self._give_up()
        elif ends:
            unit = b"".join(self._pieces)
            self._pieces = []
            self._size -= len(unit)
            self._add(unit)

    def _aggregate(self, payload: bytes, at: int) -> None:
        while at + 2 < len(payload):
            begin = at + 2
            at = begin + (payload[at] << 8 | payload[at + 1])
            if at > len(payload) or at == begin:
                self._damaged = True
                return
            self._add(payload[begin:at])

    def _add(self, unit: bytes) -> None:
        self._units.append(unit)
        self._size += len(unit)
        self._has_slice = self._has_slice or is_slice(self._codec, unit)
        if self._size > MAX_ACCESS_UNIT_BYTES or len(self._units) > MAX_UNITS:
            self._give_up()

    def _give_up(self) -> None:
        self._units, self._pieces, self._size = [], [], 0
        self._damaged = True

    def _finish(self, found: list[AccessUnit]) -> None:
        if self._damaged or self._pieces:
            self.dropped += 1
        elif self._units:
            found.append(AccessUnit(self._timestamp, tuple(self._units)))
        self._units, self._pieces, self._size = [], [], 0
        self._damaged = self._has_slice = False
