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
        self._window = np.zeros((0, 0), np.float32)
        self._last = (0.0, 0.0)

    def shift(self, grey: F32) -> Shift:
        """Of the next picture, shape (rows, columns), grey levels."""
        patch = _patch(grey)
        if self._reference is None or self._reference.shape != patch.shape:
            return self._begin(patch, registered=False)
        (x, y), response = cv2.phaseCorrelate(self._reference, patch, self._window)
        if response < LEAST_RESPONSE:
            return self._begin(patch, registered=False)
        answer = Shift(dx=x - self._last[0], dy=y - self._last[1], registered=True)
        self._last = (x, y)
        if max(abs(x) / patch.shape[1], abs(y) / patch.shape[0]) > FARTHEST:
            self._begin(patch, registered=True)
        return answer

    def _begin(self, patch: F32, *, registered: bool) -> Shift:
        if self._window.shape != patch.shape:
            self._window = cv2.createHanningWindow(patch.shape[::-1], cv2.CV_32F)
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
