"""Where a simulated thing stands in a simulated picture, exactly.

A pinhole on the effective sphere: the picture's truth comes from here, so it uses the
geodesic and the sphere as the watch does, and nothing of the watch's own code that
could hide a shared mistake. Small arrays only; the sea itself uses row tables.

Source: docs/design/first-light.md step 7; effective radius R / (1 - k) with mean R and
refraction k = 1/7.
"""

import math
from dataclasses import dataclass

from geographiclib.geodesic import Geodesic

from almenara.core.coast import Camera
from almenara.core.values import Position

EFFECTIVE_RADIUS_M = 7_432_843.6
_EARTH = Geodesic.WGS84


def range_and_azimuth(origin: Position, place: Position) -> tuple[float, float]:
    """Length of the geodesic in metres and its azimuth at ``origin`` in [0, 360)."""
    line = _EARTH.Inverse(
        origin.latitude_deg,
        origin.longitude_deg,
        place.latitude_deg,
        place.longitude_deg,
    )
    return float(line["s12"]), float(line["azi1"]) % 360.0


def moved(origin: Position, azimuth_deg: float, range_m: float) -> Position:
    """The place ``range_m`` along the geodesic that leaves towards ``azimuth_deg``."""
    end = _EARTH.Direct(origin.latitude_deg, origin.longitude_deg, azimuth_deg, range_m)
    return Position(latitude_deg=float(end["lat2"]), longitude_deg=float(end["lon2"]))


def dip_rad(height_m: float) -> float:
    """Depression of the horizon seen from ``height_m``."""
    return math.acos(EFFECTIVE_RADIUS_M / (EFFECTIVE_RADIUS_M + height_m))


def horizon_range_m(height_m: float) -> float:
    """Along the sea from below the camera to its horizon."""
    return EFFECTIVE_RADIUS_M * dip_rad(height_m)


def elevation_rad(height_m: float, range_m: float, above_sea_m: float = 0.0) -> float:
    """Of a point ``above_sea_m`` high at ``range_m``, from a camera at ``height_m``."""
    theta = range_m / EFFECTIVE_RADIUS_M
    up = (EFFECTIVE_RADIUS_M + above_sea_m) * math.cos(theta)
    up -= EFFECTIVE_RADIUS_M + height_m
    return math.atan2(up, (EFFECTIVE_RADIUS_M + above_sea_m) * math.sin(theta))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attitude:
    """Where the camera looks at one instant: its pose with the mast's sway."""

    pan_deg: float = 0.0
    """Added to the azimuth."""

    tilt_deg: float = 0.0
    """Added to the tilt."""


STILL = Attitude()


class Eye:
    """One camera's pinhole.

    Pixel coordinates: x to the right, y down, (0, 0) the corner of the first pixel, so
    the boresight is at (width / 2, height / 2).
    """

    def __init__(self, camera: Camera) -> None:
        lens, pose = camera.lens, camera.pose
        self.camera = camera
        self.position = pose.position
        self.height_m = pose.height_m
        self.focal_px = lens.width_px / 2 / math.tan(math.radians(lens.hfov_deg) / 2)
        self.horizon_m = horizon_range_m(pose.height_m)

    def pixel(
        self, azimuth_deg: float, elevation: float, attitude: Attitude = STILL
    ) -> tuple[float, float] | None:
        """Where a direction appears; None when it is beside or behind the camera.

        Args:
            azimuth_deg: True.
            elevation: Radians, negative below the camera's own horizontal.
            attitude: The mast's sway.
        """
        pose, lens = self.camera.pose, self.camera.lens
        pan = math.radians(azimuth_deg - pose.azimuth_deg - attitude.pan_deg)
        tilt = math.radians(pose.tilt_deg + attitude.tilt_deg)
        level = math.cos(elevation) * math.cos(pan)
        right = math.cos(elevation) * math.sin(pan)
        up = math.sin(elevation)
        forward = level * math.cos(tilt) + up * math.sin(tilt)
        above = up * math.cos(tilt) - level * math.sin(tilt)
        if forward < 0.3:
            return None
        return (
            lens.width_px / 2 + self.focal_px * right / forward,
            lens.height_px / 2 - self.focal_px * above / forward,
        )

    def sees(
        self, place: Position, above_sea_m: float = 0.0, attitude: Attitude = STILL
    ) -> tuple[float, float, float] | None:
        """``(x, y, range_m)`` of a place at that height; None when not in front."""
        range_m, azimuth_deg = range_and_azimuth(self.position, place)
        return self.sees_at(range_m, azimuth_deg, above_sea_m, attitude)

    def sees_at(
        self,
        range_m: float,
        azimuth_deg: float,
        above_sea_m: float = 0.0,
        attitude: Attitude = STILL,
    ) -> tuple[float, float, float] | None:
        """:meth:`sees` for a place given by range and azimuth from the camera."""
        if range_m < 1.0:
            return None
        elevation = elevation_rad(self.height_m, range_m, above_sea_m)
        point = self.pixel(azimuth_deg, elevation, attitude)
        return None if point is None else (*point, range_m)

    def horizon_rows(self, attitude: Attitude = STILL) -> tuple[float, float]:
        """The horizon's y at the picture's left and right edge."""
        width = self.camera.lens.width_px
        half_deg = math.degrees(math.atan(width / 2 / self.focal_px))
        dip = -dip_rad(self.height_m)
        azimuth = self.camera.pose.azimuth_deg + attitude.pan_deg
        ends = (
            self.pixel(azimuth + side * half_deg, dip, attitude) for side in (-1, 1)
        )
        left, right = (end[1] if end else math.nan for end in ends)
        return left, right
