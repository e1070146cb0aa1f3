"""How many contacts the picture holds for how many things there are, and why.

    python benches/contacts.py [--scenario strait] [--seconds 120] [--cache FOLDER]

Every camera's clip is decoded in the watch's pattern (the first five pictures of each
second), judged by the node's own detector and local tracker; all observations and the
ships' AIS go through the node's own fusion and rules in order of time. Once a second
every contact is held against the truth beside the clips. A contact belongs to the thing
whose box its cameras' boxes lay on; what no box explains is *sea*, or *beside* a hull
that stood within three of its own widths.
"""

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np

from almenara.core.ais import AisReport
from almenara.core.coast import Camera
from almenara.core.ids import ReceiverId
from almenara.core.media import Frame
from almenara.core.time import EPOCH
from almenara.core.values import Position
from almenara.detection import Detections
from almenara.geo.geodesy import inverse
from almenara.incidents.rules import judge
from almenara.incidents.shore import Shore
from almenara.incidents.situation import Chronicle, motion
from almenara.node.watch.worker import make_detector
from almenara.simulation.ais_server import _LENGTH_M, interval_s
from almenara.simulation.clips import CameraClips, clips_of, default_cache, render
from almenara.simulation.scenario import SMALL_CRAFT, Scenario
from almenara.simulation.scenario_file import load_scenario
from almenara.simulation.world import state_at
from almenara.tracking.ais import AisSense
from almenara.tracking.fusion import Fusion
from almenara.tracking.local import LocalTracker
from almenara.tracking.observations import CameraObservation
from almenara.tracking.picture import Picture, SystemTrack, TrackState

BURST = 5
SHOWN = (TrackState.CONFIRMED, TrackState.COASTING)
AT = EPOCH + timedelta(days=20_000)

Looks = list[tuple[float, int, Detections]]
"""Seconds, number of the picture, what the detector found."""

Seen = list[tuple[float, CameraObservation, str]]
"""Seconds, what the local tracker said, which thing of the truth that was."""


# -- cameras -----------------------------------------------------------------------


def looked(camera: Camera, clips: CameraClips, seconds: float) -> Looks:
    """What the camera's detector finds in the pictures that the watch would take."""
    cv2.setNumThreads(1)
    found: Looks = []
    detector = None
    with av.open(str(clips.main)) as source:
        stream = source.streams.video[0]
        fps = round(float(stream.average_rate or 10))
        for number, picture in enumerate(source.decode(stream)):
            if number >= seconds * fps:
                break
            if number % fps >= BURST:
                continue
            plane = picture.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            luma = luma[: picture.height, : picture.width]
            if detector is None:
                detector = make_detector(camera, picture.width, picture.height)
            at_s = number / fps
            frame = Frame(
                camera_id=camera.camera_id,
                captured_at=AT + timedelta(seconds=at_s),
                luma=luma,
            )
            found.append((at_s, number, detector.detect(frame)))
    return found


def true_things(clips: CameraClips) -> list[list[dict]]:
    """The things of every picture."""
    with clips.truth.open(encoding="utf-8") as lines:
        return [json.loads(line)["objects"] for line in lines if '"frame"' in line]


def followed(camera: Camera, looks: Looks, truth: list[list[dict]]) -> Seen:
    """The local tracks of one camera, with the thing that each look of them was on."""
    tracker = LocalTracker(camera)
    return [
        (at_s, observation, _thing_at(observation.box_px, truth[number]))
        for at_s, number, found in looks
        for observation in tracker.step(found, AT + timedelta(seconds=at_s))
    ]


def _thing_at(box: tuple[float, float, float, float] | None, things: list[dict]) -> str:
    if box is None:
        return "sea"
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    best, nearest = "sea", math.inf
    for thing in things:
        left, top, right, bottom = thing["box"]
        off = math.hypot(max(left - x, 0.0, x - right), max(top - y, 0.0, y - bottom))
        wide = right - left
        if off <= 5.0 and off < nearest:
            best, nearest = thing["id"], off
        elif nearest > 5.0 and off < 3.0 * wide and thing["target"]:
            best = f"beside {thing['id']}"
    return best


