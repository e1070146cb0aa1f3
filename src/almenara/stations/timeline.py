"""Media time and capture time of one connection.

A camera counts 32 bits of 1/90 000 s from anywhere and now and then says, in an RTCP
sender report, which wall time one of those counts is. This module makes of it media
time that never wraps, decoding times that never decrease, and a capture time that says
how it is known. Media time that jumps against the time we measured is laid on again
where it left off, so that a camera that sets its clock costs no recording. A camera
whose clock is more than five seconds from ours keeps its media time and loses its say
on wall time; the offset stays visible.

Source: RFC 3550 5.1, 6.4.1 (timestamps, sender reports); docs/design/first-light.md.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from almenara.core.media import TimeSource
from almenara.core.time import EPOCH

RATE = 90_000
LARGEST_STEP_S = 5.0
LARGEST_OFFSET = timedelta(seconds=5)
_NTP_TO_UNIX_S = 2_208_988_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The times of one packet."""

    pts_90k: int
    dts_90k: int
    captured_at: datetime
    captured_by: TimeSource


def from_ntp(value: int) -> datetime:
    """A 64-bit NTP time as UTC; before 2036 and after.

    >>> from_ntp(0xE9B0_2A80_8000_0000).isoformat()
    '2024-03-28T17:42:24.500000+00:00'
    """
    seconds = value >> 32
    if seconds < 1 << 31:
        seconds += 1 << 32
    micros = ((value & 0xFFFF_FFFF) * 1_000_000) >> 32
    return EPOCH + timedelta(seconds=seconds - _NTP_TO_UNIX_S, microseconds=micros)


def signed_difference(later: int, earlier: int, *, bits: int = 32) -> int:
    """``later - earlier`` of counters that wrap: the nearer way round."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


class DecodingOrder:
    """Decoding times out of presentation times: the smallest not yet passed on.

    With a reorder depth of *n*, the decoding time of a picture is the least of the last
    *n* + 1 presentation times. The depth grows when a camera shows more than it said.
    """

    __slots__ = ("_depth", "_last", "_waiting")

    def __init__(self) -> None:
        self._depth = 0
        self._waiting: deque[int] = deque()
        self._last: int | None = None

    def dts(self, pts_90k: int, reorder: int, step_90k: int) -> int:
        """The decoding time of the next picture in decoding order."""
        if self._last is None:
            self._depth = reorder
            self._waiting.extend(pts_90k - step_90k * n for n in range(reorder, 0, -1))
        elif pts_90k < max(self._waiting, default=self._last) and not self._depth:
            self._depth = 1
        self._waiting.append(pts_90k)
        found = pts_90k
        if self._depth:
            found = min(self._waiting)
            if len(self._waiting) > self._depth:
                self._waiting.remove(found)
        else:
            self._waiting.clear()
        if self._last is not None:
            found = max(found, self._last + 1)
        self._last = found
        return found


class Timeline:
    """Turns one connection's RTP timestamps into packets' times."""

    def __init__(self) -> None:
        self.jumps = 0
        """Times the media clock stepped against ours."""

        self.offset_s: float | None = None
        """The camera's clock minus ours at the last sender report, delay included."""

        self._order = DecodingOrder()
        self._rtp: int | None = None
        self._pts = 0
        self._seen_s = 0.0
        self._report: tuple[int, datetime] | None = None

    def report(self, rtp: int, ntp: int, received_at: datetime) -> None:
        """Take in a sender report."""
        at = from_ntp(ntp)
        self._report = (rtp, at)
        self.offset_s = (at - received_at).total_seconds()

    def stamp(
        self,
        rtp: int,
        *,
        received_at: datetime,
        monotonic_s: float,
        reorder: int = 0,
        fps: float | None = None,
    ) -> Stamp:
        """The times of the access unit with this RTP timestamp, in decoding order."""
        step = round(RATE / fps) if fps else RATE // 25
        self._advance(rtp, monotonic_s, step)
        captured_at, captured_by = self._capture(rtp, received_at)
        return Stamp(
            pts_90k=self._pts,
            dts_90k=self._order.dts(self._pts, reorder, step),
            captured_at=captured_at,
            captured_by=captured_by,
        )

    def _advance(self, rtp: int, monotonic_s: float, step: int) -> None:
        if self._rtp is not None:
            moved = signed_difference(rtp, self._rtp)
            passed_s = monotonic_s - self._seen_s
            if abs(moved / RATE - passed_s) > LARGEST_STEP_S:
                self.jumps += 1
                self._report = None
                moved = max(step, round(passed_s * RATE))
            self._pts += moved
        self._rtp, self._seen_s = rtp, monotonic_s

    def _capture(self, rtp: int, received_at: datetime) -> tuple[datetime, TimeSource]:
        if self._report is None:
            return received_at, TimeSource.ARRIVAL
        base, at = self._report
        moved = signed_difference(rtp, base)
        captured_at = at + timedelta(microseconds=moved * 100 // 9)
        if abs(captured_at - received_at) > LARGEST_OFFSET:
            return received_at, TimeSource.ARRIVAL
        return captured_at, TimeSource.CAMERA
