"""One small rendered coast, shared by the whole folder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from almenara.core.media import Codec
from almenara.simulation import Scenario, load_scenario
from almenara.simulation.clip import Clip, read_clip, write_clip


@pytest.fixture(scope="session")
def one_boat() -> Scenario:
    return load_scenario("one-boat")


def noisy(count: int, width: int, height: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(5)
    for i in range(count):
        grey = rng.normal(100 + i, 6, (height, width))
        yield np.clip(grey, 0, 255).astype(np.uint8)


def coded(folder: Path, codec: Codec, width: int, height: int) -> Clip:
    path = folder / f"{codec}-{width}.mp4"
    write_clip(path, noisy(20, width, height), fps=10, bitrate_kbps=800, codec=codec)
    return read_clip(path)


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Clip:
    return coded(tmp_path_factory.mktemp("clips"), Codec.H264, 320, 240)


@pytest.fixture(scope="session")
def wide_clip(tmp_path_factory) -> Clip:
    return coded(tmp_path_factory.mktemp("clips"), Codec.H264, 384, 192)


@pytest.fixture(scope="session")
def h265_clip(tmp_path_factory) -> Clip:
    return coded(tmp_path_factory.mktemp("clips"), Codec.H265, 320, 240)
