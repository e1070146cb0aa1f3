"""A small sea made of noise: correlated in place and time, heavy-tailed, seeded."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from almenara.core.ids import CameraId
from almenara.core.media import Frame

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Boat = tuple[float, float, int, int, float]
"""Middle column, waterline row, width, height in pixels, contrast in grey levels."""


def frame_of(luma: npt.NDArray[np.uint8], at_s: float = 0.0) -> Frame:
    """A frame as a decoder gives it: read-only."""
    luma.flags.writeable = False
    return Frame(
        camera_id=CameraId("pier"),
        captured_at=NOON + timedelta(seconds=at_s),
        luma=luma,
    )


class NoisySea:
    """Frames of a sea below ``horizon``; crests live ``lifetime_s`` on average."""

    def __init__(
        self,
        width_px: int = 640,
        height_px: int = 160,
        *,
        seed: int = 0,
        horizon: int = 0,
        lifetime_s: float = 0.6,
        tail: float = 0.45,
    ) -> None:
        self._noise = np.random.default_rng(seed)
        self._shape = (height_px, width_px)
        self._horizon, self._lifetime_s, self._tail = horizon, lifetime_s, tail
        self._field = self._fresh()
        self._at_s: float | None = None

    def frame(self, at_s: float, boats: Iterable[Boat] = ()) -> Frame:
        """The picture at ``at_s``, not before the last one."""
        if self._at_s is not None:
            kept = np.exp(-(at_s - self._at_s) / self._lifetime_s)
            fresh = self._fresh()
            self._field = kept * self._field + np.sqrt(1 - kept**2) * fresh
        self._at_s = at_s
        waves = self._field
        if self._tail:
            steep = np.expm1(self._tail * np.abs(waves)) / self._tail
            waves = (np.sign(waves) * steep).astype(np.float32)
        rows = np.arange(self._shape[0])[:, None]
        below = rows - self._horizon
        sea = 105.0 + 0.1 * below + (0.8 + 2.0 * below / self._shape[0]) * waves
        picture = np.where(below < 0, 170.0, sea)
        picture = picture + self._noise.normal(0.0, 0.8, self._shape)
        for x, y, width, height, contrast in boats:
            left, top = round(x - width / 2), round(y - height)
            picture[max(top, 0) : top + height, max(left, 0) : left + width] += contrast
        return frame_of(np.clip(picture, 0, 255).astype(np.uint8), at_s)

    def _fresh(self) -> npt.NDArray[np.float32]:
        white = self._noise.standard_normal(self._shape).astype(np.float32)
        ripples = cv2.GaussianBlur(white, (0, 0), 1.6, sigmaY=0.8)
        swell = cv2.GaussianBlur(white, (0, 0), 8.0, sigmaY=2.5)
        field = (0.7 * ripples / ripples.std()).astype(np.float32)
        field += (0.7 * swell / swell.std()).astype(np.float32)
        answer: npt.NDArray[np.float32] = field
        return answer
