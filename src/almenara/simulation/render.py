"""One camera's pictures of the simulated coast, each with its truth.

Same scenario, camera and time: same picture, whatever was drawn before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from almenara.core.ids import CameraId
from almenara.simulation.geometry import Attitude, Eye, range_and_azimuth
from almenara.simulation.paint import Painted, Sight, paint
from almenara.simulation.scenario import Scenario
from almenara.simulation.shade import Background
from almenara.simulation.world import state_at, sway_at, swell_at

RENDERER = "1"
"""Raised whenever the same scenario would give other pictures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruePicture:
    """A picture and what is in it."""

    time_s: float
    luma: npt.NDArray[np.uint8]
    attitude: Attitude
    things: tuple[Painted, ...]
    """Far ones first, as they were drawn."""


class Renderer:
    """Draws what one camera of a scenario sees."""

    def __init__(self, scenario: Scenario, camera_id: CameraId) -> None:
        station, simulated = scenario.camera(camera_id)
        camera = next(c for c in scenario.cameras() if c.camera_id == camera_id)
        self._scenario, self._station_id = scenario, station.station_id
        self.camera, self.eye, self.fps = camera, Eye(camera), simulated.fps
        self._background = Background(
            self.eye,
            scenario.weather,
            simulated.far_coast,
            seed=[scenario.seed, *camera_id.encode()],
            loop_s=scenario.loop_s,
        )

    def picture(self, number: int) -> TruePicture:
        """The picture ``number / fps`` seconds into the loop."""
        time_s = number / self.fps % self._scenario.loop_s
        attitude = sway_at(self._scenario, self._station_id, time_s)
        lens = self.camera.lens
        luma = np.empty((lens.height_px, lens.width_px), np.uint8)
        self._background.draw(luma, time_s, attitude)
        sight = Sight(
            eye=self.eye,
            light=self._background.light,
            attitude=attitude,
            visibility_m=1000 * self._scenario.weather.visibility_km,
        )
        return TruePicture(
            time_s=time_s,
            luma=luma,
            attitude=attitude,
            things=tuple(self._paint_all(luma, sight, time_s)),
        )

    def _paint_all(
        self, luma: npt.NDArray[np.uint8], sight: Sight, time_s: float
    ) -> Iterator[Painted]:
        """Far things first, so that near ones hide them."""
        placed = [
            (range_and_azimuth(self.eye.position, state.position), state)
            for state in state_at(self._scenario, time_s)
        ]
        for seen_from, state in sorted(placed, key=lambda p: p[0], reverse=True):
            swell = swell_at(self._scenario, state.thing_id, time_s)
            painted = paint(luma, sight, state, swell, seen_from)
            if painted is not None:
                yield painted
