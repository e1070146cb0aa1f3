"""Finds objects in stored pictures: each alone, or as a sequence of one camera.

Alone, a picture is judged by :mod:`almenara.detection.responses`. In a sequence the
answers are compared with what the same place of the *scene* answered before (the
camera may move), so that what is always there counts less, and candidates inherit from
their past (:mod:`almenara.detection.chains`). Only the past is used.

Source: docs/design/detection.md, "One picture" and "Sequences".
"""

from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.chains import Chains, gate_of
from almenara.detection.finds import Finds
from almenara.detection.kernels import F32
from almenara.detection.picking import finds
from almenara.detection.registration import Registrar, Shift
from almenara.detection.responses import (
    LAND_SCALES,
    SKY_SCALES,
    Picture,
    Response,
    Surroundings,
    Water,
    eight_bit,
)

SMALLEST_PX = 16
DARK_IN_THE_SKY = 0.6
"""Weight of dark spots in a thermal sky: a body radiates more than the sky behind it,
and what is darker is most often a gap between clouds."""

ALWAYS_THERE = 0.6
"""Share of its score that something keeps which is always at its place."""

FAINT = 1.3
"""Least score of a candidate that time may still raise."""

LONG_LOOKS = 30
"""Looks in the memory of what is usual at a place."""


class Scenery(StrEnum):
    """What stored pictures show; the sky is a scene of its own here."""

    SEA = "sea"
    LAND = "land"
    SKY = "sky"


class Eye(Protocol):
    """Answers for one picture."""

    def respond(self, picture: Picture) -> Response:
        """Score every place."""
        ...


def eye_for(scenery: Scenery, *, thermal: bool, watched: npt.NDArray[np.bool_]) -> Eye:
    """The answers a scene needs.

    Args:
        scenery: What the pictures show.
        thermal: Of a thermal camera.
        watched: Shape of the pictures; True where to look.
    """
    if scenery is Scenery.SEA:
        return Water(watched)
    if scenery is Scenery.SKY:
        dark = DARK_IN_THE_SKY if thermal else 1.0
        return Surroundings(scales=SKY_SCALES, dark=dark)
    return Surroundings(scales=LAND_SCALES)


class StillFinder:
    """Finds objects in pictures that have nothing to do with each other."""

    def __init__(
        self, scenery: Scenery, *, thermal: bool, watched: npt.NDArray[np.bool_]
    ) -> None:
        """Expect pictures of ``watched``'s shape."""
        self._watched = watched
        self._eye = eye_for(scenery, thermal=thermal, watched=watched)

    def find(self, picture: Picture) -> Finds:
        """Every candidate, strongest first."""
        if picture.shape != self._watched.shape or min(picture.shape) < SMALLEST_PX:
            return Finds.none()
        return finds(self._eye.respond(picture), self._watched)


class SequenceFinder:
    """Finds objects in the pictures of one camera, oldest first."""

    def __init__(
        self,
        scenery: Scenery,
        *,
        thermal: bool,
        watched: npt.NDArray[np.bool_],
        fps: float,
    ) -> None:
        """Expect ``fps`` pictures a second of ``watched``'s shape."""
        self._watched = watched
        self._eye = eye_for(scenery, thermal=thermal, watched=watched)
        self._registrar = Registrar()
        self._usual = Usual(watched.shape)
        area_px = float(watched.sum())
        self._chains = Chains(gate_of(scenery.value, fps), area_px)
        self._offset = np.zeros(2)
        self._looks, self._fps = 0, fps

    def find(self, picture: Picture) -> Finds:
        """Every candidate of the next picture, strongest first."""
        if picture.shape != self._watched.shape or min(picture.shape) < SMALLEST_PX:
            return Finds.none()
        shift = self._registrar.shift(eight_bit(picture))
        self._offset -= (shift.dx, shift.dy)
        response = self._eye.respond(picture)
        told, beyond = self._usual.compare(response.scores, shift)
        found = finds(
            Response(
                scores=told,
                scales=response.scales,
                sizes_px=response.sizes_px,
                level=response.level,
            ),
            self._watched,
            floor=FAINT,
        )
        self._looks += 1
        gained = self._chains.gain(
            found.centers.astype(np.float64) + self._offset,
            _beyond_at(beyond, found),
            np.sign(found.contrasts).astype(np.float64),
            self._looks / self._fps,
        )
        return _with_scores(found, found.scores + gained)


def _beyond_at(beyond: F32, found: Finds) -> npt.NDArray[np.float64]:
    """What each object shows beyond what is usual at its place."""
    strong = cv2.dilate(np.abs(beyond), np.ones((5, 5), np.uint8))
    x = np.clip(np.round(found.centers[:, 0]), 0, beyond.shape[1] - 1).astype(np.int64)
    y = np.clip(np.round(found.centers[:, 1]), 0, beyond.shape[0] - 1).astype(np.int64)
    answer: npt.NDArray[np.float64] = strong[y, x].astype(np.float64)
    return answer


def _with_scores(found: Finds, scores: F32) -> Finds:
    richer = Finds(
        boxes=found.boxes,
        centers=found.centers,
        scores=scores.astype(np.float32),
        contrasts=found.contrasts,
        class_scores=found.class_scores,
    )
    return richer.chosen(np.argsort(-scores, kind="stable"))


class Usual:
    """What every place of the scene usually answers; moves with the scene."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean = np.zeros(shape, np.float32)
        self._spread = np.zeros(shape, np.float32)
        self._looks = 0

    def compare(self, scores: F32, shift: Shift) -> tuple[F32, F32]:
        """Take off what is usual, then learn from the picture.

        Args:
            scores: Of the next picture, signed.
            shift: Of the scene since the last one.

        Returns:
            Scores to be told, in which what is always there keeps a share; and what is
            beyond the usual alone.
        """
        if shift.dx or shift.dy:
            move = np.array([[1, 0, shift.dx], [0, 1, shift.dy]], np.float32)
            size = scores.shape[::-1]
            self._mean = _moved(self._mean, move, size)
            self._spread = _moved(self._spread, move, size)
        beyond = self._beyond(scores)
        kept = np.float32(1.0 if self._looks < 2 else ALWAYS_THERE) * scores
        told: F32 = np.where(np.abs(beyond) > np.abs(kept), beyond, kept)
        share = np.float32(max(1.0 / LONG_LOOKS, 0.6 / (self._looks + 1)))
        difference = scores - self._mean
        self._mean += share * difference
        square = np.minimum(difference * difference, np.float32(25.0))
        self._spread += share * (square - self._spread)
        self._looks += 1
        return told, beyond

    def _beyond(self, scores: F32) -> F32:
        """Beyond the usual of the place and its neighbours, in its own spread."""
        if self._looks < 2:
            return scores
        block = np.ones((3, 3), np.uint8)
        above = np.maximum(cv2.dilate(self._mean, block), 0.0)
        below = np.minimum(cv2.erode(self._mean, block), 0.0)
        beyond = np.maximum(scores - above, 0.0) + np.minimum(scores - below, 0.0)
        beyond /= np.sqrt(np.maximum(self._spread, 1.0))
        answer: F32 = beyond.astype(np.float32, copy=False)
        return answer


def _moved(picture: F32, move: F32, size: tuple[int, ...]) -> F32:
    moved = cv2.warpAffine(
        picture, move, (size[0], size[1]), borderMode=cv2.BORDER_CONSTANT
    )
    return moved.astype(np.float32, copy=False)
