"""Where something adrift may be by now: thousands of particles, each with its own luck.

Position rate is current plus leeway. With wind W, slope a, offset b and a spread e that
a particle draws once for its life, the leeway along a line is
((a + e/20)·W + b + e/2)/100 m/s. A particle sails to the right or to the left of the
wind (half each) and jibes now and then; then the whole line changes. A downwind spread
that would make wind push backwards is drawn again. Land stops a particle where it
meets it.

What is not known widens the answer and is named in it: no wind given is never calm.

Source: docs/design/rescue.md, "Drift"; Allen and Plourde, CG-D-08-99 (1999), chapter 8.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane
from almenara.rescue.leeway import Hypothesis, Line

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IsLand = Callable[[FloatArray], BoolArray]
"""East and north on the plane at the last known position, (n, 2), to land or not."""

STAYS_PER_HOUR = 0.96
"""Of those on one side of the wind: 4 % jibe in an hour."""

STEP_S = 300.0
LEVELS = (0.50, 0.80, 0.95)

UNKNOWN_WIND_MPS = 15.0
"""Nobody gave a wind: each particle gets one of its own, from anywhere, up to this
(force 7; choice)."""

UNKNOWN_CURRENT_MPS = 1.0
"""As above (choice: the surface current of the Strait outside its narrows)."""

WIND_STD_MPS = 2.0
CURRENT_STD_MPS = 0.15
"""How wrong a forecast is, each component, for a particle's whole life (choice)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """A wind or a current over time, the same everywhere near the datum."""

    times: tuple[datetime, ...]
    """In order; between two of them linear, outside of them constant."""

    east_mps: tuple[float, ...]
    north_mps: tuple[float, ...]
    """Where to, not where from."""

    std_mps: float

    def __post_init__(self) -> None:
        n = len(self.times)
        if not n or (len(self.east_mps), len(self.north_mps)) != (n, n):
            raise ValueError(f"columns of a flow disagree or are empty: {n} times")
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("times of a flow are in order, each once")

    def at(self, when: datetime) -> tuple[float, float]:
        """East and north at one instant, m/s."""
        seconds = [(t - self.times[0]).total_seconds() for t in self.times]
        now = (when - self.times[0]).total_seconds()
        return (
            float(np.interp(now, seconds, self.east_mps)),
            float(np.interp(now, seconds, self.north_mps)),
        )


def wind_from(
    bearing_deg: float, speed_mps: float, *, at: datetime, std_mps: float = WIND_STD_MPS
) -> Flow:
    """A constant wind as people give it: where it comes from, degrees true."""
    return _constant(bearing_deg + 180.0, speed_mps, at, std_mps)


def current_to(
    bearing_deg: float,
    speed_mps: float,
    *,
    at: datetime,
    std_mps: float = CURRENT_STD_MPS,
) -> Flow:
    """A constant current as people give it: where it sets, degrees true."""
    return _constant(bearing_deg, speed_mps, at, std_mps)


