"""Keeps one station talking: connect, pass reports on, wait after a failure, again.

Drivers give up on the first error and know nothing of retries; this module knows
nothing of protocols. One session runs per sensor, in the node's task group, so that a
broken camera costs one task and never the watch. Waits are jittered, so that twenty
cameras behind one switch do not come back in one breath, never shorter than a second
and never longer than six: a longer cap would break the promise to record again ten
seconds after a camera answers.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom
from typing import Protocol, cast

import structlog

from almenara.core.errors import StationRejectedError, StationUnreachableError
from almenara.core.ids import StationId
from almenara.core.time import Clock
from almenara.stations import Driver, Report

log = structlog.get_logger()

_CHANCE = SystemRandom().random

Sink = Callable[[Report], Awaitable[None]]


class Listener(Protocol):
    """Who wants to know how a session goes; ``health.StreamHealth`` does."""

    def connecting(self) -> None:
        """A connection is being tried."""
        ...

    def heard(self, report: Report) -> None:
        """A report came."""
        ...

    def lost(self, reason: str) -> None:
        """The connection ended, or was never made."""
        ...

    def rejected(self, reason: str) -> None:
        """The station refuses; nobody tries again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Waits double from ``first`` to ``longest``; one report resets them."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=6)

    def wait(self, failures: int, chance: float) -> timedelta:
        """How long to wait after this many failures in a row, the first being 1.

        Args:
            failures: At least 1.
            chance: In [0, 1): spreads the wait over its upper half, never below
                ``first``.
        """
        most = min(self.first * (1 << min(failures, 30)), self.longest)
        least = max(self.first, most / 2)
        return least + (most - least) * chance


async def keep_open(
    driver: Driver,
    sink: Sink,
    *,
    station_id: StationId,
    clock: Clock,
    policy: RetryPolicy,
    listener: Listener | None = None,
    chance: Callable[[], float] = _CHANCE,
) -> None:
    """Run until cancelled, or until the station refuses.

    Args:
        driver: Connects once per call of ``reports``.
        sink: Takes every report, in order; the next is read when it returns.
        station_id: Named in the log.
        clock: Waits.
        policy: For how long.
        listener: Is told how it goes.
        chance: In [0, 1), for the jitter.

    Raises:
        StationRejectedError: From the driver; waiting would not help.
        AddressRefusedError: From the driver; the address is not allowed.
    """
    failures = 0
    while True:
        if listener is not None:
            listener.connecting()
        try:
            # A cancelled session must not leave the socket to the garbage collector.
            reports = cast("AsyncGenerator[Report, None]", driver.reports())
            async with aclosing(reports):
                async for report in reports:
                    failures = 0
                    if listener is not None:
                        listener.heard(report)
                    await sink(report)
            reason = "closed by peer"
        except StationUnreachableError as error:
            reason = error.detail
        except StationRejectedError as error:
            if listener is not None:
                listener.rejected(error.detail)
            raise
        if listener is not None:
            listener.lost(reason)
        failures += 1
        wait = policy.wait(failures, chance())
        log.warning(
            "station_retry",
            station_id=station_id,
            reason=reason,
            failures=failures,
            wait_s=wait.total_seconds(),
        )
        await clock.sleep(wait)
