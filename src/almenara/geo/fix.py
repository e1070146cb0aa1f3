"""A look's place with its error, or an honest bearing alone.

A camera's fix is a needle: sharp across, long along the line of sight. What one look is
worth follows from four errors: the pixel (new at every look), and the boresight, the
level of the sea and refraction (the same at every look of a camera: a *bias*, which no
averaging removes). Where the waterline is too near the horizon, or the range too
uncertain, there is a bearing and no range.

Source: docs/design/georeferencing.md, "Error budget".
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from almenara.core.coast import Camera, Scene
from almenara.core.values import Position
from almenara.geo.camera_model import CameraModel
from almenara.geo.geodesy import destination, inverse
from almenara.geo.sea_surface import (
    EARTH_RADIUS_M,
    FloatArray,
    depression_from_range,
    effective_radius,
    euler_radius_m,
    horizon_dip_deg,
    range_from_depression,
)

REFRACTION_STD = 0.05
"""Of the coefficient k around its mean; over the Strait it wanders from 0 to 0.25."""

TERRAIN_STD_M = 5.0
"""How uneven land is, seen from a camera that takes it for a plane."""

HORIZON_MARGIN = 3.0
"""Standard deviations that a waterline must lie below the horizon to have a range."""

LARGEST_RANGE_ERROR = 0.2
"""A range more uncertain than this part of itself is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A place with its error, or a bearing alone."""

    origin: Position
    azimuth_deg: float
    azimuth_std_deg: float
    """Pixel and boresight together."""

    position: Position | None = None
    """None: bearing only."""

    range_m: float | None = None
    range_std_m: float | None = None
    cov_m2: tuple[float, float, float] | None = None
    """East variance, north variance, east-north covariance at the place."""


def elevation_slope_per_m(
    range_m: npt.ArrayLike, height_m: float, *, radius_m: npt.ArrayLike | None = None
) -> FloatArray:
    """How fast a waterline rises in the picture with range: g = h/d² - 1/(2Re), rad/m.

    Zero at the horizon; the range error is the angle's error divided by it.
    """
    d = np.asarray(range_m, dtype=np.float64)
    radius = np.asarray(
        effective_radius() if radius_m is None else radius_m, dtype=np.float64
    )
    result: FloatArray = height_m / d**2 - 1.0 / (2.0 * radius)
    return result


def elevation_bias_std_deg(camera: Camera, range_m: npt.ArrayLike) -> FloatArray:
    """Error of elevation common to all looks: boresight, sea level and refraction."""
    d = np.maximum(np.asarray(range_m, dtype=np.float64), 1.0)
    level_std_m = camera.pose.height_std_m
    if camera.scene is Scene.LAND:
        level_std_m = float(np.hypot(level_std_m, TERRAIN_STD_M))
    level = level_std_m / d
    bending = d * REFRACTION_STD / (2.0 * EARTH_RADIUS_M)
    tilt = np.deg2rad(camera.pose.tilt_std_deg)
    result: FloatArray = np.rad2deg(np.sqrt(tilt**2 + level**2 + bending**2))
    return result


def range_std_m(
    camera: Camera, range_m: npt.ArrayLike, elevation_std_deg: npt.ArrayLike
) -> FloatArray:
    """Error of a range from its elevation; infinite at and beyond the horizon.

    Args:
        camera: Who looks.
        range_m: Any shape.
        elevation_std_deg: Pixel noise alone; the camera's bias is added here.
    """
    total = np.hypot(
        np.asarray(elevation_std_deg, dtype=np.float64),
        elevation_bias_std_deg(camera, range_m),
    )
    slope = elevation_slope_per_m(range_m, camera.pose.height_m)
    with np.errstate(divide="ignore"):
        spread = np.deg2rad(total) / np.maximum(slope, 0.0)
    result: FloatArray = np.where(slope > 0.0, spread, np.inf)
    return result


def has_range(
    camera: Camera, elevation_deg: npt.ArrayLike, elevation_std_deg: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    """Whether each elevation is worth a range; what is near the horizon is not."""
    elevation = np.asarray(elevation_deg, dtype=np.float64)
    d = range_from_depression(-elevation, camera.pose.height_m)
    known = ~np.isnan(d)
    safe_d = np.where(known, d, 1.0)
    std = np.hypot(
        np.asarray(elevation_std_deg, dtype=np.float64),
        elevation_bias_std_deg(camera, safe_d),
    )
    margin = -elevation - horizon_dip_deg(camera.pose.height_m)
    sharp = range_std_m(camera, safe_d, elevation_std_deg)
    result: npt.NDArray[np.bool_] = (
        known
        & (margin >= HORIZON_MARGIN * std)
        & (sharp <= LARGEST_RANGE_ERROR * safe_d)
    )
    return result


def fix_from_angles(
    camera: Camera,
    azimuth_deg: float,
    elevation_deg: float,
    *,
    azimuth_std_deg: float,
    elevation_std_deg: float,
) -> Fix:
    """Where a waterline is that is seen in this direction.

    Args:
        camera: Who looks.
        azimuth_deg: True, at the station.
        elevation_deg: Of the waterline, above the station's horizontal.
        azimuth_std_deg: Pixel noise alone; the camera's pose error is added.
        elevation_std_deg: Likewise.

    Returns:
        A place with its covariance, or a bearing alone where a range means nothing.
    """
    pose = camera.pose
    across_deg = float(np.hypot(azimuth_std_deg, pose.azimuth_std_deg))
    if not bool(has_range(camera, elevation_deg, elevation_std_deg)):
        return Fix(
            origin=pose.position,
            azimuth_deg=azimuth_deg % 360.0,
            azimuth_std_deg=across_deg,
        )
    radius = local_radius(pose.position, azimuth_deg)
    d = float(range_from_depression(-elevation_deg, pose.height_m, radius_m=radius))
    along = float(range_std_m(camera, d, elevation_std_deg))
    across = d * float(np.deg2rad(across_deg))
    position = destination(pose.position, azimuth_deg, d)
    # The needle points along the geodesic where it arrives, not where it left.
    _, back = inverse(position, pose.position)
    return Fix(
        origin=pose.position,
        azimuth_deg=azimuth_deg % 360.0,
        azimuth_std_deg=across_deg,
        position=position,
        range_m=d,
        range_std_m=along,
        cov_m2=needle(back + 180.0, along, across),
    )


def fix_from_pixel(camera: Camera, x_px: float, y_px: float, *, std_px: float) -> Fix:
    """Where the waterline pixel (the lowest of the thing, not its middle) is."""
    model = CameraModel.of(camera)
    azimuth, elevation = model.to_angles([[x_px, y_px]])
    spread_deg = std_px * model.ifov_deg
    return fix_from_angles(
        camera,
        float(azimuth[0]),
        float(elevation[0]),
        azimuth_std_deg=spread_deg / max(float(np.cos(np.deg2rad(elevation[0]))), 1e-6),
        elevation_std_deg=spread_deg,
    )


def local_radius(position: Position, azimuth_deg: npt.ArrayLike) -> FloatArray:
    """Effective radius where a station stands, in the direction it looks."""
    scale = effective_radius() / EARTH_RADIUS_M
    result: FloatArray = euler_radius_m(position.latitude_deg, azimuth_deg) * scale
    return result


def needle(
    azimuth_deg: float, along_m: float, across_m: float
) -> tuple[float, float, float]:
    """Covariance of an ellipse: east variance, north variance, covariance."""
    sin, cos = np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))
    return (
        float((along_m * sin) ** 2 + (across_m * cos) ** 2),
        float((along_m * cos) ** 2 + (across_m * sin) ** 2),
        float((along_m**2 - across_m**2) * sin * cos),
    )


def sight(camera: Camera, position: Position) -> tuple[float, float, float]:
    """How a camera sees a waterline at a place: the inverse of a fix.

    Returns:
        Azimuth in [0, 360), elevation (NaN beyond the horizon), both degrees, and range
        in metres.
    """
    range_m, azimuth_deg = inverse(camera.pose.position, position)
    radius = local_radius(camera.pose.position, azimuth_deg)
    depression = depression_from_range(range_m, camera.pose.height_m, radius_m=radius)
    return azimuth_deg, -float(depression), range_m
