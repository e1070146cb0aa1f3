"""Boxes of one picture after the other, followed as things: for stored detections.

Boxes are grown before their overlap is judged, because at one look a second a vessel
may have moved by more than it overlaps with itself. What is not seen coasts, slows down
towards a stop, and is looked for in a growing neighbourhood until its memory ends. Sure
boxes choose first; doubtful ones only keep what is already followed.

Every track carries the log-likelihood that it is a thing, raised by each look that sees
it and lowered by each that does not.

Source: docs/design/detection.md, "Tracks"; buffered overlap after Yang et al., "Hard to
Track Objects with Irregular Motions and Similar Appearances", WACV (2023); two rounds
after Zhang et al., ByteTrack, ECCV (2022); Wald, Sequential Analysis (1947).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from almenara.tracking.association import associate

F64 = npt.NDArray[np.float64]

BUFFER = 0.3
"""By how much of its size a box is grown on each side, and at least by so many pixels:
"""

BUFFER_PX = 2.0
BUFFER_PER_S = 0.06
"""The same again for every second unseen, at most as much as below."""

MOST_BUFFER = 0.9
MEMORY_S = 15.0
STOP_S = 12.0
"""What is unseen loses its speed at this rate: boats that hide often wait."""

SIZE_WEIGHT = 0.15
"""Cost of a factor e in width or height, against an overlap of nothing at 1."""

SEEN, UNSEEN_PER_S = 2.0, 0.9
CONFIRMED = 3.5
MOST_EVIDENCE = 12.0

TRACK = np.dtype(
    [
        ("number", np.int64), ("hits", np.int64), ("kind", np.int64),
        ("x", np.float64), ("vx", np.float64),
        ("y", np.float64), ("vy", np.float64),
        ("pp", np.float64), ("pv", np.float64), ("vv", np.float64),
        ("width", np.float64), ("height", np.float64),
        ("score", np.float64), ("evidence", np.float64), ("seen_s", np.float64),
        ("emitted", np.bool_),
    ]
)  # fmt: skip
"""One row per track; pixels, seconds, natural logarithms."""

Tracks = np.ndarray[tuple[int], np.dtype[np.void]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedBox:
    """One track that this look has seen."""

    number: int
    row: int
    """Which of the look's boxes it is."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom, pixels: as measured."""

    score: float
    existence: float
    """In [0, 1]."""


