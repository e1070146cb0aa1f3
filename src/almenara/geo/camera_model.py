"""Pixels against directions: an ideal pinhole on a head with pan, tilt and roll.

Pixel coordinates are continuous: the picture spans [0, width] by [0, height], y down;
the middle of the top left pixel is (0.5, 0.5). Azimuth is true, clockwise from north;
elevation is above the station's horizontal. All rotations are exact.

Source: Hartley & Zisserman, Multiple View Geometry (2004), chapter 6.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from almenara.core.coast import Camera, Lens, Pose
from almenara.geo.sea_surface import FloatArray, horizon_dip_deg


def _axes(pose: Pose) -> FloatArray:
    """Rows: the camera's right, down and forward axes in east, north, up."""
    azimuth, tilt, roll = np.deg2rad([pose.azimuth_deg, pose.tilt_deg, pose.roll_deg])
    forward = np.array(
        [np.sin(azimuth) * np.cos(tilt), np.cos(azimuth) * np.cos(tilt), np.sin(tilt)]
    )
    level_right = np.array([np.cos(azimuth), -np.sin(azimuth), 0.0])
    level_down = np.cross(forward, level_right)
    right = np.cos(roll) * level_right + np.sin(roll) * level_down
    down = np.cos(roll) * level_down - np.sin(roll) * level_right
    return np.stack([right, down, forward])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraModel:
    """What a camera's pixels look at. Make one with :meth:`of`, again when it moves."""

    lens: Lens
    pose: Pose
    focal_px: float
    axes: FloatArray
    """Shape (3, 3), rows right, down, forward in east, north, up at the station."""

    @classmethod
    def of(cls, camera: Camera) -> Self:
        """The model of a camera as it stands.

        Raises:
            ValueError: If the field of view is not in (0, 120] degrees.
        """
        lens = camera.lens
        if not 0.0 < lens.hfov_deg <= 120.0:
            raise ValueError(f"{camera.camera_id}: field of view {lens.hfov_deg}")
        focal_px = lens.width_px / 2 / float(np.tan(np.deg2rad(lens.hfov_deg) / 2))
        return cls(
            lens=lens, pose=camera.pose, focal_px=focal_px, axes=_axes(camera.pose)
        )

    @property
    def ifov_deg(self) -> float:
        """Angle that one pixel spans in the middle of the picture."""
        return float(np.rad2deg(1.0 / self.focal_px))

    def to_angles(self, xy_px: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Direction of each pixel.

        Args:
            xy_px: Shape (n, 2): x, y.

        Returns:
            Azimuth in [0, 360) and elevation, shape (n,) each, degrees.
        """
        xy = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
        middle = np.array([self.lens.width_px / 2, self.lens.height_px / 2])
        ray = np.ones((len(xy), 3))
        ray[:, :2] = (xy - middle) / self.focal_px
        east, north, up = (ray @ self.axes).T
        azimuth = np.rad2deg(np.arctan2(east, north)) % 360.0
        # A tiny negative angle modulo 360 rounds to 360 itself.
        azimuth = np.where(azimuth >= 360.0, 0.0, azimuth)
        return azimuth, np.rad2deg(np.arctan2(up, np.hypot(east, north)))

    def to_pixels(
        self, azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike
    ) -> FloatArray:
        """Where each direction appears.

        Returns:
            Shape (n, 2): x, y; outside the picture where the lens does not reach, NaN
            behind the camera.
        """
        azimuth, elevation = np.broadcast_arrays(
            np.deg2rad(np.atleast_1d(np.asarray(azimuth_deg, dtype=np.float64))),
            np.deg2rad(np.atleast_1d(np.asarray(elevation_deg, dtype=np.float64))),
        )
        direction = np.stack(
            [
                np.sin(azimuth) * np.cos(elevation),
                np.cos(azimuth) * np.cos(elevation),
                np.sin(elevation),
            ],
            axis=1,
        )
        right, down, forward = (direction @ self.axes.T).T
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = np.where(forward > 0.0, forward, np.nan)
            x = self.lens.width_px / 2 + self.focal_px * right / depth
            y = self.lens.height_px / 2 + self.focal_px * down / depth
        return np.stack([x, y], axis=1)

    def horizon_row_px(self, x: npt.ArrayLike) -> FloatArray:
        """The y at which the sea horizon crosses each column x, refraction included.

        Below a level camera the horizon bows and, with roll, leans. May lie outside the
        picture.

        Returns:
            Same shape as ``x``; NaN where a column never meets the horizon.
        """
        u = (np.asarray(x, dtype=np.float64) - self.lens.width_px / 2) / self.focal_px
        up_right, up_down, up_forward = self.axes[:, 2]
        s2 = float(np.sin(np.deg2rad(horizon_dip_deg(self.pose.height_m)))) ** 2
        # (a + v·up_down)² = s²·(1 + u² + v²): the ray's share of *up* is -sin(dip).
        a = u * up_right + up_forward
        lead = up_down**2 - s2
        root = (a * up_down) ** 2 - lead * (a**2 - s2 * (1.0 + u**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            v = (-a * up_down + np.sqrt(root)) / lead
        found = (lead > 0.0) & (root >= 0.0)
        result: FloatArray = np.where(
            found, self.lens.height_px / 2 + self.focal_px * v, np.nan
        )
        return result
