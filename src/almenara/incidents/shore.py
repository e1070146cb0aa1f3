"""The shore as a value: how far it is, and on which bearing.

Rings of land are laid on a local plane once; a question costs well below a millisecond.
The caller reads the coastline and passes the rings; nothing here opens a file.

Source: docs/design/alarms.md, "Facts".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, Point, Polygon

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.geo.sea_surface import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestShore:
    """The way to the nearest land."""

    distance_m: float
    """Zero on land."""

    bearing_deg: float
    """True, from the contact."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shore:
    """Land near a centre. Make one with :meth:`of`."""

    plane: LocalPlane | None
    lines: tuple[LineString, ...]
    land: tuple[Polygon, ...]
    index: shapely.STRtree | None
    ring: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Shape (lines,): which ring each line is a piece of."""

    along_m: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Shape (lines,): way along its ring to where each line begins."""

    round_m: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Shape (rings,): length of each ring."""

    @classmethod
    def of(cls, rings: Iterable[Sequence[Position]]) -> Self:
        """Land from closed or open rings of at least three places; none is all sea."""
        kept = [ring for ring in rings if len(ring) >= 3]
        if not kept:
            return cls(plane=None, lines=(), land=(), index=None)
        plane = LocalPlane.at(kept[0][0])
        polygons: list[Polygon] = []
        owner: list[int] = []
        along: list[float] = []
        rounds: list[float] = []
        lines: list[LineString] = []
        for ring in kept:
            flat = plane.to_plane(
                [p.latitude_deg for p in ring], [p.longitude_deg for p in ring]
            )
            flat = np.vstack([flat, flat[:1]])
            polygons.append(Polygon(flat))
            # Short pieces keep the index sharp along a coast of thousands of points.
            lines += [LineString(flat[i : i + 2]) for i in range(len(flat) - 1)]
            steps = np.hypot(*np.diff(flat, axis=0).T)
            owner += [len(rounds)] * len(steps)
            along += np.concatenate([[0.0], np.cumsum(steps)[:-1]]).tolist()
            rounds.append(float(steps.sum()))
        for polygon in polygons:
            shapely.prepare(polygon)
        return cls(
            plane=plane,
            lines=tuple(lines),
            land=tuple(polygons),
            index=shapely.STRtree(lines),
            ring=np.array(owner, dtype=np.int64),
            along_m=np.array(along),
            round_m=np.array(rounds),
        )

    def on_land(self, east_north_m: FloatArray) -> BoolArray:
        """Whether known land is under each point (n, 2) of the plane."""
        result = np.zeros(len(east_north_m), dtype=np.bool_)
        for polygon in self.land:
            result |= shapely.contains_xy(
                polygon, east_north_m[:, 0], east_north_m[:, 1]
            )
        return result

    def away_m(self, east_north_m: FloatArray) -> FloatArray:
        """Distance of each point (n, 2) of the plane from the nearest shore line."""
        if self.index is None or not len(east_north_m):
            return np.full(len(east_north_m), np.inf)
        points = shapely.points(east_north_m)
        near = np.asarray(self.index.nearest(points), dtype=np.int64)
        result: FloatArray = shapely.distance(
            np.array(self.lines, dtype=object)[near], points
        )
        return result

    def chainage(self, east_north_m: FloatArray) -> tuple[IntArray, FloatArray]:
        """Ring, and way along it, of the shore nearest to each point (n, 2)."""
        if self.index is None or not len(east_north_m):
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        points = shapely.points(east_north_m)
        near = np.asarray(self.index.nearest(points), dtype=np.int64)
        lines = np.array(self.lines, dtype=object)[near]
        return self.ring[near], self.along_m[near] + shapely.line_locate_point(
            lines, points
        )

    def at_chainage(self, ring: int, along_m: float) -> Position | None:
        """The place so far along a ring; None where no land is known."""
        if self.plane is None:
            return None
        pieces = np.flatnonzero(self.ring == ring)
        along_m %= float(self.round_m[ring])
        number = int(np.searchsorted(self.along_m[pieces], along_m, side="right")) - 1
        piece = int(pieces[max(number, 0)])
        place = self.lines[piece].interpolate(along_m - float(self.along_m[piece]))
        return self.plane.position(place.x, place.y)

    def is_sea(self, position: Position) -> bool:
        """Whether no known land is here; everywhere where no land is known."""
        if self.plane is None:
            return True
        east, north = self.plane.to_plane(
            position.latitude_deg, position.longitude_deg
        )[0]
        here = Point(east, north)
        return not any(polygon.contains(here) for polygon in self.land)

    def covers(self, east_north_m: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether known land is at each place of :attr:`plane`, (n, 2) to (n,)."""
        inside = np.zeros(len(east_north_m), dtype=np.bool_)
        for polygon in self.land:
            west, south, east, north = polygon.bounds
            x, y = east_north_m.T
            near = ~inside & (x >= west) & (x <= east) & (y >= south) & (y <= north)
            if near.any():
                shapely.prepare(polygon)
                inside[near] = shapely.contains_xy(polygon, *east_north_m[near].T)
        return inside

    def nearest(self, position: Position) -> NearestShore | None:
        """The nearest shore; None where no land is known."""
        if self.plane is None or self.index is None:
            return None
        east, north = self.plane.to_plane(
            position.latitude_deg, position.longitude_deg
        )[0]
        here = Point(east, north)
        line = self.lines[int(self.index.nearest(here))]
        there = line.interpolate(line.project(here))
        distance_m, bearing_deg = inverse(
            position, self.plane.position(there.x, there.y)
        )
        if any(polygon.contains(here) for polygon in self.land):
            distance_m = 0.0
        return NearestShore(distance_m=distance_m, bearing_deg=bearing_deg)
