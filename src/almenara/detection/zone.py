"""Which pixels an operator wants watched: polygons drawn into a mask."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Polygon = Sequence[tuple[float, float]]


def zone_mask(
    polygons: Sequence[Polygon], width_px: int, height_px: int, *, scale: float = 1.0
) -> npt.NDArray[np.bool_] | None:
    """Draw the polygons of a camera.

    Args:
        polygons: Vertices (x, y) in pixels of the camera's nominal picture.
        width_px: Of the picture that is really watched.
        height_px: Likewise.
        scale: Watched over nominal pixels: polygons stay true on a smaller profile.

    Returns:
        Shape (height_px, width_px), True where watched; None when nothing was drawn,
        which means everything.
    """
    if not polygons:
        return None
    mask = np.zeros((height_px, width_px), np.uint8)
    drawn = [
        np.round(np.asarray(p, np.float64) * scale).astype(np.int32) for p in polygons
    ]
    cv2.fillPoly(mask, drawn, 1)
    return mask.astype(np.bool_)
