"""Filters that answer to a hull's size: bipolar differences of Gaussians on a pyramid.

Hulls lie along the rows, so every filter is 1.6 times as wide as high. Small scales
work on the full picture, because shrinking it first loses a boat of 12 x 4 pixels;
large ones work on halves and quarters, where they cost a sixteenth. The largest take
the row's level itself as background: any surround would reach into a ferry.

Source: docs/design/first-light.md, "The path", step 6; difference of Gaussians after
Marr & Hildreth, Theory of Edge Detection, Proc. R. Soc. B 207 (1980).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from almenara.detection.kernels import (
    BLOCKS,
    F32,
    U8,
    row_block_medians,
    subtract_level,
)
from almenara.detection.noise import RowBlockLevel, without_holes, without_ships


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One filter of the bank."""

    scale_px: float
    """Standard deviation of its core across the rows, in full pixels."""

    level: int
    """By how much the picture it works on is shrunk: 1, 2 or 4."""

    surround_level: int | None
    """The same for its surround; None where the row's level is the background."""

    @property
    def core_px(self) -> tuple[float, float]:
        """Standard deviations along and across the rows, at its own level."""
        wide = 1.0 if self.scale_px < 2.0 else 1.6
        return wide * self.scale_px / self.level, self.scale_px / self.level

    def surround_px(self, level: int) -> tuple[float, float]:
        """The surround's standard deviations along and across rows, at ``level``."""
        wide = 3.5 if self.scale_px < 2.0 else 5.6
        return wide * self.scale_px / level, 3.0 * self.scale_px / level


BANK = (
    Scale(scale_px=1.2, level=1, surround_level=2),
    Scale(scale_px=2.2, level=2, surround_level=4),
    Scale(scale_px=4.0, level=2, surround_level=4),
    Scale(scale_px=7.0, level=4, surround_level=None),
    Scale(scale_px=11.0, level=4, surround_level=None),
)
"""Cores of 1 to 30 pixels' height without a gap."""


def _blur(picture: F32, sigmas: tuple[float, float], out: F32 | None = None) -> F32:
    """Gaussian blur cut off at 2.5 standard deviations (1 % of its weight)."""
    size = (2 * math.ceil(2.5 * sigmas[0]) + 1, 2 * math.ceil(2.5 * sigmas[1]) + 1)
    blurred = cv2.GaussianBlur(
        picture,
        size,
        sigmas[0],
        dst=out,
        sigmaY=sigmas[1],
        borderType=cv2.BORDER_REFLECT,
    )
    return blurred.astype(np.float32, copy=False)


class FrontEnd:
    """Turns the watched rows of one camera into one response per scale.

    Its arrays are made once; a response is valid until the next call.
    """

    def __init__(self, watched: U8, stops: tuple[int, ...]) -> None:
        """Expect bands of ``watched``'s shape.

        Args:
            watched: Shape (rows, columns), both multiples of 4; zero where the picture
                does not count.
            stops: For each scale of ``BANK`` how many full rows from the top it is
                wanted for; below, hulls are too large for it.
        """
        rows, columns = watched.shape
        self._stops = stops
        self._sizes = {n: (rows // n, columns // n) for n in (1, 2, 4)}
        self.watched = {n: np.ascontiguousarray(watched[::n, ::n]) for n in (1, 2, 4)}
        self._level = RowBlockLevel(self.watched[1])
        self._coarse_level = np.zeros((rows // 4, BLOCKS), np.float32)
        self._coarse = np.zeros(self._sizes[4], np.float32)
        self._pyramid = {n: np.zeros(s, np.float32) for n, s in self._sizes.items()}
        self._responses = [np.zeros(self._sizes[s.level], np.float32) for s in BANK]
        self._surround = {n: np.zeros(self._sizes[n], np.float32) for n in (1, 2)}

    @property
    def picture(self) -> F32:
        """The last band in full, above its level, grey levels."""
        return self._pyramid[1]

    def refresh_level(self, band: U8, elapsed_s: float) -> None:
        """Learn the rows' level from ``band``, ``elapsed_s`` after the last time."""
        self._level.refresh(band, elapsed_s)

    def respond(self, band: U8, small: U8) -> list[F32]:
        """Filter one band.

        Args:
            band: The watched rows.
            small: The same at a quarter of the size.

        Returns:
            One response per scale of ``BANK``, grey levels, positive where brighter
            than the surroundings; rows beyond the scale's stop are left out.
        """
        subtract_level(band, self._level.table, self._pyramid[1])
        for fine, coarse in ((1, 2), (2, 4)):
            size = self._sizes[coarse][::-1]
            cv2.resize(
                self._pyramid[fine], size, dst=self._pyramid[coarse],
                interpolation=cv2.INTER_AREA,
            )  # fmt: skip
        row_block_medians(small, self.watched[4], 1, self._coarse_level)
        level = without_ships(without_holes(self._coarse_level))
        subtract_level(small, level, self._coarse)
        return [
            self._one(scale, stop, response)
            for scale, stop, response in zip(
                BANK, self._stops, self._responses, strict=True
            )
        ]

    def _one(self, scale: Scale, stop: int, response: F32) -> F32:
        rows = stop // scale.level
        out = response[:rows]
        if rows < 3:
            return out
        if scale.surround_level is None:
            return _blur(self._coarse[:rows], scale.core_px, out)
        _blur(self._pyramid[scale.level][:rows], scale.core_px, out)
        part = self._pyramid[scale.surround_level][: stop // scale.surround_level]
        surround = _blur(part, scale.surround_px(scale.surround_level))
        upsampled = self._surround[scale.level][:rows]
        cv2.resize(surround, upsampled.shape[::-1], dst=upsampled)
        np.subtract(out, upsampled, out=out)
        return out
