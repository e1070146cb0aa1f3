"""Things drawn into a picture with the part of each pixel they cover, and their truth.

A thing is cut off where the swell before it or the horizon hides it, fades in the haze,
and leaves foam behind when it moves.
"""

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from almenara.simulation.geometry import Attitude, Eye
from almenara.simulation.light import Light
from almenara.simulation.scenario import ActorKind
from almenara.simulation.shapes import Shape, shape_of
from almenara.simulation.world import ActorState

_FINE = 4
"""Coverage is counted on a grid this many times finer than the pixels."""

_SHIFT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """Truth of one thing in one picture; pixels of that picture."""

    state: ActorState
    box: tuple[float, float, float, float]
    """Left, top, right, bottom of what is to be seen."""

    waterline: tuple[float, float] | None
    """Where it meets the sea's mean level; None beyond the horizon and in the air."""

    visible: float
    range_m: float
    contrast: float
    snr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What painting needs to know of one moment at one camera."""

    eye: Eye
    light: Light
    attitude: Attitude
    visibility_m: float


def paint(
    picture: npt.NDArray[np.uint8],
    sight: Sight,
    state: ActorState,
    swell: tuple[float, float],
    seen_from: tuple[float, float],
) -> Painted | None:
    """Draw one thing; None when nothing of it is in the picture.

    Args:
        picture: Changed in place.
        sight: The camera at this moment.
        state: The thing at this moment.
        swell: Its heave, and how much of it the swell hides, in metres.
        seen_from: Its range in metres and azimuth in degrees from the camera.
    """
    eye = sight.eye
    seen = eye.sees_at(*seen_from, state.above_sea_m, sight.attitude)
    if seen is None:
        return None
    x, y, range_m = seen
    scale = eye.focal_px / math.hypot(range_m, eye.height_m)
    shape = shape_of(state.actor)
    reach = shape.length_m * scale + 4
    width = picture.shape[1]
    if not (-reach < x < width + reach and -reach < y < picture.shape[0] + 4 * reach):
        return None
    heave_m, hidden_m = swell if state.above_sea_m == 0 else (0.0, 0.0)
    aspect = math.radians(state.course_deg - seen_from[1])
    polygons = _polygons(shape, aspect, (x, y - heave_m * scale), scale)
    cut = y - (heave_m + hidden_m) * scale
    if range_m > eye.horizon_m:
        cut = min(cut, eye.horizon_rows(sight.attitude)[0])
    tau = math.exp(-3.912 * range_m / sight.visibility_m)
    if state.above_sea_m == 0 and state.speed_mps > 1 and range_m < eye.horizon_m:
        _foam(picture, sight, state, tau, seen_from)
    tones = [sight.light.thing(p.day_grey, p.warmth_k, tau) for p in shape.parts]
    drawn = _cover(picture, polygons, tones, cut)
    if drawn is None:
        return None
    box, visible, contrast, snr = drawn
    floats = state.above_sea_m == 0 and range_m <= eye.horizon_m
    return Painted(
        state=state,
        box=box,
        waterline=(x, y) if floats else None,
        visible=visible,
        range_m=range_m,
        contrast=contrast,
        snr=snr,
    )


def _polygons(
    shape: Shape, aspect: float, at: tuple[float, float], scale: float
) -> list[npt.NDArray[np.float64]]:
    """The parts' corners in pixels, foreshortened by the angle they are seen at."""
    narrow = abs(math.sin(aspect)) + shape.beam_m / shape.length_m * abs(
        math.cos(aspect)
    )
    side = math.copysign(min(1.0, narrow), math.sin(aspect)) * scale
    return [
        np.array([(at[0] + a * side, at[1] - up * scale) for a, up in part.points])
        for part in shape.parts
    ]