# -- AIS ---------------------------------------------------------------------------


def broadcasts(scenario: Scenario, seconds: float) -> Iterator[tuple[float, AisReport]]:
    """Positions as the ships report them, from the true world."""
    due: dict[int, float] = {}
    for half in range(round(2 * seconds)):
        at_s = half / 2
        for state in state_at(scenario, at_s):
            ais = state.actor.ais
            if ais is None or due.get(ais.mmsi, ais.mmsi % 97 / 97) > at_s:
                continue
            due[ais.mmsi] = at_s + interval_s(state)
            yield (
                at_s,
                AisReport(
                    receiver_id=ReceiverId("ais"),
                    received_at=AT + timedelta(seconds=at_s),
                    mmsi=ais.mmsi,
                    message_type=18 if ais.class_b else 1,
                    position=state.position,
                    accurate=True,
                    speed_mps=state.speed_mps,
                    course_deg=state.course_deg,
                    ship_name=ais.name,
                    length_m=float(sum(_LENGTH_M.get(state.actor.kind, (4, 3)))),
                ),
            )


# -- the picture against the truth -------------------------------------------------


@dataclass
class Tally:
    """What a run was like."""

    seconds: int = 0
    tracks: int = 0
    once: int = 0
    twice: int = 0
    never: int = 0
    causes: Counter[str] = field(default_factory=Counter[str])
    """Track-seconds that are no craft's first contact, by what they are."""

    speed_errors: list[float] = field(default_factory=list[float])
    believed_errors: list[float] = field(default_factory=list[float])
    """Over the reported standard deviation."""

    fast: int = 0
    """Track-seconds above 15 m/s."""

    places: list[float] = field(default_factory=list[float])
    confirmed_s: dict[str, float] = field(default_factory=dict[str, float])
    visible_s: dict[str, float] = field(default_factory=dict[str, float])
    alarms: dict[str, tuple[str, float]] = field(
        default_factory=dict[str, tuple[str, float]]
    )
    """By contact and rule: which thing, and when it was raised."""

    coverage: Counter[str] = field(default_factory=Counter[str])
    """Seconds that a thing in view had a contact, and ``id/in view``."""


class Names:
    """Which thing a contact is: what its sensors' boxes lay on lately."""

    def __init__(self, scenario: Scenario) -> None:
        self._mmsi = {a.ais.mmsi: a.actor_id for a in scenario.actors if a.ais}
        self._votes: dict[str, Counter[str]] = defaultdict(Counter)

    def hear(self, observation: CameraObservation, thing: str) -> None:
        votes = self._votes[observation.local_track_id]
        for name in votes:
            votes[name] *= 0.9  # type: ignore[assignment]  # weights
        votes[thing] += 1

    def of(self, track: SystemTrack) -> str:
        if track.mmsi is not None:
            return self._mmsi.get(track.mmsi, "sea")
        total: Counter[str] = Counter()
        for look in track.looks:
            if look.local_track_id in self._votes:
                total += self._votes[look.local_track_id]
        return max(total, key=lambda name: total[name]) if total else "sea"


def in_view(
    truths: Iterable[list[list[dict]]], number: int, craft: set[str]
) -> set[str]:
    """Craft that some camera shows well enough: 3 pixels of hull, over the noise."""
    return {
        t["id"]
        for truth in truths
        for t in truth[min(number, len(truth) - 1)]
        if t["id"] in craft and t["visible"] > 0.5 and abs(t["snr"]) > 2.0
        and t["box"][2] - t["box"][0] >= 3.0
    }  # fmt: skip


