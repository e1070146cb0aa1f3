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
Numbers = npt.NDArray[np.int64]

KEPT = 0.75
"""Share of a predecessor's gain that is inherited at each link."""

CHANCE = 0.8
"""Score per natural logarithm of candidates: the scale of a typical clutter tail."""

MOST_GAIN = 25.0
LOOKS = 3
"""How many looks back a predecessor may be: the thing may be missed in between."""

MOVED_PX = 3.0
"""Displacement against the scene that surely is one."""

FOLLOWED = 150
"""Candidates of a look that may become part of a chain, strongest first."""

PASTS = 3
"""Remembered for each candidate: the first link of a dim thing is seldom the best."""

WORST = -3.0
"""Least offer of a past that a later look may still make good."""

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
    """Candidates of one look, once for each past; places in the scene."""

    at_s: float
    places: F64
    gathered: F64
    velocities: F64
    """NaN where there is none yet."""

    starts: F64
    """Shape (n, 3): place where the chain began, and the number of its links."""

    signs: F64
    usual: float
    """Median score of the look's candidates."""

    count: int
    """How many candidates it had; each may have several pasts."""


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
        """What each candidate of the next look inherits, >= 0.

        Args:
            places: Shape (n, 2): x, y in the scene, pixels.
            scores: Shape (n,), >= 0.
            signs: Shape (n,), +1 or -1: brighter or darker.
            at_s: Seconds of any clock, later than the last look's.
        """
        gained = np.zeros(len(places), np.float32)
        few = np.argsort(-scores, kind="stable")[:FOLLOWED]
        who, offer, velocities, starts = self._links(places[few], signs[few], at_s)
        moved = np.hypot(*(places[few][who] - starts[:, :2]).T)
        told = np.maximum(offer, 0.0) * np.clip(moved / MOVED_PX, 0.0, 1.0) ** 2
        np.maximum.at(gained, few[who], told.astype(np.float32))
        # Every candidate may also be the first of its chain.
        n = len(few)
        fresh = np.column_stack([places[few], np.zeros(n)])
        at = np.concatenate([few, few[who]])
        self._looks.append(
            _Look(
                at_s=at_s,
                places=places[at],
                gathered=scores[at] + np.concatenate([np.zeros(n), offer]),
                velocities=np.concatenate([np.full((n, 2), np.nan), velocities]),
                starts=np.concatenate([fresh, starts]),
                signs=signs[at],
                usual=float(np.median(scores[few])) if n else 0.0,
                count=n,
            )
        )
        return gained

    def _links(
        self, places: F64, signs: F64, at_s: float
    ) -> tuple[Numbers, F64, F64, F64]:
        """The best few pasts of each candidate: its number, offer, velocity, start."""
        parts = [self._of_look(look, places, signs, at_s) for look in self._looks]
        who = np.concatenate([np.zeros(0, np.int64), *(p[0] for p in parts)])
        offer = np.concatenate([np.zeros(0), *(p[1] for p in parts)])
        velocities = np.concatenate([np.zeros((0, 2)), *(p[2] for p in parts)])
        starts = np.concatenate([np.zeros((0, 3)), *(p[3] for p in parts)])
        order = np.lexsort((-offer, who))
        first = np.searchsorted(who[order], who[order])
        best = order[np.arange(len(order)) - first < PASTS]
        return who[best], offer[best], velocities[best], starts[best]

    def _of_look(
        self, look: _Look, places: F64, signs: F64, at_s: float
    ) -> tuple[Numbers, F64, F64, F64]:
        """All pasts that one earlier look allows."""
        dt = at_s - look.at_s
        has_speed = ~np.isnan(look.velocities[:, 0])
        speed = np.where(has_speed[:, None], look.velocities, 0.0)
        off_x = places[:, None, 0] - (look.places[:, 0] + speed[:, 0] * dt)
        off_y = places[:, None, 1] - (look.places[:, 1] + speed[:, 1] * dt)
        wide, high = self._gate.reach(dt)
        tight = 1.5 + 0.2 * np.hypot(*speed.T) * dt
        half_x = np.where(has_speed, np.minimum(tight, wide), wide)
        half_y = np.where(has_speed, np.minimum(tight, high), high)
        off = (off_x / half_x) ** 2 + (off_y / half_y) ** 2
        who, before = np.nonzero((off <= 1.0) & (look.signs == signs[:, None]))
        crowd = np.maximum(4.0 * half_x * half_y * look.count / self._area_px, 0.05)
        misses = round(dt / max(at_s - self._looks[-1].at_s, 1e-6)) - 1
        worth = KEPT * (look.gathered - look.usual) - CHANCE * np.log(crowd) - misses
        offer = np.minimum(worth[before], MOST_GAIN) - CHANCE * off[who, before]
        good = offer > WORST
        who, before, offer = who[good], before[good], offer[good]
        fresh = (places[who] - look.places[before]) / dt
        was = look.velocities[before]
        velocities = np.where(np.isnan(was), fresh, 0.6 * was + 0.4 * fresh)
        starts = look.starts[before].copy()
        # A long chain's start follows it, so that what stopped is seen to stop.
        old = starts[:, 2] >= MEMORY
        starts[old, :2] += (look.places[before][old] - starts[old, :2]) / MEMORY
        starts[:, 2] = np.minimum(starts[:, 2] + 1, MEMORY)
        return who, offer, velocities, starts


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
