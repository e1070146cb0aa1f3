"""One picture, alone: how far every place stands out of what is usual around it.

Three scenes have three ideas of *usual*. On water it is the row's, in blocks that no
boat can fill. In the sky and on land it is the neighbourhood's: root mean square of the
filter's own answers in a window, times how much the place exceeds its least different
neighbour, because an edge has one side like itself and an object has none.

Scores are signal over noise at the best scale, signed: positive where brighter.

Source: docs/design/detection.md, "One picture"; minimum local contrast after Chen et
al., "A Local Contrast Method for Small Infrared Target Detection", IEEE TGRS 52 (2014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.front import BANK, FrontEnd
from almenara.detection.kernels import BLOCKS, F32, FEW, U8
from almenara.detection.noise import RowBlockNoise

CAP = 60.0
SKY_SCALES = (0.8, 1.2, 1.8, 2.8)
LAND_SCALES = (1.2, 1.8, 2.8, 4.2, 7.0)
WINDOW_PX = 41

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """What one picture answers."""

    scores: F32
    """Shape (rows, columns), signed, zero where nothing is watched."""

    scales: U8
    """Same shape: number of the scale that answered strongest."""

    sizes_px: tuple[float, ...]
    """Standard deviation of the core of each scale, in rows."""

    level: F32
    """Same shape: the picture above its level, grey levels of an eight-bit scale."""


def eight_bit(picture: Picture) -> F32:
    """Grey levels on the scale of an eight-bit picture; a deep one is stretched.

    A deep picture uses a small part of its range: what lies between its 0.1 % and 99.9
    % quantiles becomes 255 levels, fractions kept, nothing cut off.
    """
    if picture.dtype == np.uint8:
        return picture.astype(np.float32)
    low, high = np.quantile(picture[::2, ::2], (0.001, 0.999))
    scale = 255.0 / max(float(high - low), 64.0)
    answer: F32 = ((picture.astype(np.float32) - float(low)) * scale).astype(np.float32)
    return answer


class Surroundings:
    """For sky and land: what stands out of its own neighbourhood."""

    def __init__(self, *, scales: Sequence[float], dark: float = 1.0) -> None:
        """Look at these sizes.

        Args:
            scales: Standard deviations of the cores, pixels.
            dark: Weight of what is darker than its surroundings, in [0, 1].
        """
        self._scales = tuple(scales)
        self._dark = np.float32(dark)

    def respond(self, picture: Picture) -> Response:
        """Score one picture of at least 16 by 16 pixels."""
        grey = eight_bit(picture)
        best = np.zeros(grey.shape, np.float32)
        scales = np.zeros(grey.shape, np.uint8)
        for i, scale in enumerate(self._scales):
            score = self._one(grey, scale)
            better = np.abs(score) > np.abs(best)
            np.copyto(best, score, where=better)
            scales[better] = i
        best[best < 0] *= self._dark
        np.clip(best, -CAP, CAP, out=best)
        return Response(
            scores=best,
            scales=scales,
            sizes_px=self._scales,
            level=grey - cv2.blur(grey, (WINDOW_PX, WINDOW_PX)),
        )

    def _one(self, grey: F32, scale: float) -> F32:
        core, surround = _gauss(grey, scale), _gauss(grey, 2.5 * scale)
        answer = core - surround
        size = max(WINDOW_PX, round(12 * scale) | 1)
        power = cv2.blur(answer * answer, (size, size))
        noise = np.sqrt(np.maximum(power, 0.0)) + np.float32(0.15 + 0.3 / scale)
        reach = round(2.5 * scale) + 1
        ring = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
        ring[::reach, ::reach] = 1
        ring[reach, reach] = 0
        above = np.maximum(core - cv2.dilate(core, ring), 0.0)
        below = np.maximum(cv2.erode(core, ring) - core, 0.0)
        # At most the answer itself: a lone place is as good as its signal, an edge
        # is worth nothing.
        least = np.minimum(np.abs(answer), np.where(answer > 0, above, below))
        share = least / (np.abs(answer) + np.float32(1e-3))
        scored: F32 = (answer / noise * share).astype(np.float32)
        return scored


def _gauss(picture: F32, sigma: float) -> F32:
    size = 2 * int(np.ceil(2.5 * sigma)) + 1
    blurred = cv2.GaussianBlur(
        picture, (size, size), sigma, borderType=cv2.BORDER_REFLECT
    )
    return blurred.astype(np.float32, copy=False)


class Water:
    """For the sea: what stands out of its row, in blocks that no boat can fill."""

    def __init__(self, watched: npt.NDArray[np.bool_]) -> None:
        """Expect pictures of ``watched``'s shape; True where to look."""
        self._shape = watched.shape
        rows = np.flatnonzero(watched.any(axis=1))
        self._top = int(rows[0]) if len(rows) else 0
        last = int(rows[-1]) + 1 if len(rows) else 0
        high, wide = (last - self._top) // 4 * 4, watched.shape[1] // 4 * 4
        self._part = np.s_[self._top : self._top + high, :wide]
        self._mask = np.ascontiguousarray(watched[self._part], np.uint8)
        self._usable = high >= 16 and wide >= 64

    def respond(self, picture: Picture) -> Response:
        """Score one picture; level and noise are its own, nothing is remembered."""
        scores = np.zeros(self._shape, np.float32)
        scales = np.zeros(self._shape, np.uint8)
        level = np.zeros(self._shape, np.float32)
        sizes = tuple(scale.scale_px for scale in BANK)
        if self._usable:
            grey = np.clip(np.round(eight_bit(picture)), 0, 255)
            band = np.ascontiguousarray(grey[self._part], np.uint8)
            front = FrontEnd(self._mask, (len(band),) * len(BANK))
            self._fill(front, band, scores[self._part], scales[self._part])
            level[self._part] = front.picture
        return Response(scores=scores, scales=scales, sizes_px=sizes, level=level)

    def _fill(self, front: FrontEnd, band: U8, scores: F32, scales: U8) -> None:
        rows, columns = band.shape
        small = cv2.resize(
            band, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA
        ).astype(np.uint8, copy=False)
        front.refresh_level(band, 1.0)
        for i, answer in enumerate(front.respond(band, small)):
            scale = BANK[i]
            if columns < FEW * BLOCKS * scale.level:
                continue  # too few samples in a block of the shrunk row
            noise = RowBlockNoise(
                front.watched[scale.level], scale_px=scale.scale_px, level=scale.level
            )
            noise.refresh(answer, 0.0)
            score = answer * _along_rows(noise.gain, answer.shape)
            if scale.level > 1:
                score = cv2.resize(score, (columns, rows)).astype(np.float32)
            better = (np.abs(score) > np.abs(scores)) & (self._mask > 0)
            np.copyto(scores, score, where=better)
            scales[better] = i
        np.clip(scores, -CAP, CAP, out=scores)


def _along_rows(table: F32, shape: tuple[int, ...]) -> F32:
    """A table of rows and blocks as a picture, straight lines between blocks."""
    rows, columns = shape
    middles = (np.arange(BLOCKS) + 0.5) * columns / BLOCKS
    at = np.clip(np.searchsorted(middles, np.arange(columns)) - 1, 0, BLOCKS - 2)
    share = np.clip((np.arange(columns) - middles[at]) / (columns / BLOCKS), 0, 1)
    left, right = table[:rows, at], table[:rows, at + 1]
    answer: F32 = (left + (right - left) * share.astype(np.float32)).astype(np.float32)
    return answer
