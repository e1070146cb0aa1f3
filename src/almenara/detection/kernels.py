"""The inner loops of the sea chain: row statistics, peaks and extents.

Pictures come as C-contiguous arrays owned by the detector, never as the decoder's
planes: one memory layout means one compilation. A *block* is one of ``BLOCKS`` equal
column ranges of a picture; statistics per row and block are what no boat can fill.

Source: docs/design/first-light.md, "The path", step 6; robust row statistics after
Huber, Robust Statistics (1981).
"""

import math

import numpy as np
import numpy.typing as npt

from almenara.detection.compiled import compiled

BLOCKS = 8
"""Column blocks of a row; a boat up to half a block wide leaves its median alone."""

BINS = 512
FEW = 12
"""Samples below which a row and block have no statistics of their own."""

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]


@compiled
def row_block_medians(picture: U8, watched: U8, step: int, out: F32) -> None:
    """Median grey level of each row and block, interpolated within the level.

    Args:
        picture: Shape (rows, columns).
        watched: Same shape; zero where the picture does not count.
        step: Every how many columns are looked at.
        out: Shape (rows, BLOCKS), grey levels; NaN where fewer than FEW pixels count.
    """
    rows, columns = picture.shape
    counts = np.zeros(256, np.int32)
    for y in range(rows):
        for b in range(BLOCKS):
            left, right = b * columns // BLOCKS, (b + 1) * columns // BLOCKS
            n, low, high = 0, 255, 0
            for x in range(left, right, step):
                if watched[y, x]:
                    g = int(picture[y, x])
                    counts[g] += 1
                    n += 1
                    low, high = min(low, g), max(high, g)
            if n < FEW:
                out[y, b] = np.nan
            else:
                below, g = 0, low
                while 2 * (below + counts[g]) < n:
                    below += counts[g]
                    g += 1
                out[y, b] = g - 0.5 + (0.5 * n - below) / counts[g]
            for g in range(low, high + 1):
                counts[g] = 0


@compiled
def row_block_spread(
    response: F32, watched: U8, step: int, unit: float, out: F32
) -> None:
    """Median and 98 % quantile of the absolute response of each row and block.

    Args:
        response: Shape (rows, columns), grey levels.
        watched: Same shape; zero where the picture does not count.
        step: Every how many columns are looked at.
        unit: Width of a histogram bin in grey levels; BINS of them span what is told
            apart, and answers are exact to one of them.
        out: Shape (2, rows, BLOCKS), grey levels; NaN where fewer than FEW pixels
        count.
    """
    rows, columns = response.shape
    counts = np.zeros(BINS, np.int32)
    for y in range(rows):
        for b in range(BLOCKS):
            left, right = b * columns // BLOCKS, (b + 1) * columns // BLOCKS
            n, high = 0, 0
            for x in range(left, right, step):
                if watched[y, x]:
                    i = int(min(abs(response[y, x]) / unit, BINS - 1.0))
                    counts[i] += 1
                    n += 1
                    high = max(high, i)
            if n < FEW:
                out[0, y, b] = np.nan
                out[1, y, b] = np.nan
            else:
                below, i = 0, 0
                while 2 * (below + counts[i]) < n:
                    below += counts[i]
                    i += 1
                out[0, y, b] = (i + (0.5 * n - below) / counts[i]) * unit
                while below + counts[i] < 0.98 * n:
                    below += counts[i]
                    i += 1
                out[1, y, b] = (i + (0.98 * n - below) / counts[i]) * unit
            for i in range(high + 1):
                counts[i] = 0


@compiled
def subtract_level(picture: U8, level: F32, out: F32) -> None:
    """Picture minus its level, straight lines between the middles of the blocks.

    Args:
        picture: Shape (rows, columns).
        level: Shape (rows, BLOCKS), grey levels.
        out: Shape (rows, columns), grey levels.
    """
    rows, columns = picture.shape
    width = columns / BLOCKS
    for y in range(rows):
        for b in range(BLOCKS + 1):
            left = 0 if b == 0 else math.ceil((b - 0.5) * width)
            right = columns if b == BLOCKS else math.ceil((b + 0.5) * width)
            here = level[y, max(b - 1, 0)]
            slope = np.float32((level[y, min(b, BLOCKS - 1)] - here) / width)
            start = np.float32(here - slope * ((b - 0.5) * width))
            for x in range(left, right):
                out[y, x] = np.float32(picture[y, x]) - (start + slope * np.float32(x))


