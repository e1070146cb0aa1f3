"""What is in the picture: boats, vehicles, people as objects. Never who.

A detector is anything with the :class:`Detector` shape; each camera has its own,
because noise is learnt per place. Add one by writing a module in ``detection``, naming
it in ``node.watch`` and adding one line to the contract test.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from almenara.core.media import Frame

__all__ = ["Condition", "Detections", "Detector", "ObjectClass"]


class ObjectClass(StrEnum):
    """Everything Almenara may call an object. The list is closed on purpose.

    There is no class for age, sex, origin or identity, and no field that could carry
    one (docs/adr/0003-objects-not-people.md).
    """

    SMALL_CRAFT = "small_craft"
    VESSEL = "vessel"
    VEHICLE = "vehicle"
    PERSON = "person"
    UNKNOWN = "unknown"


class Condition(StrEnum):
    """What a picture is worth to the watch."""

    GOOD = "good"
    LEARNING = "learning"
    """Noise is not known yet; nothing is reported."""

    DEGRADED = "degraded"
    """Noise far above what is usual here: low sun, rain, spray."""

    FROZEN = "frozen"
    """The same picture again and again."""

    BLIND = "blind"
    """Nothing to be seen: covered, dark, fogged or uniform."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Detections:
    """The objects of one frame, as columns: row *i* of every array is object *i*."""

    boxes: npt.NDArray[np.float32]
    """Shape (n, 4): left, top, right, bottom in pixels; right and bottom exclusive."""

    waterlines: npt.NDArray[np.float32]
    """Shape (n, 2): x, y in pixels where the object meets the water or ground."""

    scores: npt.NDArray[np.float32]
    """Shape (n,), ≥ 0: signal over the local noise; comparable within a detector."""

    contrasts: npt.NDArray[np.float32]
    """Shape (n,), signed grey levels against the surroundings."""

    classes: tuple[ObjectClass, ...]
    condition: Condition = Condition.GOOD
    clutter_per_px: float = 1e-6
    """False candidates to expect per square pixel and frame at this threshold."""

    def __post_init__(self) -> None:
        n = len(self.classes)
        shapes = (
            self.boxes.shape,
            self.waterlines.shape,
            self.scores.shape,
            self.contrasts.shape,
        )
        if shapes != ((n, 4), (n, 2), (n,), (n,)):
            raise ValueError(f"columns disagree: {shapes=}, {n=}")

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def none(cls, condition: Condition = Condition.GOOD) -> "Detections":
        """An empty picture is an answer, not an error."""
        return cls(
            boxes=np.empty((0, 4), np.float32),
            waterlines=np.empty((0, 2), np.float32),
            scores=np.empty(0, np.float32),
            contrasts=np.empty(0, np.float32),
            classes=(),
            condition=condition,
        )


class Detector(Protocol):
    """Finds objects in the frames of one camera, oldest first.

    Deterministic: the same frames in the same order give the same answers.
    """

    def detect(self, frame: Frame) -> Detections:
        """Judge the next frame.

        Must not keep, alter or write the pixels. Must not raise for an odd picture.
        """
        ...
