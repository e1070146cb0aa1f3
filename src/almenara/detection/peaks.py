"""From responses to a handful of peaks: strongest of all scales, above this sea's tail.

Source: docs/design/first-light.md, "The path", step 6.
"""

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.front import BANK
from almenara.detection.kernels import F32, I32, U8, local_maxima, strongest_apart
from almenara.detection.noise import weight_of
from almenara.detection.tail import PeakTail

MOST_PER_SCALE = 6000
CAP = 30.0
"""Scores saturate here: a lighthouse must not outshine what matters."""

BANDS = (0.125, 0.25, 0.5, 1.0)
"""Where bands of rows end, from the horizon down: range grows towards it fast."""

CELL_Y, CELL_X = 8, 16
STANDING_S = 5.0
STANDING = 0.4
"""Share of the last seconds that a place must have held a peak to count as standing."""

BLOCK = np.ones((3, 3), np.uint8)
CROWDED = 0.25
"""Share of cells standing beyond which it is surf, not boats, and counts as clutter."""

Peaks = tuple[I32, I32, F32, I32]
"""Rows and columns in the band, signed scores, numbers of scales; strongest first."""


class PeakFinder:
    """Finds one camera's candidates and keeps their number near what is wanted."""

    def __init__(self, watched: dict[int, U8], *, wanted: float) -> None:
        """Expect responses of the shapes in ``watched``, which maps levels to masks."""
        self._watched = watched
        self._rows, columns = watched[1].shape
        self._taken = np.zeros((self._rows // 4 + 1, columns // 4 + 1), np.uint8)
        self._buffers = (
            np.zeros(MOST_PER_SCALE, np.int32),
            np.zeros(MOST_PER_SCALE, np.int32),
            np.zeros(MOST_PER_SCALE, np.float32),
        )
        self._ends = np.array([round(end * self._rows) for end in BANDS])
        parts = np.split(watched[1].sum(axis=1), self._ends[:-1])
        areas = np.array([part.sum() for part in parts], np.float64)
        self._area_px = max(float(areas.sum()), 1.0)
        shares = np.sqrt(areas) / max(np.sqrt(areas).sum(), 1.0)
        self._tails = [PeakTail(wanted=max(wanted * s, 1e-3)) for s in shares]
        cells = (-(-self._rows // CELL_Y), -(-columns // CELL_X))
        self._standing = np.zeros(cells, np.float32)
        self.standing: U8 | None = None
        """Cells of 8 x 16 pixels, non-zero where something has stood for seconds."""

        self._seen = wanted
        self._looks = 0

    @property
    def clutter_per_px(self) -> float:
        """False candidates per pixel² and look: the tail's word or what was seen."""
        expected = sum(tail.expected for tail in self._tails)
        return max(expected, self._seen) / self._area_px

    def find(
        self,
        responses: list[F32],
        gains: list[F32],
        elapsed_s: float,
        *,
        learning: bool,
    ) -> Peaks:
        """Peaks of one look above the threshold of their band.

        Args:
            responses: One per scale of ``BANK``.
            gains: One over the noise of each, shape (rows, BLOCKS).
            elapsed_s: Seconds since the last look.
            learning: Fit every band's tail now, not one in turn.
        """
        ys, xs, scores, scales = self._strongest(responses, gains)
        bands = np.searchsorted(self._ends, ys, side="right")
        stands = self._is_standing(ys, xs)
        sizes = np.abs(scores)
        for i, tail in enumerate(self._tails):
            tail.collect(sizes[(bands == i) & ~stands])
            if learning or self._looks % len(self._tails) == i:
                tail.fit()
        self._looks += 1
        above = sizes > np.array([tail.threshold for tail in self._tails])[bands]
        self._remember(ys[above], xs[above], int((above & ~stands).sum()), elapsed_s)
        return ys[above], xs[above], scores[above], scales[above]

    def _strongest(self, responses: list[F32], gains: list[F32]) -> Peaks:
        """Local maxima of all scales, the weaker of two near each other left out."""
        found = [self._of_scale(i, r, gains[i]) for i, r in enumerate(responses)]
        ys, xs, scores, scales = (
            np.concatenate([f[k] for f in found]) for k in range(4)
        )
        np.clip(scores, -CAP, CAP, out=scores)
        order = np.argsort(-np.abs(scores), kind="stable")
        ys, xs, scores, scales = ys[order], xs[order], scores[order], scales[order]
        sizes = np.array([s.scale_px for s in BANK])[scales]
        kept = np.zeros(len(ys), np.uint8)
        reach_y = np.maximum(4, 2.0 * sizes).astype(np.int32)
        reach_x = np.maximum(7, 4.0 * sizes).astype(np.int32)
        strongest_apart(ys, xs, reach_y, reach_x, self._taken, kept)
        keep = kept.astype(bool)
        return ys[keep], xs[keep], scores[keep], scales[keep]

    def _of_scale(self, number: int, response: F32, gain: F32) -> Peaks:
        level = BANK[number].level
        ys, xs, scores = self._buffers
        n = 0
        if len(response) >= 3:
            floor = self._floors()[::level][: len(response)]
            watched = self._watched[level]
            n = local_maxima(response, gain, floor.copy(), watched, ys, xs, scores)
        middle = level // 2
        return (
            ys[:n] * level + middle,
            xs[:n] * level + middle,
            scores[:n].copy(),
            np.full(n, number, np.int32),
        )

    def _floors(self) -> F32:
        floors = np.array([tail.floor for tail in self._tails], np.float32)
        return floors[np.searchsorted(self._ends, np.arange(self._rows), side="right")]

    def _is_standing(self, ys: I32, xs: I32) -> npt.NDArray[np.bool_]:
        """Which places have held something for seconds: boats, buoys, rocks."""
        if self.standing is None:
            return np.zeros(len(ys), bool)
        return self.standing[ys // CELL_Y, xs // CELL_X] > 0

    def _remember(self, ys: I32, xs: I32, clutter: int, elapsed_s: float) -> None:
        share = np.float32(weight_of(elapsed_s, STANDING_S, self._looks + 4))
        now = np.zeros_like(self._standing)
        now[ys // CELL_Y, xs // CELL_X] = 1.0
        self._standing += share * (cv2.dilate(now, BLOCK) - self._standing)
        stands = (self._standing > STANDING).astype(np.uint8)
        calm = stands.any() and stands.mean() < CROWDED
        self.standing = cv2.dilate(stands, BLOCK).astype(np.uint8) if calm else None
        self._seen += float(share) * (clutter - self._seen)
