"""Clocks: the only door through which time enters Almenara.

Every component that needs the time takes a :class:`Clock`. Production passes
``node.clock.SystemClock``; tests pass :class:`ManualClock`, so that an hour of
waiting takes a microsecond and always ends the same way.

Times are timezone-aware UTC ``datetime``; durations are ``timedelta``. A camera's own
timestamps are *media time* and never appear in these types.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a component may ask of time."""

    def now(self) -> datetime:
        """Wall-clock time in UTC; may step when the host's clock is corrected."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary origin; never steps. Use it for intervals."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after ``duration`` of this clock's time."""
        ...


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC; the store and the wire count in these.

    >>> to_micros(EPOCH + timedelta(seconds=2))
    2000000
    """
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Inverse of :func:`to_micros`."""
    return EPOCH + timedelta(microseconds=micros)


class ManualClock:
    """A clock that moves only when told to; ``sleep`` moves it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be timezone-aware")
        self._start = start
        self._elapsed = timedelta()

    def now(self) -> datetime:
        return self._start + self._elapsed

    def monotonic_s(self) -> float:
        return self._elapsed.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        """Move the clock forward; a negative ``duration`` is a mistake."""
        if duration < timedelta():
            raise ValueError("time does not run backwards")
        self._elapsed += duration
