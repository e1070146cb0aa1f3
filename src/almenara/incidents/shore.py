"""The shore as a value: how far it is, and on which bearing.

Rings of land are laid on a local plane once; a question costs well below a millisecond.
The caller reads the coastline and passes the rings; nothing here opens a file.

Source: docs/design/alarms.md, "Facts".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, Point, Polygon

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.geo.sea_surface import FloatArray


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

    @classmethod
    def of(cls, rings: Iterable[Sequence[Position]]) -> Self:
        """Land from closed or open rings of at least three places; none is all sea."""
        kept = [ring for ring in rings if len(ring) >= 3]
        if not kept:
            return cls(plane=None, lines=(), land=(), index=None)
        plane = LocalPlane.at(kept[0][0])
        polygons: list[Polygon] = []
        lines: list[LineString] = []
        for ring in kept:
            flat = plane.to_plane(
                [p.latitude_deg for p in ring], [p.longitude_deg for p in ring]
            )
            flat = np.vstack([flat, flat[:1]])
            polygons.append(Polygon(flat))
            # Short pieces keep the index sharp along a coast of thousands of points.
            lines += [LineString(flat[i : i + 2]) for i in range(len(flat) - 1)]
        return cls(
            plane=plane,
            lines=tuple(lines),
            land=tuple(polygons),
            index=shapely.STRtree(lines),
        )

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
