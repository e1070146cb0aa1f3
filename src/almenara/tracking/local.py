"""Candidates of one camera over time: what persists exists.

Every track carries the log-likelihood that it is a thing and no clutter. Clutter lives
about as long as its glint or crest, so a look after a gap of ``dt`` can say no more
than ``dt / lifetime`` in favour, however many pictures were taken in between; the
lifetime is learnt from the candidates that die. A track is confirmed when chance would
have made fewer than the promised number of false ones per hour.

Gates are reachable sets in metres, mapped into the picture: a thin ellipse along the
row. Nothing asks for motion: a boat that stands still gains like any other, and a swell
that hides it for ten seconds costs it less than it has.

Source: docs/design/first-light.md, "The path", step 8; Wald, Sequential Analysis
(1947); Blackman & Popoli, Design and Analysis of Modern Tracking Systems (1999),
chapter 6.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from almenara.core.coast import Camera
from almenara.core.ids import LocalTrackId
from almenara.detection import Condition, Detections, ObjectClass
from almenara.geo.camera_model import CameraModel
from almenara.geo.sea_surface import FloatArray
from almenara.tracking.association import associate
from almenara.tracking.hulls import part_of
from almenara.tracking.observations import CameraObservation
from almenara.tracking.reach import FASTEST_MPS, Reach

GATE = 13.816
"""Chi square, 99.9 %, two degrees of freedom."""

PD = 0.8
"""Share of looks that find a thing while no swell hides it."""

MISS_PER_S = (math.log(1 - 0.6), math.log(1 - 0.4))
"""Evidence lost per second unseen, before and after confirmation: swells hide hulls."""

ABOVE_CONFIRMED = 6.0
"""What a track may gain beyond confirmation; more would make ghosts live longer."""

DROP = 8.0
"""A track this far below its best is gone."""

ACCELERATION_MPS2 = 0.3
MEMORY_S = (12.0, 30.0)
"""A confirmed track unseen for half its life is forgotten, within these bounds."""

HELD_S = 60.0
"""How long tracks outlive a picture that shows nothing."""

LIFETIME_S = (0.4, 2.0)
"""Bounds of what is believed of clutter's lifetime."""

LARGER_AT_ONCE = 8.0
"""From one look to the next nothing grows or shrinks that much, and by so many pixels:
"""

LARGER_PX = 20.0
JOIN_S, PART_S = 2.0, 3.0
"""How long a part must go along with its hull to be taken for it, and be off it to be
a thing of its own again."""

LIKELY_HULL = 0.5
"""Share of the evidence for a thing of its own that makes it what carries a part."""

TINY_M = 2.0
"""Narrower than most craft end on; what crosses the view shows its length."""

TINY_KNOWN_M = 0.75
"""Metres per pixel beyond which nobody can tell what is tiny."""

TINY_WAITS_S = 15.0
"""What is tiny may be a swimmer, and may be a crest or a bird: it must last longer."""

TINY_FASTEST_MPS = 4.0
"""Nothing so small goes faster on the water, swimming and current together."""

CLASSES = tuple(ObjectClass)

TRACK = np.dtype(
    [
        ("number", np.int64), ("confirmed", np.bool_),
        ("x", np.float64), ("vx", np.float64),
        ("xx", np.float64), ("xv", np.float64), ("xvv", np.float64),
        ("y", np.float64), ("vy", np.float64),
        ("yy", np.float64), ("yv", np.float64), ("yvv", np.float64),
        ("evidence", np.float64), ("best", np.float64),
        ("born_s", np.float64), ("seen_s", np.float64),
        ("score", np.float64), ("box", np.float64, (4,)), ("width_px", np.float64),
        ("votes", np.float64, (len(CLASSES),)),
        ("hull", np.int64), ("along_s", np.float64), ("off_s", np.float64),
        ("was_part", np.bool_),
        ("flew_s", np.float64),
    ]
)  # fmt: skip
"""One row per track; pixels, seconds since the first look, natural logarithms."""

