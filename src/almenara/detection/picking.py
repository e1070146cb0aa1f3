"""From scored places to objects: the strongest of each neighbourhood, and its extent.

An object's extent is the connected part around its peak that keeps half of the peak's
contrast. Where that leaks into the background, the filter's own size says more.

Source: docs/design/detection.md, "One picture".
"""

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.compiled import compiled
from almenara.detection.finds import LIKELIHOODS, Finds
from almenara.detection.kernels import F32, I32, U8
from almenara.detection.responses import Response

FLOOR = 1.5
"""Least score that may become a candidate."""

MOST = 300
"""Candidates per picture, strongest first."""

NEIGHBOURS = np.ones((3, 3), np.uint8)


def peaks(
    response: Response, watched: npt.NDArray[np.bool_], *, floor: float = FLOOR
) -> tuple[I32, I32]:
    """Rows and columns of the strongest places, strongest first, at most ``MOST``.

    The weaker of two within two standard deviations of the stronger one is left out.
    """
    sizes = np.abs(response.scores)
    high = (sizes >= cv2.dilate(sizes, NEIGHBOURS)) & (sizes > floor) & watched
    high[0], high[-1], high[:, 0], high[:, -1] = False, False, False, False
    ys, xs = (places.astype(np.int32) for places in np.nonzero(high))
    order = np.argsort(-sizes[ys, xs], kind="stable")[: 8 * MOST]
    ys, xs = ys[order], xs[order]
    reach = np.array(response.sizes_px)[response.scales[ys, xs]] * 2.0
    kept = np.zeros(len(ys), np.uint8)
    strongest_of_each(ys, xs, np.maximum(reach, 2.0).astype(np.float32), kept)
    keep = np.flatnonzero(kept)[:MOST]
    return ys[keep], xs[keep]


@compiled
def strongest_of_each(ys: I32, xs: I32, reach: F32, kept: U8) -> None:
    """Of places in order of strength, keep those beyond the reach of every kept one.

    Args:
        ys: Rows, strongest first.
        xs: Columns.
        reach: How far each place silences weaker ones, pixels.
        kept: Same shape; one where a place stays.
    """
    for i in range(len(ys)):
        kept[i] = 1
        for j in range(i):
            if kept[j]:
                dy, dx = float(ys[i] - ys[j]), float(xs[i] - xs[j])
                if dy * dy + dx * dx <= reach[j] * reach[j]:
                    kept[i] = 0
                    break


