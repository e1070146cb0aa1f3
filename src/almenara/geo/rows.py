"""When a row of a picture was exposed, and whether the head stood still meanwhile.

A rolling shutter or an interlaced picture shows its lower rows later than its upper
ones; a head that turns smears the answer to *where*. A bearing is worth its own instant
and a head at rest.

Source: docs/design/georeferencing.md, "Rows and heads".
"""

from datetime import datetime, timedelta

STILL_DEG_S2 = 0.5
"""From this acceleration on the mast twists more than a pixel; a choice."""


def row_instant(
    captured_at: datetime, y_px: float, height_px: int, readout: timedelta
) -> datetime:
    """When the row at ``y_px`` was exposed.

    Args:
        captured_at: Of the picture's first row.
        y_px: Continuous, down from the top.
        height_px: Rows of the picture.
        readout: From the first row to the last; zero for a global shutter.

    Raises:
        ValueError: If the row is outside the picture.
    """
    if not 0.0 <= y_px <= height_px:
        raise ValueError(f"row {y_px} of {height_px}")
    return captured_at + readout * (y_px / height_px)


def is_steady(rates_deg_s: tuple[float, float], dt_s: float) -> bool:
    """Whether a head that panned at these two rates may give a fix between them.

    A steady turn may: its azimuth at the row's instant is known. One that begins or
    ends may not.

    Raises:
        ValueError: If no time lies between the two.
    """
    if dt_s <= 0.0:
        raise ValueError(f"no time between two readings: {dt_s}")
    return abs(rates_deg_s[1] - rates_deg_s[0]) / dt_s <= STILL_DEG_S2