Tracks = np.ndarray[tuple[int], np.dtype[np.void]]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTrack:
    """One track as it stands now, for drawing and for tests."""

    local_track_id: LocalTrackId
    confirmed: bool
    waterline_px: tuple[float, float]
    """Where it should be now: x, y."""

    velocity_px_s: tuple[float, float]
    existence: float
    object_class: ObjectClass
    unseen_s: float


class LocalTracker:
    """Follows one camera's candidates; call :meth:`step` once per look, in order."""

    def __init__(self, camera: Camera, *, false_tracks_per_hour: float = 1.0) -> None:
        """Follow what ``camera`` sees.

        Args:
            camera: Its lens must have the size of the pictures that are judged.
            false_tracks_per_hour: Promise kept by the height of confirmation.
        """
        self._camera = camera
        self._model = CameraModel.of(camera)
        self._reach = Reach(camera)
        self._promised = false_tracks_per_hour
        self._tracks: Tracks = np.zeros(0, TRACK)
        self._next = 1
        self._began_at: datetime | None = None
        self._at_s = 0.0
        self._held_s = 0.0
        self._starts_per_s = 10.0
        self._lifetime_s = 0.8
        self._usual_score = 0.0
        self._jitter2 = np.array([2.25, 2.25])

    @property
    def confirm_at(self) -> float:
        """Evidence that confirms a track (sequential probability ratio test)."""
        alpha = self._promised / max(self._starts_per_s * 3600.0, 1.0)
        return min(max(math.log(0.95 / min(alpha, 0.5)), 7.0), 13.0)

    @property
    def tracks(self) -> tuple[LocalTrack, ...]:
        """All tracks, tentative ones included, oldest first."""
        return tuple(
            LocalTrack(
                local_track_id=self._name(t),
                confirmed=bool(t["confirmed"]),
                waterline_px=(float(t["x"]), float(t["y"])),
                velocity_px_s=(float(t["vx"]), float(t["vy"])),
                existence=self._existence(float(t["evidence"])),
                object_class=_class_of(t["votes"]),
                unseen_s=self._at_s - float(t["seen_s"]),
            )
            for t in self._tracks
        )

    def step(
        self, detections: Detections, captured_at: datetime
    ) -> tuple[CameraObservation, ...]:
        """Take in one look.

        Args:
            detections: Its candidates.
            captured_at: When it was taken; one not after the last changes nothing.

        Returns:
            What is confirmed and was measured in this look, oldest first.
        """
        if self._began_at is None:
            self._began_at = captured_at
            elapsed_s = 0.0
        else:
            now_s = (captured_at - self._began_at).total_seconds()
            elapsed_s = now_s - self._at_s
            if elapsed_s <= 0.0:
                return ()
            self._at_s = now_s
        self._predict(elapsed_s)
        if detections.condition not in (Condition.GOOD, Condition.DEGRADED):
            self._hold(elapsed_s)
            return ()
        self._held_s = 0.0
        pairs, spare = self._associate(detections)
        self._punish(pairs, elapsed_s)
        observations = self._update(detections, pairs, captured_at, elapsed_s)
        spare = self._without_joined(detections, spare)
        self._forget()
        self._start(detections, spare, elapsed_s)
        return observations

    def _predict(self, elapsed_s: float) -> None:
        t, dt = self._tracks, elapsed_s
        if len(t) == 0 or dt == 0.0:
            return
        unseen = self._at_s - t["seen_s"] > 1.0
        decay = np.where(unseen, math.exp(-dt / 20.0), 1.0)
        share = ACCELERATION_MPS2 / FASTEST_MPS
        fast_x, fast_y = self._reach.at(t["y"])
        for place, speed, xx, xv, vv, fast in (
            ("x", "vx", "xx", "xv", "xvv", fast_x),
            ("y", "vy", "yy", "yv", "yvv", fast_y),
        ):
            noise = (share * fast) ** 2
            t[place] += t[speed] * dt
            t[speed] = np.clip(t[speed] * decay, -fast, fast)
            t[xx] += dt * (2.0 * t[xv] + dt * t[vv]) + noise * dt**3 / 3.0
            t[xv] += dt * t[vv] + noise * dt**2 / 2.0
            t[vv] = np.minimum(t[vv] + noise * dt, (fast / 2.0) ** 2)
            # A bounded doubt of speed cannot be worth more doubt of place than it has.
            most = 0.99 * np.sqrt(t[xx] * t[vv])
            t[xv] = np.clip(t[xv], -most, most)

    def _hold(self, elapsed_s: float) -> None:
        """A look that shows nothing says nothing: tracks coast, none is punished."""
        self._held_s += elapsed_s
        self._tracks["seen_s"] += elapsed_s
        self._tracks["born_s"] += elapsed_s
        if self._held_s > HELD_S:
            self._tracks = self._tracks[:0]

    def _noise2(self, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Variances of measured waterlines: the mast, and a share of the box."""
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        return (
            self._jitter2[0] + (0.15 * width) ** 2,
            self._jitter2[1] + (0.15 * height) ** 2,
        )

    def _associate(self, found: Detections) -> tuple[list[tuple[int, int]], Numbers]:
        """Pair tracks and candidates: confirmed tracks choose first."""
        t, spare = self._tracks, np.arange(len(found))
        pairs: list[tuple[int, int]] = []
        for chosen in (t["confirmed"], ~t["confirmed"]):
            who = np.flatnonzero(chosen)
            if len(who) == 0 or len(spare) == 0:
                continue
            result = associate(self._costs(t[who], found, spare), gate=GATE)
            pairs += [(int(who[i]), int(spare[j])) for i, j in result.pairs]
            spare = spare[list(result.unpaired_observations)]
        return pairs, spare

    def _costs(self, t: Tracks, found: Detections, chosen: Numbers) -> FloatArray:
        boxes = found.boxes[chosen].astype(np.float64)
        places = found.waterlines[chosen].astype(np.float64)
        noise_x, noise_y = self._noise2(boxes)
        dx = places[None, :, 0] - t["x"][:, None]
        dy = places[None, :, 1] - t["y"][:, None]
        cost = dx**2 / (t["xx"][:, None] + noise_x) + dy**2 / (
            t["yy"][:, None] + noise_y
        )
        gap_s = (self._at_s - t["seen_s"])[:, None]
        fast_x, fast_y = self._reach.at(t["y"])
        out_of_reach = (
            np.abs(dx) > 2 * fast_x[:, None] * gap_s + 4 * np.sqrt(noise_x) + 2
        ) | (np.abs(dy) > 2 * fast_y[:, None] * gap_s + 4 * np.sqrt(noise_y) + 2)
        # After a gap the gate is wide: a faint wave in it is not the boat come back.
        faint = (gap_s > 2.0) & (
            found.scores[chosen][None, :] < 0.5 * t["score"][:, None]
        )
        width = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)[None, :]
        was = np.maximum(t["width_px"], 1.0)[:, None]
        other = (np.abs(width - was) > LARGER_PX) & (
            np.maximum(width / was, was / width) > LARGER_AT_ONCE
        )
        return np.where(out_of_reach | faint | other, np.inf, cost)

    def _punish(self, pairs: list[tuple[int, int]], elapsed_s: float) -> None:
        t = self._tracks
        missed = np.ones(len(t), bool)
        missed[[i for i, _ in pairs]] = False
        loss = np.where(t["confirmed"], MISS_PER_S[1], MISS_PER_S[0])
        t["evidence"] += np.where(missed, loss * elapsed_s, 0.0)

    def _update(
        self,
        found: Detections,
        pairs: list[tuple[int, int]],
        at: datetime,
        elapsed_s: float,
    ) -> tuple[CameraObservation, ...]:
        if not pairs:
            return ()
        who, what = (np.array(column) for column in zip(*sorted(pairs), strict=True))
        t = self._tracks[who]
        boxes = found.boxes[what].astype(np.float64)
        places = found.waterlines[what].astype(np.float64)
        noise = self._noise2(boxes)
        likelihood = np.full(len(who), math.log(PD / found.clutter_per_px / math.tau))
        for axis, (place, speed, xx, xv, vv) in enumerate(
            (("x", "vx", "xx", "xv", "xvv"), ("y", "vy", "yy", "yv", "yvv"))
        ):
            residual, total = places[:, axis] - t[place], t[xx] + noise[axis]
            likelihood -= 0.5 * (residual**2 / total + np.log(total))
            self._learn_jitter(axis, residual[t["confirmed"]], t[xx][t["confirmed"]])
            gain, speed_gain = t[xx] / total, t[xv] / total
            t[place] += gain * residual
            t[speed] += speed_gain * residual
            t[vv] -= speed_gain * t[xv]
            t[xx], t[xv] = t[xx] * (1.0 - gain), t[xv] * (1.0 - gain)
        self._watch_flight(t)
        self._believe(t, likelihood, found.scores[what])
        fade = np.where(t["confirmed"], 0.9, 0.7)
        t["box"] = boxes
        t["width_px"] += (1.0 - fade) * (boxes[:, 2] - boxes[:, 0] - t["width_px"])
        t["score"] += (1.0 - fade) * (found.scores[what] - t["score"])
        t["votes"] *= 0.995
        t["votes"][
            np.arange(len(who)), [CLASSES.index(found.classes[j]) for j in what]
        ] += 1
        self._tracks[who] = t
        self._join_hulls(elapsed_s)
        t = self._tracks[who]
        return self._observations(t, places, at)

    def _believe(
        self, t: Tracks, likelihood: FloatArray, scores: npt.NDArray[np.float32]
    ) -> None:
        """Add one measurement's evidence each, at most what clutter's life allows."""
        gap_s = self._at_s - t["seen_s"]
        strength = np.clip(scores / max(self._usual_score, 1.0), 0.8, 1.4)
        t["evidence"] += np.minimum(likelihood, strength * gap_s / self._lifetime_s)
        t["evidence"] = np.minimum(t["evidence"], self.confirm_at + ABOVE_CONFIRMED)
        t["best"] = np.maximum(t["best"], t["evidence"])
        t["confirmed"] |= (t["evidence"] >= self.confirm_at) & ~self._must_wait(t)
        t["seen_s"] = self._at_s

    def _is_tiny(self, t: Tracks) -> npt.NDArray[np.bool_]:
        """What is surely narrower than any craft; optics alone add a pixel."""
        across_m = self._reach.across_m_per_px(t["y"])
        answer: npt.NDArray[np.bool_] = (across_m <= TINY_KNOWN_M) & (
            (t["width_px"] - 1.0) * across_m < TINY_M
        )
        return answer

    def _watch_flight(self, t: Tracks) -> None:
        """Note when something tiny surely goes faster than anything tiny swims."""
        across_m = self._reach.across_m_per_px(t["y"])
        slowest_px_s = np.abs(t["vx"]) - 2.0 * np.sqrt(t["xvv"])
        flies = self._is_tiny(t) & (slowest_px_s * across_m > TINY_FASTEST_MPS)
        t["flew_s"] = np.where(flies, self._at_s, t["flew_s"])

    def _must_wait(self, t: Tracks) -> npt.NDArray[np.bool_]:
        since_s = np.maximum(t["born_s"], t["flew_s"])
        answer: npt.NDArray[np.bool_] = self._is_tiny(t) & (
            self._at_s - since_s < TINY_WAITS_S
        )
        return answer

    def _join_hulls(self, elapsed_s: float) -> None:
        """Find out which tracks are parts of which hull; the hull keeps the older name.

        Who heard of the wheelhouse before the hull was clear hears of the hull under
        the same name: it is the same ship, seen better.
        """
        t = self._tracks
        fresh = np.flatnonzero(self._at_s - t["seen_s"] <= PART_S)
        hull = self._hulls_of(t[fresh])
        for i, one in enumerate(fresh):
            if t["seen_s"][one] < self._at_s:
                continue
            if hull[i] < 0:
                t["off_s"][one] += elapsed_s
                if t["off_s"][one] > PART_S:
                    t["hull"][one], t["along_s"][one] = 0, 0.0
                continue
            t["off_s"][one] = 0.0
            t["along_s"][one] += elapsed_s
            if t["along_s"][one] >= JOIN_S:
                self._hang(int(one), int(fresh[hull[i]]))
        t["hull"] = np.where(np.isin(t["hull"], t["number"]), t["hull"], 0)

    def _hulls_of(self, t: Tracks) -> Numbers:
        """For each track the row of the lowest one that it stands on by now, or -1."""
        # Boxes are of the last look; the tracks have moved on.
        boxes = t["box"].copy()
        boxes[:, (0, 2)] += (t["x"] - (boxes[:, 0] + boxes[:, 2]) / 2.0)[:, None]
        across_m = self._reach.across_m_per_px(t["y"])
        parts = part_of(boxes, t["vx"], t["xvv"], across_m)
        lowest = np.where(parts, boxes[None, :, 3], -np.inf)
        answer: Numbers = np.where(
            parts.any(axis=1), lowest.argmax(axis=1) if len(t) else 0, -1
        )
        return answer

    def _hang(self, part: int, hull: int) -> None:
        t = self._tracks
        if not t["confirmed"][hull]:
            likely = LIKELY_HULL * self.confirm_at
            if not t["confirmed"][part] or t["evidence"][hull] < likely:
                return
            # What stands firm stands on something: a long hull gains more slowly.
            t["confirmed"][hull] = True
            t["evidence"][hull] = max(float(t["evidence"][hull]), self.confirm_at)
            t["best"][hull] = max(float(t["best"][hull]), self.confirm_at)
        earlier = t["number"][part] < t["number"][hull]
        if t["confirmed"][part] and earlier and not t["was_part"][part]:
            first, second = t["number"][part], t["number"][hull]
            t["hull"][t["hull"] == second] = first
            t["number"][part], t["number"][hull] = second, first
        t["hull"][part], t["was_part"][part] = t["number"][hull], True

    def _learn_jitter(
        self, axis: int, residual: FloatArray, spread: FloatArray
    ) -> None:
        """The mast's sway moves everything alike: measured on what is confirmed."""
        if len(residual):
            now = float(np.median(np.maximum(residual**2 - spread, 0.25)))
            self._jitter2[axis] += 0.05 * (
                np.clip(now, 0.25, 64.0) - self._jitter2[axis]
            )

    def _observations(
        self, t: Tracks, places: FloatArray, at: datetime
    ) -> tuple[CameraObservation, ...]:
        shown = t["confirmed"] & (t["hull"] == 0)
        if not shown.any():
            return ()
        t, places = t[shown], places[shown]
        azimuth_deg, elevation_deg = self._model.to_angles(places)
        noise_x, noise_y = self._noise2(t["box"])
        # Hulls are longer than high: what is higher may end above the water.
        width = t["box"][:, 2] - t["box"][:, 0]
        height = t["box"][:, 3] - t["box"][:, 1]
        noise_y = noise_y + np.where(height > width, (0.5 * height) ** 2, 0.0)
        per_px = self._model.ifov_deg
        widths_m = t["width_px"] * self._reach.across_m_per_px(t["y"])
        return tuple(
            CameraObservation(
                camera_id=self._camera.camera_id,
                local_track_id=self._name(one),
                observed_at=at,
                azimuth_deg=float(azimuth_deg[i]),
                azimuth_std_deg=per_px * math.sqrt(noise_x[i]),
                elevation_deg=float(elevation_deg[i]),
                elevation_std_deg=per_px * math.sqrt(noise_y[i]),
                existence=self._existence(float(one["evidence"])),
                object_class=_class_of(one["votes"]),
                width_m=None if math.isnan(widths_m[i]) else float(widths_m[i]),
                box_px=_edges(one["box"]),
            )
            for i, one in enumerate(t)
        )

    def _without_joined(self, found: Detections, spare: Numbers) -> Numbers:
        """Leave out candidates, and newer tracks, on a hull that is followed."""
        t = self._tracks
        boxes = t["box"][(t["seen_s"] == self._at_s) | t["confirmed"]]
        if len(boxes) == 0:
            return spare
        places = found.waterlines[spare].astype(np.float64)
        spare = spare[~_in_any(places, _grown(boxes))]
        firm = t["confirmed"] & (t["seen_s"] == self._at_s)
        ghost = ~t["confirmed"] & _in_any(
            np.column_stack([t["x"], t["y"]]), _grown(t["box"][firm])
        )
        self._tracks = t[~ghost]
        return spare

    def _forget(self) -> None:
        t = self._tracks
        life_s, unseen_s = t["seen_s"] - t["born_s"], self._at_s - t["seen_s"]
        memory_s = np.where(
            t["confirmed"],
            np.clip(life_s / 2.0, *MEMORY_S),
            np.clip(1.0 + life_s / 2.0, 1.2, 5.0),
        )
        gone = (unseen_s > memory_s) | (t["evidence"] < t["best"] - DROP)
        for life in life_s[gone & ~t["confirmed"] & (life_s > 0.5)]:
            self._lifetime_s += 0.02 * (float(life) - 0.5 - self._lifetime_s)
        self._lifetime_s = min(max(self._lifetime_s, LIFETIME_S[0]), LIFETIME_S[1])
        self._tracks = t[~gone]

    def _start(self, found: Detections, spare: Numbers, elapsed_s: float) -> None:
        if elapsed_s > 0.0:
            share = 1.0 - math.exp(-elapsed_s / 60.0)
            self._starts_per_s += share * (len(spare) / elapsed_s - self._starts_per_s)
        if len(spare) == 0:
            return
        scores = found.scores[spare]
        usual = float(np.median(scores))
        self._usual_score += (0.05 if self._usual_score else 1.0) * (
            usual - self._usual_score
        )
        boxes, places = found.boxes[spare].astype(np.float64), found.waterlines[spare]
        new: Tracks = np.zeros(len(spare), TRACK)
        new["number"] = self._next + np.arange(len(spare))
        self._next += len(spare)
        new["x"], new["y"] = places[:, 0], places[:, 1]
        new["xx"], new["yy"] = self._noise2(boxes)
        fast_x, fast_y = self._reach.at(new["y"])
        new["xvv"], new["yvv"] = (fast_x / 3.0) ** 2, (fast_y / 3.0) ** 2
        new["born_s"] = new["seen_s"] = self._at_s
        new["flew_s"] = -1e6
        new["score"], new["box"] = scores, boxes
        new["width_px"] = boxes[:, 2] - boxes[:, 0]
        classes = [CLASSES.index(found.classes[j]) for j in spare]
        new["votes"][np.arange(len(spare)), classes] = 1.0
        self._tracks = np.concatenate([self._tracks, new])

    def _existence(self, evidence: float) -> float:
        """Nine to one at confirmation: the promise speaks of chance alone."""
        return 1.0 / (1.0 + math.exp(self.confirm_at - evidence - math.log(9.0)))

    def _name(self, track: np.void) -> LocalTrackId:
        return LocalTrackId(f"{self._camera.camera_id}/{track['number']}")


def _edges(box: FloatArray) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom


def _class_of(votes: FloatArray) -> ObjectClass:
    """What most looks took it for; *unknown* counts only if nothing else was said."""
    known = np.where(np.array(CLASSES) == ObjectClass.UNKNOWN, 0.0, votes)
    return CLASSES[int(known.argmax())] if known.any() else ObjectClass.UNKNOWN


def _grown(boxes: FloatArray) -> FloatArray:
    """Boxes 30 % larger on each side, and at least two pixels."""
    width = np.maximum(0.3 * (boxes[:, 2] - boxes[:, 0]), 2.0)
    height = np.maximum(0.3 * (boxes[:, 3] - boxes[:, 1]), 2.0)
    grown: FloatArray = boxes + np.column_stack([-width, -height, width, height])
    return grown


def _in_any(places: FloatArray, boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """For each place (n, 2), whether it lies in one of the boxes (m, 4)."""
    x, y = places[:, :1], places[:, 1:]
    inside = (
        (x >= boxes[:, 0])
        & (x <= boxes[:, 2])
        & (y >= boxes[:, 1])
        & (y <= boxes[:, 3])
    )
    return np.asarray(inside.any(axis=1), dtype=np.bool_)
