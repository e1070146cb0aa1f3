"""``train verifier``: reads the pictures, trains, calibrates, writes, tells figures."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from almenara.core.errors import ConfigError
from almenara.detection.verifier import CALIBRATION, NAMES, Verifier, read_weights
from almenara.node.train import verifier as training
from almenara.stations.drivers.pictures import PictureReader

EMPTY_PICTURES = 160
"""The first of InfML-HDD: surf and sky without persons or vehicles."""


def run(
    data: Path,
    out: Path,
    *,
    width: int,
    steps: int,
    seed: int,
    begin: Path | None,
    say: Callable[[str], None],
) -> None:
    """Train and write weights; they begin as those of ``begin``, or at random.

    Raises:
        ConfigError: The pictures are not there.
        MediaError: One of them cannot be read.
    """
    if not (data / "hit_uav" / "annotations.json").is_file():
        raise ConfigError(
            (f"{data}: no hit_uav/annotations.json in it; name the folder with it",)
        )
    with PictureReader() as reader:

        def read(path: Path) -> training.Picture:
            return reader.read(path).astype(np.uint8, copy=False)

        examples = training.load(data / "hit_uav", read)
        files = sorted((data / "infml_hdd" / "images").glob("*.png"))
        empty = [read(file) for file in files[:EMPTY_PICTURES]]
    known = [e for e in examples if not training.is_check(e)]
    check = [e for e in examples if training.is_check(e)]
    say(f"{len(known)} pictures to learn from, {len(check)} of other flights to check")
    weights = training.train(
        known, empty, width=width, steps=steps, seed=seed, say=say,
        begin=None if begin is None else _without_calibration(begin),
    )  # fmt: skip
    weights = training.calibrated(weights, check)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, allow_pickle=False, **weights)
    say(f"{out}: SHA-256 {hashlib.sha256(out.read_bytes()).hexdigest()}")
    judged = [training.judge(Verifier(weights), e) for e in check]
    for kind, name in enumerate(NAMES):
        shares = " ".join(
            f"{training.found_at(judged, kind, n):.3f} at {n:g}" for n in (0.1, 0.3, 1)
        )
        say(f"{name}: found {shares} false per picture")


def _without_calibration(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    weights = read_weights(file.read_bytes())
    return {name: array for name, array in weights.items() if name != CALIBRATION}
