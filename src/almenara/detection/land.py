"""People, vehicles and other movement on land, against a background learnt per pixel.

Mean and variance run per pixel; a pixel that differs from them hardly teaches them, so
what stops stays foreground for minutes. Components of foreground are objects. What they
are is said only where their size in metres is known; below a few pixels it is movement.

Source: docs/design/first-light.md, "The path", step 6; running Gaussian average after
Wren et al., Pfinder, IEEE PAMI 19 (1997), with selective update.
"""

from datetime import datetime

import cv2
import numpy as np
import numpy.typing as npt

from almenara.core.media import Frame
from almenara.detection import Condition, Detections, ObjectClass
from almenara.detection.compiled import compiled
from almenara.detection.condition import Watchfulness
from almenara.detection.kernels import F32, I32, U8
from almenara.geo.range_map import RangeMap

LEARNING_S = 1.5
MOST = 50
FLOODED = 0.4
"""Share of foreground beyond which the light changed, not the scene."""

SMALLEST_PX = 12
"""Area of a component worth reporting."""

PERSON_M = (0.8, 2.6)
"""Heights, with room for the range's error."""

VEHICLE_M = (1.8, 14.0)
"""Lengths."""


@compiled
def foreground(  # noqa: PLR0917  machine code takes arguments by place
    picture: U8, mean: F32, variance: F32, slow: float, fast: float, out: U8
) -> int:
    """Mark what the background does not explain, and learn the rest.

    Args:
        picture: Shape (rows, columns), lightly smoothed.
        mean: Same shape, grey levels; updated.
        variance: Same shape, grey levels squared; updated.
        slow: Share of the new picture in the memory of a foreground pixel.
        fast: The same of a background pixel.
        out: Same shape; 255 for foreground, else 0.

    Returns:
        How many pixels are foreground.
    """
    rows, columns = picture.shape
    found = 0
    for y in range(rows):
        for x in range(columns):
            d = np.float32(picture[y, x]) - mean[y, x]
            square = d * d
            is_foreground = square > np.float32(9.0) * (
                variance[y, x] + np.float32(10.0)
            )
            share = np.float32(slow) if is_foreground else np.float32(fast)
            mean[y, x] += share * d
            variance[y, x] += share * (min(square, np.float32(900.0)) - variance[y, x])
            out[y, x] = 255 if is_foreground else 0
            found += is_foreground
    return found