def fused(
    scenario: Scenario,
    seen: dict[str, Seen],
    truths: dict[str, list[list[dict]]],
    *,
    seconds: float,
    shore: Shore,
) -> tuple[Tally, list[Picture]]:
    """All cameras and AIS through the fusion and the rules, counted once a second."""
    craft = {a.actor_id for a in scenario.actors if _is_craft(a)}
    fusion = fusion_of(scenario, shore)
    sense, chronicle = AisSense(), Chronicle()
    names, tally = Names(scenario), Tally()
    pictures: list[Picture] = []
    heard = list(broadcasts(scenario, seconds))
    looks = sorted(
        (row for rows in seen.values() for row in rows), key=lambda row: row[0]
    )
    next_look = next_said = 0
    for quarter in range(1, round(4 * seconds) + 1):
        now_s = quarter / 4
        now = AT + timedelta(seconds=now_s)
        while next_said < len(heard) and heard[next_said][0] <= now_s:
            said = sense.observe(heard[next_said][1])
            next_said += 1
            if said is not None:
                fusion.observe((said,), said.observed_at)
        # A look at a time, as the workers send them.
        while next_look < len(looks) and looks[next_look][0] <= now_s:
            _, observation, thing = looks[next_look]
            together = [observation]
            names.hear(observation, thing)
            next_look += 1
            while (
                next_look < len(looks)
                and looks[next_look][1].camera_id == observation.camera_id
                and looks[next_look][1].observed_at == observation.observed_at
            ):
                names.hear(*looks[next_look][1:])
                together.append(looks[next_look][1])
                next_look += 1
            fusion.observe(together, observation.observed_at)
        picture = fusion.picture(now)
        chronicle, situations = chronicle.read(
            picture, scenario.zones, shore, survivors=dict(fusion.survivors)
        )
        who = {t.track_id: names.of(t) for t in picture.tracks}
        for alert in judge(situations):
            key = f"{alert.subject.id} {alert.rule}"
            if key not in tally.alarms:
                tally.alarms[key] = (who.get(alert.subject.id, "?"), now_s)
        if quarter % 4 == 0:
            pictures.append(picture)
            _count(tally, picture, who, scenario, now_s, craft, truths)
    return tally, pictures


def fusion_of(scenario: Scenario, shore: Shore) -> Fusion:
    """As the node makes it."""
    return Fusion(scenario.cameras(), is_sea=shore.is_sea)


def _is_craft(actor: object) -> bool:
    kind = actor.kind  # type: ignore[attr-defined]
    return kind in SMALL_CRAFT or kind.value in ("ferry", "cargo")


def _count(  # noqa: PLR0917 - one tally, and all that it is taken from
    tally: Tally,
    picture: Picture,
    who: dict[str, str],
    scenario: Scenario,
    now_s: float,
    craft: set[str],
    truths: dict[str, list[list[dict]]],
) -> None:
    shown = [t for t in picture.tracks if t.state in SHOWN]
    states = {s.thing_id: s for s in state_at(scenario, now_s - 1e-3)}
    holders: Counter[str] = Counter()
    for track in sorted(shown, key=lambda t: t.mmsi is None):
        name = who[track.track_id]
        holders[name] += 1
        speed, _, _ = motion(track)
        tally.fast += speed > 15.0
        if name in craft and holders[name] == 1:
            true = states[name]
            tally.places.append(inverse(track.position, true.position)[0])
            east = true.speed_mps * math.sin(math.radians(true.course_deg))
            north = true.speed_mps * math.cos(math.radians(true.course_deg))
            error = math.hypot(
                track.velocity_mps[0] - east, track.velocity_mps[1] - north
            )
            tally.speed_errors.append(error)
            doubt = math.sqrt(sum(track.velocity_cov[:2]) / 2)
            tally.believed_errors.append(error / max(doubt, 0.1))
            tally.confirmed_s.setdefault(name, now_s)
        elif name in craft:
            tally.causes[f"double of {name}"] += 1
        else:
            tally.causes[name] += 1
    visible = in_view(truths.values(), int(now_s * 10), craft)
    voices = {a.actor_id for a in scenario.actors if a.ais}
    for name in visible | voices:
        if name in visible:
            tally.visible_s.setdefault(name, now_s)
        tally.coverage[f"{name}/in view"] += 1
        tally.coverage[name] += holders[name] > 0
        tally.never += holders[name] == 0
        tally.once += holders[name] == 1
        tally.twice += holders[name] > 1
    tally.seconds += 1
    tally.tracks += len(shown)


# -- the table ---------------------------------------------------------------------