class BoxTracker:
    """Follows the boxes of one camera; call :meth:`step` once per look, in order."""

    def __init__(self, *, sure: float = 0.4, memory_s: float = MEMORY_S) -> None:
        """Begin with nothing.

        Args:
            sure: Least score that begins a track; a weaker box may only keep one.
            memory_s: How long something unseen is remembered.
        """
        self._sure, self._memory_s = sure, memory_s
        self._tracks: Tracks = np.zeros(0, TRACK)
        self._next = 1
        self._at_s: float | None = None
        self._moved = np.zeros(2)

    def step(
        self,
        boxes: F64,
        scores: F64,
        at_s: float,
        *,
        moved_px: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[FollowedBox, ...]:
        """Take in one look.

        Args:
            boxes: Shape (n, 4): left, top, right, bottom, pixels.
            scores: Shape (n,).
            at_s: Seconds of any clock; one not after the last changes nothing.
            moved_px: By how much the scene has moved in the picture since the last.

        Returns:
            What is seen in this look and believed, by number.
        """
        elapsed_s = 0.0 if self._at_s is None else at_s - self._at_s
        if self._at_s is not None and elapsed_s <= 0.0:
            return ()
        first, self._at_s = self._at_s is None, at_s
        self._predict(elapsed_s, moved_px)
        pairs = self._pair(boxes, scores)
        self._update(boxes, scores, pairs)
        self._forget(pairs, elapsed_s)
        begun = self._begin(boxes, scores, {j for _, j in pairs.items()}, first=first)
        return self._followed(boxes, scores, pairs | begun)

    def _predict(self, dt: float, moved_px: tuple[float, float]) -> None:
        t = self._tracks
        if len(t) == 0:
            return
        assert self._at_s is not None  # noqa: S101 -- set by step
        unseen_s = self._at_s - t["seen_s"]
        keep = np.where(unseen_s > 1.5 * dt, math.exp(-dt / STOP_S), 1.0)
        t["vx"] *= keep
        t["vy"] *= keep
        t["x"] += t["vx"] * dt + moved_px[0]
        t["y"] += t["vy"] * dt + moved_px[1]
        noise = (0.04 * _size(t) + 0.5) ** 2
        t["pp"] += dt * (2 * t["pv"] + dt * t["vv"]) + noise * dt**3 / 3
        t["pv"] += dt * t["vv"] + noise * dt**2 / 2
        t["vv"] += noise * dt

    def _pair(self, boxes: F64, scores: F64) -> dict[int, int]:
        """Track number to row: seen ones and sure boxes first, then the rest."""
        pairs: dict[int, int] = {}
        sure = scores >= self._sure
        for rows in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            left = [
                i for i, n in enumerate(self._tracks["number"]) if int(n) not in pairs
            ]
            who = np.array(left, np.int64)
            if len(who) == 0 or len(rows) == 0:
                continue
            cost = self._cost(self._tracks[who], boxes[rows])
            for i, j in associate(cost, gate=1.2).pairs:
                pairs[int(self._tracks["number"][who[i]])] = int(rows[j])
        return pairs

    def _cost(self, t: Tracks, boxes: F64) -> F64:
        assert self._at_s is not None  # noqa: S101 -- set by step
        unseen_s = np.maximum(self._at_s - t["seen_s"], 0.0)
        grow = np.minimum(BUFFER + BUFFER_PER_S * unseen_s, MOST_BUFFER)
        where = np.column_stack([t["x"], t["y"], t["width"], t["height"]])
        middle = np.column_stack(
            [
                (boxes[:, 0] + boxes[:, 2]) / 2,
                (boxes[:, 1] + boxes[:, 3]) / 2,
                boxes[:, 2] - boxes[:, 0],
                boxes[:, 3] - boxes[:, 1],
            ]
        )
        overlap = _overlap(_grown(where, grow), _grown(middle, grow.mean()))
        size = np.abs(
            np.log(np.maximum(where[:, None, 2:], 1) / np.maximum(middle[:, 2:], 1))
        ).sum(axis=2)
        cost = 1.0 - overlap + SIZE_WEIGHT * np.minimum(size, 3.0)
        # A track seen until now goes before one that was lost long ago.
        cost += 0.02 * np.minimum(unseen_s, 10.0)[:, None]
        return np.where(overlap > 0.02, cost, np.inf)

    def _update(self, boxes: F64, scores: F64, pairs: dict[int, int]) -> None:
        t = self._tracks
        for i in range(len(t)):
            row = pairs.get(int(t["number"][i]))
            if row is not None:
                self._one(t[i : i + 1], boxes[row], float(scores[row]))

    def _one(self, t: Tracks, box: F64, score: float) -> None:
        """One measurement; x and y share their covariance."""
        width, height = box[2] - box[0], box[3] - box[1]
        total = t["pp"] + (0.05 * math.sqrt(max(width * height, 1.0))) ** 2 + 0.5
        gain, speed_gain = t["pp"] / total, t["pv"] / total
        for place, speed, middle in (
            ("x", "vx", (box[0] + box[2]) / 2),
            ("y", "vy", (box[1] + box[3]) / 2),
        ):
            off = middle - t[place]
            t[place] += gain * off
            t[speed] += speed_gain * off
        t["vv"] -= speed_gain * t["pv"]
        t["pp"], t["pv"] = t["pp"] * (1 - gain), t["pv"] * (1 - gain)
        t["width"] += 0.4 * (width - t["width"])
        t["height"] += 0.4 * (height - t["height"])
        t["score"] += 0.3 * (score - t["score"])
        t["hits"] += 1
        t["evidence"] = np.minimum(t["evidence"] + SEEN, MOST_EVIDENCE)
        assert self._at_s is not None  # noqa: S101 -- set by step
        t["seen_s"] = self._at_s

    def _forget(self, pairs: dict[int, int], elapsed_s: float) -> None:
        t = self._tracks
        assert self._at_s is not None  # noqa: S101 -- set by step
        missed = ~np.isin(t["number"], list(pairs))
        t["evidence"] -= np.where(missed, UNSEEN_PER_S * min(elapsed_s, 2.0), 0.0)
        unseen_s = self._at_s - t["seen_s"]
        young = ~t["emitted"]
        # What was seen once and not again was nothing; what was believed is awaited.
        memory = np.where(young, min(2.0, self._memory_s), self._memory_s)
        self._tracks = t[unseen_s <= np.maximum(memory, 1.01 * elapsed_s)]

    def _begin(
        self, boxes: F64, scores: F64, taken: set[int], *, first: bool
    ) -> dict[int, int]:
        rows = [
            j for j in range(len(boxes)) if j not in taken and scores[j] >= self._sure
        ]
        fresh = np.zeros(len(rows), TRACK)
        box = boxes[rows]
        fresh["number"] = self._next + np.arange(len(rows))
        fresh["x"], fresh["y"] = (
            (box[:, 0] + box[:, 2]) / 2,
            (box[:, 1] + box[:, 3]) / 2,
        )
        fresh["width"], fresh["height"] = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
        fresh["pp"] = (0.05 * _size(fresh)) ** 2 + 0.5
        fresh["vv"] = (0.2 * _size(fresh) + 2.0) ** 2
        fresh["hits"], fresh["score"] = 1, scores[rows]
        fresh["evidence"] = CONFIRMED if first else SEEN
        fresh["seen_s"] = self._at_s
        self._next += len(rows)
        self._tracks = np.concatenate([self._tracks, fresh])
        return {int(n): j for n, j in zip(fresh["number"], rows, strict=True)}

    def _followed(
        self, boxes: F64, scores: F64, pairs: dict[int, int]
    ) -> tuple[FollowedBox, ...]:
        answer = []
        for i, number in enumerate(self._tracks["number"]):
            row = pairs.get(int(number))
            t = self._tracks[i]
            sure = row is not None and scores[row] >= 1.5 * self._sure
            t["emitted"] |= t["evidence"] >= CONFIRMED or (t["hits"] == 1 and sure)
            self._tracks[i] = t
            if row is None or not t["emitted"]:
                continue
            left, top, right, bottom = (float(v) for v in boxes[row])
            answer.append(
                FollowedBox(
                    number=int(number),
                    row=row,
                    box=(left, top, right, bottom),
                    score=float(scores[row]),
                    existence=1.0 / (1.0 + math.exp(-float(t["evidence"]))),
                )
            )
        return tuple(answer)


def _size(t: Tracks) -> F64:
    """Side of a square of the same area, pixels."""
    answer: F64 = np.sqrt(np.maximum(t["width"] * t["height"], 1.0))
    return answer


def _grown(where: F64, share: F64 | float) -> F64:
    """Middles and sizes to corners, grown on each side."""
    share = np.broadcast_to(np.asarray(share, np.float64), len(where))
    half_x = where[:, 2] / 2 + np.maximum(share * where[:, 2], BUFFER_PX)
    half_y = where[:, 3] / 2 + np.maximum(share * where[:, 3], BUFFER_PX)
    x, y = where[:, 0], where[:, 1]
    return np.column_stack([x - half_x, y - half_y, x + half_x, y + half_y])


def _overlap(a: F64, b: F64) -> F64:
    """Intersection over union of every pair, shape (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(np.maximum(x[:, 2:] - x[:, :2], 0.0), axis=1) for x in (a, b)]
    answer: F64 = common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9)
    return answer
