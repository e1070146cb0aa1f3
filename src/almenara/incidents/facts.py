"""Facts about the way a contact goes, and what must be remembered to find them.

Each function takes what was remembered and a track and gives the next memory; nothing
here reads a clock.

Source: docs/design/alarms.md, "Facts".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from almenara.core.coast import Direction, Haven, WatchLine
from almenara.core.ids import ZoneId
from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.incidents.shore import NearestShore
from almenara.incidents.thresholds import Thresholds
from almenara.tracking.picture import SystemTrack, TrackState

SAMPLE_EVERY = timedelta(seconds=60)
"""Of the way gone: between two of them a boat goes farther than a fix errs."""

SHORE_DOUBT_M = 300.0
"""A needle's length counts no further than this for being at the shore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFact:
    """A line that was crossed."""

    line_id: ZoneId
    name: str
    direction: Direction
    at: datetime
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class LoiterFact:
    """How far a contact went in the last minutes, and how far it got."""

    path_m: float
    net_m: float
    lasted: timedelta
    in_haven: bool
    havens_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShoreFact:
    """A contact that met the shore, or left it."""

    at: datetime
    distance_m: float
    farthest_m: float
    """From any shore, so far."""

    havens_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VanishedFact:
    """A contact that is seen no more where somebody looks."""

    last_seen_at: datetime
    known_for: timedelta
    looks: int
    """How many times it should have been seen since."""

    watched_by: tuple[str, ...]
    """Cameras that work and look there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFact:
    """An arrival that was predicted or declared, and that nobody has seen."""

    latest: datetime
    probability: float
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What is remembered of the way of one contact; a value."""

    sides: Mapping[ZoneId, Direction] = field(default_factory=dict[ZoneId, Direction])
    """The side of each line on which it surely was last."""

    crossed: Mapping[ZoneId, LineFact] = field(default_factory=dict[ZoneId, LineFact])
    fast_looks: int = 0
    fast_seen_at: datetime | None = None
    samples: tuple[tuple[datetime, Position], ...] = ()
    loiter: LoiterFact | None = None
    first_shore_m: float | None = None
    farthest_m: float = 0.0
    began_in_haven: bool = False
    landed: ShoreFact | None = None
    launched: ShoreFact | None = None


def haven_at(
    position: Position, havens: Iterable[Haven], margin_m: float = 0.0
) -> bool:
    """Whether a place is in a harbour or anchorage, or so near to one."""
    return any(
        inverse(haven.position, position)[0] <= haven.radius_m + margin_m
        for haven in havens
    )


def crossed_lines(
    way: Way, track: SystemTrack, lines: Sequence[WatchLine], limits: Thresholds
) -> Way:
    """Note on which side of each line the contact surely is now."""
    sides, crossed = dict(way.sides), dict(way.crossed)
    for line in lines:
        side, within = _side(line, track, limits)
        was = sides.get(line.line_id)
        if side is None:
            continue
        sides[line.line_id] = side
        wanted = line.direction in (Direction.BOTH, side)
        if was is not None and was is not side and within and wanted:
            crossed[line.line_id] = LineFact(
                line_id=line.line_id,
                name=line.name,
                direction=side,
                at=track.at,
                position=track.position,
            )
    return replace(way, sides=sides, crossed=crossed)


def _side(
    line: WatchLine, track: SystemTrack, limits: Thresholds
) -> tuple[Direction | None, bool]:
    """The side it is surely on, if any, and whether it is abreast of the line."""
    plane = LocalPlane.at(track.position)
    start, end = plane.to_plane(
        [line.start.latitude_deg, line.end.latitude_deg],
        [line.start.longitude_deg, line.end.longitude_deg],
    )
    length_m = float(np.linalg.norm(end - start))
    ahead = (end - start) / length_m
    left = np.array([-ahead[1], ahead[0]])
    ee, nn, en = track.position_cov_m2
    cov = np.array([[ee, en], [en, nn]])
    std_m = math.sqrt(max(float(left @ cov @ left), 1e-6))
    along_m = float(-start @ ahead)
    slack_m = 2.0 * math.sqrt(max(float(ahead @ cov @ ahead), 0.0))
    within = -slack_m <= along_m <= length_m + slack_m
    p_left = 0.5 * (1.0 + math.erf(float(-start @ left) / std_m / math.sqrt(2.0)))
    if p_left >= limits.line_sure:
        return Direction.LEFTWARD, within
    if 1.0 - p_left >= limits.line_sure:
        return Direction.RIGHTWARD, within
    return None, within


