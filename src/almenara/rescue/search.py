"""Where to search, how, and what an empty search has taught.

Coverage C compares what was swept with the area; a random search of coverage C finds
with probability 1 - e^-C what is there. An empty search lowers the probability where it
looked and raises it everywhere else, the world outside of the map included: never found
is not the same as not there. Patterns are broken lines on the local plane whose
properties the tests check.

Source: J. R. Frost, *The Theory of Search*, USCG (1996); IAMSAR Manual for the names of
the patterns; docs/design/rescue.md, "Search". Sweep widths are inputs with a source.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane

FloatArray = npt.NDArray[np.float64]


def coverage(
    sweep_width_m: float, speed_mps: float, duration_s: float, area_m2: float
) -> float:
    """Swept area by area searched; of parallel lines, sweep width by spacing."""
    if min(sweep_width_m, speed_mps, duration_s, area_m2) <= 0:
        raise ValueError("sweep width, speed, duration and area are positive")
    return sweep_width_m * speed_mps * duration_s / area_m2


def detection(covered: float) -> float:
    """Probability of detection (POD) of a random search of this coverage."""
    if covered < 0:
        raise ValueError(f"no such coverage: {covered}")
    return float(-np.expm1(-covered))


def success(containment: float, pod: float) -> float:
    """Probability of success (POS): it is there, and it is seen."""
    return containment * pod


def containment_after(containment: float, pod: float) -> float:
    """Probability of containment (POC) once a search of it found nothing."""
    return containment * (1.0 - pod) / (1.0 - containment * pod)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbabilityMap:
    """Square cells with the probability that it is in each; the rest is outside."""

    centres_m: FloatArray
    """East and north of each cell, shape (n, 2)."""

    cell_m: float
    probability: FloatArray
    """Shape (n,)."""

    outside: float
    """That it is in none of them; an honest map has some."""

    @classmethod
    def of(
        cls, places: FloatArray, *, cell_m: float, outside: float = 0.05
    ) -> "ProbabilityMap":
        """Count particles, shape (n, 2), into cells."""
        cells, counts = np.unique(np.floor(places / cell_m), axis=0, return_counts=True)
        return cls(
            centres_m=(cells + 0.5) * cell_m,
            cell_m=cell_m,
            probability=(1.0 - outside) * counts / counts.sum(),
            outside=outside,
        )

    def within(self, shape: Polygon | MultiPolygon) -> npt.NDArray[np.bool_]:
        """Which cells have their middle in a shape on the plane, shape (n,)."""
        inside: npt.NDArray[np.bool_] = shapely.intersects_xy(shape, *self.centres_m.T)
        return inside

    def after_empty_search(self, pod: FloatArray) -> "ProbabilityMap":
        """What nothing found teaches: Bayes, conserving the whole to 10⁻⁹.

        Args:
            pod: Probability of detection in each cell, shape (n,), in [0, 1].

        Raises:
            ValueError: The search would have found it for sure; then it is wrong.
        """
        left = self.probability * (1.0 - pod)
        remaining = float(left.sum()) + self.outside
        if remaining <= 0.0:
            raise ValueError("a search that cannot fail found nothing")
        return replace(
            self, probability=left / remaining, outside=self.outside / remaining
        )


class PatternKind(StrEnum):
    """How a unit goes over its area."""

    PARALLEL = "parallel"
    """PS: legs along the long side."""

    CREEPING = "creeping"
    """CS: legs along the short side, creeping along the long one."""

    EXPANDING_SQUARE = "expanding_square"
    """ES: from the datum outwards, legs S, S, 2S, 2S, 3S, 3S…"""

    SECTOR = "sector"
    """VS: three times through the datum; a second pass is turned by 30°."""

    TRACK_LINE = "track_line"
    """TS: along a known track and back beside it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """A broken line to sail or fly, on the plane."""

    kind: PatternKind
    points_m: FloatArray
    """East and north of each turn, shape (n, 2)."""

    spacing_m: float
    """Between neighbouring legs; of a sector, its radius."""

    @property
    def length_m(self) -> float:
        """Way to go."""
        return float(np.hypot(*np.diff(self.points_m, axis=0).T).sum())

    def positions(self, plane: LocalPlane) -> tuple[Position, ...]:
        """The turns on the earth."""
        latitude, longitude = plane.from_plane(self.points_m)
        return tuple(
            Position(latitude_deg=float(y), longitude_deg=float(x))
            for y, x in zip(latitude, longitude, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle on the plane."""

    east_m: float
    north_m: float
    """Of its middle."""

    length_m: float
    """Along ``bearing_deg``."""

    width_m: float
    bearing_deg: float

    def __post_init__(self) -> None:
        if self.length_m <= 0 or self.width_m <= 0:
            raise ValueError(f"no such box: {self!r}")

    @property
    def size_m2(self) -> float:
        """Its area."""
        return self.length_m * self.width_m

    def point(self, along_m: float, across_m: float) -> tuple[float, float]:
        """East and north of a place given from the middle, right is positive."""
        angle = np.deg2rad(self.bearing_deg)
        return (
            float(self.east_m + along_m * np.sin(angle) + across_m * np.cos(angle)),
            float(self.north_m + along_m * np.cos(angle) - across_m * np.sin(angle)),
        )

    @classmethod
    def around(cls, shape: Polygon | MultiPolygon) -> "Box":
        """The smallest rectangle around a shape, its length along the longer side."""
        corners = np.asarray(shape.minimum_rotated_rectangle.exterior.coords)[:4]
        sides = np.diff(corners[:3], axis=0)
        sizes = np.hypot(*sides.T)
        long = int(np.argmax(sizes))
        middle = corners.mean(axis=0)
        bearing = np.rad2deg(np.arctan2(sides[long, 0], sides[long, 1])) % 180.0
        return cls(
            east_m=float(middle[0]),
            north_m=float(middle[1]),
            length_m=float(sizes[long]),
            width_m=float(sizes[1 - long]),
            bearing_deg=float(bearing),
        )


def parallel(box: Box, spacing_m: float) -> Pattern:
    """Legs along the length, evenly ``spacing_m`` or a little less apart."""
    return _swept(PatternKind.PARALLEL, box, spacing_m)


def creeping(box: Box, spacing_m: float) -> Pattern:
    """Legs along the width, advancing along the length."""
    turned = replace(
        box,
        length_m=box.width_m,
        width_m=box.length_m,
        bearing_deg=(box.bearing_deg + 90.0) % 360.0,
    )
    return _swept(PatternKind.CREEPING, turned, spacing_m)


def _swept(kind: PatternKind, box: Box, spacing_m: float) -> Pattern:
    _positive(spacing_m)
    count = max(1, int(np.ceil(box.width_m / spacing_m - 1e-9)))
    spacing = box.width_m / count
    # Half a spacing inside every edge: what lies at the edge is as near as any other.
    half = max(0.0, box.length_m - spacing) / 2.0
    points: list[tuple[float, float]] = []
    for leg in range(count):
        across = -box.width_m / 2.0 + (leg + 0.5) * spacing
        ends = (-half, half) if leg % 2 == 0 else (half, -half)
        points += [box.point(along, across) for along in ends]
    return Pattern(kind=kind, points_m=np.array(points), spacing_m=spacing)


def expanding_square(
    datum_m: tuple[float, float], spacing_m: float, *, legs: int, bearing_deg: float
) -> Pattern:
    """From the datum outwards, turning right; legs S, S, 2S, 2S, 3S, 3S and so on."""
    _positive(spacing_m)
    if legs < 1:
        raise ValueError("an expanding square has a leg at least")
    lengths = [(leg // 2 + 1) * spacing_m for leg in range(legs)]
    turns = [bearing_deg + 90.0 * leg for leg in range(legs)]
    return Pattern(
        kind=PatternKind.EXPANDING_SQUARE,
        points_m=_walked(datum_m, lengths, turns),
        spacing_m=spacing_m,
    )


def sector(
    datum_m: tuple[float, float],
    radius_m: float,
    *,
    bearing_deg: float,
    passes: int = 2,
) -> Pattern:
    """Out, across, back through the datum, with turns of 120° to the right.

    The second pass begins 30° further on, so that its legs halve the first one's.
    """
    _positive(radius_m)
    lengths: list[float] = []
    turns: list[float] = []
    for number in range(passes):
        first = bearing_deg + 30.0 * number
        lengths += [radius_m * n for n in (1, 1, 2, 1, 2, 1, 1)]
        turns += [first + turn for turn in (0, 120, 240, 0, 120, 240, 0)]
    return Pattern(
        kind=PatternKind.SECTOR,
        points_m=_walked(datum_m, lengths, turns),
        spacing_m=radius_m,
    )


def track_line(track_m: FloatArray, spacing_m: float) -> Pattern:
    """Out on one side of a known track and back on the other, half a spacing off."""
    _positive(spacing_m)
    way = np.diff(track_m, axis=0)
    along = way / np.hypot(*way.T)[:, None]
    along = np.vstack([along[:1], (along[:-1] + along[1:]), along[-1:]])
    along /= np.hypot(*along.T)[:, None]
    right = np.stack([along[:, 1], -along[:, 0]], axis=1) * spacing_m / 2.0
    points = np.vstack([track_m + right, (track_m - right)[::-1]])
    return Pattern(kind=PatternKind.TRACK_LINE, points_m=points, spacing_m=spacing_m)


def _walked(
    start: tuple[float, float], lengths: Sequence[float], bearings_deg: Sequence[float]
) -> FloatArray:
    angle = np.deg2rad(np.asarray(bearings_deg, dtype=np.float64))
    steps = np.asarray(lengths)[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    points: FloatArray = np.vstack([[start], np.asarray(start) + steps.cumsum(axis=0)])
    return points


def _positive(length_m: float) -> None:
    if not length_m > 0:
        raise ValueError(f"a spacing is positive: {length_m}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchUnit:
    """Somebody who can search."""

    name: str
    speed_mps: float
    endurance_s: float
    """Time on scene."""

    sweep_width_m: float
    sweep_source: str
    """Where the sweep width comes from: a table, an estimate of the crew."""

    def __post_init__(self) -> None:
        if min(self.speed_mps, self.endurance_s, self.sweep_width_m) <= 0:
            raise ValueError(f"{self.name}: speed, time and sweep width are positive")

    @property
    def effort_m2(self) -> float:
        """What it sweeps in its time on scene."""
        return self.sweep_width_m * self.speed_mps * self.endurance_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """One unit, its part of the area and its pattern."""

    unit: SearchUnit
    box: Box
    pattern: Pattern
    coverage: float
    pod: float


def allocate(
    box: Box, units: Sequence[SearchUnit], kind: PatternKind = PatternKind.PARALLEL
) -> tuple[Assignment, ...]:
    """Divide a box among units so that each covers its part equally well.

    Strips across the length, each as long as its unit's share of the effort; the
    spacing follows, and every unit ends within its time on scene.

    Raises:
        ValueError: There are no units, or the pattern does not sweep a box.
    """
    if not units:
        raise ValueError("a search needs a unit")
    if kind not in (PatternKind.PARALLEL, PatternKind.CREEPING):
        raise ValueError(f"{kind} does not divide a box")
    total = sum(unit.effort_m2 for unit in units)
    begin = -box.length_m / 2.0
    made: list[Assignment] = []
    for unit in units:
        length = box.length_m * unit.effort_m2 / total
        east, north = box.point(begin + length / 2.0, 0.0)
        part = replace(box, east_m=east, north_m=north, length_m=length)
        made.append(_assigned(unit, part, kind))
        begin += length
    return tuple(made)


def _assigned(unit: SearchUnit, part: Box, kind: PatternKind) -> Assignment:
    spacing = part.size_m2 / (unit.speed_mps * unit.endurance_s)
    pattern = (
        parallel(part, spacing)
        if kind is PatternKind.PARALLEL
        else creeping(part, spacing)
    )
    covered = unit.sweep_width_m / pattern.spacing_m
    return Assignment(
        unit=unit,
        box=part,
        pattern=pattern,
        coverage=covered,
        pod=detection(covered),
    )
