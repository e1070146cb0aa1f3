"""How high a peak must be: fitted to the tail this sea really has.

Sea clutter is not Gaussian: real surf exceeds four deviations ten to a hundred times as
often. So the excesses of the *peaks* over a high quantile are fitted with a generalised
Pareto tail, separately for bands of rows, and the threshold follows from how many
candidates per frame are wanted. How many *alarms* are wanted is decided later, over
time.

Peaks where something has stood for seconds are left out of the fit: a fleet at anchor
must not make the watch blind to the next boat.

Source: Hosking & Wallis, "Parameter and quantile estimation for the generalized Pareto
distribution", Technometrics 29 (1987); peaks over threshold after Davison & Smith
(1990).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

KEPT = 4096
"""Peaks remembered per band: some twenty seconds at five looks a second."""

COLLECTED = 40.0
"""Peaks per band and look that the floor lets through."""

FEWEST = 100
HIGHEST = 14.0
"""No clutter may raise the threshold beyond this many deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoTail:
    """Excesses over ``start``: P(z > t) = (1 + shape·(t - start)/scale)^(-1/shape)."""

    start: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, excesses: npt.NDArray[np.floating], start: float) -> "ParetoTail":
        """Fit by probability-weighted moments.

        Args:
            excesses: Values minus ``start``, none negative, at least two, any order.
            start: Where the tail begins.

        Returns:
            The tail; its shape is kept in [0, 0.5], beyond which the mean square is
            infinite and one wave decides everything.
        """
        ordered = np.sort(excesses)
        n = len(ordered)
        above = 1.0 - (np.arange(1, n + 1) - 0.35) / n
        first = max(float(ordered.mean()), 1e-6)
        second = min(float((ordered * above).mean()), 0.499 * first)
        shape = 2.0 - first / (first - 2.0 * second)
        if not 0.0 < shape <= 0.5:
            shape = min(max(shape, 0.0), 0.5)
            # The mean is kept: it is known better than the shape.
            return cls(start=start, scale=first * (1.0 - shape), shape=shape)
        scale = 2.0 * first * second / (first - 2.0 * second)
        return cls(start=start, scale=scale, shape=shape)

    def threshold(self, share: float) -> float:
        """The value that ``share`` of the excesses lie above, 0 < share <= 1."""
        if self.shape < 1e-3:
            return self.start - self.scale * float(np.log(share))
        grown: float = share**-self.shape
        return self.start + self.scale / self.shape * (grown - 1.0)


class PeakTail:
    """Threshold of one band of rows for a wanted number of candidates per look."""

    def __init__(self, *, wanted: float) -> None:
        self.wanted = wanted
        self.floor = 2.5
        """Peaks below this need not be collected."""

        self.threshold = 6.0
        self.expected = wanted
        """False candidates per look at the threshold."""

        self._values = np.zeros(KEPT, np.float32)
        self._look_numbers = np.zeros(KEPT, np.int64)
        self._filled = 0
        self._next = 0
        self._look = 0

    def collect(self, scores: F32) -> None:
        """Remember one look's peaks: absolute scores above the floor, any number."""
        n = len(scores)
        self.floor *= float(np.exp(0.08 * np.clip(np.log((n + 1) / COLLECTED), -2, 2)))
        self.floor = float(np.clip(self.floor, 1.5, 6.0))
        scores = scores[-KEPT:]
        places = (self._next + np.arange(len(scores))) % KEPT
        self._values[places] = scores
        self._look_numbers[places] = self._look
        self._next = (self._next + len(scores)) % KEPT
        self._filled = min(self._filled + len(scores), KEPT)
        self._look += 1

    def fit(self) -> None:
        """Set the threshold from what was collected; keep the old one on too little."""
        if self._filled < FEWEST:
            return
        values = self._values[: self._filled]
        looks = self._look - int(self._look_numbers[: self._filled].min())
        start = float(np.median(values))
        excesses = values[values > start] - start
        if len(excesses) < 2:
            return
        tail = ParetoTail.fit(excesses, start)
        per_look = len(excesses) / looks
        share = min(self.wanted / per_look, 1.0)
        self.threshold = float(np.clip(tail.threshold(share), 3.0, HIGHEST))
        beyond = max(1.0 + tail.shape * (self.threshold - start) / tail.scale, 1e-3)
        exponent = -1.0 / tail.shape if tail.shape >= 1e-3 else None
        share = (
            beyond**exponent
            if exponent is not None
            else float(np.exp(-(self.threshold - start) / tail.scale))
        )
        self.expected = per_look * min(share, 1.0)