def _constant(bearing_deg: float, speed: float, at: datetime, std_mps: float) -> Flow:
    angle = np.deg2rad(bearing_deg)
    return Flow(
        times=(at,),
        east_mps=(float(speed * np.sin(angle)),),
        north_mps=(float(speed * np.cos(angle)),),
        std_mps=std_mps,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastKnown:
    """Where it was last, with how sure that is."""

    position: Position
    cov_m2: tuple[float, float, float]
    """East variance, north variance, covariance; from the track or the report."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftRequest:
    """Everything that determines an answer: the same request, the same particles."""

    start: LastKnown
    until: datetime
    hypotheses: tuple[Hypothesis, ...]
    wind: Flow | None
    """None: nobody knows; the answer widens and says so."""

    current: Flow | None
    seed: int
    particles: int = 5_000
    """Of each hypothesis."""

    is_land: IsLand | None = None
    """None: no shore is known, and the answer says so."""

    def __post_init__(self) -> None:
        if self.until <= self.start.at:
            raise ValueError("a drift ends after it began")
        if not self.hypotheses or not 1 <= self.particles <= 200_000:
            raise ValueError("a drift needs a hypothesis and 1 to 200 000 particles")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cloud:
    """The particles of one hypothesis at the end."""

    hypothesis: Hypothesis
    east_north_m: FloatArray
    """On the plane of the result, shape (n, 2)."""

    ashore: BoolArray
    """Stopped by land, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Area:
    """The smallest region found that holds this share of every hypothesis."""

    level: float
    shape: Polygon | MultiPolygon
    """On the plane of the result, metres."""

    rings: tuple[tuple[Position, ...], ...]
    """Outer rings, closed."""

    size_km2: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """Where it may be, how sure that is, and what was not known."""

    plane: LocalPlane
    clouds: tuple[Cloud, ...]
    areas: tuple[Area, ...]
    """Union over the hypotheses, one per level of :data:`LEVELS`."""

    unknown: tuple[str, ...] = ()
    """Keys: ``wind``, ``current``, ``shore``."""

    analogues: tuple[str, ...] = field(default=())
    """Rows that stand in for a kind that nobody measured."""

    @property
    def particles(self) -> FloatArray:
        """All particles of all hypotheses, shape (n, 2), on the plane."""
        return np.concatenate([cloud.east_north_m for cloud in self.clouds])


def drift(request: DriftRequest) -> Drift:
    """Let everything drift and say where it may be.

    Note:
        Reproduces the reference displacements of docs/design/rescue.md: the mean within
        1 %, the spread within 3 %, at 20 000 particles.
    """
    plane = LocalPlane.at(request.start.position)
    rng = np.random.default_rng(request.seed)
    clouds = tuple(_cloud(request, h, rng) for h in request.hypotheses)
    unknown = [
        key
        for key, known in (
            ("wind", request.wind),
            ("current", request.current),
            ("shore", request.is_land),
        )
        if known is None
    ]
    rows = {h.row.key for h in request.hypotheses if h.row.analogue_of}
    return Drift(
        plane=plane,
        clouds=clouds,
        areas=tuple(_area(clouds, level, plane) for level in LEVELS),
        unknown=tuple(unknown),
        analogues=tuple(sorted(rows)),
    )


def _cloud(
    request: DriftRequest,
    hypothesis: Hypothesis,
    rng: np.random.Generator,
) -> Cloud:
    n = request.particles
    east, north, cross = request.start.cov_m2
    places = rng.multivariate_normal((0.0, 0.0), ((east, cross), (cross, north)), n)
    luck = _Luck.drawn(hypothesis, n, rng)
    wind = _Forcing.of(request.wind, UNKNOWN_WIND_MPS, n, rng)
    current = _Forcing.of(request.current, UNKNOWN_CURRENT_MPS, n, rng)
    ashore = _on_land(request.is_land, places)
    for when, step_s in _steps(request):
        to_right = luck.jibed(step_s, rng)
        speed = current.at(when) + luck.leeway(wind.at(when), to_right=to_right)
        moved = np.where(ashore[:, None], places, places + step_s * speed)
        hit = _on_land(request.is_land, moved) & ~ashore
        # It stays at the water's edge, where it met the land.
        places = np.where(hit[:, None], places, moved)
        ashore |= hit
    return Cloud(hypothesis=hypothesis, east_north_m=places, ashore=ashore)


def _steps(request: DriftRequest) -> Iterator[tuple[datetime, float]]:
    """The middle of each step and its length; the last may be shorter."""
    total_s = (request.until - request.start.at).total_seconds()
    count = int(np.ceil(total_s / STEP_S))
    for i in range(count):
        begin = i * STEP_S
        length = min(STEP_S, total_s - begin)
        yield request.start.at + timedelta(seconds=begin + length / 2), length


def _on_land(is_land: IsLand | None, places: FloatArray) -> BoolArray:
    if is_land is None:
        return np.zeros(len(places), dtype=np.bool_)
    return is_land(places)


@dataclass(frozen=True, slots=True, eq=False)
class _Luck:
    """What each particle drew at birth, and on which side of the wind it is."""

    hypothesis: Hypothesis
    down: FloatArray
    right: FloatArray
    left: FloatArray
    to_right: BoolArray

    @classmethod
    def drawn(cls, hypothesis: Hypothesis, n: int, rng: np.random.Generator) -> "_Luck":
        row = hypothesis.row
        down = rng.normal(0.0, row.down.spread_cmps, n)
        # Wind never pushes backwards.
        while (wrong := row.down.slope_percent + down / 20.0 < 0.0).any():
            down[wrong] = rng.normal(0.0, row.down.spread_cmps, int(wrong.sum()))
        return cls(
            hypothesis,
            down,
            rng.normal(0.0, row.right.spread_cmps, n),
            rng.normal(0.0, row.left.spread_cmps, n),
            rng.permutation(n) % 2 == 0,
        )

    def jibed(self, step_s: float, rng: np.random.Generator) -> BoolArray:
        """On which side each is after a step; changes in place."""
        share = 1.0 - STAYS_PER_HOUR ** (step_s / 3600.0)
        self.to_right[rng.random(len(self.to_right)) < share] ^= True
        return self.to_right

    def leeway(self, wind: FloatArray, *, to_right: BoolArray) -> FloatArray:
        """East and north speed in a wind, shape (n, 2) both, m/s."""
        speed = np.hypot(wind[:, 0], wind[:, 1])
        along = wind / np.maximum(speed, 1e-9)[:, None]
        row = self.hypothesis.row
        across = np.where(
            to_right,
            _line(row.right, self.right, speed),
            _line(row.left, self.left, speed),
        )
        down = _line(row.down, self.down, speed)
        right = np.stack([along[:, 1], -along[:, 0]], axis=1)
        result: FloatArray = down[:, None] * along + across[:, None] * right
        return result


def _line(line: Line, luck: FloatArray, wind_mps: FloatArray) -> FloatArray:
    percent = line.slope_percent + luck / 20.0
    return (percent * wind_mps + line.offset_cmps + luck / 2.0) / 100.0


@dataclass(frozen=True, slots=True, eq=False)
class _Forcing:
    """A wind or current as each particle feels it: the forecast and its own error."""

    flow: Flow | None
    own: FloatArray

    @classmethod
    def of(
        cls, flow: Flow | None, up_to_mps: float, n: int, rng: np.random.Generator
    ) -> "_Forcing":
        if flow is not None:
            return cls(flow, rng.normal(0.0, flow.std_mps, (n, 2)))
        angle = rng.uniform(0.0, 2.0 * np.pi, n)
        speed = rng.uniform(0.0, up_to_mps, n)
        return cls(None, np.stack([speed * np.sin(angle), speed * np.cos(angle)], 1))

    def at(self, when: datetime) -> FloatArray:
        return (
            self.own if self.flow is None else self.own + np.array(self.flow.at(when))
        )


# -- the smallest region that holds a share of a cloud -------------------------------


def _area(clouds: Sequence[Cloud], level: float, plane: LocalPlane) -> Area:
    shape = shapely.union_all([holding(c.east_north_m, level) for c in clouds])
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    return Area(
        level=level,
        shape=shape,
        rings=tuple(_ring(part, plane) for part in parts),
        size_km2=float(shape.area) / 1e6,
    )


def holding(places: FloatArray, level: float) -> Polygon | MultiPolygon:
    """The densest cells of a grid that together hold ``level`` of the places.

    Args:
        places: Shape (n, 2), metres.
        level: In (0, 1].

    Note:
        Holds at least the share asked for; cells measure a fortieth of the cloud, at
        least 50 m.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    cell = max(50.0, float((high - low).max()) / 40.0)
    index = np.floor((places - low) / cell).astype(np.int64)
    cells, counts = np.unique(index, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    enough = int(np.searchsorted(counts[order].cumsum(), level * len(places))) + 1
    corners = low + cells[order[:enough]] * cell
    boxes = shapely.box(
        corners[:, 0], corners[:, 1], corners[:, 0] + cell, corners[:, 1] + cell
    )
    return shapely.union_all(boxes)


def _ring(part: Polygon, plane: LocalPlane) -> tuple[Position, ...]:
    corners = np.asarray(part.exterior.coords, dtype=np.float64)
    latitude, longitude = plane.from_plane(corners)
    return tuple(
        Position(latitude_deg=float(y), longitude_deg=float(x))
        for y, x in zip(latitude, longitude, strict=True)
    )
