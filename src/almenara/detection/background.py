"""Which pixels of a fixed camera's picture moved: a background learnt per pixel.

Mean and variance run per pixel and hardly learn from what differs. A pixel is explained
by any mean within a pixel of it (leaves sway), by a shadow (darker by one factor all
around, the texture beneath unchanged) or by the whole picture getting brighter. What is
left must hold a strong seed, and grows from it as far as a weak difference reaches.

Source: docs/design/detection.md, "Land"; running Gaussian average after Wren et al.,
Pfinder, IEEE PAMI 19 (1997); neighbour tolerance after Elgammal et al., "Non-parametric
Model for Background Subtraction", ECCV (2000); hysteresis after Canny, IEEE PAMI 8
(1986).
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.compiled import compiled
from almenara.detection.kernels import F32, U8

Places = npt.NDArray[np.bool_]

BACKGROUND_S = 4.0
FOREGROUND_S = 60.0
"""How long it takes a background, and something in front of it, to be learnt."""

LEARNING_LOOKS = 40
FLOODED = 0.4
"""Share of foreground beyond which the light changed, not the scene."""

SEED2, GROW2 = 25.0, 6.25
"""Squares of the differences, in standard deviations, that begin and continue."""

NOISE2 = 10.0
SHADOW = (0.45, 0.95)
"""By how much a shadow dims."""

SMALLEST_PX = 20
LEAST_GAIN = 0.004
GHOST = 1.5
"""By how much an outline must be steeper in the background than in the picture."""


@compiled
def difference(  # noqa: PLR0917  machine code takes arguments by place
    picture: F32, mean: F32, variance: F32, slow: float, fast: float, out: U8
) -> int:
    """Mark what the background does not explain, and learn the rest.

    Args:
        picture: Shape (rows, columns), lightly smoothed, grey levels.
        mean: Same shape, grey levels; updated.
        variance: Same shape, grey levels squared; updated.
        slow: Share of the new picture in the memory of a foreground pixel.
        fast: The same of a background pixel.
        out: Same shape; 2 where surely different, 1 where perhaps, else 0.

    Returns:
        How many pixels are different.
    """
    rows, columns = picture.shape
    found = 0
    for y in range(rows):
        for x in range(columns):
            d = picture[y, x] - mean[y, x]
            square = d * d
            noise = variance[y, x] + np.float32(NOISE2)
            mark = 0
            if square > np.float32(GROW2) * noise:
                mark = 2 if square > np.float32(SEED2) * noise else 1
                found += 1
            out[y, x] = mark
            share = np.float32(slow) if mark else np.float32(fast)
            mean[y, x] += share * d
            variance[y, x] += share * (min(square, np.float32(900.0)) - variance[y, x])
    return found


@compiled
def forgive_neighbours(picture: F32, mean: F32, variance: F32, marks: U8) -> None:
    """Lower the marks that the background of a neighbouring pixel explains.

    Args:
        picture: As for ``difference``.
        mean: Likewise.
        variance: Likewise.
        marks: Lowered to 0 where a neighbour's mean lies within two deviations, and at
            most 1 where within three.
    """
    rows, columns = picture.shape
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            if marks[y, x] == 0:
                continue
            g = picture[y, x]
            least = np.float32(1e9)
            for yy in range(y - 1, y + 2):
                for xx in range(x - 1, x + 2):
                    d = g - mean[yy, xx]
                    noise = variance[yy, xx] + np.float32(NOISE2)
                    least = min(least, d * d / noise)
            if least < np.float32(4.0):
                marks[y, x] = 0
            elif least < np.float32(9.0):
                marks[y, x] = 1


class Background:
    """The background of one fixed camera; pictures come oldest first."""

    def __init__(self, shape: tuple[int, ...], fps: float) -> None:
        """Expect ``fps`` pictures a second of this shape."""
        self._mean = np.zeros(shape, np.float32)
        self._variance = np.full(shape, 30.0, np.float32)
        self._marks = np.zeros(shape, np.uint8)
        self._fast = 1.0 - math.exp(-1.0 / (fps * BACKGROUND_S))
        self._slow = 1.0 - math.exp(-1.0 / (fps * FOREGROUND_S))
        self._looks = 0

    @property
    def mean(self) -> F32:
        """What is usually there, grey levels."""
        return self._mean

    @property
    def variance(self) -> F32:
        """How much it varies, grey levels squared."""
        return self._variance

    def moving(self, grey: F32) -> U8:
        """255 where something moves in the next picture, else 0; same shape."""
        smooth = cv2.GaussianBlur(grey, (5, 5), 0.8).astype(np.float32, copy=False)
        if self._looks == 0:
            np.copyto(self._mean, smooth)
        self._follow_gain(smooth)
        fast = max(self._fast, 1.0 / (self._looks + 2))
        slow = self._slow
        if self._looks < LEARNING_LOOKS:
            # What moves in the first picture must not stay there as a hole.
            slow = fast = max(fast, 0.05)
        found = difference(smooth, self._mean, self._variance, slow, fast, self._marks)
        self._looks += 1
        if found > FLOODED * self._marks.size:
            self._relight(smooth)
            return np.zeros(smooth.shape, np.uint8)
        if found == 0:
            return np.zeros(smooth.shape, np.uint8)
        forgive_neighbours(smooth, self._mean, self._variance, self._marks)
        self._forget_ghosts(smooth)
        return self._cleaned(smooth)

    def _forget_ghosts(self, smooth: F32) -> None:
        """Give up what only the background has an outline of: it has gone away.

        Where something stood while the background was learnt, the empty place differs
        from it as the thing itself would; but the outline is the background's.
        """
        mask = cv2.medianBlur((self._marks > 0).astype(np.uint8), 5)
        count, labels = cv2.connectedComponents(mask)
        if count < 2:
            return
        block = np.ones((3, 3), np.uint8)
        edge = (cv2.dilate(mask, block) != cv2.erode(mask, block)) & (mask > 0)
        places = labels[edge]
        n = np.maximum(np.bincount(places, minlength=count), 1)
        here = np.bincount(places, _slope(smooth)[edge], count) / n
        there = np.bincount(places, _slope(self._mean)[edge], count) / n
        ghost = there > GHOST * here + 1.0
        ghost[0] = False
        gone = ghost[labels]
        self._mean[gone] = smooth[gone]
        self._marks[gone] = 0

    def _follow_gain(self, smooth: F32) -> None:
        """Brighten the background as the camera brightens the whole picture."""
        ratio = (smooth[::8, ::8] + 8.0) / (self._mean[::8, ::8] + 8.0)
        gain = np.float32(np.median(ratio))
        if abs(gain - 1.0) > LEAST_GAIN:
            self._mean += 8.0
            self._mean *= gain
            self._mean -= 8.0

    def _relight(self, smooth: F32) -> None:
        """Take the new light: block by block, so that what moves does not stay."""
        rows, columns = smooth.shape
        small = (max(columns // 32, 1), max(rows // 32, 1))
        ratio = (smooth + 8.0) / (self._mean + 8.0)
        blocks = cv2.medianBlur(
            cv2.resize(ratio, small, interpolation=cv2.INTER_AREA), 3
        )
        gain = cv2.resize(blocks, (columns, rows))
        self._mean[:] = (self._mean + 8.0) * gain - 8.0
        self._variance += np.float32(20.0)

    def _cleaned(self, smooth: F32) -> U8:
        weak = np.where(self._is_shadow(smooth), 0, self._marks)
        mask = cv2.medianBlur((weak > 0).astype(np.uint8), 5)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        return _seeded(mask.astype(np.uint8, copy=False), weak == 2)

    def _is_shadow(self, smooth: F32) -> Places:
        """Dimmed by one factor all around: the surface beneath is the same.

        Where the surface has no texture the factor alone must do, and must be the
        milder, for a dark thing on a plain road looks the same but darker.
        """
        ratio = (smooth + 1.0) / (self._mean + 1.0)
        size = (7, 7)
        dimmed = (ratio > SHADOW[0]) & (ratio < SHADOW[1])
        # Only its inner part: a narrow shadow has blurred edges and lies beside its
        # thing.
        inner = cv2.erode(dimmed.astype(np.uint8), np.ones((3, 3), np.uint8))
        inside = inner.astype(np.float32)
        share = cv2.blur(inside, size) + np.float32(1e-6)
        middle = cv2.blur(inside * ratio, size) / share
        spread = cv2.blur(inside * ratio * ratio, size) / share - middle * middle
        mean = self._mean
        texture = cv2.blur(mean * mean, size) - cv2.blur(mean, size) ** 2
        plain = texture < np.float32(12.0)
        # Something else in front would divide by the texture, and show it inverted.
        inverted = texture / np.maximum(mean * mean, np.float32(64.0))
        even = spread < np.where(
            plain, np.float32(0.0006), np.float32(0.3) * inverted + np.float32(0.0003)
        )
        mild = ~plain | (ratio > 0.6)
        sure = ((inner > 0) & even & mild).astype(np.uint8)
        # Its own edge is blurred, so it is as wide as what is dimmed around it.
        answer: Places = dimmed & (cv2.dilate(sure, np.ones((5, 5), np.uint8)) > 0)
        return answer


def _slope(picture: F32) -> F32:
    """Steepness of every place, grey levels per pixel."""
    x = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=0.125)
    y = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=0.125)
    answer: F32 = (np.abs(x) + np.abs(y)).astype(np.float32)
    return answer


def _seeded(mask: U8, seeds: Places) -> U8:
    """Components that hold seeds, without holes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    strong = np.bincount(labels[seeds & (mask > 0)], minlength=count)
    area = stats[:, cv2.CC_STAT_AREA]
    kept = (area >= SMALLEST_PX) & (strong >= np.maximum(4, 0.1 * area))
    kept[0] = False
    chosen: U8 = (kept[labels] * np.uint8(255)).astype(np.uint8)
    outlines, _ = cv2.findContours(chosen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(chosen, outlines, -1, 255, cv2.FILLED)
    return chosen
