"""How fast things may cross one camera's picture: limits in metres, mapped to pixels.

Source: docs/design/first-light.md, "The path", step 8.
"""

import numpy as np

from almenara.core.coast import Camera, Scene
from almenara.geo.range_map import RangeMap
from almenara.geo.sea_surface import FloatArray

FASTEST_MPS = 31.0
"""60 knots: a light fast boat on a good day."""

UNKNOWN_PX_S = (30.0, 3.0)
"""Across and along the view, where the pose gives no range."""

LEAST_PX_S = 0.5
"""A mast sways by more than a far boat moves towards us."""


class Reach:
    """Speed limits by row of one camera, pixels per second."""

    def __init__(self, camera: Camera) -> None:
        rows = camera.lens.height_px
        self._across_m = np.full(rows, np.nan)
        if camera.scene is Scene.LAND:
            # Land is not flat: no row has a range, and people walk in any direction.
            fast = camera.lens.width_px / 10.0
            self._x, self._y = np.full(rows, fast), np.full(rows, fast / 2.0)
            return
        known = RangeMap.of(camera)
        self._across_m = known.across_m_per_px
        with np.errstate(invalid="ignore", divide="ignore"):
            self._x = FASTEST_MPS / known.across_m_per_px
            self._y = FASTEST_MPS / known.along_m_per_px
        self._x = np.where(np.isnan(self._x), UNKNOWN_PX_S[0], self._x)
        self._y = np.where(np.isnan(self._y), UNKNOWN_PX_S[1], self._y)
        self._x = np.clip(self._x, LEAST_PX_S, camera.lens.width_px)
        self._y = np.clip(self._y, LEAST_PX_S, rows)

    def at(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Limits across and along the view at rows ``y``, shape (n,) each, px/s."""
        row = self._row(y)
        return self._x[row], self._y[row]

    def across_m_per_px(self, y: FloatArray) -> FloatArray:
        """Metres per pixel sideways at rows ``y``; NaN where there is no range."""
        across: FloatArray = self._across_m[self._row(y)]
        return across

    def _row(self, y: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.clip(y, 0, len(self._x) - 1).astype(np.int64)
