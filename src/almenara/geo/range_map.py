"""What each row of a picture covers at sea: the scale a detector needs.

Values are those of the middle column. With roll, rows lean by its angle: a detector
that cares moves the row by ``CameraModel.horizon_row_px``.

Source: docs/design/georeferencing.md, "Range and depression".
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from almenara.core.coast import Camera
from almenara.geo.camera_model import CameraModel
from almenara.geo.sea_surface import (
    FloatArray,
    horizon_dip_deg,
    range_from_depression,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RangeMap:
    """Columns of one value per picture row, top row first."""

    range_m: FloatArray
    """Shape (height,): range to the sea at the row's middle; NaN at and above the
    horizon."""

    across_m_per_px: FloatArray
    """Shape (height,): metres that one pixel spans sideways; NaN as above."""

    along_m_per_px: FloatArray
    """Shape (height,): metres of sea behind one pixel, away from us; NaN as above."""

    horizon_row_px: float
    """The y of the horizon in the middle column; may lie outside the picture."""

    @classmethod
    def of(cls, camera: Camera) -> Self:
        """The map of a camera as it stands."""
        model = CameraModel.of(camera)
        height_m, rows = camera.pose.height_m, camera.lens.height_px
        middle_px = camera.lens.width_px / 2
        y = np.arange(2 * rows + 1) / 2  # edges and middles in turn
        _, elevation_deg = model.to_angles(
            np.stack([np.full_like(y, middle_px), y], axis=1)
        )
        ranges_m = range_from_depression(-elevation_deg, height_m)
        middle_m, top_m, bottom_m = ranges_m[1::2], ranges_m[:-1:2], ranges_m[2::2]
        # The row that holds the horizon ends there.
        dip_deg = float(horizon_dip_deg(height_m))
        farthest_m = range_from_depression(dip_deg * (1 + 1e-12), height_m)
        along = np.where(np.isnan(top_m), farthest_m, top_m) - bottom_m
        v = (y[1::2] - rows / 2) / model.focal_px
        level = np.hypot(1.0, v) * np.cos(np.deg2rad(elevation_deg[1::2]))
        across = middle_m / (model.focal_px * level)
        return cls(
            range_m=middle_m,
            across_m_per_px=across,
            along_m_per_px=np.where(np.isnan(middle_m), np.nan, along),
            horizon_row_px=float(model.horizon_row_px(middle_px)),
        )
