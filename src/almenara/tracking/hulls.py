"""Which tracks of one picture are parts of one hull: wheelhouse, funnel, mast, bow.

A ship gives several candidates, and only the lowest of them stands on the water: what
is higher up would be projected to a range far beyond the ship. Whatever stands above a
hull within its columns, no higher than ships are, and moves along with it, is part of
it. What merely passes behind does not keep to the columns.

Source: docs/design/tracking.md, "Parts of one hull".
"""

import numpy as np
import numpy.typing as npt

from almenara.geo.sea_surface import FloatArray

TALLEST_BY_LENGTH = 1.5
"""End on, a ship is seen as wide as her beam, and stands higher than that."""

TALLEST_M = 80.0
SHIP_M = (25.0, 15.0)
"""From this width or height on masts and bridges may stand clear of the hull seen."""

WIDER = 1.5
"""How much wider than what is seen of its hull a superstructure may be."""

TOUCHING_PX = 2.0
"""What belongs to a small boat touches it: a boat farther off in line stays a boat."""

SAME_ROW_PX = 1.5
COLUMNS = 0.15
"""Share of its width by which a hull may be longer than what is seen of it."""

SAME_SPEED_MPS = 1.0


def part_of(
    boxes: FloatArray,
    speeds: FloatArray,
    speed_vars: FloatArray,
    across_m_per_px: FloatArray,
) -> npt.NDArray[np.bool_]:
    """Whether thing *i* is, by this look, part of hull *j*.

    Args:
        boxes: Shape (n, 4): left, top, right, bottom in pixels.
        speeds: Shape (n,): along the row, pixels per second.
        speed_vars: Shape (n,): their variances.
        across_m_per_px: Shape (n,): metres per pixel at each lower edge; NaN where
            there is no range.

    Returns:
        Shape (n, n). Of two on the same row the narrower is part of the wider.
    """
    left, top, right, bottom = boxes.T
    width, height = right - left, bottom - top
    middle = (left + right) / 2.0
    metres = np.nan_to_num(across_m_per_px, nan=0.0)
    below = bottom[None, :] - bottom[:, None]  # how much lower the hull j ends
    lower = (below > SAME_ROW_PX) | (
        (np.abs(below) <= SAME_ROW_PX) & (width[None, :] > width[:, None])
    )
    grown = COLUMNS * width + TOUCHING_PX
    within = (middle[:, None] >= (left - grown)[None, :]) & (
        middle[:, None] <= (right + grown)[None, :]
    )
    size = np.maximum(width, height)
    stands = bottom[None, :] - top[:, None]
    low = (stands <= TALLEST_BY_LENGTH * size[None, :] + TOUCHING_PX) & (
        stands * metres[None, :] <= TALLEST_M
    )
    touching = top[None, :] - bottom[:, None] <= TOUCHING_PX
    is_ship = ((width * metres >= SHIP_M[0]) | (height * metres >= SHIP_M[1]))[None, :]
    carried = width[:, None] <= WIDER * size[None, :]
    slack = SAME_SPEED_MPS / np.where(metres > 0.0, metres, np.inf)
    doubt = speed_vars[:, None] + speed_vars[None, :] + slack[None, :] ** 2
    together = (speeds[:, None] - speeds[None, :]) ** 2 <= 9.0 * doubt
    answer: npt.NDArray[np.bool_] = (
        lower & within & low & carried & (touching | is_ship) & together
    )
    return answer
