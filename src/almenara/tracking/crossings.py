"""Two bearings of one thing from two stations: where they cross, if that is sure.

n bearings by n bearings give up to n² crossings and n² - n of them are nobody: a pair
is believed only if its elevations agree, neither bearing has another partner at that
camera, and the crossing moves like a boat over three looks. Until then both stay rays.

Source: docs/design/tracking.md, "Crossing bearings".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from almenara.core.ids import LocalTrackId
from almenara.geo.sea_surface import FloatArray
from almenara.tracking.eyes import Eye, apart
from almenara.tracking.observations import CameraObservation

SAME_TIME = timedelta(seconds=2)
LEAST_BASELINE_M = 500.0
LEAST_ANGLE_RAD = float(np.deg2rad(3.0))
FARTHEST_M = 60_000.0
FASTEST_MPS = 35.0
LOOKS = 3

Sighted = tuple[Eye, CameraObservation]
Pair = tuple[LocalTrackId, LocalTrackId]


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    at: datetime
    place: FloatArray
    looks: int


class Crossings:
    """Remembers which pairs of bearings have kept crossing like one boat."""

    def __init__(self) -> None:
        self._traces: dict[Pair, _Trace] = {}

    def sure(self, rays: list[Sighted]) -> list[tuple[Sighted, Sighted, FloatArray]]:
        """Pairs that have crossed believably often enough, with the crossing (2,)."""
        found = _candidates(rays)
        partners: dict[tuple[LocalTrackId, str], int] = {}
        for a, b, _ in found:
            for one, other in ((a, b), (b, a)):
                key = one[1].local_track_id, other[1].camera_id
                partners[key] = partners.get(key, 0) + 1
        traces: dict[Pair, _Trace] = {}
        result = []
        for a, b, place in found:
            pair = a[1].local_track_id, b[1].local_track_id
            alone = (
                partners[pair[0], b[1].camera_id] == 1
                and partners[pair[1], a[1].camera_id] == 1
            )
            trace = self._next(pair, max(a[1].observed_at, b[1].observed_at), place)
            traces[pair] = trace
            if alone and trace.looks >= LOOKS:
                result.append((a, b, place))
        self._traces = traces
        return result

    def _next(self, pair: Pair, at: datetime, place: FloatArray) -> _Trace:
        last = self._traces.get(pair)
        if last is None:
            return _Trace(at, place, 1)
        dt_s = (at - last.at).total_seconds()
        if dt_s <= 0.0:
            return last
        moved_m = float(np.linalg.norm(place - last.place))
        slack_m = 300.0  # two noisy bearings at 20 km
        if moved_m > FASTEST_MPS * dt_s + slack_m:
            return _Trace(at, place, 1)
        return _Trace(at, place, last.looks + 1)


def _candidates(rays: list[Sighted]) -> list[tuple[Sighted, Sighted, FloatArray]]:
    found = []
    for index, a in enumerate(rays):
        for b in rays[index + 1 :]:
            if abs(a[1].observed_at - b[1].observed_at) > SAME_TIME:
                continue
            place = _cross(a, b)
            if place is not None and _agrees(a, place) and _agrees(b, place):
                found.append((a, b, place))
    return found


def _direction(sighted: Sighted) -> FloatArray:
    eye, observation = sighted
    azimuth = np.deg2rad(observation.azimuth_deg)
    result: FloatArray = eye.frame.turn.T @ np.array([np.sin(azimuth), np.cos(azimuth)])
    return result


def _cross(a: Sighted, b: Sighted) -> FloatArray | None:
    base = b[0].frame.foot_m - a[0].frame.foot_m
    if np.linalg.norm(base) < LEAST_BASELINE_M:
        return None
    u, v = _direction(a), _direction(b)
    turn = u[0] * v[1] - u[1] * v[0]
    if abs(turn) < np.sin(LEAST_ANGLE_RAD):
        return None
    t_a = (base[0] * v[1] - base[1] * v[0]) / turn
    t_b = (base[0] * u[1] - base[1] * u[0]) / turn
    if not (100.0 < t_a < FARTHEST_M and 100.0 < t_b < FARTHEST_M):
        return None
    result: FloatArray = a[0].frame.foot_m + t_a * u
    return result


def _agrees(sighted: Sighted, place: FloatArray) -> bool:
    """Whether the elevation fits the range of the crossing, within three sigma."""
    eye, observation = sighted
    sight = eye.sight(place[None])
    seen, variance = eye.seen(observation)
    off = apart(seen, sight.angles[0])[1]
    return bool(off**2 <= 9.0 * (variance[1] + sight.bias[0, 1] ** 2))
