"""A sea in motion: its slope towards a camera, at any second of the loop.

Three cascades of plane waves, each on a periodic grid of 128 by 128 points: swell and
wind sea, short waves, ripples. Frequencies are whole multiples of the loop's, so the
loop has no seam. Only the slope along the boresight is kept, for brightness depends
on little else in a narrow view.

Source: Phillips range of JONSWAP (Hasselmann et al. 1973) with cos² spreading; the
dispersion relation of gravity-capillary waves; Cox and Munk 1954 for slope variance.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

GRID = 128
PERIODS_M = (420.0, 61.0, 9.3)
TYPICAL_M = (45.0, 7.0, 0.9)
"""Wave lengths that carry each cascade's slope: what a pixel must resolve."""

_SPLITS = (2 * math.pi / 20.0, 2 * math.pi / 3.0)
_PHILLIPS = 0.0081
_GRAVITY = 9.81


@dataclass(frozen=True, slots=True, eq=False)
class _Cascade:
    where: npt.NDArray[np.intp]
    slopes: npt.NDArray[np.complex64]
    turns: npt.NDArray[np.float64]
    std: float


class Sea:
    """The waves before one camera.

    Args:
        seed: Of all phases.
        wind_mps: Ten metres above the sea.
        wind_to_deg: Where the wind blows, clockwise from the boresight.
        loop_s: After which everything repeats.
    """

    def __init__(
        self, seed: list[int], *, wind_mps: float, wind_to_deg: float, loop_s: float
    ) -> None:
        self._loop_s = loop_s
        rng = np.random.default_rng(seed)
        edges = (0.0, *_SPLITS, math.inf)
        self._cascades = tuple(
            _cascade(
                rng,
                period,
                band=(low, high),
                wind_mps=wind_mps,
                wind_to_deg=wind_to_deg,
                loop_s=loop_s,
            )
            for period, low, high in zip(PERIODS_M, edges, edges[1:], strict=False)
        )
        self.std = tuple(cascade.std for cascade in self._cascades)
        self.variance = (0.003 + 0.00512 * wind_mps) / 2
        """Of the slope in one direction, ripples too small for the grids included."""

    def slopes(self, time_s: float) -> npt.NDArray[np.float32]:
        """Shape (3, 128, 128): slope away from the camera; axes away, to the right."""
        fields = np.empty((len(self._cascades), GRID, GRID), np.float32)
        for i, cascade in enumerate(self._cascades):
            spectrum = np.zeros(GRID * GRID, np.complex64)
            angle = cascade.turns * (-2 * math.pi * (time_s / self._loop_s % 1.0))
            spectrum[cascade.where] = cascade.slopes * np.exp(1j * angle)
            grid = spectrum.reshape(GRID, GRID)
            fields[i] = scipy.fft.ifft2(grid, norm="forward").real
        return fields


def _cascade(
    rng: np.random.Generator,
    period_m: float,
    *,
    band: tuple[float, float],
    wind_mps: float,
    wind_to_deg: float,
    loop_s: float,
) -> _Cascade:
    step = 2 * math.pi / period_m
    index = np.fft.fftfreq(GRID, 1 / GRID)
    away, right = np.meshgrid(index * step, index * step, indexing="ij")
    number = np.hypot(away, right)
    off_wind = np.arctan2(right, away) - math.radians(wind_to_deg)
    inside = (number > max(band[0], step / 2)) & (number < band[1])
    inside &= (np.cos(off_wind) > 0) & (np.abs(index).max() * step > number)
    k = number[inside]
    peak = 0.77 * _GRAVITY / min(wind_mps, 12.0) ** 2
    density = _PHILLIPS / 2 * k**-4 * np.exp(-1.25 * (peak / k) ** 2)
    density *= 2 / math.pi * np.cos(off_wind[inside]) ** 2
    size = np.sqrt(density) * step
    waves = size * (rng.normal(size=k.size) + 1j * rng.normal(size=k.size))
    slopes = (1j * away[inside] * waves).astype(np.complex64)
    omega = np.sqrt(_GRAVITY * k * (1 + (k / 370.0) ** 2))
    return _Cascade(
        where=np.flatnonzero(inside),
        slopes=slopes,
        turns=np.maximum(1.0, np.round(omega * loop_s / (2 * math.pi))),
        std=float(np.sqrt((np.abs(slopes) ** 2).sum() / 2)),
    )
