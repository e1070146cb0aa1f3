"""Land as a grid: what thousands of particles may ask hundreds of times.

Blocks of cells that no shore line crosses are all land or all sea; only the others are
asked cell by cell.

Source: docs/design/rescue.md, "Drift".
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane
from almenara.incidents.shore import Shore
from almenara.rescue.drift import IsLand

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
CELL_M = 150.0
MOST_CELLS = 1_600
"""Along one side; a wider reach gets coarser cells."""

BLOCK = 16
"""Cells along the side of a block."""


def within_reach(shore: Shore, centre: Position, reach_m: float) -> IsLand | None:
    """The land near a place, asked once per cell.

    Args:
        shore: Exact, and too slow to be asked a million times.
        centre: Of the square.
        reach_m: Half its side; what lies outside is answered as its edge.

    Returns:
        For places on the plane that touches the sea at ``centre``; None where no land
        is known at all.

    Note:
        A shore is off by half a cell at most: 75 m up to a reach of 120 km, then more.
    """
    if shore.plane is None or shore.index is None:
        return None
    land = _Land(shore, shore.plane, shore.index, LocalPlane.at(centre))
    cell_m = max(CELL_M, 2.0 * reach_m / MOST_CELLS)
    blocks = int(np.ceil(2.0 * reach_m / (cell_m * BLOCK)))
    count = blocks * BLOCK
    corner = np.full(2, -count * cell_m / 2.0)
    grid = land.covers(_middles(corner, blocks, cell_m * BLOCK))
    grid = grid.reshape(blocks, blocks).repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    for i, j in land.crossed(corner, blocks, cell_m * BLOCK):
        here = slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK)
        start = corner + np.array([i, j]) * (BLOCK * cell_m)
        grid[here] = land.covers(_middles(start, BLOCK, cell_m)).reshape(BLOCK, BLOCK)

    def near(east_north_m: FloatArray) -> BoolArray:
        at = np.floor((east_north_m - corner) / cell_m).astype(np.int64)
        at = np.clip(at, 0, count - 1)
        answer: BoolArray = grid[at[:, 0], at[:, 1]]
        return answer

    return near


def _middles(corner: FloatArray, count: int, cell_m: float) -> FloatArray:
    steps = (np.arange(count) + 0.5) * cell_m
    east, north = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([east.ravel(), north.ravel()], axis=1) + corner


@dataclass(frozen=True, slots=True, eq=False)
class _Land:
    """The shore, asked in metres of another plane than its own."""

    shore: Shore
    own: LocalPlane
    index: shapely.STRtree
    plane: LocalPlane

    def covers(self, east_north_m: FloatArray) -> BoolArray:
        return self.shore.covers(self._moved(east_north_m))

    def crossed(
        self, corner: FloatArray, blocks: int, size_m: float
    ) -> npt.NDArray[np.int64]:
        """Blocks that a shore line touches, shape (n, 2)."""
        middles = self._moved(_middles(corner, blocks, size_m))
        # A block seen from the other plane is turned a little: its circle holds it.
        half = 0.75 * size_m
        boxes = shapely.box(*(middles - half).T, *(middles + half).T)
        touched = np.unique(self.index.query(boxes, predicate="intersects")[0])
        return np.stack(np.divmod(touched, blocks), axis=1)

    def _moved(self, east_north_m: FloatArray) -> FloatArray:
        return self.own.to_plane(*self.plane.from_plane(east_north_m))
