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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.kernels import F32

STRIDE = 4
"""Pixels per cell of the maps."""

DILATIONS = (1, 2, 1, 3, 1)
NAMES = ("person", "vehicle")
"""What the maps stand for, in their order."""

WINDOW = 63
NOISE2 = 36.0
"""Variance added before normalising: a flat wall must not become a starry sky."""

Weights = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heat:
    """What the net says of one picture."""

    likelihoods: F32
    """Shape (rows/4, columns/4, 2), in [0, 1]: person, vehicle."""


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
    """Every place's neighbourhood as a row: shape (n, rows, columns, size²·channels)."""
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
