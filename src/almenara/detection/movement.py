"""What moves on land, as objects: the components of the background's difference.

Source: docs/design/detection.md, "Land".
"""

import cv2
import numpy as np

from almenara.detection.background import Background
from almenara.detection.finds import LIKELIHOODS, Finds
from almenara.detection.kernels import F32, U8

MOST = 100


def movement(grey: F32, background: Background, mask: U8) -> Finds:
    """One object for each component of the mask, strongest first.

    Args:
        grey: Shape (rows, columns), grey levels.
        background: Of the camera, after this picture.
        mask: Non-zero where something moves.

    Returns:
        Scores are mean differences in standard deviations, times the square root of the
        share of a 10 by 10 pixel square that is covered, up to 1: specks count less.
    """
    count, labels, stats, middles = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return Finds.none()
    places = labels.ravel()
    off = (grey - background.mean).ravel()
    area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1).astype(np.float64)
    noise = np.abs(off) / np.sqrt(background.variance.ravel() + 10.0)
    strength = np.bincount(places, noise, count) / area
    contrast = np.bincount(places, off, count) / area
    boxes = stats[:, :4].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    scores = strength * np.sqrt(np.minimum(area / 100.0, 1.0))
    everything = Finds(
        boxes=boxes[1:],
        centers=middles[1:].astype(np.float32),
        scores=scores[1:].astype(np.float32),
        contrasts=contrast[1:].astype(np.float32),
        class_scores=np.zeros((count - 1, len(LIKELIHOODS)), np.float32),
    )
    return everything.chosen(np.argsort(-everything.scores, kind="stable")[:MOST])