def _cover(
    picture: npt.NDArray[np.uint8],
    polygons: list[npt.NDArray[np.float64]],
    tones: list[float],
    cut: float,
) -> tuple[tuple[float, float, float, float], float, float, float] | None:
    corners = np.concatenate(polygons)
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    height, width = picture.shape
    x0, y0 = max(0, math.floor(left) - 1), max(0, math.floor(top) - 1)
    x1, y1 = min(width, math.ceil(right) + 1), min(height, math.ceil(bottom) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    patch = picture[y0:y1, x0:x1].astype(np.float32)
    before, union = patch.copy(), np.zeros_like(patch)
    whole = shown = 0.0
    keep = max(0, min((y1 - y0) * _FINE, round((cut - y0) * _FINE)))
    for polygon, tone in zip(polygons, tones, strict=True):
        fine = np.zeros(((y1 - y0) * _FINE, (x1 - x0) * _FINE), np.uint8)
        points = np.round((polygon - (x0, y0)) * (_FINE << _SHIFT) - (8, 8))
        cv2.fillPoly(fine, [points.astype(np.int32)], 255, shift=_SHIFT)
        whole += float(fine.sum(dtype=np.int64))
        fine[keep:] = 0
        shown += float(fine.sum(dtype=np.int64))
        alpha = cv2.resize(fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        alpha = alpha.astype(np.float32) / 255
        patch += (np.float32(tone) - patch) * alpha
        union = np.maximum(union, alpha)
    if shown <= 0 or whole <= 0:
        return None
    picture[y0:y1, x0:x1] = np.clip(np.round(patch), 0, 255).astype(np.uint8)
    contrast = float(((patch - before) * union).sum() / max(float(union.sum()), 1e-6))
    around = _spread_around(picture, (x0, y0, x1, y1))
    box = (
        max(left, 0.0),
        max(top, 0.0),
        min(right, width),
        min(bottom, cut, height),
    )
    numbers = tuple(float(v) for v in box)
    assert len(numbers) == 4  # noqa: S101  # for the type checker
    return numbers, shown / whole, contrast, abs(contrast) / around


def _spread_around(
    picture: npt.NDArray[np.uint8], box: tuple[int, int, int, int]
) -> float:
    """Standard deviation of the rows beside a box, at least half a grey level."""
    x0, y0, x1, y1 = box
    wide = max(12, 2 * (x1 - x0))
    left, right = picture[y0:y1, max(0, x0 - wide) : x0], picture[y0:y1, x1 : x1 + wide]
    both = np.concatenate([left.ravel(), right.ravel()])
    return max(0.5, float(both.std())) if both.size else 0.5


def _foam(
    picture: npt.NDArray[np.uint8],
    sight: Sight,
    state: ActorState,
    tau: float,
    seen_from: tuple[float, float],
) -> None:
    """A trail that fades behind the stern, and the two arms of the bow wave."""
    ship = state.actor.kind in (ActorKind.FERRY, ActorKind.CARGO)
    shape = shape_of(state.actor)
    life_m = state.speed_mps * (60 if ship else 14)
    back = (state.course_deg + 180) % 360
    tone = sight.light.thing(205, -0.5, tau)
    for turn_deg, strength in ((0.0, 0.75), (-17.0, 0.35), (17.0, 0.35)):
        lead_m = shape.length_m / 2 if turn_deg == 0 else -shape.length_m * 0.3
        start = _further(seen_from, back, lead_m)
        trail = []
        for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            place = _further(start, back + turn_deg, share * life_m)
            seen = sight.eye.sees_at(*place, 0.0, sight.attitude)
            if seen is None:
                break
            trail.append(seen)
        for i, (a, b) in enumerate(itertools.pairwise(trail)):
            deep_px = shape.beam_m * sight.eye.focal_px * sight.eye.height_m / a[2] ** 2
            alpha = strength * (1 - i / 5) * min(1.0, deep_px) * 0.8
            _stroke(picture, a[:2], b[:2], tone, alpha)


def _further(
    seen_from: tuple[float, float], azimuth_deg: float, way_m: float
) -> tuple[float, float]:
    """Range and azimuth of a place ``way_m`` further on, on a flat patch of sea."""
    range_m, seen_deg = seen_from
    seen, turn = math.radians(seen_deg), math.radians(azimuth_deg)
    north = range_m * math.cos(seen) + way_m * math.cos(turn)
    east = range_m * math.sin(seen) + way_m * math.sin(turn)
    return math.hypot(north, east), math.degrees(math.atan2(east, north))


def _stroke(
    picture: npt.NDArray[np.uint8],
    a: tuple[float, float],
    b: tuple[float, float],
    tone: float,
    alpha: float,
) -> None:
    height, width = picture.shape
    x0 = max(0, math.floor(min(a[0], b[0])) - 2)
    y0 = max(0, math.floor(min(a[1], b[1])) - 2)
    x1 = min(width, math.ceil(max(a[0], b[0])) + 2)
    y1 = min(height, math.ceil(max(a[1], b[1])) + 2)
    if x0 >= x1 or y0 >= y1 or alpha < 0.02:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    ends = [
        (round((p[0] - x0 - 0.5) * 16), round((p[1] - y0 - 0.5) * 16)) for p in (a, b)
    ]
    cv2.line(mask, ends[0], ends[1], 255, 1, cv2.LINE_AA, shift=_SHIFT)
    patch = picture[y0:y1, x0:x1]
    mixed = patch + (tone - patch) * (mask * np.float32(alpha / 255))
    picture[y0:y1, x0:x1] = np.clip(mixed, 0, 255).astype(np.uint8)
