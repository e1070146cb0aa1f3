"""Milliseconds per stage of the detection chains, one core, and as ratios to one blur.

Run: ``python benches/detection.py``. The ratio to one Gaussian blur of the same band on
the same machine is what may be compared between machines.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import cv2
import numpy as np

from almenara.core.ids import CameraId
from almenara.core.media import Frame
from almenara.detection.front import FrontEnd
from almenara.detection.land import LandDetector
from almenara.detection.sea import SeaDetector

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIZES = ((1920, 400), (1280, 300), (640, 512), (640, 360))
STAGES = (
    (SeaDetector, "_refresh_noise"),
    (SeaDetector, "_report"),
    (FrontEnd, "refresh_level"),
    (FrontEnd, "respond"),
)


def frames(width_px: int, height_px: int, looks: int) -> list[Frame]:
    noise = np.random.default_rng(0)
    rows = np.arange(height_px)[:, None]
    made = []
    for i in range(looks):
        white = noise.standard_normal((height_px, width_px)).astype(np.float32)
        waves = 30.0 * cv2.GaussianBlur(white, (0, 0), 6.0, sigmaY=2.0)
        luma = np.clip(100 + 0.1 * rows + waves + 2 * white, 0, 255).astype(np.uint8)
        made.append(
            Frame(
                camera_id=CameraId("bench"),
                captured_at=NOON + timedelta(seconds=0.2 * i),
                luma=luma,
            )
        )
    return made


def timed_ms(act: Callable[[], object], times: int = 30) -> float:
    took = []
    for _ in range(times):
        began = perf_counter()
        act()
        took.append(1e3 * (perf_counter() - began))
    return median(took)


def clocked(owner: type, name: str, book: dict[str, list[float]]) -> None:
    """Note how long each call of a method takes."""
    plain = getattr(owner, name)

    def measured(*args: object, **kwargs: object) -> object:
        began = perf_counter()
        try:
            return plain(*args, **kwargs)
        finally:
            book.setdefault(name.strip("_"), []).append(1e3 * (perf_counter() - began))

    setattr(owner, name, measured)


def main() -> None:
    cv2.setNumThreads(1)
    book: dict[str, list[float]] = {}
    for owner, name in STAGES:
        clocked(owner, name, book)
    for width_px, height_px in SIZES:
        looks = frames(width_px, height_px, 60)
        picture = looks[0].luma.astype(np.float32)
        blur_ms = timed_ms(lambda p=picture: cv2.GaussianBlur(p, (9, 9), 1.5))
        print(f"\n{width_px}x{height_px}: one Gaussian blur f32 {blur_ms:.2f} ms")
        for name, detector in (
            (
                "sea",
                SeaDetector(width_px=width_px, height_px=height_px, range_map=None),
            ),
            ("land", LandDetector(width_px=width_px, height_px=height_px)),
        ):
            for look in looks[:20]:
                detector.detect(look)
            book.clear()
            left = iter(looks[20:])
            whole_ms = timed_ms(lambda d=detector, f=left: d.detect(next(f)), 40)
            rows = {name: whole_ms} | {f"  {k}": sum(v) / 40 for k, v in book.items()}
            for stage, ms in rows.items():
                print(f"  {stage:18} {ms:6.2f} ms   {ms / blur_ms:5.1f} blurs")


if __name__ == "__main__":
    main()
