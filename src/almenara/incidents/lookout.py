"""Which working cameras look at a place now: what is unseen there is truly missing.

Source: docs/design/alarms.md, "Vanished".
"""

from collections.abc import Callable, Iterable

import numpy as np

from almenara.core.coast import Camera, Scene
from almenara.core.values import Position
from almenara.detection import Condition
from almenara.geo.camera_model import CameraModel
from almenara.geo.fix import sight
from almenara.incidents.doubts import CameraFacts
from almenara.incidents.thresholds import DEFAULT, Thresholds

MARGIN = 0.03
"""Of the picture, at each edge: there a boat is half out of it."""


def lookout(
    facts: Iterable[CameraFacts], limits: Thresholds = DEFAULT
) -> Callable[[Position], tuple[str, ...]]:
    """A function that names the cameras which work and look at a place.

    A camera that is silent, blind, frozen, learning or dimmed says nothing of what is
    not there.
    """
    working = [
        (fact.camera, CameraModel.of(fact.camera))
        for fact in facts
        if fact.camera is not None
        and fact.camera.scene is Scene.SEA
        and fact.condition is Condition.GOOD
        and fact.silent_for < limits.silent_after
    ]

    def watched_by(position: Position) -> tuple[str, ...]:
        return tuple(
            camera.camera_id
            for camera, model in working
            if _shows(camera, model, position)
        )

    return watched_by


def _shows(camera: Camera, model: CameraModel, position: Position) -> bool:
    azimuth_deg, elevation_deg, _ = sight(camera, position)
    if np.isnan(elevation_deg):
        return False
    x, y = model.to_pixels(azimuth_deg, elevation_deg)[0]
    if np.isnan(x):
        return False
    across, down = x / camera.lens.width_px, y / camera.lens.height_px
    inside = MARGIN <= across <= 1.0 - MARGIN
    return bool(inside and MARGIN <= down <= 1.0 - MARGIN)
