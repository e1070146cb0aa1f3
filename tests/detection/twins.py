"""What every kernel must answer, in plain numpy and without haste."""

import numpy as np
import numpy.typing as npt

from almenara.detection.kernels import BLOCKS, FEW

Floats = npt.NDArray[np.floating]
Bytes = npt.NDArray[np.uint8]


def edges(columns: int) -> list[tuple[int, int]]:
    return [(b * columns // BLOCKS, (b + 1) * columns // BLOCKS) for b in range(BLOCKS)]


def medians(picture: Bytes, watched: Bytes, step: int) -> Floats:
    """Plain medians; the kernel interpolates, so it agrees to half a level."""
    out = np.full((len(picture), BLOCKS), np.nan)
    for b, (left, right) in enumerate(edges(picture.shape[1])):
        for y in range(len(picture)):
            part = picture[y, left:right:step][watched[y, left:right:step] > 0]
            if len(part) >= FEW:
                out[y, b] = np.quantile(part, 0.5, method="inverted_cdf")
    return out


def spread(response: Floats, watched: Bytes, step: int) -> Floats:
    out = np.full((2, len(response), BLOCKS), np.nan)
    for b, (left, right) in enumerate(edges(response.shape[1])):
        for y in range(len(response)):
            part = np.abs(response[y, left:right:step])[watched[y, left:right:step] > 0]
            if len(part) >= FEW:
                out[:, y, b] = np.quantile(part, (0.5, 0.98), method="inverted_cdf")
    return out


def levelled(picture: Bytes, level: Floats) -> Floats:
    columns = picture.shape[1]
    middles = (np.arange(BLOCKS) + 0.5) * columns / BLOCKS
    x = np.arange(columns)
    lines = [np.interp(x, middles, row) for row in level]
    flat: Floats = picture - np.array(lines)
    return flat


def maxima(
    response: Floats, gain: Floats, floor: Floats, watched: Bytes
) -> list[tuple[int, int, float]]:
    rows, columns = response.shape
    found = []
    for y in range(1, rows - 1):
        for b, (left, right) in enumerate(edges(columns)):
            for x in range(max(left, 1), min(right, columns - 1)):
                a = abs(response[y, x])
                around = np.abs(response[y - 1 : y + 2, x - 1 : x + 2])
                high = a * gain[y, b] > floor[y]
                if high and watched[y, x] and a >= around.max():
                    found.append((y, x, float(response[y, x] * gain[y, b])))
    return found


def foreground(
    picture: Bytes, mean: Floats, variance: Floats, slow: float, fast: float
) -> tuple[Bytes, Floats, Floats]:
    d = picture - mean
    is_foreground = d**2 > 9.0 * (variance + 10.0)
    share = np.where(is_foreground, slow, fast)
    return (
        (is_foreground * 255).astype(np.uint8),
        mean + share * d,
        variance + share * (np.minimum(d**2, 900.0) - variance),
    )
