"""From peaks to what is reported: boxes, waterlines, sizes, classes.

Source: docs/design/first-light.md, "The path", step 6.
"""

import numpy as np
import numpy.typing as npt

from almenara.detection import Condition, Detections, ObjectClass
from almenara.detection.front import BANK
from almenara.detection.kernels import F32, I32, measure_extents
from almenara.detection.peaks import Peaks
from almenara.geo.range_map import RangeMap

TINY_M = 1.0
"""Seen narrower than that it may be anything that floats or flies."""

SMALL_CRAFT_BELOW_M = 16.0
"""Length seen across the view; a larger hull end on looks small, so time decides."""

LONGEST_M = 410.0
HIGHEST_M = 80.0
"""No ship is longer, or stands higher out of the water, than the largest there are."""

HIGHEST_SCALES = 8.0
"""A hull five scales high is found by the next scale with more signal."""

LEAST_CONTRAST = 1.0
"""Grey levels: what an eight-bit picture can hold at all."""


def contacts(
    picture: F32,
    peaks: Peaks,
    *,
    top: int,
    range_map: RangeMap | None,
    condition: Condition,
    clutter_per_px: float,
) -> Detections:
    """Measure every peak in the levelled picture.

    Args:
        picture: The watched rows above their level, grey levels.
        peaks: Where they are, in the watched rows.
        top: First watched row in the whole picture.
        range_map: Metres per pixel by row; None where unknown.
        condition: Of this look.
        clutter_per_px: Of this look.

    Returns:
        One object per peak, in whole-picture pixels, in the order of the peaks.
    """
    ys, xs, scores, scales = peaks
    sizes = np.array([s.scale_px for s in BANK], np.float32)[scales]
    grown = np.zeros((len(ys), 6), np.float32)
    measure_extents(picture, ys, xs, np.sign(scores), sizes, grown)
    _without_leaks(grown, ys, xs, sizes, _across_m(range_map, top, len(picture)))
    real = _is_something(grown, np.sign(scores))
    grown, scores = grown[real], scores[real]
    first = _not_in_stronger(grown)
    grown, scores = grown[first], scores[first]
    boxes = grown[:, :4].copy()
    boxes[:, (1, 3)] += top
    waterlines = np.column_stack([grown[:, 5], boxes[:, 3]]).astype(np.float32)
    return Detections(
        boxes=boxes,
        waterlines=waterlines,
        scores=np.abs(scores),
        contrasts=grown[:, 4].copy(),
        classes=classes_by_width(boxes, waterlines, range_map),
        condition=condition,
        clutter_per_px=clutter_per_px,
    )


def _is_something(grown: F32, signs: F32) -> npt.NDArray[np.bool_]:
    """Leave out the sea beside a hull.

    A filter whose surround lies on a strong neighbour answers with the other sign where
    there is nothing but sea: measured there, the contrast is none, or the other one.
    """
    answer: npt.NDArray[np.bool_] = grown[:, 4] * signs >= LEAST_CONTRAST
    return answer


def _across_m(range_map: RangeMap | None, top: int, rows: int) -> F32 | None:
    """Metres per pixel sideways of each watched row; the horizon's where there is none.

    What stands over the horizon is not beyond it, so it is no larger than that.
    """
    if range_map is None or np.isnan(range_map.across_m_per_px).all():
        return None
    across = range_map.across_m_per_px[top : top + rows]
    farthest = np.nanmax(range_map.across_m_per_px)
    return np.where(np.isnan(across), farthest, across).astype(np.float32)


def _without_leaks(
    grown: F32, ys: I32, xs: I32, sizes: F32, across_m: F32 | None
) -> None:
    """Where a box has grown beyond any ship, take the filter's own size instead.

    A faint contrast on an uneven sea has no edge to stop at; the box then says nothing
    of the thing in it, and its lower edge is no waterline.
    """
    if across_m is None:
        return
    rows = np.clip(grown[:, 3].astype(np.int64) - 1, 0, len(across_m) - 1)
    width, height = grown[:, 2] - grown[:, 0], grown[:, 3] - grown[:, 1]
    # What is so many scales high answers more to the next scale; the last has none.
    misfit = (height > HIGHEST_SCALES * sizes) & (sizes < BANK[-1].scale_px)
    leaked = (
        misfit
        | (width * across_m[rows] > LONGEST_M)
        | (height * across_m[rows] > HIGHEST_M)
    )
    half = np.column_stack([1.6 * sizes, sizes])[leaked]
    middle = np.column_stack([xs, ys])[leaked].astype(np.float32) + 0.5
    grown[leaked, :2], grown[leaked, 2:4] = middle - half, middle + half
    grown[leaked, 5] = middle[:, 0]


def _not_in_stronger(grown: F32) -> npt.NDArray[np.bool_]:
    """Two peaks on one hull grow into one box: only the stronger one is an object."""
    left, top, right, bottom, contrast, _ = grown.T
    x, y = (left + right) / 2, (top + bottom) / 2
    within = (
        (x[:, None] > left)
        & (x[:, None] < right)
        & (y[:, None] > top)
        & (y[:, None] < bottom)
        & (np.sign(contrast)[:, None] == np.sign(contrast))
    )
    # Rows are in order of strength, so only earlier columns are stronger.
    answer: npt.NDArray[np.bool_] = ~np.tril(within, -1).any(axis=1)
    return answer


def classes_by_width(
    boxes: F32, waterlines: F32, range_map: RangeMap | None
) -> tuple[ObjectClass, ...]:
    """What a hull of the seen width at its range is called; unknown without a range."""
    if range_map is None:
        return (ObjectClass.UNKNOWN,) * len(boxes)
    rows = np.clip(waterlines[:, 1].astype(int), 0, len(range_map.across_m_per_px) - 1)
    widths_m: npt.NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * np.asarray(
        range_map.across_m_per_px
    )[rows]
    return tuple(_class_of(float(width_m)) for width_m in widths_m)


def _class_of(width_m: float) -> ObjectClass:
    if not width_m >= TINY_M:
        return ObjectClass.UNKNOWN
    if width_m < SMALL_CRAFT_BELOW_M:
        return ObjectClass.SMALL_CRAFT
    return ObjectClass.VESSEL
