"""Trains the thermal verifier from HIT-UAV boxes, on the processor, from one seed.

Split by flight: neighbouring pictures are near copies, and a shuffled split would
praise a net that has learnt the place by heart. Persons that carry no box are frequent
in the data, so a place that the net insists on costs it less than a plain mistake.

Source: docs/design/detection.md, "The verifier"; penalty-reduced focal loss after Law &
Deng, CornerNet (2018); AdamW after Loshchilov & Hutter (2019).
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.verifier import (
    CALIBRATION,
    FAINTEST,
    NAMES,
    STRIDE,
    Verifier,
    logits,
    normalised,
    shapes,
)

CHECK_FLIGHTS = (1846, 4829, 5725, 6899)
"""First picture numbers of the flights that are never trained on."""

PERSON, CAR, OTHER_VEHICLE = 0, 1, 3
CROP = 128
BATCH = 16
WARM_UP_STEPS = 300
TRUSTING_STEPS = 1500
"""From here on, places that the net insists on cost less."""

Picture = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """One picture and its truth."""

    number: int
    """Running number over all flights, from its file's name."""

    picture: Picture
    boxes: npt.NDArray[np.float32]
    """Shape (n, 4): left, top, width, height, pixels."""

    kinds: npt.NDArray[np.int64]
    """0 person, 1 vehicle, 2 neither target nor clutter."""


def flight_of(number: int, starts: tuple[int, ...]) -> int:
    """First picture number of the flight that a picture belongs to."""
    return max(start for start in starts if start <= number)


STARTS = (
    *(0, 1129, 1846, 2294, 2784, 3280, 4086),
    *(4829, 5315, 5725, 6440, 6899, 8067),
)


def load(folder: Path, read: Callable[[Path], Picture]) -> list[Example]:
    """All pictures of HIT-UAV with their boxes, in the order of their numbers."""
    book = json.loads((folder / "annotations.json").read_text("utf-8"))
    by_image: dict[int, list[dict[str, Any]]] = {}
    for note in book["annotations"]:
        by_image.setdefault(note["image_id"], []).append(note)
    examples = []
    for image in book["images"]:
        notes = by_image.get(image["id"], [])
        kinds = [_kind(note["category_id"]) for note in notes]
        examples.append(
            Example(
                number=int(Path(image["file_name"]).stem.split("_")[-1]),
                picture=read(folder / "images" / image["file_name"]),
                boxes=np.array([n["bbox"] for n in notes], np.float32).reshape(-1, 4),
                kinds=np.array(kinds, np.int64),
            )
        )
    return sorted(examples, key=lambda e: e.number)


def _kind(category: int) -> int:
    if category == PERSON:
        return 0
    return 1 if category in {CAR, OTHER_VEHICLE} else 2


def is_check(example: Example) -> bool:
    """Whether the picture belongs to a flight that is never trained on."""
    return flight_of(example.number, STARTS) in CHECK_FLIGHTS


class Cropper:
    """Draws augmented crops with their target maps, from one seed."""

    def __init__(
        self, examples: list[Example], empty: list[Picture], seed: int
    ) -> None:
        self._examples, self._empty = examples, empty
        self._random = np.random.default_rng(seed)

    def batches(self) -> Iterator[tuple[Any, Any, Any]]:
        """Normalised crops, targets and weights, for ever."""
        while True:
            columns = zip(*(self._one() for _ in range(BATCH)), strict=True)
            yield tuple(np.stack(c) for c in columns)  # type: ignore[misc]  # three

    def _one(self) -> tuple[Any, Any, Any]:
        r = self._random
        if self._empty and r.random() < 0.04:
            picture = self._empty[r.integers(len(self._empty))]
            boxes, kinds = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        else:
            example = self._examples[r.integers(len(self._examples))]
            picture, boxes, kinds = example.picture, example.boxes, example.kinds
        scale, turn = (
            math.exp(r.uniform(math.log(0.65), math.log(1.5))),
            r.uniform(-20, 20),
        )
        centre = self._centre(picture.shape, boxes, kinds)
        move = cv2.getRotationMatrix2D(centre, turn, scale)
        if r.random() < 0.5:
            move[0] *= -1
            centre = (-centre[0], centre[1])
        move[:, 2] = move[:, 2] + (CROP / 2 - np.array(centre))
        crop = cv2.warpAffine(
            picture, move, (CROP, CROP), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        ).astype(np.float32)  # fmt: skip
        target, weight = _target(boxes, kinds, move, scale)
        return normalised(self._relit(crop))[..., None], target, weight

    def _centre(
        self, shape: tuple[int, ...], boxes: Any, kinds: Any
    ) -> tuple[float, float]:
        r = self._random
        chosen = np.flatnonzero(kinds < 2)
        if len(chosen) and r.random() < 0.7:
            left, top, width, height = boxes[r.choice(chosen)]
            jitter = r.uniform(-50, 50, 2)
            return (
                float(left + width / 2 + jitter[0]),
                float(top + height / 2 + jitter[1]),
            )
        return float(r.uniform(0, shape[1])), float(r.uniform(0, shape[0]))

    def _relit(self, crop: Any) -> Any:
        r = self._random
        if r.random() < 0.3:
            crop = cv2.GaussianBlur(crop, (0, 0), r.uniform(0.4, 1.2))
        crop = crop * r.uniform(0.5, 1.5) + r.uniform(-30, 30)
        crop = crop + r.normal(0, r.uniform(0, 5), crop.shape)
        if r.random() < 0.1:
            crop = 255 - crop
        return np.clip(crop, 0, 255).astype(np.float32)


