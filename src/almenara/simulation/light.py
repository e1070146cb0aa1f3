"""How bright a facet of the sea is, for eyes that see light and eyes that see warmth.

Both answer in grey levels of an 8-bit picture, for any grazing angle and slope at once,
so that a table of them shades a whole picture.

Source: Schlick's form of Fresnel's law for water; Koschmieder's law for haze; grey-body
emission (1 - R) with the sky's reflection for long-wave infrared.
"""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from almenara.simulation.scenario import Weather

Array = npt.NDArray[np.float64]

WARM_GREY_PER_K = 7.0
_SEA_GREY = 165.0
_AIR_BELOW_SEA_K = 1.0


class Light(Protocol):
    """What one kind of sensor sees."""

    noise_grey: float
    row_noise_grey: float

    def sky(self, elevation: Array) -> Array:
        """Grey level of the sky at an elevation in radians."""
        ...

    def sea(self, grazing: Array, slope: Array, tau: Array) -> Array:
        """Grey level of a facet; ``slope`` positive where it faces the camera."""
        ...

    def thing(self, day_grey: float, warmth_k: float, tau: float) -> float:
        """Grey level of a painted part at transmittance ``tau``."""
        ...

    def far_land(self, texture: Array, tau: float) -> Array:
        """Grey level of distant land; ``texture`` in [-1, 1]."""
        ...


def reflectance(grazing: Array) -> Array:
    """Of flat water seen under a grazing angle in radians."""
    answer: Array = 0.02 + 0.98 * (1 - np.sin(np.clip(grazing, 0.0, math.pi / 2))) ** 5
    return answer


class DayLight:
    """Visible light."""

    noise_grey = 1.3
    row_noise_grey = 0.0

    def __init__(self, weather: Weather) -> None:
        up = math.sin(math.radians(max(weather.sun_elevation_deg, -8.0)) + 0.14)
        self._scale = min(1.0, 0.25 + 1.1 * max(up, 0.0))
        self.horizon = 196.0 * self._scale
        self._zenith = 104.0 * self._scale
        self._water = 34.0 * self._scale

    def sky(self, elevation: Array) -> Array:
        high = np.exp(-np.abs(elevation) / 0.30)
        return self._zenith + (self.horizon - self._zenith) * high

    def sea(self, grazing: Array, slope: Array, tau: Array) -> Array:
        angle = np.maximum(grazing + slope, 0.015)
        share = reflectance(angle)
        seen = share * self.sky(grazing + 2 * slope) + (1 - share) * self._water
        return self.horizon + (seen - self.horizon) * tau

    def thing(self, day_grey: float, warmth_k: float, tau: float) -> float:  # noqa: ARG002  # light sees no warmth
        return self.horizon + (day_grey * self._scale - self.horizon) * tau

    def far_land(self, texture: Array, tau: float) -> Array:
        grey = (96.0 + 22.0 * texture) * self._scale
        return self.horizon * 0.97 + (grey - self.horizon * 0.97) * tau


class Warmth:
    """Long-wave infrared, scaled to 8 bit around the sea's own temperature."""

    noise_grey = 0.9
    row_noise_grey = 0.35

    def __init__(self, weather: Weather) -> None:
        self._sea_c = weather.sea_temperature_c

    def _grey(self, over_sea_k: Array) -> Array:
        """A soft knee keeps the cold sky and the hot engine inside eight bits."""
        return _SEA_GREY + 150.0 * np.tanh(over_sea_k * WARM_GREY_PER_K / 150.0)

    def sky(self, elevation: Array) -> Array:
        return self._grey(self._sky_k(elevation))

    def _sky_k(self, elevation: Array) -> Array:
        return -12.0 - 22.0 * (1 - np.exp(-np.abs(elevation) / 0.5))

    def sea(self, grazing: Array, slope: Array, tau: Array) -> Array:
        angle = np.maximum(grazing + slope, 0.015)
        share = 0.85 * reflectance(angle)
        over = share * self._sky_k(grazing + 2 * slope)
        return self._grey(-_AIR_BELOW_SEA_K + (over + _AIR_BELOW_SEA_K) * tau)

    def thing(self, day_grey: float, warmth_k: float, tau: float) -> float:  # noqa: ARG002  # warmth sees no light
        over = -_AIR_BELOW_SEA_K + (warmth_k + _AIR_BELOW_SEA_K) * tau
        return float(self._grey(np.array(over)))

    def far_land(self, texture: Array, tau: float) -> Array:
        return self._grey(-1.2 + (1.5 + 1.5 * texture) * tau)
