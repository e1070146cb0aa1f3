"""The picture without things in it: sky, far land and sea, row by row.

What depends on the row alone (range, grazing angle, which waves a pixel resolves, the
grey level of every slope) is tabled once per camera, twice per pixel row, so that the
mast may sway. A frame then costs one table look-up and three interpolations a pixel.
"""

import math

import cv2
import numba
import numpy as np
import numpy.typing as npt

from almenara.core.coast import SensorKind
from almenara.simulation.geometry import EFFECTIVE_RADIUS_M, Attitude, Eye, dip_rad
from almenara.simulation.light import DayLight, Light, Warmth
from almenara.simulation.scenario import FarCoast, Weather
from almenara.simulation.sea import GRID, PERIODS_M, TYPICAL_M, Sea

_PER_ROW = 2
_LEVELS = 256
_MARGIN_PX = 48
"""How far the mast may sway."""

_NOISE = 1 << 16
_GAUSS = (
    (-2.02, 0.0200),
    (-0.9586, 0.3936),
    (0.0, 0.1728),
    (0.9586, 0.3936),
    (2.02, 0.02),
)
"""Nodes (in standard deviations) and weights for the slopes no pixel resolves."""


class Background:
    """Shades one camera's pictures into a buffer.

    Args:
        eye: The camera.
        weather: Wind, light and air.
        far_coast: Land behind the sea, or None.
        seed: Of waves, noise and hills.
        loop_s: After which the waves repeat.
    """

    def __init__(
        self,
        eye: Eye,
        weather: Weather,
        far_coast: FarCoast | None,
        *,
        seed: list[int],
        loop_s: float,
    ) -> None:
        self._eye, self._weather = eye, weather
        thermal = eye.camera.sensor is SensorKind.THERMAL
        self.light: Light = Warmth(weather) if thermal else DayLight(weather)
        wind_to_deg = weather.wind_from_deg + 180 - eye.camera.pose.azimuth_deg
        self._sea = Sea(
            [*seed, 1],
            wind_mps=weather.wind_mps,
            wind_to_deg=wind_to_deg,
            loop_s=loop_s,
        )
        rng = np.random.default_rng([*seed, 2])
        noise = rng.normal(0.0, self.light.noise_grey, size=(_NOISE + 8192,))
        self._noise = noise.astype(np.float32)
        self._seed = seed
        self._table_rows()
        self._sky = self._draw_sky(far_coast, rng)
        self._lane = self._glint_lane()

    def draw(
        self, out: npt.NDArray[np.uint8], time_s: float, attitude: Attitude
    ) -> None:
        """Fill ``out``, shape (height, width), with the world at ``time_s``."""
        height = out.shape[0]
        rng = np.random.default_rng([*self._seed, 4, round(time_s * 1000)])
        offsets = rng.integers(0, _NOISE, size=(height,))
        rows = rng.normal(0, self.light.row_noise_grey, (height,)).astype(np.float32)
        left, _ = self._eye.horizon_rows(attitude)
        pan_px = math.radians(attitude.pan_deg) * self._eye.focal_px
        _shade(
            out,
            self._sky,
            np.int64(round(self._still_horizon - left)) + _MARGIN_PX,
            np.float64(left),
            self._sea.slopes(time_s),
            self._away,
            self._step,
            self._weight,
            self._grey,
            self._glint,
            self._lane,
            np.float64(pan_px - out.shape[1] / 2),
            self._noise,
            offsets,
            rows.astype(np.float32),
            np.float64(self._span),
        )

    def _table_rows(self) -> None:
        eye, pose, lens = self._eye, self._eye.camera.pose, self._eye.camera.lens
        dip = dip_rad(eye.height_m)
        self._still_horizon = eye.horizon_rows()[0]
        count = max(2, math.ceil((lens.height_px - self._still_horizon) + _MARGIN_PX))
        below = (np.arange(count * _PER_ROW) + 0.5) / _PER_ROW
        y = self._still_horizon + below - lens.height_px / 2
        down = np.arctan(y / eye.focal_px) - math.radians(pose.tilt_deg)
        down = np.maximum(down, dip + 1e-7)
        half = np.sin(down / 2) ** 2 - eye.height_m / 2 / EFFECTIVE_RADIUS_M * np.cos(
            down
        )
        grazing = 2 * np.arcsin(np.sqrt(np.maximum(half, 1e-14)))
        range_m = np.maximum(EFFECTIVE_RADIUS_M * (down - grazing), 1.0)
        across = np.hypot(range_m, eye.height_m) / eye.focal_px
        along = across / np.maximum(np.sin(grazing), 1e-4)
        self._away = np.stack([range_m / p * GRID % GRID for p in PERIODS_M], 1)
        self._step = np.stack([across / p * GRID for p in PERIODS_M], 1)
        self._weight = np.stack(
            [
                (1 + (along / size) ** 2 / 2) ** -0.25
                / np.sqrt(1 + (across / size) ** 2)
                for size in TYPICAL_M
            ],
            1,
        ).astype(np.float32)
        self._table_greys(grazing, range_m)

    def _table_greys(
        self, grazing: npt.NDArray[np.float64], range_m: npt.NDArray[np.float64]
    ) -> None:
        total = math.sqrt(self._sea.variance)
        self._span = 5 * max(total, math.hypot(*self._sea.std))
        seen = (self._weight.astype(float) * np.array(self._sea.std)) ** 2
        rest = np.sqrt(np.maximum(self._sea.variance - seen.sum(1), 1e-6))[:, None]
        slope = np.linspace(-self._span, self._span, _LEVELS)[None, :]
        visibility_m = 1000 * self._weather.visibility_km
        tau = np.exp(-3.912 * range_m / visibility_m)[:, None]
        facing = grazing[:, None]
        grey, glint = np.zeros((2, len(grazing), _LEVELS))
        mirror = math.radians(self._weather.sun_elevation_deg) / 2 - facing / 2
        for node, weight in _GAUSS:
            s = slope + node * rest
            # Seen at a grazing angle, facets that turn away are hidden behind others.
            s = (s + np.sqrt(s**2 + (0.6 * total) ** 2)) / 2
            grey += weight * self.light.sea(facing, s, tau)
            glint += weight * np.exp(-(((s - mirror) / 0.035) ** 2) / 2) * tau
        foam = np.clip((slope - 2.9 * total) / (0.5 * total), 0, 1)
        grey += foam * tau * (90.0 if isinstance(self.light, DayLight) else 4.0)
        self._grey = grey.astype(np.float32)
        self._glint = (glint * 400.0).astype(np.float32)

    def _glint_lane(self) -> npt.NDArray[np.float32]:
        """Per column: how much of the sun's road falls there."""
        eye, weather = self._eye, self._weather
        x = np.arange(eye.camera.lens.width_px) + 0.5 - eye.camera.lens.width_px / 2
        azimuth = eye.camera.pose.azimuth_deg + np.degrees(np.arctan(x / eye.focal_px))
        off = np.radians((azimuth - weather.sun_azimuth_deg + 180) % 360 - 180)
        if not isinstance(self.light, DayLight) or weather.sun_elevation_deg <= 0:
            return np.zeros(len(x), np.float32)
        sideways = np.tan(off / 2) * math.sin(math.radians(weather.sun_elevation_deg))
        lane = np.exp(-(sideways**2) / (2 * self._sea.variance))
        return np.where(np.abs(off) < 1.2, lane, 0).astype(np.float32)

    def _draw_sky(
        self, coast: FarCoast | None, rng: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        """Everything above the still horizon, with a margin on both sides."""
        eye = self._eye
        lens, pose = eye.camera.lens, eye.camera.pose
        rows = math.ceil(self._still_horizon) + 2 * _MARGIN_PX
        y = np.arange(max(rows, 1)) - _MARGIN_PX + 0.5 - lens.height_px / 2
        up = math.radians(pose.tilt_deg) - np.arctan(y / eye.focal_px)
        sky = np.repeat(self.light.sky(up)[:, None], lens.width_px, 1)
        sky += _clouds(rng, sky.shape) * 5.0
        if coast is not None:
            x = np.arange(lens.width_px)
            ridge_m = coast.height_m * (0.55 + 0.45 * _rolling(rng, len(x)))
            top = ridge_m / (1000 * coast.range_km) - 500 * coast.range_km / (
                EFFECTIVE_RADIUS_M
            )
            cover = np.clip((top[None, :] - up[:, None]) * eye.focal_px, 0, 1)
            tau = math.exp(-3.912 * coast.range_km / self._weather.visibility_km)
            land = self.light.far_land(_clouds(rng, sky.shape, size=9), tau)
            sky += (land - sky) * cover
        return sky.astype(np.float32)


def _rolling(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Hills in [-1, 1] along a line."""
    x = np.arange(count) / count
    line = np.zeros(count)
    for octave in range(1, 9):
        line += np.sin(2 * math.pi * (octave * 1.3 * x + rng.random())) / octave
    return np.asarray(line / np.abs(line).max())


def _clouds(
    rng: np.random.Generator, shape: tuple[int, ...], size: int = 60
) -> npt.NDArray[np.float64]:
    """Smooth noise in [-1, 1] of that shape, flat in the vertical."""
    coarse = rng.normal(size=(shape[0] * 3 // size + 3, shape[1] // size + 3))
    spread = _enlarged(coarse, shape)
    return np.clip(spread / 2, -1, 1)


def _enlarged(
    coarse: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Bicubic enlargement to ``shape``."""
    return np.asarray(
        cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    )


@numba.njit(cache=True, nogil=True)
def _shade(  # noqa: PLR0917  # numba takes positions only
    out: npt.NDArray[np.uint8],
    sky: npt.NDArray[np.float32],
    sky_first: np.int64,
    horizon: np.float64,
    fields: npt.NDArray[np.float32],
    away: npt.NDArray[np.float64],
    step: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float32],
    grey: npt.NDArray[np.float32],
    glint: npt.NDArray[np.float32],
    lane: npt.NDArray[np.float32],
    first_x: np.float64,
    noise: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.float32],
    span: np.float64,
) -> None:
    height, width = out.shape
    levels = grey.shape[1]
    size = fields.shape[1]
    mask = size - 1
    line = np.empty((3, size), np.float32)
    slope = np.empty(width, np.float32)
    scale = np.float32((levels - 1) / (2 * span))
    middle = np.float32((levels - 1) / 2 + 0.5)
    for y in range(height):
        base = offsets[y]
        below = y + 0.5 - horizon
        if below <= 0:
            source = min(max(y + sky_first, 0), sky.shape[0] - 1)
            for x in range(width):
                v = sky[source, x] + noise[base + x] + rows[y]
                out[y, x] = np.uint8(min(max(v, np.float32(0)), np.float32(255)))
            continue
        t = min(int(below * 2), grey.shape[0] - 1)
        slope[:] = np.float32(0)
        for c in range(3):
            w = weight[t, c]
            if w < 0.02:
                continue
            u = away[t, c]
            iu = int(u)
            fu = np.float32(u - iu)
            for k in range(size):
                a = fields[c, iu & mask, k]
                line[c, k] = w * (a + (fields[c, (iu + 1) & mask, k] - a) * fu)
            # Fixed point: the place along the row in 1/65536 of a grid step.
            place = np.int64((first_x * step[t, c] + 64 * size) * 65536)
            stride = np.int64(step[t, c] * 65536)
            for x in range(width):
                iv = place >> 16
                fv = np.float32(place & 65535) * np.float32(1 / 65536)
                a = line[c, iv & mask]
                slope[x] += a + (line[c, (iv + 1) & mask] - a) * fv
                place += stride
        for x in range(width):
            q = int(slope[x] * scale + middle)
            q = min(max(q, 0), levels - 1)
            v = grey[t, q] + lane[x] * glint[t, q] + noise[base + x] + rows[y]
            out[y, x] = np.uint8(min(max(v, np.float32(0)), np.float32(255)))
