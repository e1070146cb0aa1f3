"""Compile the kernels before the first camera, so that none waits for them.

Source: docs/design/first-light.md, "Processes".
"""

from datetime import timedelta

import numpy as np

from almenara.core.ids import CameraId
from almenara.core.media import Frame
from almenara.core.time import EPOCH
from almenara.detection.land import LandDetector
from almenara.detection.sea import SeaDetector


def warm_up() -> None:
    """Run both chains on a small lively picture: three seconds once, then a tenth."""
    noise = np.random.default_rng(0)
    sea = SeaDetector(width_px=128, height_px=96, range_map=None)
    land = LandDetector(width_px=128, height_px=96)
    for i in range(12):
        # Blocks of 16 pixels differ: a uniform picture is blind and compiles nothing.
        luma = np.kron(
            noise.integers(60, 180, (6, 8)), np.ones((16, 16))
        ) + noise.normal(0, 8, (96, 128))
        frame = Frame(
            camera_id=CameraId("warm-up"),
            captured_at=EPOCH + timedelta(seconds=0.2 * i),
            luma=luma.astype(np.uint8),
        )
        sea.detect(frame)
        land.detect(frame)
