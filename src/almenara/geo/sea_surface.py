"""Range over a curved sea from the depression angle of a line of sight.

Light bends with the earth, so on a sphere of *effective radius* R / (1 - k) it travels
straight, and the triangle of centre, camera and waterline answers every question. All
forms here are exact on that sphere and free of cancellation: an angle made from a range
gives the range back to less than a millimetre.

Source: docs/design/georeferencing.md, "Range and depression".
"""

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of WGS 84, (2a + b) / 3."""

EQUATOR_RADIUS_M = 6_378_137.0
FLATTENING = 1 / 298.257223563

REFRACTION_COEFFICIENT = 1 / 7
"""Customary optical mean; over warm water it varies and may change sign."""

FloatArray = npt.NDArray[np.float64]


def effective_radius(
    refraction: float = REFRACTION_COEFFICIENT, earth_radius_m: float = EARTH_RADIUS_M
) -> float:
    """Radius, in metres, of the sphere on which light travels straight.

    >>> round(effective_radius(), 1)
    7432843.6
    """
    return earth_radius_m / (1.0 - refraction)


def euler_radius_m(latitude_deg: float, azimuth_deg: npt.ArrayLike) -> FloatArray:
    """Radius of curvature of WGS 84 at a latitude, in the direction of each azimuth."""
    e2 = FLATTENING * (2.0 - FLATTENING)
    w2 = 1.0 - e2 * float(np.sin(np.deg2rad(latitude_deg))) ** 2
    along_meridian = EQUATOR_RADIUS_M * (1.0 - e2) / w2**1.5
    across_meridian = EQUATOR_RADIUS_M / w2**0.5
    azimuth = np.deg2rad(np.asarray(azimuth_deg, dtype=np.float64))
    result: FloatArray = 1.0 / (
        np.cos(azimuth) ** 2 / along_meridian + np.sin(azimuth) ** 2 / across_meridian
    )
    return result


def horizon_range_m(
    height_m: npt.ArrayLike, *, radius_m: npt.ArrayLike | None = None
) -> FloatArray:
    """Range along the surface to the sea horizon, by the customary √(2·Re·h).

    Its difference from the exact arc is 5 parts in 10⁵ at 400 m of height.

    >>> round(float(horizon_range_m(100.0)))
    38556
    """
    radius = np.asarray(
        effective_radius() if radius_m is None else radius_m, dtype=np.float64
    )
    result: FloatArray = np.sqrt(2.0 * radius * np.asarray(height_m, dtype=np.float64))
    return result


def horizon_dip_deg(
    height_m: npt.ArrayLike, *, radius_m: npt.ArrayLike | None = None
) -> FloatArray:
    """Depression angle of the sea horizon, degrees, exact."""
    radius = np.asarray(
        effective_radius() if radius_m is None else radius_m, dtype=np.float64
    )
    ratio = np.asarray(height_m, dtype=np.float64) / radius
    # arccos(Re / (Re + h)) without the cancellation near one
    result: FloatArray = np.rad2deg(np.arctan(np.sqrt(ratio * (2.0 + ratio))))
    return result


def range_from_depression(
    depression_deg: npt.ArrayLike,
    height_m: float,
    *,
    radius_m: npt.ArrayLike | None = None,
) -> FloatArray:
    """Range to the waterline seen at each depression angle.

    Args:
        depression_deg: Angles below the horizontal, any shape, degrees.
        height_m: Camera height above the sea *now*: mast, cliff and tide included.
        radius_m: Effective radius, scalar or one for each angle; by default the mean
            earth with the customary refraction.

    Returns:
        Ranges along the surface, same shape, metres. NaN where the ray passes above
        the horizon: the sky has no range.

    Raises:
        ValueError: If ``height_m`` is not positive.

    Note:
        Near the horizon the error explodes: ``fix`` says what a range is worth.
    """
    if height_m <= 0.0:
        raise ValueError(f"height_m must be positive, got {height_m}")
    radius = np.asarray(
        effective_radius() if radius_m is None else radius_m, dtype=np.float64
    )
    depression = np.deg2rad(np.asarray(depression_deg, dtype=np.float64))
    q = np.sin(depression / 2) ** 2 - height_m / (2 * radius) * np.cos(depression)
    # q is symmetric about the horizontal: without the first test a ray into the sky
    # would meet the sea behind the camera.
    meets = (depression > 0.0) & (q >= 0.0)
    at_sea = 2.0 * np.arcsin(np.sqrt(np.where(meets, np.minimum(q, 1.0), 0.0)))
    result: FloatArray = np.where(meets, radius * (depression - at_sea), np.nan)
    return result


def depression_from_range(
    range_m: npt.ArrayLike,
    height_m: float,
    *,
    radius_m: npt.ArrayLike | None = None,
) -> FloatArray:
    """Inverse of :func:`range_from_depression`, in its units; NaN beyond the horizon.

    Draws charts and masks into pictures, and predicts where a track will be seen.
    """
    radius = np.asarray(
        effective_radius() if radius_m is None else radius_m, dtype=np.float64
    )
    central = np.asarray(range_m, dtype=np.float64) / radius
    drop = height_m + 2.0 * radius * np.sin(central / 2) ** 2
    depression = np.arctan2(drop, radius * np.sin(central))
    beyond = central > np.deg2rad(horizon_dip_deg(height_m, radius_m=radius))
    result: FloatArray = np.where(beyond, np.nan, np.rad2deg(depression))
    return result
