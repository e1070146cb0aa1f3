"""Land as a grid: what thousands of particles may ask hundreds of times.

Source: docs/design/rescue.md, "Drift".
"""

import numpy as np
import numpy.typing as npt

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane
from almenara.rescue.drift import IsLand

FloatArray = npt.NDArray[np.float64]
CELL_M = 150.0
MOST_CELLS = 1_500
"""Along one side; a wider reach gets coarser cells."""


def within_reach(is_land: IsLand, centre: Position, reach_m: float) -> IsLand:
    """The same land near a place, asked once per cell.

    Args:
        is_land: Slow and exact.
        centre: Of the square.
        reach_m: Half its side; what lies outside is answered as its edge.

    Note:
        A shore is off by half a cell at most: 75 m up to 112 km, then more.
    """
    cell_m = max(CELL_M, 2.0 * reach_m / MOST_CELLS)
    count = int(np.ceil(2.0 * reach_m / cell_m))
    plane = LocalPlane.at(centre)
    middles = (np.arange(count) + 0.5) * cell_m - reach_m
    east, north = np.meshgrid(middles, middles, indexing="ij")
    grid = is_land(
        *plane.from_plane(np.stack([east.ravel(), north.ravel()], axis=1))
    ).reshape(count, count)

    def near(
        latitude_deg: FloatArray, longitude_deg: FloatArray
    ) -> npt.NDArray[np.bool_]:
        flat = plane.to_plane(latitude_deg, longitude_deg)
        index = np.floor((flat + reach_m) / cell_m).astype(np.int64)
        index = np.clip(index, 0, count - 1)
        answer: npt.NDArray[np.bool_] = grid[index[:, 0], index[:, 1]]
        return answer

    return near
