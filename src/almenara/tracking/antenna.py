"""How a radar would see the tracks: predicted azimuths and ranges, with slopes.

Azimuths are radians in the radar's own frame, ranges metres along the surface: over the
ranges of a coast the slant of the beam costs a metre, far below the range error.

Source: docs/design/tracking.md, "Radar".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, StationFrame
from almenara.geo.sea_surface import FloatArray
from almenara.tracking.observations import RadarObservation

NEAREST_M = 10.0
LEAST_AZIMUTH_STD_DEG = 1e-4
LEAST_RANGE_STD_M = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Echo:
    """What a radar should hear of n points."""

    polar: FloatArray
    """Shape (n, 2): azimuth, range."""

    slopes: FloatArray
    """Shape (n, 2, 2): of each with east and north of the plane."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Antenna:
    """One radar on the plane of the tracks."""

    origin: Position
    frame: StationFrame

    @classmethod
    def of(cls, origin: Position, plane: LocalPlane) -> Self:
        """A radar where it stands."""
        return cls(origin=origin, frame=StationFrame.of(plane, origin))

    def echo(self, east_north_m: FloatArray) -> Echo:
        """Predict azimuths, ranges and slopes for points (n, 2)."""
        azimuth_deg, range_m = self.frame.look(east_north_m)
        azimuth, range_m = np.deg2rad(azimuth_deg), np.maximum(range_m, NEAREST_M)
        sin, cos = np.sin(azimuth), np.cos(azimuth)
        across = np.stack([cos, -sin], axis=1) / range_m[:, None]
        away = np.stack([sin, cos], axis=1)
        return Echo(
            polar=np.stack([azimuth, range_m], axis=1),
            slopes=np.stack([across, away], axis=1) @ self.frame.turn,
        )

    def heard(self, observation: RadarObservation) -> tuple[FloatArray, FloatArray]:
        """An observation's azimuth and range, and their variances, shape (2,) each."""
        polar, variances = self.heard_many([observation])
        return polar[0], variances[0]

    def heard_many(
        self, observations: Sequence[RadarObservation]
    ) -> tuple[FloatArray, FloatArray]:
        """Azimuths and ranges, and their variances, shape (n, 2) each."""
        rows = np.array(
            [
                (o.azimuth_deg, o.range_m, o.azimuth_std_deg, o.range_std_m)
                for o in observations
            ]
        ).reshape(-1, 4)
        std = np.maximum(rows[:, 2:], [LEAST_AZIMUTH_STD_DEG, LEAST_RANGE_STD_M])
        to_rad = np.array([np.pi / 180.0, 1.0])
        return rows[:, :2] * to_rad, (std * to_rad) ** 2

    def place(self, observation: RadarObservation) -> tuple[FloatArray, float]:
        """Where that is on the plane, and the larger of its two errors, metres."""
        azimuth = np.deg2rad(observation.azimuth_deg)
        ahead = self.frame.turn.T @ np.array([np.sin(azimuth), np.cos(azimuth)])
        across_m = observation.range_m * np.deg2rad(observation.azimuth_std_deg)
        place: FloatArray = self.frame.foot_m + observation.range_m * ahead
        return place, float(max(across_m, observation.range_std_m))
