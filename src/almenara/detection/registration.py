"""Where this picture lies against the last ones: a shift, by phase correlation.

Only what stands still can tell: the correlation of water with itself is low, and then
the last shift is held and the picture marked as not registered. The model is shifted,
never the picture.

Source: docs/design/detection.md, "Where the picture is"; Kuglin & Hines, "The Phase
Correlation Image Alignment Method" (1975).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from almenara.detection.kernels import F32

LEAST_RESPONSE = 0.1
PATCH = (512, 512)
"""Rows and columns looked at, from the middle."""

FARTHEST = 0.2
"""Share of the patch beyond which a new reference is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far the scene moved in the picture since the last one, pixels."""

    dx: float
    dy: float
    registered: bool
    """False where the picture cannot tell; the shift is then zero."""


class Registrar:
    """Registers the pictures of one camera, oldest first."""

    def __init__(self) -> None:
        self._reference: F32 | None = None
        self._window: F32 = np.zeros((0, 0), np.float32)
        self._last = self._speed = (0.0, 0.0)

    def shift(self, grey: F32) -> Shift:
        """Of the next picture, shape (rows, columns), grey levels."""
        patch = _patch(grey)
        if self._reference is None or self._reference.shape != patch.shape:
            return self._begin(patch, registered=False)
        (x, y), response = cv2.phaseCorrelate(self._reference, patch, self._window)
        if response < LEAST_RESPONSE:
            return self._begin(patch, registered=False)
        guess = (self._last[0] + self._speed[0], self._last[1] + self._speed[1])
        # Repeated texture has false peaks: going on as before must explain less.
        if _unlike(self._reference, patch, *guess) < _unlike(
            self._reference, patch, x, y
        ):
            x, y = guess
        x, y = _refined(self._reference, patch, x, y)
        self._speed = (x - self._last[0], y - self._last[1])
        answer = Shift(dx=x - self._last[0], dy=y - self._last[1], registered=True)
        self._last = (x, y)
        if max(abs(x) / patch.shape[1], abs(y) / patch.shape[0]) > FARTHEST:
            self._begin(patch, registered=True)
        return answer

    def _begin(self, patch: F32, *, registered: bool) -> Shift:
        if self._window.shape != patch.shape:
            window = cv2.createHanningWindow(patch.shape[::-1], cv2.CV_32F)
            self._window = window.astype(np.float32, copy=False)
        self._reference, self._last = patch, (0.0, 0.0)
        return Shift(dx=0.0, dy=0.0, registered=registered)


def _patch(grey: F32) -> F32:
    """The middle, without its slow parts: haze and vignetting do not move."""
    rows, columns = min(grey.shape[0], PATCH[0]), min(grey.shape[1], PATCH[1])
    top, left = (grey.shape[0] - rows) // 2, (grey.shape[1] - columns) // 2
    middle = np.ascontiguousarray(grey[top : top + rows, left : left + columns])
    slow = cv2.GaussianBlur(middle, (0, 0), 8.0)
    answer: F32 = (middle - slow).astype(np.float32)
    return answer


def _unlike(reference: F32, patch: F32, x: float, y: float) -> float:
    """Median difference that a shift leaves, grey levels; infinite if too far."""
    rows, columns = patch.shape
    dx, dy = round(x), round(y)
    if abs(dx) > columns // 3 or abs(dy) > rows // 3:
        return float("inf")
    moved = reference[
        max(-dy, 0) : rows - max(dy, 0), max(-dx, 0) : columns - max(dx, 0)
    ]
    still = patch[max(dy, 0) : rows + min(dy, 0), max(dx, 0) : columns + min(dx, 0)]
    return float(np.median(np.abs(moved[::2, ::2] - still[::2, ::2])))


def _refined(reference: F32, patch: F32, x: float, y: float) -> tuple[float, float]:
    """A shift known to half a pixel, made exact by the slopes of the picture.

    Least squares on the differences that are left, the largest tenth left out: things
    that move by themselves.
    """
    rows, columns = patch.shape
    slope_x = cv2.Sobel(patch, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(patch, cv2.CV_32F, 0, 1, scale=0.125)
    inside = np.s_[rows // 8 : -(rows // 8), columns // 8 : -(columns // 8)]
    gx, gy = slope_x[inside].ravel(), slope_y[inside].ravel()
    for _ in range(3):
        move = np.array([[1, 0, x], [0, 1, y]], np.float32)
        moved = cv2.warpAffine(reference, move, (columns, rows))
        left = (moved - patch)[inside].ravel()
        size = np.abs(left)
        few = size <= np.quantile(size[::7], 0.9)
        a, b = gx[few], gy[few]
        xx, xy, yy = float(a @ a), float(a @ b), float(b @ b)
        whole = xx * yy - xy * xy
        if whole <= 1e-6 * max(xx, yy) ** 2:
            break
        px, py = float(a @ left[few]), float(b @ left[few])
        dx, dy = (yy * px - xy * py) / whole, (xx * py - xy * px) / whole
        if max(abs(dx), abs(dy)) > 1.5:
            break
        x, y = x + dx, y + dy
        if max(abs(dx), abs(dy)) < 0.02:
            break
    return x, y
