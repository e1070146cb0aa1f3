"""Cut the offline coast out of GSHHG and write it as GeoJSON.

GSHHG is stored in bins of one degree: each bin holds the pieces of shoreline inside it
and says of its four corners whether they are land. Here the pieces and the bin's frame
are noded and polygonised; a face is land if a line from it to a corner crosses the
shore an even number of times and the corner is land, or an odd number and it is sea.
The land of all bins is united, clipped, rounded and written.

    apt-get install gmt-gshhg-full && pip install -e '.[coastline]'
    python tools/coastline.py

Accuracy: median spacing of vertices about 120 m; surveyed before 2017, so harbours and
moles have changed since. Not for navigation.

Source: GSHHG 2.3.7, README of Debian's gmt-gshhg-full; layout of the bins as in GMT's
documentation of its shoreline files.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from shapely import (
    LineString,
    MultiPolygon,
    Point,
    Polygon,
    box,
    make_valid,
    set_precision,
)
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize, unary_union

BINS_PER_TURN = 360
"""Bins of one degree, from 90 N southward and from Greenwich eastward."""

UNITS_PER_DEG = 65535
WEST, SOUTH, EAST, NORTH = -8.0, 34.5, -3.5, 37.5
"""What is kept; the watch of the strait needs 7 to 4 W and 35 to 37 N."""

SMALLEST_KM2 = 0.002
"""Rocks below this are smaller than the error of the shoreline itself."""


class Bins:
    """The shoreline file, read bin by bin."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path)
        self._first = self._file["Id_of_first_segment_in_a_bin"][:]
        self._count = self._file["N_segments_in_a_bin"][:]
        self._corners = self._file["Embedded_node_levels_in_a_bin"][:]
        self._facts = self._file["Embedded_npts_levels_exit_entry_for_a_segment"][:]
        self._start = self._file["Id_of_first_point_in_a_segment"][:]

    def index(self, west: int, south: int) -> int:
        """Give the number of the bin whose south-west corner this is."""
        return (90 - south - 1) * BINS_PER_TURN + west % BINS_PER_TURN

    def south_west_is_land(self, west: int, south: int) -> bool:
        """Say whether the bin's south-west corner is land (or a lake on it)."""
        return bool((int(self._corners[self.index(west, south)]) >> 9) & 7)

    def shores(self, west: int, south: int) -> Iterator[LineString]:
        """Yield the pieces of sea shore in a bin, longitude before latitude."""
        b = self.index(west, south)
        for segment in range(self._first[b], self._first[b] + self._count[b]):
            points, level = self._facts[segment] >> 9, (self._facts[segment] >> 6) & 7
            if level != 1:  # lakes, and islands in lakes
                continue
            rows = slice(self._start[segment], self._start[segment] + points)
            x = self._read("longitude", rows) / UNITS_PER_DEG + west
            y = self._read("latitude", rows) / UNITS_PER_DEG + south
            yield LineString(np.column_stack([x, y]))

    def _read(self, axis: str, rows: slice) -> np.ndarray:
        """Read one column; the file keeps unsigned offsets in signed cells."""
        column = self._file[f"Relative_{axis}_from_SW_corner_of_bin"][rows]
        return column.astype(np.uint16).astype(np.float64)


def land_of_bin(bins: Bins, west: int, south: int) -> BaseGeometry:
    """Give the land inside one bin.

    Args:
        bins: The shoreline file.
        west: Longitude of the bin's south-west corner, whole degrees east.
        south: Latitude of the same corner, whole degrees north.
    """
    frame = box(west, south, west + 1, south + 1)
    shores = list(bins.shores(west, south))
    lines = unary_union([frame.exterior, *shores])
    shore = unary_union(shores) if shores else LineString()
    corner = Point(west, south)
    corner_is_land = bins.south_west_is_land(west, south)
    land = []
    for face in polygonize(lines):
        inside = face.representative_point()
        crossings = LineString([inside, corner]).intersection(shore)
        odd = (
            bool(len(getattr(crossings, "geoms", [crossings])) % 2)
            and not crossings.is_empty
        )
        if odd != corner_is_land:
            land.append(face)
    return unary_union(land)


def _area_km2(polygon: Polygon) -> float:
    """Give a polygon's area to a few per cent."""
    return float(polygon.area * 111.2**2 * np.cos(np.radians(polygon.centroid.y)))


def coast(path: Path) -> MultiPolygon:
    """Give the land of the whole extent, clipped and rounded to 1e-5 degrees (1 m)."""
    bins = Bins(path)
    parts = [
        land_of_bin(bins, west, south)
        for south in range(int(np.floor(SOUTH)), int(np.ceil(NORTH)))
        for west in range(int(np.floor(WEST)), int(np.ceil(EAST)))
    ]
    # Half a unit of the file heals the seams between bins.
    whole = unary_union(
        [part.buffer(0.5 / UNITS_PER_DEG, join_style="mitre") for part in parts]
    )
    clipped = set_precision(whole.intersection(box(WEST, SOUTH, EAST, NORTH)), 1e-5)
    pieces = getattr(make_valid(clipped), "geoms", [clipped])
    kept = [
        piece.simplify(1e-5)
        for piece in pieces
        if isinstance(piece, Polygon) and _area_km2(piece) >= SMALLEST_KM2
    ]
    return MultiPolygon(sorted(kept, key=lambda p: -p.area))


def ring(points: list[tuple[float, ...]]) -> list[list[float]]:
    """Round one ring for GeoJSON: longitude first, five decimals."""
    return [[round(point[0], 5), round(point[1], 5)] for point in points]


def to_geojson(land: MultiPolygon) -> str:
    """Write RFC 7946 GeoJSON: outer rings counter-clockwise, holes clockwise."""
    polygons = []
    for piece in land.geoms:
        holes = [
            hole for hole in piece.interiors if _area_km2(Polygon(hole)) >= SMALLEST_KM2
        ]
        turned = Polygon(
            piece.exterior, holes
        ).normalize()  # shapely's normal form is clockwise
        rings = [list(turned.exterior.coords)[::-1]]
        rings += [list(hole.coords)[::-1] for hole in turned.interiors]
        polygons.append([ring(points) for points in rings])
    feature = {
        "type": "FeatureCollection",
        "bbox": [WEST, SOUTH, EAST, NORTH],
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "source": "GSHHG 2.3.7, (c) 2014 The GMT Team, LGPL-3+",
                },
                "geometry": {"type": "MultiPolygon", "coordinates": polygons},
            }
        ],
    }
    return json.dumps(feature, separators=(",", ":")) + "\n"


def main() -> None:
    """Read the arguments, write the coast and its hash."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--source", type=Path, default=Path("/usr/share/gmt-gshhg/binned_GSHHS_f.nc")
    )
    parser.add_argument(
        "--out", type=Path, default=Path("src/almenara/node/coast/strait.geojson")
    )
    arguments = parser.parse_args()
    text = to_geojson(coast(arguments.source))
    arguments.out.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    arguments.out.with_suffix(".geojson.sha256").write_text(
        f"{digest}  {arguments.out.name}\n"
    )
    print(f"{arguments.out}: {len(text)} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
