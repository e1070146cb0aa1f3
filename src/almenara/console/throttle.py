"""Slows down guessing: each failure beyond the first few doubles the wait.

Failures are counted per name *and* address, so that a stranger elsewhere cannot lock
the watch out, and more generously per address, so that nobody can try every name.
Nobody is locked out for ever, and attempts made while waiting do not count.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

from almenara.core.time import Clock

FREE = 5
FREE_PER_ADDRESS = 30
LONGEST_S = 300.0
FORGET_S = 3600.0
MOST_KEYS = 8192
"""The least recently used is forgotten: memory stays bounded under a flood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tries:
    count: int
    last_s: float


class Throttle:
    """Remembers failures; one per application."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long this one has to wait before trying again; 0 if not at all."""
        return max(
            self._wait_s((name.casefold(), address), FREE),
            self._wait_s(("", address), FREE_PER_ADDRESS),
        )

    def tried(self, name: str, address: str) -> None:
        """Count an attempt *before* it is checked, so that a burst counts too."""
        for key in ((name.casefold(), address), ("", address)):
            known = self._tries.pop(key, _Tries(count=0, last_s=0.0))
            now = self._clock.monotonic_s()
            self._tries[key] = replace(known, count=known.count + 1, last_s=now)
        while len(self._tries) > MOST_KEYS:
            self._tries.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name here, and this attempt of the address."""
        self._tries.pop((name.casefold(), address), None)
        known = self._tries.get(("", address))
        if known is not None:
            self._tries["", address] = replace(known, count=max(known.count - 1, 0))

    def _wait_s(self, key: tuple[str, str], free: int) -> float:
        known = self._tries.get(key)
        if known is None:
            return 0.0
        since_s = self._clock.monotonic_s() - known.last_s
        if since_s > FORGET_S:
            del self._tries[key]
            return 0.0
        if known.count < free:
            return 0.0
        delay_s = min(2.0 ** min(known.count - free, 20), LONGEST_S)
        return max(delay_s - since_s, 0.0)