@compiled
def grow_extents(  # noqa: C901, PLR0912, PLR0915, PLR0917  machine code is one loop
    level: F32, ys: I32, xs: I32, signs: F32, sizes: F32, out: F32
) -> None:
    """Grow a component around each place as far as half of its contrast reaches.

    Args:
        level: Shape (rows, columns), grey levels above the surroundings' level.
        ys: Rows of the peaks.
        xs: Columns of the peaks.
        signs: +1 for brighter than the surroundings, -1 for darker.
        sizes: Standard deviation of each peak's filter, pixels.
        out: Shape (n, 8): left, top, right, bottom (exclusive), middle x and y weighted
            by contrast, contrast in grey levels, area in pixels; an area of 0 says that
            the component leaked and the box is the filter's.
    """
    rows, columns = level.shape
    for i in range(len(ys)):
        y, x, sign, size = int(ys[i]), int(xs[i]), signs[i], sizes[i]
        # The greatest place near the filter's peak is where the object is.
        near = max(int(size), 1)
        best, py, px = -1e9, y, x
        for yy in range(max(y - near, 0), min(y + near + 1, rows)):
            for xx in range(max(x - near, 0), min(x + near + 1, columns)):
                if sign * level[yy, xx] > best:
                    best, py, px = sign * level[yy, xx], yy, xx
        far_y, far_x = int(4.0 * size) + 3, int(8.0 * size) + 4
        total, n = 0.0, 0
        for yy in range(max(y - far_y, 0), min(y + far_y + 1, rows)):
            for xx in (x - far_x, x - far_x + 1, x + far_x - 1, x + far_x):
                if 0 <= xx < columns:
                    total += sign * level[yy, xx]
                    n += 1
        base = total / max(n, 1)
        least = base + 0.5 * (best - base)
        wide = 2 * far_x + 1
        seen = np.zeros((2 * far_y + 1, wide), np.uint8)
        stack = np.empty(seen.size, np.int64)
        stack[0] = (py - y + far_y) * wide + px - x + far_x
        seen[py - y + far_y, px - x + far_x] = 1
        depth, area, leaked = 1, 0, False
        left, top, right, bottom = px, py, px, py
        mass, moment_x, moment_y, inside = 0.0, 0.0, 0.0, 0.0
        while depth:
            depth -= 1
            cy, cx = stack[depth] // wide + y - far_y, stack[depth] % wide + x - far_x
            area += 1
            weight = sign * level[cy, cx] - base
            inside += weight
            mass += weight
            moment_x += weight * cx
            moment_y += weight * cy
            left, right = min(left, cx), max(right, cx)
            top, bottom = min(top, cy), max(bottom, cy)
            for k in range(4):
                ny = cy + (1 if k == 0 else -1 if k == 1 else 0)
                nx = cx + (1 if k == 2 else -1 if k == 3 else 0)
                if ny < 0 or nx < 0 or ny >= rows or nx >= columns:
                    continue
                if abs(ny - y) > far_y or abs(nx - x) > far_x:
                    leaked = True
                    continue
                if seen[ny - y + far_y, nx - x + far_x]:
                    continue
                if sign * level[ny, nx] >= least:
                    seen[ny - y + far_y, nx - x + far_x] = 1
                    stack[depth] = (ny - y + far_y) * wide + nx - x + far_x
                    depth += 1
        out[i, 6] = sign * inside / max(area, 1)
        if leaked or mass <= 0.0:
            out[i, 0], out[i, 1] = x - 1.5 * size, y - 1.5 * size
            out[i, 2], out[i, 3] = x + 1.5 * size + 1, y + 1.5 * size + 1
            out[i, 4], out[i, 5], out[i, 7] = x, y, 0
        else:
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = (
                left,
                top,
                right + 1,
                bottom + 1,
            )
            out[i, 4], out[i, 5], out[i, 7] = moment_x / mass, moment_y / mass, area


def finds(
    response: Response, watched: npt.NDArray[np.bool_], *, floor: float = FLOOR
) -> Finds:
    """The candidates of one picture, strongest first; one for each object."""
    ys, xs = peaks(response, watched, floor=floor)
    return measured(response, ys, xs, response.scores[ys, xs])


def measured(response: Response, ys: I32, xs: I32, scores: F32) -> Finds:
    """Objects at the given places, the weaker of two on one object left out.

    Args:
        response: Of the picture.
        ys: Rows, strongest first.
        xs: Columns.
        scores: Signed.
    """
    sizes = np.array(response.sizes_px, np.float32)[response.scales[ys, xs]]
    grown = np.zeros((len(ys), 8), np.float32)
    signs = np.sign(scores).astype(np.float32)
    grow_extents(np.ascontiguousarray(response.level), ys, xs, signs, sizes, grown)
    rows, columns = response.level.shape
    boxes = grown[:, :4].copy()
    np.clip(boxes[:, ::2], 0, columns, out=boxes[:, ::2])
    np.clip(boxes[:, 1::2], 0, rows, out=boxes[:, 1::2])
    everything = Finds(
        boxes=boxes,
        centers=grown[:, 4:6].copy(),
        scores=np.abs(scores).astype(np.float32),
        contrasts=grown[:, 6].copy(),
        class_scores=np.zeros((len(ys), len(LIKELIHOODS)), np.float32),
    )
    return everything.chosen(_alone(everything))


def _alone(found: Finds) -> npt.NDArray[np.bool_]:
    """Not inside a stronger one of the same sign."""
    x, y = found.centers[:, :1], found.centers[:, 1:]
    left, top, right, bottom = found.boxes.T
    within = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    same = np.sign(found.contrasts)[:, None] == np.sign(found.contrasts)
    answer: npt.NDArray[np.bool_] = ~np.tril(within & same, -1).any(axis=1)
    return answer
