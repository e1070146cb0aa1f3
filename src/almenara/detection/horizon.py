"""Where sea and sky meet in one picture, alone or near where the pose expects it.

A horizon is the edge of two regions, not only an edge: clouds and breakers have
stronger ones. So every straight line is scored by its step in brightness times how well
it parts the picture in two, by brightness and by roughness. The best line is then
refined at full resolution on the sharpest step, because haze brightens the sky towards
the horizon and ends there.

Source: docs/design/detection.md, "Where the picture is"; region criterion after
Ettinger et al., "Vision-guided flight stability and control for micro air vehicles"
(2002).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.compiled import compiled
from almenara.detection.kernels import F32

WIDTH = 192
"""Columns of the shrunk picture that is searched."""

SLOPES = np.linspace(-0.2, 0.2, 41)
STEP_ROWS = 3
MARGIN = 4
PARTS = 8
"""Of the line, each refined alone."""

REACH = 8
"""Rows around the coarse line in which the sharpest step is looked for."""

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """A straight line across the picture."""

    left_y: float
    """Row at the left edge, pixels; the middle of the first row is 0."""

    right_y: float
    strength: float
    """In [0, 1]: share of the columns' steps along the line, weighted by the regions'
    separation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Where the horizon is expected."""

    left_y: float
    right_y: float
    half_width: float
    """How wrong that may be, rows."""


def find_horizon(grey: F32, prior: Prior | None = None) -> Horizon | None:
    """The horizon of one picture.

    Args:
        grey: Shape (rows, columns), grey levels of an eight-bit scale.
        prior: Lines farther from it than its half width in the middle are not looked
            at; None where nothing is known.

    Returns:
        None for a picture too small, or where no line is allowed.
    """
    rows, columns = grey.shape
    if rows < 32 or columns < 32:
        return None
    scale = WIDTH / columns
    size = (WIDTH, max(round(rows * scale), 24))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(
        np.float32, copy=False
    )
    score = np.abs(_sheared(_steps(small))) * _separation(small)
    score[:, :MARGIN] = score[:, -MARGIN:] = -1.0
    ratio = rows / size[1]
    if prior is not None:
        middles = np.arange(size[1]) * ratio - 0.5
        off = np.abs(middles - (prior.left_y + prior.right_y) / 2)
        score[:, off > prior.half_width + 2.0] = -1.0
    i, j = np.unravel_index(int(score.argmax()), score.shape)
    if score[i, j] <= 0.0:
        return None
    return _refined(
        grey, j * ratio - 0.5, SLOPES[i] * ratio * scale, float(score[i, j])
    )


def _steps(small: F32) -> F32:
    """Brightness below minus above each row, in robust deviations, saturating."""
    k, rows = STEP_ROWS, len(small)
    padded = np.pad(small, ((k, k), (0, 0)), mode="edge")
    total = np.vstack([np.zeros((1, small.shape[1])), np.cumsum(padded, axis=0)])
    above = total[k : k + rows] - total[:rows]
    below = total[2 * k : 2 * k + rows] - total[k : k + rows]
    step = (below - above) / k
    noise = 1.4826 * float(np.median(np.abs(step))) + 0.2
    answer: F32 = np.tanh(step / (2.0 * noise)).astype(np.float32)
    return answer


def _sheared(picture: F32) -> F32:
    """Means along lines: shape (slopes, rows of the line's middle)."""
    answer = np.empty((len(SLOPES), len(picture)), np.float32)
    sum_along_lines(np.ascontiguousarray(picture, np.float32), SLOPES, answer)
    answer /= np.float32(picture.shape[1])
    return answer


@compiled
def sum_along_lines(picture: F32, slopes: npt.NDArray[np.float64], out: F32) -> None:
    """Sums over straight lines through every row of the middle column.

    Args:
        picture: Shape (rows, columns); its first and last row go on beyond it.
        slopes: Rows per column.
        out: Shape (slopes, rows).
    """
    rows, columns = picture.shape
    out[:] = 0.0
    for x in range(columns):
        column = picture[:, x].copy()
        for i in range(len(slopes)):
            off = round(slopes[i] * (x - (columns - 1) / 2))
            first, last = max(0, -off), min(rows, rows - off)
            for y in range(first):
                out[i, y] += column[0]
            for y in range(first, last):
                out[i, y] += column[y + off]
            for y in range(last, rows):
                out[i, y] += column[rows - 1]


def _separation(small: F32) -> F32:
    """How well each line parts the picture, in [0, 1]: by brightness and roughness."""
    rough = np.log(np.abs(small - cv2.GaussianBlur(small, (0, 0), 2.0)) + 0.5)
    total = 0.0
    for feature in (small, rough.astype(np.float32)):
        profile = _sheared(feature).astype(np.float64)
        rows = profile.shape[1]
        n = np.arange(rows)
        before = np.cumsum(profile, axis=1) - profile
        whole = before[:, -1:] + profile[:, -1:]
        above = before / np.maximum(n, 1)
        below = (whole - before) / np.maximum(rows - n, 1)
        share = n * (rows - n) / rows**2
        between = share * (above - below) ** 2
        total = total + between / (profile.var(axis=1, keepdims=True) + 1e-6)
    answer: F32 = (np.asarray(total) / 2.0).astype(np.float32)
    return answer


def _refined(grey: F32, middle: float, slope: float, strength: float) -> Horizon:
    """Move both halves of a coarse line to the sharpest step near it."""
    rows, columns = grey.shape
    x = np.arange(columns)
    line = middle + slope * (x - (columns - 1) / 2)
    offsets = np.arange(-REACH, REACH + 1)
    places = np.clip(
        np.round(line).astype(np.int64)[None] + offsets[:, None], 0, rows - 1
    )
    profile = grey[places, x]
    whole = _sharpest(profile.mean(axis=1))
    parts = np.array_split(np.arange(columns), PARTS)
    offs = np.array([_sharpest(profile[:, p].mean(axis=1), near=whole) for p in parts])
    middles = np.array([p.mean() for p in parts])
    turn = _slope_through(middles, offs)
    bent = np.median(offs - turn * middles) + turn * x
    # Parts that disagree say nothing of the line: then only the whole is moved.
    moved = line + (bent if np.ptp(offs - turn * middles) < 2 * REACH else whole)
    return Horizon(
        left_y=float(moved[0]), right_y=float(moved[-1]), strength=min(strength, 1.0)
    )


def _slope_through(x: F64, y: F64) -> float:
    """Median of the slopes of all pairs of points (Theil, Sen)."""
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def _sharpest(profile: npt.NDArray[np.floating], near: float | None = None) -> float:
    """Offset of the greatest change, one way or the other; 0 at the middle sample."""
    change = np.abs(profile[2:] - profile[:-2])
    at = np.arange(len(change)) - (len(change) - 1) / 2
    # The coarse line is right within a few rows: what is farther must be stronger.
    width = 5.0 if near is None else 3.0
    weighted = change * np.exp(-0.5 * ((at - (near or 0.0)) / width) ** 2)
    best = int(np.argmax(weighted))
    part = np.s_[max(best - 2, 0) : best + 3]
    weight = weighted[part].astype(np.float64) ** 2 + 1e-9
    return float((at[part] * weight).sum() / weight.sum())
