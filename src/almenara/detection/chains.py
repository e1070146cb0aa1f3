"""Candidates of a sequence gain by a past that moves as one thing would.

Every candidate looks for its best predecessor among those of the last looks: where it
could be reached at all, and, once the predecessor has a velocity, where it should have
gone. What the predecessor had gathered beyond what clutter gathers is inherited, the
more so the fewer chance candidates the gate would hold. Only the past is used.

What stays at its place against the scene inherits nothing: it keeps what one picture
says of it, for nothing is lost by standing still, but the tops of rocks and the
corners of roofs do not outshine what moves.

Source: docs/design/detection.md, "Sequences"; dynamic programming over candidates after
Barniv, "Dynamic Programming Solution for Detecting Dim Moving Targets", IEEE TAES 21
(1985).
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from almenara.detection.kernels import F32

F64 = npt.NDArray[np.float64]

KEPT = 0.75
"""Share of a predecessor's gain that is inherited at each link."""

CHANCE = 0.8
"""Score per natural logarithm of candidates: the scale of a typical clutter tail."""

MOST_GAIN = 25.0
LOOKS = 3
"""How many looks back a predecessor may be: the thing may be missed in between."""

MOVED_PX = 3.0
"""Displacement against the scene that surely is one."""

MEMORY = 12
"""Looks over which a displacement counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How far things move in a second, pixels."""

    across_px_s: float
    along_px_s: float

    def reach(self, elapsed_s: float) -> tuple[float, float]:
        """Half widths of where something can be after ``elapsed_s``, pixels."""
        return (
            max(self.across_px_s * elapsed_s, 2.0) + 1.0,
            max(self.along_px_s * elapsed_s, 1.0) + 1.0,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Look:
    """Candidates of one look; places in the scene, not in the picture."""

    at_s: float
    places: F64
    gathered: F64
    velocities: F64
    """NaN where there is none yet."""

    starts: F64
    """Shape (n, 3): place where the chain began, and the number of its links."""

    signs: F64
    usual: float


class Chains:
    """Follows the candidates of one camera, oldest look first."""

    def __init__(self, gate: Gate, area_px: float) -> None:
        self._gate = gate
        self._area_px = max(area_px, 1.0)
        self._looks: deque[_Look] = deque(maxlen=LOOKS)

    def forget(self) -> None:
        """The scene has changed: nothing before this counts."""
        self._looks.clear()

    def gain(self, places: F64, scores: F64, signs: F64, at_s: float) -> F32:
        """What each candidate of the next look inherits, ≥ 0.

        Args:
            places: Shape (n, 2): x, y in the scene, pixels.
            scores: Shape (n,), ≥ 0.
            signs: Shape (n,), +1 or -1: brighter or darker.
            at_s: Seconds of any clock, later than the last look's.
        """
        n = len(places)
        best = np.zeros(n)
        velocities = np.full((n, 2), np.nan)
        starts = np.column_stack([places, np.zeros(n)])
        for look in self._looks:
            if len(look.places) == 0 or n == 0:
                continue
            offers = self._offers(look, places, signs, at_s)
            chosen = np.argmax(offers, axis=1)
            offer = offers[np.arange(n), chosen]
            better = np.flatnonzero(offer > best)
            best[better] = offer[better]
            self._link(
                look,
                chosen=chosen,
                better=better,
                places=places,
                velocities=velocities,
                starts=starts,
                at_s=at_s,
            )
        usual = float(np.median(scores)) if n else 0.0
        self._looks.append(
            _Look(
                at_s=at_s,
                places=places,
                gathered=scores + best,
                velocities=velocities,
                starts=starts,
                signs=signs,
                usual=usual,
            )
        )
        moved = np.hypot(*(places - starts[:, :2]).T)
        gained: F32 = (best * np.clip(moved / MOVED_PX, 0.0, 1.0) ** 2).astype(
            np.float32
        )
        return gained

    def _offers(self, look: _Look, places: F64, signs: F64, at_s: float) -> F64:
        """What each earlier candidate would hand on to each of the new ones."""
        dt = at_s - look.at_s
        has_speed = ~np.isnan(look.velocities[:, 0])
        speed = np.where(has_speed[:, None], look.velocities, 0.0)
        dx, dy = np.moveaxis(places[:, None] - look.places - speed * dt, 2, 0)
        wide, high = self._gate.reach(dt)
        tight = 1.5 + 0.2 * np.hypot(*speed.T) * dt
        half_x = np.where(has_speed, np.minimum(tight, wide), wide)
        half_y = np.where(has_speed, np.minimum(tight, high), high)
        density = max(len(look.places), 1) / self._area_px
        crowd = np.maximum(4.0 * half_x * half_y * density, 0.05)
        worth = KEPT * (look.gathered - look.usual) - CHANCE * np.log(crowd)
        misses = round(max(at_s - look.at_s, 0.0) / max(self._step_s(at_s), 1e-6)) - 1
        worth = np.clip(worth - 1.0 * misses, 0.0, MOST_GAIN)
        off = (dx / half_x) ** 2 + (dy / half_y) ** 2
        allowed = (off <= 1.0) & (look.signs == signs[:, None])
        return np.where(allowed, worth - CHANCE * off, 0.0)

    def _step_s(self, at_s: float) -> float:
        return at_s - self._looks[-1].at_s

    def _link(
        self,
        look: _Look,
        *,
        chosen: npt.NDArray[np.int64],
        better: npt.NDArray[np.int64],
        places: F64,
        velocities: F64,
        starts: F64,
        at_s: float,
    ) -> None:
        before = chosen[better]
        fresh = (places[better] - look.places[before]) / (at_s - look.at_s)
        was = look.velocities[before]
        velocities[better] = np.where(np.isnan(was), fresh, 0.6 * was + 0.4 * fresh)
        start = look.starts[before].copy()
        # A long chain's start follows it, so that what stopped is seen to stop.
        links = np.minimum(start[:, 2] + 1, MEMORY)
        old = start[:, 2] >= MEMORY
        start[old, :2] += (look.places[before][old] - start[old, :2]) / MEMORY
        starts[better] = np.column_stack([start[:, :2], links])


def gate_of(scene: str, fps: float) -> Gate:
    """What moves how fast in pictures of a scene, pixels a second.

    At sea a thing moves along its row; a look every few seconds still holds it within
    150 pixels. In the sky nothing is known of range, so a step is bounded in pictures.
    """
    if scene == "sea":
        return Gate(across_px_s=30.0, along_px_s=2.8)
    fastest = min(max(150.0, 3.0 * fps), 40.0 * fps)
    if math.isclose(fastest, 0.0):
        fastest = 1.0
    return Gate(across_px_s=fastest, along_px_s=fastest)
