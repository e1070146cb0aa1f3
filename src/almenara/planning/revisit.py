"""Scans of narrow lenses: how many steps, how long a round, what slips through.

A scan is judged by its worst place, not by its mean one.

Source: docs/design/georeferencing.md, "Scan and revisit".
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One camera that goes over a sector, step by step."""

    sector_deg: float
    field_deg: float
    overlap: float = 0.2
    """Share of a field that its neighbour sees too, in [0, 1)."""

    dwell_s: float = 2.0
    move_s: float = 1.0

    def __post_init__(self) -> None:
        if self.field_deg <= 0.0 or not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"no such scan: {self!r}")

    @property
    def steps(self) -> int:
        """Fields that cover the sector."""
        left_deg = max(self.sector_deg - self.field_deg, 0.0)
        # A sector that fits exactly wants no further step for a rounding error.
        return 1 + math.ceil(left_deg / (self.field_deg * (1 - self.overlap)) - 1e-9)

    @property
    def period_s(self) -> float:
        """One round, then from the start again: every place is seen this often."""
        return self.steps * (self.dwell_s + self.move_s)

    @property
    def worst_unseen_s(self) -> float:
        """How long the ends of a scan to and fro go unseen."""
        return 2 * (self.steps - 1) * (self.dwell_s + self.move_s)


def looks_before_shore(looks: int, period_s: float, time_to_shore_s: float) -> float:
    """P(at least so many looks at a boat that lands after a time), any phase alike.

    >>> looks_before_shore(3, 375.0, 712.7)
    0.0
    """
    if looks <= 0 or period_s <= 0.0:
        return 1.0
    return min(max(time_to_shore_s / period_s - (looks - 1), 0.0), 1.0)