@compiled
def local_maxima(  # noqa: C901, PLR0917  machine code takes arguments by place
    response: F32, gain: F32, floor: F32, watched: U8, ys: I32, xs: I32, scores: F32
) -> int:
    """Places where the absolute response is greatest among its eight neighbours.

    Args:
        response: Shape (rows, columns), grey levels.
        gain: Shape (rows, BLOCKS): one over the noise, per grey level.
        floor: Shape (rows,): least score worth reporting; infinite closes a row.
        watched: Same shape as ``response``; zero where nothing may be reported.
        ys: Rows of the places, filled in order; its length is the most reported.
        xs: Columns of the places.
        scores: Signal over noise with the sign of the response.

    Returns:
        How many were found.
    """
    rows, columns = response.shape
    n = 0
    for y in range(1, rows - 1):
        if not np.isfinite(floor[y]):
            continue
        for b in range(BLOCKS):
            left = max(b * columns // BLOCKS, 1)
            right = min((b + 1) * columns // BLOCKS, columns - 1)
            least = np.float32(floor[y] / gain[y, b])
            for start in range(left, right, 32):
                stop = min(start + 32, right)
                above = 0
                for x in range(start, stop):  # counts without branches: vectorised
                    above += abs(response[y, x]) > least
                if above == 0:
                    continue
                for x in range(start, stop):
                    a = abs(response[y, x])
                    if not a > least or not watched[y, x]:
                        continue
                    if (
                        a > abs(response[y - 1, x - 1])
                        and a > abs(response[y - 1, x])
                        and a > abs(response[y - 1, x + 1])
                        and a > abs(response[y, x - 1])
                        and a >= abs(response[y, x + 1])
                        and a >= abs(response[y + 1, x - 1])
                        and a >= abs(response[y + 1, x])
                        and a >= abs(response[y + 1, x + 1])
                    ):
                        if n == len(ys):
                            return n
                        ys[n], xs[n] = y, x
                        scores[n] = response[y, x] * gain[y, b]
                        n += 1
    return n


@compiled
def strongest_apart(  # noqa: PLR0917  machine code takes arguments by place
    ys: I32, xs: I32, reach_y: I32, reach_x: I32, taken: U8, kept: U8
) -> None:
    """Of places in order of strength, keep those not within reach of a stronger one.

    Args:
        ys: Rows, strongest first.
        xs: Columns.
        reach_y: How many rows around each place it silences.
        reach_x: How many columns.
        taken: Scratch of at least a quarter of the picture's rows and columns; places
            are told apart to four pixels.
        kept: Shape (n,); one where a place stays.
    """
    taken[:] = 0
    bottom, right = taken.shape
    for i in range(len(ys)):
        y, x = ys[i] // 4, xs[i] // 4
        kept[i] = taken[y, x] == 0
        if kept[i]:
            top, left = (
                max((ys[i] - reach_y[i]) // 4, 0),
                max((xs[i] - reach_x[i]) // 4, 0),
            )
            for yy in range(top, min((ys[i] + reach_y[i]) // 4 + 1, bottom)):
                for xx in range(left, min((xs[i] + reach_x[i]) // 4 + 1, right)):
                    taken[yy, xx] = 1


@compiled
def _mean(picture: F32, top: int, bottom: int, left: int, right: int) -> float:
    """Mean over a rectangle, edges clipped to the picture; 0 if nothing is left."""
    total, n = 0.0, 0
    for y in range(max(top, 0), min(bottom, picture.shape[0])):
        for x in range(max(left, 0), min(right, picture.shape[1])):
            total += picture[y, x]
            n += 1
    return total / n if n else 0.0


@compiled
def _surroundings(picture: F32, y: int, x: int, size: float, inside: float) -> float:
    """Mean over two upright strips left and right of a place, well outside of it.

    Where the strips differ by more than the place from their mean, one of them lies on
    something else: then the one nearer to the row's level is the sea.
    """
    far, wide = round(6.0 * size) + 1, max(round(size), 2)
    high = max(round(1.5 * size), 1)
    left = _mean(picture, y - high, y + high + 1, x - far - wide, x - far)
    right = _mean(picture, y - high, y + high + 1, x + far + 1, x + far + wide + 1)
    if x - far - wide < 0:
        return right
    if x + far + wide >= picture.shape[1]:
        return left
    middle = 0.5 * (left + right)
    if abs(left - right) > abs(inside - middle):
        return left if abs(left) < abs(right) else right
    return middle


@compiled
def _reach_along(  # noqa: PLR0917  machine code takes arguments by place
    picture: F32,
    rows: tuple[int, int],
    x: int,
    way: int,
    least: float,
    sign: float,
    base: float,
) -> int:
    """How many columns from ``x`` the profile over ``rows`` stays above ``least``."""
    reach, misses = 0, 0
    for i in range(1, 401):
        here = x + way * i
        if here < 0 or here >= picture.shape[1]:
            break
        if sign * (_mean(picture, rows[0], rows[1], here, here + 1) - base) >= least:
            reach, misses = i, 0
        else:
            misses += 1
            if misses == 2:
                break
    return reach


@compiled
def _reach_down(  # noqa: PLR0917  machine code takes arguments by place
    picture: F32,
    columns: tuple[int, int],
    y: int,
    way: int,
    least: float,
    sign: float,
    base: float,
) -> float:
    """How far from ``y`` the profile over ``columns`` stays above ``least``, in rows.

    The last row counts in part: the crossing is interpolated between two rows.
    """
    before = sign * (_mean(picture, y, y + 1, columns[0], columns[1]) - base)
    for i in range(1, 121):
        here = y + way * i
        if here < 0 or here >= picture.shape[0]:
            return i - 0.5
        value = sign * (_mean(picture, here, here + 1, columns[0], columns[1]) - base)
        if value < least:
            if before <= least:
                return max(i - 1.0, 0.5)
            return max(i - 1.0 + (before - least) / (before - value), 0.5)
        before = value
    return 120.0


@compiled
def measure_extents(  # noqa: PLR0917  machine code takes arguments by place
    picture: F32, ys: I32, xs: I32, signs: F32, sizes: F32, out: F32
) -> None:
    """Grow a box around each place as far as the contrast stays near the peak's.

    Args:
        picture: Shape (rows, columns), grey levels above the row's level.
        ys: Rows of the peaks.
        xs: Columns of the peaks.
        signs: +1 for brighter than the surroundings, -1 for darker.
        sizes: Vertical scale of the peak's filter, pixels.
        out: Shape (n, 6): left, top, right, bottom (exclusive, fractions of rows),
            contrast in grey levels, column of the middle. A contrast of the other
            sign says that the filter answered to a neighbour.
    """
    for i in range(len(ys)):
        y, x, sign, size = int(ys[i]), int(xs[i]), float(signs[i]), float(sizes[i])
        core = int(0.6 * size)
        inside = _mean(picture, y - core, y + core + 1, x - core, x + core + 1)
        base = _surroundings(picture, y, x, size, inside)
        peak = max(sign * (inside - base), 0.5)
        rows = (y - core, y + core + 1)
        left = x - _reach_along(picture, rows, x, -1, 0.4 * peak, sign, base)
        right = x + _reach_along(picture, rows, x, 1, 0.4 * peak, sign, base) + 1
        columns = (max(left, x - 4 * core - 2), min(right, x + 4 * core + 3))
        top = y - _reach_down(picture, columns, y, -1, 0.5 * peak, sign, base) + 0.5
        bottom = y + _reach_down(picture, columns, y, 1, 0.5 * peak, sign, base) + 0.5
        mass, moment = 0.0, 0.0
        for column in range(left, right):
            value = _mean(picture, y - core, y + core + 1, column, column + 1)
            weight = max(sign * (value - base), 0.0)
            mass += weight
            moment += weight * column
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = left, top, right, bottom
        out[i, 4] = inside - base
        out[i, 5] = moment / mass + 0.5 if mass > 0.0 else 0.5 * (left + right)
