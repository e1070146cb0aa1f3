"""Level and noise of the sea, by row and column block: what no boat can fill.

A window that holds a boat divides the boat by itself, and large boats vanish first. The
median of a row in an eighth of the picture does not move until a boat fills half of it,
and what fills two eighths is outvoted by their neighbours.
Nothing here is kept per pixel, so nothing that stands still is ever learnt away.

Source: docs/design/first-light.md, "The path", step 6; median absolute deviation after
Huber, Robust Statistics (1981).
"""

import math

import cv2
import numpy as np

from almenara.detection.kernels import (
    BLOCKS,
    F32,
    U8,
    row_block_medians,
    row_block_spread,
)

MEMORY_S = 30.0
"""Noise is remembered this long: several swells, less than a squall."""

HURRY_S = 3.0
"""Memory after a jump of the whole picture's contrast (gain control, a squall)."""

JUMP = 1.5
"""Change of the whole picture's noise that counts as one."""

LEVEL_MEMORY_S = 5.0
GAUSS_98 = 2.33
"""98 % quantile of the absolute value of a unit normal deviate."""


def weight_of(elapsed_s: float, memory_s: float, looks: int) -> float:
    """Share of the newest of ``looks`` looks in a memory of ``memory_s``.

    The first looks are averaged evenly, so that learning does not begin with a guess.
    """
    return max(1.0 - math.exp(-elapsed_s / memory_s), 1.0 / (looks + 1))


def without_holes(table: F32) -> F32:
    """Fill cells that have no statistics from the same row, then from the rows above.

    Args:
        table: Shape (rows, BLOCKS); NaN where too few pixels were watched.

    Returns:
        The same without NaN; zeros if there is nothing to fill from.
    """
    holes = np.isnan(table)
    if not holes.any():
        return table
    known = ~holes
    counts = known.sum(axis=1)
    sums = np.where(known, table, 0.0).sum(axis=1)
    rows = sums / np.maximum(counts, 1)
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        return np.zeros_like(table)
    nearest = filled[
        np.clip(np.searchsorted(filled, np.arange(len(table))), 0, len(filled) - 1)
    ]
    return np.where(holes, rows[nearest][:, None], table).astype(np.float32)


def without_ships(table: F32) -> F32:
    """The sea's level where a ship fills more than half of a block, or of two.

    A median over three rows and five blocks: what three of five neighbours have is the
    sea. Without it the level of a ship's blocks is the ship's own, and the free water
    at its ends stands out as if something dark or bright lay there.

    Args:
        table: Shape (rows, BLOCKS), without NaN.

    Returns:
        The same shape.
    """
    calm = cv2.medianBlur(table, 3)
    padded = np.pad(calm, ((0, 0), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1)
    middle: F32 = np.median(windows, axis=2).astype(np.float32)
    return middle


class RowBlockLevel:
    """Grey level of each row and block; :attr:`table` has shape (rows, BLOCKS)."""

    def __init__(self, watched: U8, *, step: int = 2) -> None:
        self._watched = watched
        self._step = step
        self._looks = 0
        self._fresh = np.zeros((len(watched), BLOCKS), np.float32)
        self.table = np.zeros_like(self._fresh)

    def refresh(self, picture: U8, elapsed_s: float) -> None:
        """Learn from one more picture, ``elapsed_s`` after the last."""
        row_block_medians(picture, self._watched, self._step, self._fresh)
        fresh = without_ships(without_holes(self._fresh))
        share = weight_of(elapsed_s, LEVEL_MEMORY_S, self._looks)
        # A change of exposure is believed at once: the memory is of another picture.
        if float(np.median(np.abs(fresh - self.table))) > 6.0:
            share = 1.0
        self.table += np.float32(share) * (fresh - self.table)
        self._looks += 1


class RowBlockNoise:
    """Noise of one filter's response by row and block, from its median and its tail."""

    def __init__(self, watched: U8, *, scale_px: float, level: int) -> None:
        """Expect responses of ``watched``'s shape.

        Args:
            watched: Shape (rows, columns) at the response's resolution, zero where the
                picture does not count.
            scale_px: Vertical scale of the filter in full pixels; larger ones average
                more of the sensor's noise, so their floor is lower.
            level: By how much the response is shrunk: 1, 2 or 4.
        """
        self._watched = watched
        self._floor = 0.15 + 0.3 / scale_px
        self._smooth = (3, max(31 // level | 1, 3))
        self._step = 2 if level == 1 else 1
        self._fresh = np.zeros((2, len(watched), BLOCKS), np.float32)
        self._looks = 0
        self.refreshed_s = -math.inf
        self.noise = np.full((len(watched), BLOCKS), self._floor, np.float32)
        """Grey levels, shape (rows, BLOCKS)."""

        self.gain = 1.0 / self.noise
        self.median_now = 0.0
        """Of the last look over the whole picture, grey levels."""

    def refresh(self, response: F32, at_s: float, *, spared: U8 | None = None) -> None:
        """Learn from one more response.

        Args:
            response: Shape (rows, columns), or fewer rows: the rest is not wanted.
            at_s: Seconds of any clock.
            spared: Coarse map over all columns and rows, non-zero where something has
                stood for seconds: a fleet is no noise.
        """
        watched = self._watched
        if spared is not None:
            size = (watched.shape[1], watched.shape[0])
            stands = cv2.resize(spared, size, interpolation=cv2.INTER_NEAREST)
            watched = np.where(stands > 0, 0, watched).astype(np.uint8)
        row_block_spread(response, watched, self._step, 1.0 / 16.0, self._fresh)
        middle, edge = (without_holes(table) for table in self._fresh)
        mad = 1.4826 * middle
        tail = np.minimum(edge / GAUSS_98, 4.0 * mad)
        fresh = cv2.blur(
            np.maximum(mad, tail), self._smooth, borderType=cv2.BORDER_REPLICATE
        )
        fresh += np.float32(self._floor)
        self.median_now = float(np.median(fresh))
        change = float(np.median(fresh / self.noise))
        jumped = not 1.0 / JUMP < change < JUMP
        elapsed_s = min(at_s - self.refreshed_s, 1e6)
        share = weight_of(elapsed_s, HURRY_S if jumped else MEMORY_S, self._looks)
        self.noise += np.float32(share) * (fresh - self.noise)
        np.divide(1.0, self.noise, out=self.gain)
        self.refreshed_s = at_s
        self._looks += 1