def table(tally: Tally, scenario: Scenario) -> str:
    """One run as a table of text."""
    n = max(tally.seconds, 1)
    kinds: Counter[str] = Counter()
    for cause, count in tally.causes.items():
        kinds[_kind(cause)] += count
    real = {a.actor_id for a in scenario.actors if _is_craft(a)}
    rows: list[tuple[str, object]] = [
        ("contacts shown, mean", round(tally.tracks / n, 2)),
        ("craft without contact", round(tally.never / n, 2)),
        ("craft with one", round(tally.once / n, 2)),
        ("craft with more", round(tally.twice / n, 2)),
        *((f"no craft: {k}", round(v / n, 2)) for k, v in kinds.most_common()),
        ("speed error m/s, median", _mid(tally.speed_errors, 0.5)),
        ("speed error m/s, 95 %", _mid(tally.speed_errors, 0.95)),
        ("speed error over its std, median", _mid(tally.believed_errors, 0.5)),
        ("contacts above 15 m/s, mean", round(tally.fast / n, 2)),
        ("place error m, median", _mid(tally.places, 0.5)),
        (
            "alarms on craft",
            sum(name in real for name, _ in tally.alarms.values()),
        ),
        (
            "alarms on nothing",
            sum(name not in real for name, _ in tally.alarms.values()),
        ),
    ]
    wide = max(len(name) for name, _ in rows)
    lines = [f"{name:{wide}}  {value}" for name, value in rows]
    lines += [
        f"{name}: in view {tally.visible_s.get(name, math.nan):.0f} s, "
        f"contact {tally.confirmed_s.get(name, math.nan):.0f} s, "
        f"held {tally.coverage[name]} of {tally.coverage[f'{name}/in view']} s"
        for name in sorted(real)
    ]
    lines += [f"{c}: {v}" for c, v in tally.causes.most_common(30)]
    lines += [f"{k}: {name} at {at} s" for k, (name, at) in tally.alarms.items()]
    return "\n".join(lines)


def _kind(cause: str) -> str:
    for kind in ("double", "beside", "gulls", "buoy", "float"):
        if cause.startswith(kind):
            return kind
    return "sea" if cause == "sea" else "other"


def _mid(values: Sequence[float], share: float) -> float:
    if not values:
        return math.nan
    return round(
        median(values) if share == 0.5 else float(np.quantile(values, share)), 2
    )


def land() -> Shore:
    """The offline coast of the strait."""
    path = files("almenara.node.coast") / "strait.geojson"
    rings: list[list[Position]] = []
    for feature in json.loads(path.read_text("utf-8"))["features"]:
        shape = feature["geometry"]
        polygons = shape["coordinates"]
        if shape["type"] == "Polygon":
            polygons = [polygons]
        elif shape["type"] != "MultiPolygon":
            continue
        rings += [
            [Position(latitude_deg=la, longitude_deg=lo) for lo, la, *_ in polygon[0]]
            for polygon in polygons
        ]
    return Shore.of(rings)


def one_camera(work: tuple[Scenario, Camera, Path, float]) -> tuple[str, Looks]:
    scenario, camera, cache, seconds = work
    clips = clips_of(scenario, camera.camera_id, cache)
    if not clips.ready:
        render(scenario, clips)
    return camera.camera_id, looked(camera, clips, seconds)


def main() -> None:
    """Measure one scenario and print the table."""
    words = argparse.ArgumentParser()
    words.add_argument("--scenario", default="strait")
    words.add_argument("--seconds", type=float, default=120.0)
    words.add_argument("--cache", type=Path, default=default_cache())
    said = words.parse_args()
    scenario = load_scenario(said.scenario)
    cameras = {c.camera_id: c for c in scenario.cameras()}
    work = [(scenario, c, said.cache, said.seconds) for c in cameras.values()]
    with get_context("spawn").Pool(2) as pool:
        looks = dict(pool.imap_unordered(one_camera, work))
    truths = {
        name: true_things(clips_of(scenario, name, said.cache)) for name in cameras
    }
    seen = {
        name: followed(cameras[name], looks[name], truths[name]) for name in cameras
    }
    tally, _ = fused(scenario, seen, truths, seconds=said.seconds, shore=land())
    print(table(tally, scenario))


if __name__ == "__main__":
    main()
