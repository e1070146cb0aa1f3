"""Where and when a craft will meet the coast: samples of its state, run to the shore.

A state is a cloud of where the craft may be and how it may go; each sample keeps its
course as boats do, with the acceleration noise that boats show over hours, until it
meets land. What is told is the shortest span of time and the shortest stretch of shore
that hold four fifths of those that land, and how many land in time. The draws are the
same at every call, so the same state gives the same answer.

Source: docs/design/alarms.md, "Predicted landfall".
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from almenara.core.values import Position
from almenara.geo.sea_surface import FloatArray
from almenara.incidents.shore import BoolArray, Shore
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.tracking.picture import SystemTrack

SAMPLES = 1024
SEED = 20260301
HOLDS = 0.8
STEP_S = 120.0
MEND = 0.25
HALVINGS = 5
"""Halvings of the last step: an instant to within four seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landfall:
    """What the samples say."""

    made_at: datetime
    probability: float
    """P(it meets the coast within the horizon)."""

    horizon: timedelta
    earliest: datetime
    latest: datetime
    """The shortest span that holds four fifths of the landings."""

    stretch_m: float | None = None
    """Likewise of shore; None where no single shore holds so many."""

    begins: Position | None = None
    ends: Position | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Landings:
    """Which samples met land, when and where."""

    landed: BoolArray
    """Shape (n,)."""

    after_s: FloatArray
    """Shape (n,): NaN for those that did not."""

    place_m: FloatArray
    """Shape (n, 2): on the shore's plane; NaN likewise."""


def predict_landfall(
    track: SystemTrack, shore: Shore, limits: Thresholds = DEFAULT
) -> Landfall | None:
    """The landfall of a contact; None where no land is known or hardly any lands."""
    if shore.plane is None:
        return None
    rng = np.random.default_rng(SEED)
    start = draw_states(track, shore, rng, SAMPLES)
    horizon_s = limits.landfall_horizon.total_seconds()
    found = run_to_shore(start, shore, rng, limits.landfall_noise, horizon_s=horizon_s)
    count = int(found.landed.sum())
    if count < SAMPLES // 10:
        return None
    times = np.sort(found.after_s[found.landed])
    first_s, last_s = shortest_span(times)
    stretch = _stretch(found.place_m[found.landed], shore)
    return Landfall(
        made_at=track.at,
        probability=count / SAMPLES,
        horizon=limits.landfall_horizon,
        earliest=track.at + timedelta(seconds=first_s),
        latest=track.at + timedelta(seconds=last_s),
        stretch_m=None if stretch is None else stretch[2] - stretch[1],
        begins=None if stretch is None else shore.at_chainage(stretch[0], stretch[1]),
        ends=None if stretch is None else shore.at_chainage(stretch[0], stretch[2]),
    )


def draw_states(
    track: SystemTrack, shore: Shore, rng: np.random.Generator, count: int
) -> FloatArray:
    """States (n, 4) on the shore's plane, as uncertain as the track says it is."""
    if shore.plane is None:
        raise ValueError("no land, no plane")
    place = shore.plane.to_plane(
        track.position.latitude_deg, track.position.longitude_deg
    )[0]
    # From true east and north to the plane's.
    turn = shore.plane.turn_at(place)[0].T
    result = rng.standard_normal((count, 4))
    result[:, :2] = place + result[:, :2] @ _root(track.position_cov_m2, turn).T
    mean = turn @ np.array(track.velocity_mps)
    result[:, 2:] = mean + result[:, 2:] @ _root(track.velocity_cov, turn).T
    return result


def _root(cov: tuple[float, float, float], turn: FloatArray) -> FloatArray:
    ee, nn, en = cov
    result: FloatArray = turn @ np.linalg.cholesky(
        np.array([[ee + 1e-9, en], [en, nn + 1e-9]])
    )
    return result


