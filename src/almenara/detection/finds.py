"""What was found in one stored picture: columns, with centres to a part of a pixel.

:class:`almenara.detection.Detections` speaks of the live watch, where a waterline on
the sea is what counts; here a picture stands alone and may show sky or land.

Source: docs/design/detection.md, "What comes out".
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from almenara.detection import ObjectClass
from almenara.detection.kernels import F32

__all__ = ["Finds"]

LIKELIHOODS = (ObjectClass.PERSON, ObjectClass.VEHICLE)
"""Columns of ``class_scores``."""

LEAST_LIKELY = 0.05
"""Below, an object has no class: its score says how far to trust the others."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Finds:
    """The objects of one picture, strongest first: row *i* of every array is one."""

    boxes: F32
    """Shape (n, 4): left, top, right, bottom in pixels; right and bottom exclusive."""

    centers: F32
    """Shape (n, 2): x, y in pixels; the middle of the first pixel is (0, 0)."""

    scores: F32
    """Shape (n,), ≥ 0; comparable within one sensor and scene."""

    contrasts: F32
    """Shape (n,), signed grey levels against the surroundings."""

    class_scores: F32
    """Shape (n, 2), in [0, 1]: likelihood of a person, of a vehicle; zero if nobody was
    asked."""

    def __post_init__(self) -> None:
        n = len(self.scores)
        shapes = (
            self.boxes.shape,
            self.centers.shape,
            self.contrasts.shape,
            self.class_scores.shape,
        )
        if shapes != ((n, 4), (n, 2), (n,), (n, len(LIKELIHOODS))):
            raise ValueError(f"columns disagree: {shapes=}, {n=}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> "Finds":
        """An empty picture is an answer, not an error."""
        return cls(
            boxes=np.empty((0, 4), np.float32),
            centers=np.empty((0, 2), np.float32),
            scores=np.empty(0, np.float32),
            contrasts=np.empty(0, np.float32),
            class_scores=np.empty((0, len(LIKELIHOODS)), np.float32),
        )

    def chosen(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Finds":
        """Some of them, in the order asked for."""
        return Finds(
            boxes=self.boxes[which],
            centers=self.centers[which],
            scores=self.scores[which],
            contrasts=self.contrasts[which],
            class_scores=self.class_scores[which],
        )

    def class_of(self, i: int) -> ObjectClass:
        """What object ``i`` most likely is; unknown where nothing is likely."""
        best = int(np.argmax(self.class_scores[i]))
        if self.class_scores[i, best] < LEAST_LIKELY:
            return ObjectClass.UNKNOWN
        return LIKELIHOODS[best]

    def likelihoods(self, i: int) -> Mapping[ObjectClass, float]:
        """The same as numbers."""
        return {
            kind: float(p)
            for kind, p in zip(LIKELIHOODS, self.class_scores[i], strict=True)
        }


def joined(first: Finds, second: Finds) -> Finds:
    """Both together, strongest first."""
    pairs = ((getattr(first, name), getattr(second, name)) for name in Finds.__slots__)
    both = Finds(
        **dict(
            zip(Finds.__slots__, (np.concatenate(pair) for pair in pairs), strict=True)
        )
    )
    return both.chosen(np.argsort(-both.scores, kind="stable"))
