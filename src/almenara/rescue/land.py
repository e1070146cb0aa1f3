"""Land as a grid: what thousands of particles may ask hundreds of times.

Blocks of cells that no shore line crosses are all land or all sea; only the others are
asked cell by cell.

Source: docs/design/rescue.md, "Drift".
"""

import numpy as np
import numpy.typing as npt
import shapely

from almenara.core.values import Position
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
        None where no land is known at all.

    Note:
        A shore is off by half a cell at most: 75 m up to a reach of 120 km, then more.
    """
    plane, index = shore.plane, shore.index
    if plane is None or index is None:
        return None
    cell_m = max(CELL_M, 2.0 * reach_m / MOST_CELLS)
    blocks = int(np.ceil(2.0 * reach_m / (cell_m * BLOCK)))
    count = blocks * BLOCK
    middle = plane.to_plane(centre.latitude_deg, centre.longitude_deg)[0]
    corner = middle - count * cell_m / 2.0
    grid = _whole_blocks(shore, corner, blocks, cell_m * BLOCK)
    grid = grid.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    for i, j in _crossed(index, corner, blocks, cell_m * BLOCK):
        here = slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK)
        start = corner + np.array([i, j]) * (BLOCK * cell_m)
        grid[here] = shore.covers(_middles(start, BLOCK, cell_m)).reshape(BLOCK, BLOCK)

    def near(latitude_deg: FloatArray, longitude_deg: FloatArray) -> BoolArray:
        flat = plane.to_plane(latitude_deg, longitude_deg)
        at = np.floor((flat - corner) / cell_m).astype(np.int64)
        at = np.clip(at, 0, count - 1)
        answer: BoolArray = grid[at[:, 0], at[:, 1]]
        return answer

    return near


def _middles(corner: FloatArray, count: int, cell_m: float) -> FloatArray:
    steps = (np.arange(count) + 0.5) * cell_m
    east, north = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([east.ravel(), north.ravel()], axis=1) + corner


def _whole_blocks(
    shore: Shore, corner: FloatArray, blocks: int, size_m: float
) -> BoolArray:
    """Land or sea by the middle of each block, shape (blocks, blocks)."""
    return shore.covers(_middles(corner, blocks, size_m)).reshape(blocks, blocks)


def _crossed(
    index: shapely.STRtree, corner: FloatArray, blocks: int, size_m: float
) -> npt.NDArray[np.int64]:
    """Blocks that a shore line touches, shape (n, 2)."""
    low = _middles(corner, blocks, size_m) - size_m / 2.0
    boxes = shapely.box(*low.T, *(low + size_m).T)
    touched = np.unique(index.query(boxes, predicate="intersects")[0])
    return np.stack(np.divmod(touched, blocks), axis=1)
