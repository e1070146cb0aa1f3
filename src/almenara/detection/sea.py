"""Small craft on moving water, by day and thermal, one picture at a time.

The watched rows are levelled, filtered at the sizes hulls can have, divided by a noise
no boat can fill, and cut where this sea's own tail leaves a few candidates per look.
What is a boat and what is a wave is decided over time, in ``tracking.local``: here
nothing is asked of motion and nothing that stands still is learnt away.

Source: docs/design/first-light.md, "The path", step 6.
"""

from datetime import datetime

import cv2
import numpy as np
import numpy.typing as npt

from almenara.core.media import Frame
from almenara.detection import Condition, Detections
from almenara.detection.condition import Watchfulness
from almenara.detection.contacts import contacts
from almenara.detection.front import BANK, FrontEnd
from almenara.detection.kernels import F32, I32
from almenara.detection.noise import RowBlockNoise
from almenara.detection.peaks import PeakFinder
from almenara.geo.range_map import RangeMap

LEARNING_S = 1.5
REFRESH_S = 1.0
MOST = 50
"""Candidates reported per look, strongest first."""

MARGIN_PX = 12
"""Rows watched above the horizon: hulls stand over it, poses are uncertain."""

SMALL_HULL_M = 1.0
"""Lowest hull worth a filter: an inflatable with people in it."""


class SeaDetector:
    """Fulfils :class:`almenara.detection.Detector` for one camera over water."""

    def __init__(
        self,
        *,
        width_px: int,
        height_px: int,
        range_map: RangeMap | None,
        zone: npt.NDArray[np.bool_] | None = None,
        candidates_per_frame: float = 10.0,
    ) -> None:
        """Watch pictures of one size.

        Args:
            width_px: Columns of the pictures.
            height_px: Rows of the pictures.
            range_map: Metres per pixel by row; None where the pose is unknown: then the
                whole picture is searched and nothing is classified.
            zone: Shape (height, width), true where to watch; None for everything.
            candidates_per_frame: Wanted false candidates per look, in all bands
            together.
        """
        self._shape = (height_px, width_px)
        self._map = range_map
        watched = np.ones(self._shape, bool) if zone is None else zone.copy()
        if range_map is not None:
            watched[: max(int(range_map.horizon_row_px) - MARGIN_PX, 0)] = False
        self._top, rows, columns = _band_of(watched)
        self._watched = rows >= 16 and columns >= 32
        if not self._watched:
            return
        part = watched[self._top : self._top + rows, :columns]
        self._band = np.zeros(part.shape, np.uint8)
        mask = np.ascontiguousarray(part, np.uint8)
        self._front = FrontEnd(mask, _stops(range_map, self._top, rows))
        self._noises = [
            RowBlockNoise(
                self._front.watched[s.level], scale_px=s.scale_px, level=s.level
            )
            for s in BANK
        ]
        self._peaks = PeakFinder(self._front.watched, wanted=candidates_per_frame)
        self._watchfulness = Watchfulness()
        self._began_at: datetime | None = None
        self._at_s = 0.0
        self._level_at_s = -1e6

    def detect(self, frame: Frame) -> Detections:
        if frame.luma.shape != self._shape:
            return Detections.none(Condition.BLIND)
        if not self._watched:
            return Detections.none()
        rows, columns = len(self._band), len(self._band[0])
        np.copyto(self._band, frame.luma[self._top : self._top + rows, :columns])
        small = cv2.resize(
            self._band, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA
        ).astype(np.uint8, copy=False)
        elapsed_s = self._advance(frame.captured_at)
        condition = self._watchfulness.judge(small, self._at_s)
        if condition is not Condition.GOOD:
            return Detections.none(condition)
        if self._at_s - self._level_at_s >= REFRESH_S or self._is_learning:
            self._front.refresh_level(self._band, self._at_s - self._level_at_s)
            self._level_at_s = self._at_s
        responses = self._front.respond(self._band, small)
        self._refresh_noise(responses)
        ys, xs, scores, scales = self._peaks.find(
            responses,
            [n.gain for n in self._noises],
            elapsed_s,
            learning=self._is_learning,
        )
        if self._is_learning:
            return Detections.none(Condition.LEARNING)
        return self._report(ys[:MOST], xs[:MOST], scores[:MOST], scales[:MOST])

    @property
    def _is_learning(self) -> bool:
        return self._at_s < LEARNING_S

    def _advance(self, at: datetime) -> float:
        """Move on to ``at``; answers how many seconds passed, never fewer than none."""
        if self._began_at is None:
            self._began_at = at
        elapsed_s = max((at - self._began_at).total_seconds() - self._at_s, 0.0)
        self._at_s += elapsed_s
        return elapsed_s

    def _refresh_noise(self, responses: list[F32]) -> None:
        """Learn the noise of the scale that waited longest; of all while learning.

        One scale per look spreads the cost evenly; with five looks a second each is
        learnt once a second.
        """
        due = sorted(range(len(BANK)), key=lambda i: self._noises[i].refreshed_s)
        if not self._is_learning:
            oldest_s = self._at_s - self._noises[due[0]].refreshed_s
            if oldest_s < REFRESH_S / len(BANK):
                due = []
            elif oldest_s < 2.0 * REFRESH_S:
                due = due[:1]
        for i in due:
            if len(responses[i]) >= 3:
                self._noises[i].refresh(
                    responses[i], self._at_s, spared=self._peaks.standing
                )

    def _report(self, ys: I32, xs: I32, scores: F32, scales: I32) -> Detections:
        noisy = self._watchfulness.is_degraded(self._noises[1].median_now, self._at_s)
        return contacts(
            self._front.picture,
            (ys, xs, scores, scales),
            top=self._top,
            range_map=self._map,
            condition=Condition.DEGRADED if noisy else Condition.GOOD,
            clutter_per_px=self._peaks.clutter_per_px,
        )


def _band_of(watched: npt.NDArray[np.bool_]) -> tuple[int, int, int]:
    """First row, number of rows and of columns to look at; both divide by four."""
    rows = np.flatnonzero(watched.any(axis=1))
    if len(rows) == 0:
        return 0, 0, 0
    top = int(rows[0])
    wanted = -(-(int(rows[-1]) + 1 - top) // 4) * 4
    most = watched.shape[0] // 4 * 4
    top = max(min(top, watched.shape[0] - wanted), 0)
    return top, min(wanted, most), watched.shape[1] // 4 * 4


def _stops(range_map: RangeMap | None, top: int, rows: int) -> tuple[int, ...]:
    """For each scale how many rows the smallest hull is not too large for."""
    if range_map is None:
        return (rows,) * len(BANK)
    across = range_map.across_m_per_px[top : top + rows]
    stops = []
    for scale in BANK:
        # A hull five scales high is found by the next scale with more signal.
        wanted = ~(5.0 * scale.scale_px * across < SMALL_HULL_M)
        stop = int(np.flatnonzero(wanted)[-1]) + 1 if wanted.any() else 0
        stops.append(min(-(-stop // 4) * 4, rows))
    return tuple(stops)
