"""What two bearings from two stations are worth, in closed form.

Seen from the middle of the baseline, a point straight ahead. A plan needs no more; a
live fix is the filters' business.

Source: docs/design/georeferencing.md, "Two bearings".
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingError:
    """Standard deviations of a crossing, metres."""

    along_m: float
    """Away from the baseline."""

    across_m: float
    """Parallel to it."""


def crossing_error(
    baseline_m: float, distance_m: float, bearing_std_rad: float
) -> CrossingError:
    """Error of the crossing of two bearings, both as good.

    Args:
        baseline_m: Between the stations.
        distance_m: Of the point, perpendicular from the middle of the baseline.
        bearing_std_rad: Of each bearing.

    Raises:
        ValueError: If a length is not positive.

    >>> found = crossing_error(10_000.0, 10_000.0, 0.5e-3)
    >>> round(found.along_m, 2), round(found.across_m, 2)
    (8.84, 4.42)
    """
    if baseline_m <= 0.0 or distance_m <= 0.0:
        raise ValueError(f"lengths must be positive: {baseline_m}, {distance_m}")
    r2 = distance_m**2 + baseline_m**2 / 4.0
    return CrossingError(
        along_m=math.sqrt(2.0) * bearing_std_rad * r2 / baseline_m,
        across_m=bearing_std_rad * r2 / (math.sqrt(2.0) * distance_m),
    )