def _target(boxes: Any, kinds: Any, move: Any, scale: float) -> tuple[Any, Any]:
    """Gaussians at the centres, and zeros in the weight where truth says nothing."""
    cells = CROP // STRIDE
    target = np.zeros((cells, cells, len(NAMES)), np.float32)
    weight = np.ones((cells, cells, len(NAMES)), np.float32)
    ys, xs = np.mgrid[:cells, :cells]
    for (left, top, width, height), kind in zip(boxes, kinds, strict=True):
        x, y = move @ (left + width / 2, top + height / 2, 1.0)
        wide, high = width * scale / STRIDE, height * scale / STRIDE
        cx, cy = x / STRIDE - 0.5, y / STRIDE - 0.5
        if kind == 2:
            inside = (abs(xs - cx) < wide / 2 + 1) & (abs(ys - cy) < high / 2 + 1)
            weight[inside] = 0.0
            continue
        ix, iy = round(cx), round(cy)
        sigma = max(0.75, 0.22 * math.sqrt(wide * high))
        bump = np.exp(-((xs - ix) ** 2 + (ys - iy) ** 2) / (2 * sigma**2))
        np.maximum(target[..., kind], bump, out=target[..., kind])
    weight[target == 1.0] = 1.0
    return target, weight


def train(
    examples: list[Example],
    empty: list[Picture],
    *,
    width: int,
    steps: int,
    seed: int,
    say: Callable[[str], None],
    begin: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Weights after ``steps`` batches: a running mean over the last thousand or so.

    They begin as ``begin``, or at random from the seed.
    """
    import jax  # noqa: PLC0415 -- an extra: only who trains needs it
    import jax.numpy as jnp  # noqa: PLC0415

    batches = Cropper(examples, empty, seed).batches()
    first = start(width, seed) if begin is None else begin
    weights = {k: jnp.asarray(v) for k, v in first.items()}
    kept = {k: jnp.array(v) for k, v in weights.items()}
    state = (weights, _zeros(jnp, weights), _zeros(jnp, weights), kept)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, batch: Any, number: Any) -> Any:
        loss, slope = jax.value_and_grad(partial(_loss, jnp=jnp, jax=jax))(
            state[0], batch, number
        )
        return _adamw(jnp, state, slope, number, steps), loss

    mean = 0.0
    for number in range(steps):
        state, loss = step(state, next(batches), jnp.float32(number))
        mean += (float(loss) - mean) / min(number + 1, 100)
        if (number + 1) % 100 == 0:
            say(f"step {number + 1} of {steps}: loss {mean:.3f}")
    return {k: np.asarray(v, np.float32) for k, v in state[3].items()}


def start(width: int, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Random weights that keep the signal's spread; a head that expects nothing."""
    random = np.random.default_rng(seed + 1)
    weights = {}
    for name, shape in shapes(width).items():
        if name.endswith("_b"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            spread = math.sqrt(2.0 / shape[0]) * (0.3 if name == "head" else 1.0)
            weights[name] = random.normal(0, spread, shape).astype(np.float32)
    weights["head_b"][:] = -4.6
    return weights


def _zeros(jnp: Any, weights: Any) -> Any:
    return {k: jnp.zeros_like(v) for k, v in weights.items()}


def _loss(weights: Any, batch: Any, number: Any, *, jnp: Any, jax: Any) -> Any:
    crops, target, weight = batch
    odds = logits(weights, crops, jnp)
    likely = jax.nn.sigmoid(odds)
    hits = (target == 1.0).astype(jnp.float32) * weight
    insisted = (likely > 0.7) & (target < 0.05) & (number > TRUSTING_STEPS)
    misses = weight * (1.0 - hits) * jnp.where(insisted, 0.3, 1.0)
    gained = hits * (1 - likely) ** 2 * jax.nn.softplus(-odds)
    lost = misses * (1 - target) ** 4 * likely**2 * jax.nn.softplus(odds)
    return (gained.sum() + lost.sum()) / jnp.maximum(hits.sum(), 1.0)


def _adamw(jnp: Any, state: Any, slope: Any, number: Any, steps: int) -> Any:
    weights, first, second, kept = state
    norm = jnp.sqrt(sum((g * g).sum() for g in slope.values()))
    slope = {k: g * jnp.minimum(1.0, 1.0 / (norm + 1e-9)) for k, g in slope.items()}
    first = {k: 0.9 * first[k] + 0.1 * g for k, g in slope.items()}
    second = {k: 0.999 * second[k] + 0.001 * g * g for k, g in slope.items()}
    rise = jnp.minimum((number + 1) / WARM_UP_STEPS, 1.0)
    rate = 2e-3 * rise * 0.5 * (1 + jnp.cos(jnp.pi * number / steps))
    m, v = 1 - 0.9 ** (number + 1), 1 - 0.999 ** (number + 1)
    fresh = {
        k: w - rate * (first[k] / m / (jnp.sqrt(second[k] / v) + 1e-8) + 1e-4 * w)
        for k, w in weights.items()
    }
    share = jnp.minimum(0.998, number / (number + 10))
    kept = {k: share * kept[k] + (1 - share) * fresh[k] for k in fresh}
    return fresh, first, second, kept


def calibrated(
    weights: dict[str, npt.NDArray[np.float32]], examples: list[Example]
) -> dict[str, npt.NDArray[np.float32]]:
    """The same weights with the calibration that makes likelihoods of their odds.

    A logistic curve through what became of every peak on flights never trained on
    (Platt, "Probabilistic Outputs for Support Vector Machines", 1999).
    """
    plain = np.array([[1.0] * len(NAMES), [0.0] * len(NAMES)], np.float32)
    net = Verifier(weights | {CALIBRATION: plain})
    table = plain.copy()
    judged = [judge(net, example) for example in examples]
    for kind in range(len(NAMES)):
        rows = np.concatenate([rows for rows, _ in (j[kind] for j in judged)])
        table[:, kind] = _logistic(rows[:, 0] - FAINTEST, rows[:, 1])
    return weights | {CALIBRATION: table}


def _logistic(x: F64, y: F64) -> F64:
    """Factor and term of the log odds of ``y`` being 1, by Newton's method."""
    columns = np.column_stack([x, np.ones_like(x)])
    answer = np.array([1.0, 0.0])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-np.clip(columns @ answer, -30, 30)))
        bend = columns.T @ (columns * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        answer += np.linalg.solve(bend, columns.T @ (y - p))
    return answer


def judge(net: Verifier, example: Example) -> list[tuple[F64, int]]:
    """What became of the finds of one picture, for each map.

    Returns:
        Shape (n, 2): score, and 1 where it lies in a box of its kind (grown by 4 px)
        that no stronger one lies in; and how many boxes there are. Finds on boxes of
        another kind, and second ones on one box, are left out.
    """
    watched = np.ones(example.picture.shape, bool)
    found = net.find(example.picture, watched)
    kinds = found.class_scores.argmax(axis=1)
    answer = []
    for kind in range(len(NAMES)):
        own = example.boxes[example.kinds == kind]
        other = example.boxes[example.kinds != kind]
        taken = np.zeros(len(own), bool)
        rows = []
        for i in np.flatnonzero(kinds == kind):
            inside = _holds(own, found.centers[i])
            free = np.flatnonzero(inside & ~taken)
            if len(free):
                taken[free[0]] = True
                rows.append((float(found.scores[i]), 1.0))
            elif not inside.any() and not _holds(other, found.centers[i]).any():
                rows.append((float(found.scores[i]), 0.0))
        answer.append((np.array(rows, np.float64).reshape(-1, 2), len(own)))
    return answer


def _holds(boxes: Any, center: Any, grown_px: float = 4.0) -> npt.NDArray[np.bool_]:
    low = boxes[:, :2] - grown_px
    high = boxes[:, :2] + boxes[:, 2:] + grown_px
    answer: npt.NDArray[np.bool_] = ((center >= low) & (center <= high)).all(axis=1)
    return answer


def found_at(
    judged: list[list[tuple[F64, int]]], kind: int, false_per_picture: float
) -> float:
    """Share of the boxes found at so many false finds per picture."""
    rows = np.concatenate([j[kind][0] for j in judged])
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    false = np.cumsum(rows[:, 1] == 0)
    n = int(np.searchsorted(false, false_per_picture * len(judged), side="right"))
    return float(rows[:n, 1].sum() / max(sum(j[kind][1] for j in judged), 1))
