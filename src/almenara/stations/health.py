"""How one stream is doing, from what happens to it and when.

Pure: it is told of events and asked with a time, so that an hour of silence is a line
in a test. *Silent* is not an event but the absence of one: ``report`` says it five
seconds after the last packet, whatever the connection believes of itself. The measured
rate comes from arrivals over ten seconds; what a camera declares is shown beside it
and believed by nobody.

Source: docs/design/first-light.md, CameraHealth; recording is promised to notice
silence within 5 s.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from almenara.core.media import Packet, TimeSource
from almenara.core.time import Clock
from almenara.stations import Report

SILENT_AFTER_S: Final = 5.0
RATE_WINDOW_S: Final = 10.0
RATE_TOLERANCE: Final = 0.2
RATE_PATIENCE_S: Final = 60.0
_SMALLEST_SAMPLE_S: Final = 2.0


class LinkState(StrEnum):
    """What a stream is doing."""

    CONNECTING = "connecting"
    LIVE = "live"
    SILENT = "silent"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """One stream at one moment; unknown is None."""

    state: LinkState
    since: datetime
    last_packet_at: datetime | None
    declared_fps: float | None
    measured_fps: float | None
    clock_source: TimeSource | None
    clock_offset_s: float | None
    """Capture time minus receive time by the camera's clock, way included."""

    rate_differs: bool
    """Measured and declared rates have been 20 % apart for a minute."""

    connections: int
    failures: int
    detail: str


class StreamHealth:
    """Follows one stream; fulfils ``session.Listener``."""

    def __init__(
        self, clock: Clock, *, offset_s: Callable[[], float | None] | None = None
    ) -> None:
        """Begin as *connecting*.

        Args:
            clock: Of the events and of ``report``.
            offset_s: The driver's own word on the camera's clock, which is better
                than what can be read from packets.
        """
        self._clock = clock
        self._offset_s = offset_s
        self._state = LinkState.CONNECTING
        self._since = clock.now()
        self._last_at: datetime | None = None
        self._last_s: float | None = None
        self._began_s = clock.monotonic_s()
        self._arrivals: deque[float] = deque(maxlen=4096)
        self._packet: Packet | None = None
        self._differs_since_s: float | None = None
        self._connections = 0
        self._failures = 0
        self._detail = ""

    def expected(self) -> None:
        """From now on a picture is due: what never came is silent from here."""
        self._began_s = self._clock.monotonic_s()

    def connecting(self) -> None:
        """Told by the session."""
        self._connections += 1
        self._arrivals.clear()
        self._differs_since_s = None
        if self._state is LinkState.REJECTED:
            self._turn(LinkState.CONNECTING)

    def heard(self, report: Report) -> None:
        """Told by the session, for every report."""
        self._last_at = self._clock.now()
        self._last_s = self._clock.monotonic_s()
        self._arrivals.append(self._last_s)
        if isinstance(report, Packet):
            self._packet = report
        if self._state is not LinkState.LIVE:
            self._detail = ""
            self._turn(LinkState.LIVE)

    def lost(self, reason: str) -> None:
        """Told by the session."""
        self._failures += 1
        self._detail = reason
        if self._state is LinkState.LIVE:
            self._turn(LinkState.CONNECTING)

    def rejected(self, reason: str) -> None:
        """Told by the session."""
        self._failures += 1
        self._detail = reason
        self._turn(LinkState.REJECTED)

    def quiet_for(self) -> timedelta:
        """Since the last packet, or since the beginning."""
        heard_s = self._began_s if self._last_s is None else self._last_s
        return timedelta(seconds=self._clock.monotonic_s() - heard_s)

    def report(self) -> HealthReport:
        """How it is now."""
        now_s = self._clock.monotonic_s()
        self._notice_silence(now_s)
        measured = self._measured_fps(now_s)
        declared = self._packet.format.declared_fps if self._packet else None
        return HealthReport(
            state=self._state,
            since=self._since,
            last_packet_at=self._last_at,
            declared_fps=declared,
            measured_fps=measured,
            clock_source=self._packet.captured_by if self._packet else None,
            clock_offset_s=self._clock_offset(),
            rate_differs=self._rate_differs(measured, declared, now_s),
            connections=self._connections,
            failures=self._failures,
            detail=self._detail,
        )

    def _turn(self, state: LinkState) -> None:
        if state is not self._state:
            self._state = state
            self._since = self._clock.now()

    def _notice_silence(self, now_s: float) -> None:
        """Live or connecting without a packet for five seconds is silent."""
        if self._state in (LinkState.REJECTED, LinkState.SILENT):
            return
        heard_s = self._last_s if self._last_s is not None else self._began_s
        quiet_s = now_s - heard_s
        if quiet_s >= SILENT_AFTER_S:
            late = timedelta(seconds=quiet_s - SILENT_AFTER_S)
            self._state, self._since = LinkState.SILENT, self._clock.now() - late

    def _measured_fps(self, now_s: float) -> float | None:
        arrivals = self._arrivals
        while arrivals and now_s - arrivals[0] > RATE_WINDOW_S:
            arrivals.popleft()
        if not arrivals:
            return 0.0 if self._last_s is not None else None
        span_s = arrivals[-1] - arrivals[0]
        if span_s < _SMALLEST_SAMPLE_S:
            return None
        return (len(arrivals) - 1) / span_s

    def _clock_offset(self) -> float | None:
        if self._offset_s is not None:
            return self._offset_s()
        packet = self._packet
        if packet is None or packet.captured_by is not TimeSource.CAMERA:
            return None
        return (packet.captured_at - packet.received_at).total_seconds()

    def _rate_differs(
        self, measured: float | None, declared: float | None, now_s: float
    ) -> bool:
        if (
            not measured
            or not declared
            or abs(measured / declared - 1.0) <= RATE_TOLERANCE
        ):
            self._differs_since_s = None
        elif self._differs_since_s is None:
            self._differs_since_s = now_s
        since_s = self._differs_since_s
        return since_s is not None and now_s - since_s >= RATE_PATIENCE_S