def run_to_shore(
    start: FloatArray,
    shore: Shore,
    rng: np.random.Generator,
    noise: float,
    *,
    horizon_s: float,
    step_s: float = STEP_S,
) -> Landings:
    """Let states (n, 4) go on, with white acceleration, until each meets land."""
    state, count = start.copy(), len(start)
    landed = shore.on_land(state[:, :2])
    after_s = np.where(landed, 0.0, np.nan)
    places = np.where(landed[:, None], state[:, :2], np.nan)
    # Who has not gone as far as the shore was from its start cannot have met it.
    clear_m = np.where(landed, 0.0, shore.away_m(state[:, :2]))
    kick = np.linalg.cholesky(
        noise * np.array([[step_s**3 / 3, step_s**2 / 2], [step_s**2 / 2, step_s]])
    )
    for number in range(1, math.ceil(horizon_s / step_s) + 1):
        before = state[:, :2].copy()
        drawn = rng.standard_normal((count, 2, 2)) @ kick.T
        state[:, :2] += step_s * state[:, 2:] + drawn[:, :, 0]
        state[:, 2:] += drawn[:, :, 1]
        gone_m = np.hypot(*(state[:, :2] - start[:, :2]).T)
        going = np.flatnonzero(~landed & (gone_m >= clear_m))
        hits = going[shore.on_land(state[going, :2])]
        if len(hits):
            share = _where_it_lands(before[hits], state[hits, :2], shore)
            landed[hits] = True
            after_s[hits] = (number - 1 + share) * step_s
            places[hits] = before[hits] + share[:, None] * (
                state[hits, :2] - before[hits]
            )
        if landed.all():
            break
    late = after_s > horizon_s
    return Landings(
        landed=landed & ~late,
        after_s=np.where(late, np.nan, after_s),
        place_m=np.where(late[:, None], np.nan, places),
    )


def _where_it_lands(sea: FloatArray, land: FloatArray, shore: Shore) -> FloatArray:
    """Which share of a last step (n, 2 each) lay at sea, by halving."""
    low, high = np.zeros(len(sea)), np.ones(len(sea))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        ashore = shore.on_land(sea + middle[:, None] * (land - sea))
        high, low = np.where(ashore, middle, high), np.where(ashore, low, middle)
    return high


def shortest_span(ordered: FloatArray, holds: float = HOLDS) -> tuple[float, float]:
    """The shortest stretch of sorted numbers that holds so large a part of them.

    The shortest of many is a little too short for what it promises: it is where the
    draws happen to lie dense. A quarter of a standard
    deviation of the count mends that (measured: docs/figures/picture.md).
    """
    n = len(ordered)
    mend = MEND * math.sqrt(n * holds * (1.0 - holds))
    wanted = min(math.ceil(holds * (n + 1) + mend), n)
    widths = ordered[wanted - 1 :] - ordered[: n - wanted + 1]
    first = int(np.argmin(widths))
    return float(ordered[first]), float(ordered[first + wanted - 1])


def _stretch(places: FloatArray, shore: Shore) -> tuple[int, float, float] | None:
    """Ring, begin and end of the shortest shore that holds enough landings."""
    rings, along_m = shore.chainage(places)
    best = int(np.bincount(rings).argmax())
    mine = rings == best
    share = mine.mean()
    if share < HOLDS:
        return None
    return best, *round_span(
        along_m[mine], float(shore.round_m[best]), min(HOLDS / share, 1.0)
    )


def round_span(
    along_m: FloatArray, round_m: float, holds: float
) -> tuple[float, float]:
    """:func:`shortest_span` on a ring; the end may lie beyond one round."""
    ordered = np.sort(along_m)
    gaps = np.diff(np.concatenate([ordered, ordered[:1] + round_m]))
    # Cut the ring open where nobody lands for longest.
    cut = int(np.argmax(gaps)) + 1
    opened = np.concatenate([ordered[cut:], ordered[:cut] + round_m])
    return shortest_span(opened, holds)
