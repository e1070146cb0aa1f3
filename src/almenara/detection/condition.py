"""Whether there is anything to see: a frozen, covered or noisy picture says so.

Works on a picture shrunk to a quarter: sensor noise survives the shrinking by an order
of magnitude more than is tolerated here, so a live camera never looks frozen.

Source: docs/design/first-light.md, "Objects", key ``condition``.
"""

import numpy as np

from almenara.detection import Condition
from almenara.detection.kernels import U8

FROZEN_AFTER_S = 2.0
SAME = 0.02
"""Mean absolute difference, grey levels: what coding again adds to the same picture."""

DARK = 10
"""Grey levels."""

UNIFORM = 4
"""Spread of the shrunken picture, grey levels: noise alone stays below, no sea does."""

DEGRADED_AT = 3.0
LONG_MEMORY_S = 600.0
SHORT_MEMORY_S = 5.0


class Watchfulness:
    """Judges the pictures of one camera, oldest first."""

    def __init__(self) -> None:
        self._last: U8 | None = None
        self._same_since_s = 0.0
        self._at_s = 0.0
        self._usual = 0.0
        self._now = 0.0

    def judge(self, small: U8, at_s: float) -> Condition:
        """BLIND, FROZEN or GOOD.

        Args:
            small: The watched rows at a quarter of the size; kept until the next call,
                never altered.
            at_s: Seconds of any clock that never runs backwards.
        """
        low, high = _range_of(small)
        if high - low < UNIFORM or high < DARK:
            return Condition.BLIND
        last, self._last = self._last, small
        if last is None or _differ(last, small):
            self._same_since_s = at_s
        frozen = at_s - self._same_since_s > FROZEN_AFTER_S
        return Condition.FROZEN if frozen else Condition.GOOD

    def is_degraded(self, noise: float, at_s: float) -> bool:
        """Whether the noise is far above what is usual here.

        Args:
            noise: Of the whole picture now, grey levels.
            at_s: As above.
        """
        elapsed_s, self._at_s = at_s - self._at_s, at_s
        if self._usual == 0.0:
            self._usual = self._now = noise
        self._usual += (noise - self._usual) * (1 - np.exp(-elapsed_s / LONG_MEMORY_S))
        self._now += (noise - self._now) * (1 - np.exp(-elapsed_s / SHORT_MEMORY_S))
        return bool(self._now >= DEGRADED_AT * self._usual)


def _range_of(small: U8) -> tuple[int, int]:
    """The 2 % and 98 % quantiles of every fourth pixel, grey levels."""
    counts = np.cumsum(np.bincount(small[::2, ::2].ravel(), minlength=256))
    low, high = np.searchsorted(counts, (0.02 * counts[-1], 0.98 * counts[-1]))
    return int(low), int(high)


def _differ(a: U8, b: U8) -> bool:
    """Whether two pictures of one size differ by more than coding them again would."""
    return float(np.abs(a.astype(np.int16) - b).mean()) > SAME
