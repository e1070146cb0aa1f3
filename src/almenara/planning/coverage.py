"""How far a camera does a task: horizon, pixels and air, and which of them binds.

The pixel limit is one of sampling: what no pixel shows, nobody sees; what pixels could
show, blur and noise may still hide.

Source: J. Johnson, Analysis of image forming systems (1958), with the curve of the
target transfer probability function (NVESD); Koschmieder (1924); WMO-No. 8 part I 9.1;
docs/design/georeferencing.md, "Range for a task".
"""

import math
from dataclasses import dataclass
from enum import Enum, StrEnum

from almenara.geo.sea_surface import horizon_range_m

PIXELS_PER_CYCLE = 2.0
KOSCHMIEDER = 3.912
"""-ln 0.02: visibility at two per cent of contrast."""

OPTICAL_RANGE = 2.996
"""-ln 0.05: meteorological optical range."""

INHERENT_CONTRAST = 0.3
"""Of a boat on the sea, near by; a choice."""

LEAST_CONTRAST = 0.02
"""That a person or a detector still sees; a choice."""


class Task(Enum):
    """What is asked of a picture: cycles across the critical dimension at P = 0.5."""

    DETECT = 1.0
    ORIENT = 1.4
    RECOGNISE = 4.0
    IDENTIFY = 6.4
    """Which type of craft; never who is in it."""

    @property
    def cycles(self) -> float:
        """N50."""
        return float(self.value)


class Limit(StrEnum):
    """What ends the range of a task."""

    HORIZON = "horizon"
    PIXELS = "pixels"
    AIR = "air"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRange:
    """How far a task can be done, and why no farther."""

    range_m: float
    binds: Limit
    horizon_m: float
    pixels_m: float
    air_m: float | None
    """None where nobody knows the air: then the range is a best case."""

    @property
    def air_known(self) -> bool:
        """Whether the air was counted."""
        return self.air_m is not None


def critical_dimension_m(width_m: float, height_m: float) -> float:
    """The one length that stands for a shape: the root of its area.

    >>> round(critical_dimension_m(7.0, 1.1), 3), round(critical_dimension_m(2, 1.1), 3)
    (2.775, 1.483)
    """
    return math.sqrt(width_m * height_m)


def ifov_rad(pitch_um: float, focal_mm: float) -> float:
    """Angle of one pixel."""
    return pitch_um * 1e-3 / focal_mm


def pixel_range_m(critical_m: float, ifov: float, task: Task) -> float:
    """Where the pixels on a thing are just those of the task."""
    return critical_m / (PIXELS_PER_CYCLE * task.cycles * ifov)


def density_range_m(pixels_per_m: float, ifov: float) -> float:
    """Where a picture has this many pixels per metre (EN 62676-4 counts so)."""
    return 1.0 / (pixels_per_m * ifov)


def task_probability(cycles: float, task: Task) -> float:
    """P(the task is done) with this many cycles on the thing.

    >>> [round(task_probability(x, Task.DETECT), 3) for x in (0.5, 1.0, 1.452, 2.0)]
    [0.108, 0.5, 0.8, 0.945]
    """
    x = max(cycles, 0.0) / task.cycles
    power: float = x ** (2.7 + 0.7 * x)
    return power / (1.0 + power)


def extinction_per_m(visibility_m: float, *, per: float = KOSCHMIEDER) -> float:
    """How fast contrast fades, from a visibility.

    Args:
        visibility_m: As reported.
        per: ``KOSCHMIEDER`` where it means two per cent, ``OPTICAL_RANGE`` where it is
            the meteorological optical range at five.

    Raises:
        ValueError: If the visibility is not positive.
    """
    if visibility_m <= 0.0:
        raise ValueError(f"visibility must be positive, got {visibility_m}")
    return per / visibility_m


def transmission(extinction: float, range_m: float) -> float:
    """What the air leaves of contrast over a range."""
    return math.exp(-extinction * range_m)


def air_range_m(
    extinction: float,
    *,
    inherent: float = INHERENT_CONTRAST,
    least: float = LEAST_CONTRAST,
) -> float:
    """How far a contrast stays visible; zero where it never is."""
    if inherent <= least:
        return 0.0
    return math.log(inherent / least) / extinction


def height_to_see_m(thing_height_m: float, range_m: float) -> float:
    """How high a camera must stand to see the top of a thing at a range.

    >>> round(height_to_see_m(1.0, 22_000.0), 2)
    22.15
    """
    beyond_m = range_m - float(horizon_range_m(thing_height_m))
    if beyond_m <= 0.0:
        return 0.0
    one_m = float(horizon_range_m(1.0))
    return (beyond_m / one_m) ** 2


def range_for_task(
    *,
    camera_height_m: float,
    thing_height_m: float,
    critical_m: float,
    ifov: float,
    task: Task,
    extinction: float | None = None,
) -> TaskRange:
    """The least of three ranges.

    Args:
        camera_height_m: Above the sea now.
        thing_height_m: Of the thing above the water.
        critical_m: See :func:`critical_dimension_m`.
        ifov: Radians per pixel.
        task: What is asked.
        extinction: In the camera's own band, per metre; None where nobody measured it.
    """
    horizon_m = float(
        horizon_range_m(camera_height_m) + horizon_range_m(thing_height_m)
    )
    pixels_m = pixel_range_m(critical_m, ifov, task)
    air_m = None if extinction is None else air_range_m(extinction)
    reach = {Limit.HORIZON: horizon_m, Limit.PIXELS: pixels_m}
    if air_m is not None:
        reach[Limit.AIR] = air_m
    binds = min(reach, key=lambda limit: reach[limit])
    return TaskRange(
        range_m=reach[binds],
        binds=binds,
        horizon_m=horizon_m,
        pixels_m=pixels_m,
        air_m=air_m,
    )
