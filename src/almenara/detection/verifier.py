"""A small net of our own that says where persons and vehicles are in a thermal picture.

One pass over the whole picture gives two maps at a quarter of its size: how much a
place looks like a person, how much like a vehicle. Nothing of a person but "there is
one" can be said with it. The weights are ours, trained by ``almenara train verifier``
on openly licensed pictures, and come as plain arrays: no pickle, no code in them.

The layers are written once for any array library with numpy's names, so training and
watching cannot disagree on what the net is.

Source: docs/design/detection.md, "The verifier"; heat maps of centres after Zhou, Wang
& Kraehenbuehl, "Objects as Points" (2019); residual blocks after He et al. (2016).
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from almenara.core.errors import MediaError
from almenara.detection.finds import LIKELIHOODS, Finds
from almenara.detection.kernels import F32
from almenara.detection.picking import grow_extents

STRIDE = 4
"""Pixels per cell of the maps."""

DILATIONS = (1, 2, 1, 3, 1)
NAMES = ("person", "vehicle")
"""What the maps stand for, in their order."""

WINDOW = 63
NOISE2 = 36.0
"""Variance added before normalising: a flat wall must not become a starry sky."""

SIZES_PX = (3.0, 8.0)
"""Standard deviations of a typical person and vehicle, for their extents."""

APART_CELLS = (1, 2)
"""Cells around a peak of each map in which no second one is told."""

LEAST = 0.003
MOST = 150
FAINTEST = 6.0
"""Log odds taken as score 0 are this far below even."""

CALIBRATION = "calibration"
"""Array of a factor and a term for the log odds of each map, shape (2, 2)."""

Weights = Mapping[str, Any]


def normalised(picture: npt.NDArray[np.generic]) -> F32:
    """A picture as the net wants it: local mean 0, local spread about 1.

    Args:
        picture: Shape (rows, columns), grey levels of an eight-bit scale.

    Returns:
        Same shape.
    """
    grey = picture.astype(np.float32)
    size = (WINDOW, WINDOW)
    mean = cv2.blur(grey, size, borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(grey * grey, size, borderType=cv2.BORDER_REFLECT)
    spread = np.sqrt(np.maximum(square - mean * mean, 0.0) + NOISE2)
    answer: F32 = ((grey - mean) / spread).astype(np.float32)
    return answer


def _patches(xp: Any, x: Any, size: int, stride: int, dilation: int) -> Any:
    """Every place's neighbourhood as a row: (n, rows, columns, size²·channels)."""
    reach = dilation * (size // 2)
    padded = xp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    rows, columns = x.shape[1], x.shape[2]
    parts = [
        padded[:, i : i + rows : stride, j : j + columns : stride, :]
        for i in range(0, dilation * size, dilation)
        for j in range(0, dilation * size, dilation)
    ]
    return xp.concatenate(parts, axis=3)


def logits(weights: Weights, x: Any, xp: Any = np) -> Any:
    """The net itself.

    Args:
        weights: ``stem``, ``down``, ``res0`` …, ``head``, each with a ``_b`` of biases.
        x: Shape (n, rows, columns, 1), normalised; rows and columns multiples of 4.
        xp: numpy, or a library with its names.

    Returns:
        Shape (n, rows/4, columns/4, 2): log odds before calibration.
    """

    def layer(name: str, x: Any, size: int, stride: int = 1, dilation: int = 1) -> Any:
        patches = _patches(xp, x, size, stride, dilation)
        return patches @ weights[name] + weights[f"{name}_b"]

    x = xp.maximum(layer("stem", x, 5, 2), 0)
    x = xp.maximum(layer("down", x, 3, 2), 0)
    for i, dilation in enumerate(DILATIONS):
        grown = xp.maximum(layer(f"res{i}", x, 3, 1, dilation), 0)
        x = (x + grown) * np.float32(2**-0.5)
    return x @ weights["head"] + weights["head_b"]


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of every array of weights of a net ``width`` channels wide."""
    answer: dict[str, tuple[int, ...]] = {
        "stem": (25, 16),
        "stem_b": (16,),
        "down": (9 * 16, width),
        "down_b": (width,),
    }
    for i in range(len(DILATIONS)):
        answer[f"res{i}"] = (9 * width, width)
        answer[f"res{i}_b"] = (width,)
    return answer | {"head": (width, len(NAMES)), "head_b": (len(NAMES),)}


def read_weights(data: bytes) -> dict[str, F32]:
    """Weights from the bytes of a ``.npz``; nothing in it is ever executed.

    Raises:
        MediaError: They are not the weights of this net.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as book:
            weights = {name: np.asarray(book[name], np.float32) for name in book.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise MediaError("the weights cannot be read; install Almenara anew") from error
    width = weights.get("down_b", np.zeros(0)).size
    wanted = shapes(width) | {CALIBRATION: (2, len(NAMES))}
    if {name: w.shape for name, w in weights.items()} != wanted:
        raise MediaError("these are not the weights of the verifier; install anew")
    return weights


class Verifier:
    """Finds persons and vehicles in thermal pictures, each picture alone."""

    def __init__(self, weights: Weights) -> None:
        """Use weights as ``read_weights`` gives them."""
        self._weights = weights

    def odds(self, picture: npt.NDArray[np.generic]) -> F32:
        """Calibrated log odds, shape (rows/4, columns/4, 2); edges are padded."""
        rows, columns = picture.shape
        x = np.pad(normalised(picture), ((0, -rows % 4), (0, -columns % 4)))
        factor, term = self._weights[CALIBRATION]
        answer: F32 = logits(self._weights, x[None, :, :, None])[0] * factor + term
        return answer

    def find(
        self, picture: npt.NDArray[np.generic], watched: npt.NDArray[np.bool_]
    ) -> Finds:
        """Every candidate of one picture, strongest first.

        Args:
            picture: Shape (rows, columns), grey levels of an eight-bit scale.
            watched: Same shape, True where to look.
        """
        odds = self.odds(picture)
        likely: F32 = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
        grey = picture.astype(np.float32)
        level = grey - cv2.blur(grey, (WINDOW, WINDOW))
        rows = [
            row
            for kind in range(len(NAMES))
            for row in _peaks(likely, kind)
            if watched[
                min(round(row[1]), watched.shape[0] - 1),
                min(round(row[0]), watched.shape[1] - 1),
            ]
        ]
        if not rows:
            return Finds.none()
        table = np.array(sorted(rows, key=lambda row: -row[2])[:MOST], np.float32)
        return _measured(level.astype(np.float32), likely, table)


def _peaks(likely: F32, kind: int) -> list[tuple[float, float, float, float]]:
    """Places of one map: x, y in pixels, likelihood, kind."""
    map_ = np.ascontiguousarray(likely[..., kind])
    reach = 2 * APART_CELLS[kind] + 1
    high = (map_ >= cv2.dilate(map_, np.ones((reach, reach), np.uint8))) & (
        map_ > LEAST
    )
    padded = np.pad(map_, 1)
    answer = []
    for y, x in zip(*np.nonzero(high), strict=True):
        part = padded[y : y + 3, x : x + 3].astype(np.float64) ** 2
        dy = float((part.sum(axis=1) * (-1, 0, 1)).sum() / part.sum())
        dx = float((part.sum(axis=0) * (-1, 0, 1)).sum() / part.sum())
        answer.append(
            (
                max((x + dx + 0.5) * STRIDE - 0.5, 0.0),
                max((y + dy + 0.5) * STRIDE - 0.5, 0.0),
                float(map_[y, x]),
                float(kind),
            )
        )
    return answer


def _measured(level: F32, likely: F32, table: F32) -> Finds:
    """Objects with extents grown in the picture; centres stay the net's."""
    rows, columns = level.shape
    xs = np.clip(np.round(table[:, 0]), 0, columns - 1).astype(np.int32)
    ys = np.clip(np.round(table[:, 1]), 0, rows - 1).astype(np.int32)
    sizes = np.array(SIZES_PX, np.float32)[table[:, 3].astype(np.int64)]
    smooth = cv2.GaussianBlur(level, (0, 0), 1.5)
    signs = np.where(smooth[ys, xs] >= 0, 1.0, -1.0).astype(np.float32)
    grown = np.zeros((len(table), 8), np.float32)
    grow_extents(np.ascontiguousarray(level), ys, xs, signs, sizes, grown)
    boxes = grown[:, :4].copy()
    # The net knows better where it is than the warmest part of it.
    np.minimum(boxes[:, :2], table[:, :2], out=boxes[:, :2])
    np.maximum(boxes[:, 2:], table[:, :2] + 1.0, out=boxes[:, 2:])
    np.clip(boxes[:, ::2], 0, columns, out=boxes[:, ::2])
    np.clip(boxes[:, 1::2], 0, rows, out=boxes[:, 1::2])
    here = likely[ys // STRIDE, xs // STRIDE]
    kinds = table[:, 3].astype(np.int64)
    class_scores = here.reshape(-1, len(LIKELIHOODS)).copy()
    class_scores[np.arange(len(table)), kinds] = table[:, 2]
    told = np.log(table[:, 2] / np.maximum(1.0 - table[:, 2], 1e-6)) + FAINTEST
    return Finds(
        boxes=boxes,
        centers=table[:, :2].copy(),
        scores=np.maximum(told, 0.0).astype(np.float32),
        contrasts=grown[:, 6].copy(),
        class_scores=class_scores,
    )