def fast_probability(speed_mps: float, std_mps: float, limits: Thresholds) -> float:
    """P(faster than the limit)."""
    z = (speed_mps - limits.fast_from_mps) / max(std_mps, 1e-3)
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def fast_looks(
    way: Way, track: SystemTrack, probability: float, limits: Thresholds
) -> Way:
    """Count real looks that say it is fast; begin anew where they surely do not."""
    if track.last_seen_at == way.fast_seen_at:
        return way
    looks = way.fast_looks
    if probability >= limits.fast_sure:
        looks += 1
    elif probability <= limits.fast_clear or looks < limits.fast_looks:
        looks = 0
    return replace(way, fast_looks=looks, fast_seen_at=track.last_seen_at)


def way_gone(
    way: Way,
    track: SystemTrack,
    std_m: float,
    *,
    havens: Sequence[Haven],
    limits: Thresholds,
) -> Way:
    """Keep a place a minute for as long as loitering is judged by."""
    if track.state is TrackState.COASTING:
        return way
    if way.samples and track.at - way.samples[-1][0] < SAMPLE_EVERY:
        return way
    oldest = track.at - limits.loiter_window - SAMPLE_EVERY
    kept = tuple(one for one in way.samples if one[0] >= oldest)
    samples = (*kept, (track.at, track.position))
    return replace(way, samples=samples, loiter=_loiter(samples, std_m, havens))


def _loiter(
    samples: tuple[tuple[datetime, Position], ...],
    std_m: float,
    havens: Sequence[Haven],
) -> LoiterFact | None:
    """The way of these minutes; steps that an error could have made do not count."""
    if len(samples) < 2:
        return None
    path_m, here = 0.0, samples[0][1]
    for _, there in samples[1:]:
        step_m = inverse(here, there)[0]
        if step_m >= max(2.0 * std_m, 30.0):
            path_m, here = path_m + step_m, there
    return LoiterFact(
        path_m=path_m,
        net_m=inverse(samples[0][1], samples[-1][1])[0],
        lasted=samples[-1][0] - samples[0][0],
        in_haven=haven_at(samples[-1][1], havens),
        havens_known=bool(havens),
    )


def at_shore(
    way: Way,
    track: SystemTrack,
    nearest: NearestShore | None,
    std_m: float,
    *,
    havens: Sequence[Haven],
    limits: Thresholds,
) -> Way:
    """Note where a contact began, how far out it was, and when it met the shore."""
    if nearest is None or track.state is TrackState.COASTING:
        return way
    reach_m = limits.landing_within_m + min(std_m, SHORE_DOUBT_M)
    near = nearest.distance_m <= reach_m
    first_m = way.first_shore_m
    began_in_haven = way.began_in_haven
    if first_m is None:
        first_m = nearest.distance_m
        began_in_haven = haven_at(track.position, havens)
    farthest_m = max(way.farthest_m, nearest.distance_m)
    landed, launched = way.landed, way.launched
    fact = ShoreFact(
        at=track.at,
        distance_m=nearest.distance_m,
        farthest_m=farthest_m,
        havens_known=bool(havens),
    )
    came = farthest_m >= limits.landing_from_m
    if near and landed is None and came and not haven_at(track.position, havens):
        landed = fact
    from_shore = first_m <= reach_m and not began_in_haven
    if launched is None and from_shore and farthest_m >= limits.launch_beyond_m:
        launched = fact
    return replace(
        way,
        first_shore_m=first_m,
        began_in_haven=began_in_haven,
        farthest_m=farthest_m,
        landed=landed,
        launched=launched,
    )
