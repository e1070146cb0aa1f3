"""From a camera's own time to ours: true durations, whatever the camera claims.

A run lays the camera's media time on our clock once, at its first fragment, by the
least delayed packet; from then on durations come from media time as long as that agrees
with the arrivals. A camera whose time jumps, stands still or runs at the wrong speed
loses that trust: from there on its durations come from the arrivals. Declared frame
rates are never asked.

**Source**: docs/design/first-light.md; the widths of the counters are those of RTP (32
bits) and MPEG-TS (33 bits).
"""

from almenara.core.media import Packet, TimeSource

MAX_STEP_90K = 10 * 90_000
"""Two pictures further apart than this do not belong to one run of media time."""

WRAPS = (0, 1 << 32, 1 << 33)

HOLE_90K = 225_000
"""2.5 s without a picture are a hole, not a slow camera."""

MIN_STEP_90K = 90
"""Pictures that come in one burst still follow each other, by a millisecond."""

EARLY_90K = -4 * 90_000
"""Media time this far ahead of the clock runs too fast; less may be a first burst."""

LATE_90K = 90_000
LATE_FOR_S = 15.0
"""Media time a second behind for this long runs too slow; a stalled link catches up."""


def media_step(before_90k: int, after_90k: int) -> int | None:
    """Media time between two pictures across a wrap; None if it is no step at all."""
    for wrap in WRAPS:
        step_90k = after_90k - before_90k + wrap
        if 0 <= step_90k <= MAX_STEP_90K:
            return step_90k
    return None


def arrival_step(before: Packet, after: Packet) -> int:
    """Time between two arrivals by the monotonic clock, 1/90 000 s."""
    waited_s = after.received_monotonic_s - before.received_monotonic_s
    return max(0, round(waited_s * 90_000))


def reference_step(before: Packet, after: Packet) -> int:
    """Time between two pictures by the best clock there is beside media time."""
    if before.captured_by is after.captured_by is not TimeSource.ARRIVAL:
        known_s = (after.captured_at - before.captured_at).total_seconds()
        return round(known_s * 90_000)
    return arrival_step(before, after)


class Pace:
    """How long each picture of one run lasts; feed it packets in order."""

    def __init__(self, *, trusts_media: bool = True) -> None:
        self.trusts_media = trusts_media
        self._last: Packet | None = None
        self._lag_90k = 0
        self._late_since_s: float | None = None
        self.usual_90k = 3_600
        """The last ordinary step; what a run's last picture lasts."""

    def step(self, packet: Packet) -> int | None:
        """How long the picture before this one lasted.

        Returns:
            1/90 000 s; 0 for the first. None when there was a hole between them.
        """
        last, self._last = self._last, packet
        if last is None:
            return 0
        media, arrived = (
            media_step(last.dts_90k, packet.dts_90k),
            arrival_step(last, packet),
        )
        step_90k = self._by_media(last, packet, media) if self.trusts_media else None
        if step_90k is None:
            self.trusts_media = False
            # A tenth of what we are off is made up for with every picture.
            step_90k = max(MIN_STEP_90K, arrived + self._lag_90k // 10)
            self._lag_90k += arrived - step_90k
        if step_90k > HOLE_90K:
            return None
        self.usual_90k = max(MIN_STEP_90K, step_90k)
        return step_90k

    def _by_media(self, last: Packet, packet: Packet, media: int | None) -> int | None:
        """The media step if it is to be believed."""
        if not media:  # backwards, too far, or two pictures at one instant
            return None
        self._lag_90k += reference_step(last, packet) - media
        now_s = packet.received_monotonic_s
        if self._lag_90k <= LATE_90K:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s
        too_late = self._late_since_s is not None and (
            now_s - self._late_since_s > LATE_FOR_S
        )
        if self._lag_90k < EARLY_90K or too_late:
            self._lag_90k -= reference_step(last, packet) - media
            return None
        return media
