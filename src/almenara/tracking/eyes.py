"""How a camera would see the tracks: predicted bearings and elevations, with slopes.

Angles are radians here and in the station's own frame. Elevation is that of a waterline
and saturates at the horizon: beyond it nothing changes any more, its slope is nought.

Source: docs/design/tracking.md, "Measurements".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from almenara.core.coast import Camera
from almenara.geo.fix import (
    elevation_bias_std_deg,
    elevation_slope_per_m,
    has_range,
    local_radius,
)
from almenara.geo.geodesy import LocalPlane, StationFrame
from almenara.geo.sea_surface import (
    FloatArray,
    depression_from_range,
    horizon_dip_deg,
)
from almenara.tracking.observations import CameraObservation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What a camera should see of n points."""

    angles: FloatArray
    """Shape (n, 2): azimuth, elevation."""

    slopes: FloatArray
    """Shape (n, 2, 2): of each angle with east and north of the plane."""

    bias: FloatArray
    """Shape (n, 2): standard deviation common to all looks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Eye:
    """One camera on the plane of the tracks."""

    camera: Camera
    frame: StationFrame
    column: int
    """Its azimuth's unit error in the cross covariance; elevation's is the next."""

    dip_rad: float

    @classmethod
    def of(cls, camera: Camera, plane: LocalPlane, column: int) -> Self:
        """A camera as it stands."""
        return cls(
            camera=camera,
            frame=StationFrame.of(plane, camera.pose.position),
            column=column,
            dip_rad=float(np.deg2rad(horizon_dip_deg(camera.pose.height_m))),
        )

    def sight(self, east_north_m: FloatArray) -> Sight:
        """Predict angles, slopes and common errors for points (n, 2)."""
        azimuth_deg, range_m = self.frame.look(east_north_m)
        range_m = np.maximum(range_m, 10.0)
        height_m = self.camera.pose.height_m
        radius = local_radius(self.camera.pose.position, azimuth_deg)
        depression = np.deg2rad(
            depression_from_range(range_m, height_m, radius_m=radius)
        )
        depression = np.where(np.isnan(depression), self.dip_rad, depression)
        slope = np.maximum(
            elevation_slope_per_m(range_m, height_m, radius_m=radius), 0.0
        )
        azimuth = np.deg2rad(azimuth_deg)
        sin, cos = np.sin(azimuth), np.cos(azimuth)
        across = np.stack([cos, -sin], axis=1) / range_m[:, None]
        away = np.stack([sin, cos], axis=1) * slope[:, None]
        bias_el = np.deg2rad(elevation_bias_std_deg(self.camera, range_m))
        bias_az = np.full_like(bias_el, np.deg2rad(self.camera.pose.azimuth_std_deg))
        return Sight(
            angles=np.stack([azimuth, -depression], axis=1),
            slopes=np.stack([across, away], axis=1) @ self.frame.turn,
            bias=np.stack([bias_az, bias_el], axis=1),
        )

    def seen(self, observation: CameraObservation) -> tuple[FloatArray, FloatArray]:
        """An observation's azimuth and elevation, and their pixel variances."""
        # What shows above the horizon is a hull-down boat's upper part.
        elevation = min(float(np.deg2rad(observation.elevation_deg)), -self.dip_rad)
        std = np.deg2rad([observation.azimuth_std_deg, observation.elevation_std_deg])
        azimuth = float(np.deg2rad(observation.azimuth_deg))
        return np.array([azimuth, elevation]), np.maximum(std, 1e-6) ** 2

    def ranges(self, looks: Sequence[CameraObservation]) -> list[bool]:
        """Whether the elevation of each look is worth a range."""
        worth = has_range(
            self.camera,
            [look.elevation_deg for look in looks],
            [look.elevation_std_deg for look in looks],
        )
        return [bool(one) for one in worth]

    def bias_rows(self, bias: FloatArray, columns: int) -> FloatArray:
        """How the unit errors of all cameras enter this camera's two angles, (2, m)."""
        rows = np.zeros((2, columns))
        rows[0, self.column], rows[1, self.column + 1] = bias
        return rows


def apart(seen: FloatArray, predicted: FloatArray) -> FloatArray:
    """Innovation: seen minus predicted, azimuth wrapped to ±π; shapes (…, 2)."""
    result = np.array(seen - predicted)
    result[..., 0] = (result[..., 0] + np.pi) % (2.0 * np.pi) - np.pi
    return result