class LandDetector:
    """Fulfils :class:`almenara.detection.Detector` for one fixed camera over land."""

    def __init__(
        self,
        *,
        width_px: int,
        height_px: int,
        range_map: RangeMap | None = None,
        zone: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Watch pictures of one size.

        Args:
            width_px: Columns of the pictures.
            height_px: Rows of the pictures.
            range_map: Metres per pixel by row, where the land is as flat as the sea;
                None where it is not: then nothing is classified.
            zone: Shape (height, width), true where to watch; None for everything.
        """
        self._shape = (height_px, width_px)
        self._map = range_map
        self._zone = None if zone is None else zone.astype(np.uint8) * 255
        self._mean = np.zeros(self._shape, np.float32)
        self._variance = np.full(self._shape, 30.0, np.float32)
        self._smooth = np.zeros(self._shape, np.uint8)
        self._mask = np.zeros(self._shape, np.uint8)
        self._area_px = (
            float(height_px * width_px if zone is None else zone.sum()) or 1.0
        )
        self._watchfulness = Watchfulness()
        self._began_at: datetime | None = None
        self._at_s = 0.0
        self._settled_s = LEARNING_S

    def detect(self, frame: Frame) -> Detections:
        if frame.luma.shape != self._shape or min(self._shape) < 16:
            return Detections.none(Condition.BLIND)
        np.copyto(self._smooth, frame.luma)
        small = cv2.resize(
            self._smooth, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
        )
        elapsed_s = self._advance(frame.captured_at)
        condition = self._watchfulness.judge(
            small.astype(np.uint8, copy=False), self._at_s
        )
        if condition is not Condition.GOOD:
            return Detections.none(condition)
        cv2.GaussianBlur(self._smooth, (5, 5), 1.0, dst=self._smooth)
        found = self._learn(elapsed_s)
        if found > FLOODED * self._mask.size:
            self._relevel()
            self._settled_s = self._at_s + 1.0
        if self._at_s < self._settled_s:
            return Detections.none(Condition.LEARNING)
        return self._report()

    def _advance(self, at: datetime) -> float:
        if self._began_at is None:
            self._began_at = at
            self._mean[:] = -1.0
        elapsed_s = max((at - self._began_at).total_seconds() - self._at_s, 0.0)
        self._at_s += elapsed_s
        return elapsed_s

    def _learn(self, elapsed_s: float) -> int:
        if self._mean[0, 0] < 0.0:
            np.copyto(self._mean, self._smooth)
        # Ten seconds of background, a hundred of what stands in front of it.
        fast = 0.2 if self._at_s < self._settled_s else 1.0 - np.exp(-elapsed_s / 10.0)
        return foreground(
            self._smooth, self._mean, self._variance, float(fast) / 10.0, float(fast),
            self._mask,
        )  # fmt: skip

    def _relevel(self) -> None:
        """Take the new light as background; the pixels' noise stays what it was."""
        np.copyto(self._mean, self._smooth)
        self._mask[:] = 0

    def _report(self) -> Detections:
        mask = cv2.medianBlur(self._mask, 5)
        if self._zone is not None:
            mask = cv2.bitwise_and(mask, self._zone)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        order = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
        chosen = order[stats[order, cv2.CC_STAT_AREA] >= SMALLEST_PX][:MOST]
        if len(chosen) == 0:
            return Detections.none()
        places = labels.astype(np.int32, copy=False)
        return self._measured(places, stats.astype(np.int64), chosen)

    def _measured(
        self,
        labels: I32,
        stats: npt.NDArray[np.integer],
        chosen: npt.NDArray[np.integer],
    ) -> Detections:
        n = len(chosen)
        boxes = stats[chosen, :4].astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        scores, contrasts = np.zeros(n, np.float32), np.zeros(n, np.float32)
        for i, label in enumerate(chosen):
            left, top, right, bottom = boxes[i].astype(int)
            part = np.s_[top:bottom, left:right]
            inside = labels[part] == label
            difference = (self._smooth[part] - self._mean[part])[inside]
            noise = np.sqrt(self._variance[part][inside] + 10.0)
            contrasts[i] = difference.mean()
            scores[i] = np.abs(difference / noise).mean()
        feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])
        return Detections(
            boxes=boxes,
            waterlines=feet.astype(np.float32),
            scores=scores,
            contrasts=contrasts,
            classes=tuple(_class_of(box, self._map) for box in boxes),
            clutter_per_px=2.0 / self._area_px,
        )


def _class_of(box: F32, range_map: RangeMap | None) -> ObjectClass:
    """Person or vehicle by size in metres; unknown where that is not known."""
    if range_map is None:
        return ObjectClass.UNKNOWN
    row = int(np.clip(box[3], 0, len(range_map.across_m_per_px) - 1))
    scale = float(range_map.across_m_per_px[row])
    width_m, height_m = scale * float(box[2] - box[0]), scale * float(box[3] - box[1])
    if min(box[2] - box[0], box[3] - box[1]) < 4 or not np.isfinite(scale):
        return ObjectClass.UNKNOWN
    if PERSON_M[0] <= height_m <= PERSON_M[1] and width_m < 0.9 * height_m:
        return ObjectClass.PERSON
    if VEHICLE_M[0] <= width_m <= VEHICLE_M[1] and height_m > 0.8:
        return ObjectClass.VEHICLE
    return ObjectClass.UNKNOWN
