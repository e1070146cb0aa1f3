"""Stored pictures and videos through the detection chain: the body of ``detect``.

A file alone is judged alone; a folder's files, in natural order, and a video are
sequences of one camera. Whatever cannot be read costs itself one line and nothing else.

Source: docs/design/detection.md, "Reading files" and "What comes out".
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from almenara.core.errors import ConfigError, MediaError
from almenara.detection.background import Background
from almenara.detection.finds import Finds, joined
from almenara.detection.horizon import Horizon, Prior, find_horizon
from almenara.detection.kernels import U8
from almenara.detection.movement import movement
from almenara.detection.responses import Picture, eight_bit
from almenara.detection.stored import Scenery, SequenceFinder, StillFinder
from almenara.detection.tail import ParetoTail
from almenara.detection.verifier import Verifier
from almenara.detection.zone import Polygon, zone_mask
from almenara.node.weights import verifier
from almenara.stations.drivers.pictures import PictureReader, read_video
from almenara.tracking.boxes import BoxTracker, FollowedBox

PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".webp"}
)
USUAL_FPS = 5.0
POOL = 50
"""Pictures whose candidates tell how high a threshold must be."""

MOST_TRACKED = 40
MOVEMENT_SHARE = 0.2
"""Of a movement's score, beside the verifier's log odds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which candidates are told; the first that is set decides."""

    least: float | None = None
    """Score; 0 tells every candidate."""

    false_per_picture: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of the pictures."""

    scenery: Scenery = Scenery.SEA
    thermal: bool = False
    fps: float | None = None
    """Pictures a second; None: the file's own, else a usual rate."""

    zone: tuple[Polygon, ...] = ()
    cut: Cut = Cut()
    tracks: bool = False
    horizon: bool = False
    priors: tuple[Prior, ...] = ()
    masks: Path | None = None
    overlays: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was seen in one picture."""

    path: Path
    frame: int
    size_px: tuple[int, int]
    """Columns, rows."""

    finds: Finds
    tracks: tuple[FollowedBox, ...] = ()
    horizon: Horizon | None = None


def natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``frame9`` before ``frame10``."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts)


def look(
    paths: Sequence[Path], wish: Wish, *, complain: Callable[[str], None]
) -> Iterator[Seen]:
    """Judge every picture of every path, in order.

    Args:
        paths: Picture files, folders of pictures, video files.
        wish: What is asked.
        complain: Called with one line for each file that cannot be read.
    """
    alone = Pass(wish, fps=None)
    with PictureReader() as reader:
        for path in paths:
            try:
                if path.is_dir():
                    yield from _folder(path, wish, reader, complain)
                elif path.suffix.lower() in PICTURES:
                    yield alone.see(path, 0, reader.read(path))
                else:
                    yield from _video(path, wish)
            except MediaError as error:
                complain(str(error))
            except OSError as error:
                complain(f"{path}: {error.strerror or error}; check path and rights")


def _folder(
    path: Path, wish: Wish, reader: PictureReader, complain: Callable[[str], None]
) -> Iterator[Seen]:
    files = sorted(
        (p for p in path.iterdir() if p.suffix.lower() in PICTURES), key=natural
    )
    if not files:
        raise MediaError(f"{path}: no picture in this folder; name one that has some")
    sequence = Pass(wish, fps=wish.fps or USUAL_FPS)
    for number, file in enumerate(files):
        try:
            yield sequence.see(file, number, reader.read(file))
        except MediaError as error:
            complain(str(error))


def _video(path: Path, wish: Wish) -> Iterator[Seen]:
    first = deque(_first(path, 3))
    sequence = Pass(wish, fps=wish.fps or _rate(first))
    for number, picture in enumerate(read_video(path)):
        yield sequence.see(path, number, picture.luma)


def _first(path: Path, count: int) -> Iterator[float]:
    """Times of the first pictures, seconds."""
    pictures = read_video(path)
    for _, picture in zip(range(count), pictures, strict=False):
        if picture.at_s is not None:
            yield picture.at_s


def _rate(times: Sequence[float]) -> float:
    """Pictures a second; the usual rate where the file has no times."""
    if len(times) < 2 or times[-1] <= times[0]:
        return USUAL_FPS
    return float(np.clip((len(times) - 1) / (times[-1] - times[0]), 0.01, 240.0))


@dataclass(slots=True, kw_only=True, eq=False)
class _Camera:
    """Everything that is learnt of the pictures of one size."""

    watched: npt.NDArray[np.bool_]
    finder: StillFinder | SequenceFinder
    background: Background | None
    verifier: Verifier | None = None
    tracker: BoxTracker = field(default_factory=lambda: BoxTracker(sure=0.0))


class Pass:
    """One pass over pictures that belong together, or over ones that stand alone."""

    def __init__(self, wish: Wish, *, fps: float | None) -> None:
        """Expect ``fps`` pictures a second; None for pictures that stand alone."""
        self._wish, self._fps = wish, fps
        self._camera: _Camera | None = None
        warm = wish.thermal and wish.scenery is Scenery.LAND
        self._verifier = verifier() if warm else None
        self._scores: deque[npt.NDArray[np.float32]] = deque(maxlen=POOL)
        self._pictures = 0

    def see(self, path: Path, number: int, picture: Picture) -> Seen:
        """Judge the next picture."""
        shape = (picture.shape[0], picture.shape[1])
        if self._camera is None or self._camera.watched.shape != shape:
            self._camera = self._made(shape)
        found, mask = self._found(self._camera, picture)
        self._scores.append(found.scores)
        told = found.chosen(found.scores >= self._least())
        tracks = self._tracked(self._camera, told) if self._wish.tracks else ()
        horizon = self._horizon(picture) if self._wish.horizon else None
        self._pictures += 1
        seen = Seen(
            path=path,
            frame=number,
            size_px=(shape[1], shape[0]),
            finds=told,
            tracks=tracks,
            horizon=horizon,
        )
        self._store(seen, picture, mask)
        return seen

    def _made(self, shape: tuple[int, int]) -> _Camera:
        wish = self._wish
        zone = zone_mask(wish.zone, shape[1], shape[0])
        watched = np.ones(shape, bool) if zone is None else zone
        if self._fps is None:
            still = StillFinder(wish.scenery, thermal=wish.thermal, watched=watched)
            return _Camera(
                watched=watched, finder=still, background=None, verifier=self._verifier
            )
        land = wish.scenery is Scenery.LAND or wish.masks is not None
        return _Camera(
            watched=watched,
            finder=SequenceFinder(
                wish.scenery, thermal=wish.thermal, watched=watched, fps=self._fps
            ),
            background=Background(shape, self._fps) if land else None,
            verifier=self._verifier,
        )

    def _found(self, camera: _Camera, picture: Picture) -> tuple[Finds, U8 | None]:
        """What is in the picture, and on land what moves in it."""
        if camera.background is None:
            return self._alone(camera, picture), None
        grey = eight_bit(picture)
        mask = camera.background.moving(grey)
        mask[~camera.watched] = 0
        if self._wish.scenery is not Scenery.LAND:
            return camera.finder.find(picture), mask
        moving = movement(grey, camera.background, mask)
        if not self._wish.thermal:
            return moving, mask
        return joined(self._alone(camera, picture), _hinted(moving)), mask

    def _alone(self, camera: _Camera, picture: Picture) -> Finds:
        """What one picture says, or its sequence where nobody knows better."""
        if camera.verifier is None:
            return camera.finder.find(picture)
        return camera.verifier.find(eight_bit(picture), camera.watched)

    def _least(self) -> float:
        """The score that tells a candidate."""
        cut = self._wish.cut
        if cut.least is not None:
            return cut.least
        scores = np.concatenate(list(self._scores))
        if len(scores) < 20:
            return 5.0
        start = float(np.median(scores))
        excesses = scores[scores > start] - start
        wanted = cut.false_per_picture * len(self._scores)
        if len(excesses) < 10 or wanted >= len(excesses):
            return start
        return ParetoTail.fit(excesses, start).threshold(wanted / len(excesses))

    def _tracked(self, camera: _Camera, told: Finds) -> tuple[FollowedBox, ...]:
        few = np.arange(min(len(told), MOST_TRACKED))
        strongest = told.chosen(few)
        return camera.tracker.step(
            strongest.boxes.astype(np.float64),
            strongest.scores.astype(np.float64),
            self._pictures / (self._fps or USUAL_FPS),
        )

    def _horizon(self, picture: Picture) -> Horizon | None:
        priors = self._wish.priors
        prior = priors[self._pictures] if self._pictures < len(priors) else None
        return find_horizon(eight_bit(picture), prior)

    def _store(self, seen: Seen, picture: Picture, mask: U8 | None) -> None:
        name = seen.path.stem
        if seen.path.suffix.lower() not in PICTURES:
            name = f"{name}_{seen.frame:06}"
        if self._wish.masks is not None:
            blank = np.zeros(picture.shape, np.uint8)
            _write(self._wish.masks / f"{name}.png", blank if mask is None else mask)
        if self._wish.overlays is not None:
            _write(self._wish.overlays / f"{name}.png", overlay(seen, picture))


def _hinted(moving: Finds) -> Finds:
    """Movement that the verifier did not name: told, but after what it is sure of."""
    return Finds(
        boxes=moving.boxes,
        centers=moving.centers,
        scores=(moving.scores * np.float32(MOVEMENT_SHARE)).astype(np.float32),
        contrasts=moving.contrasts,
        class_scores=moving.class_scores,
    )


def overlay(seen: Seen, picture: Picture) -> U8:
    """The picture with boxes, track numbers and horizon drawn into it, in colour."""
    grey = np.clip(eight_bit(picture), 0, 255).astype(np.uint8)
    canvas = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    for left, top, right, bottom in seen.finds.boxes.round().astype(int).tolist():
        cv2.rectangle(
            canvas, (left - 2, top - 2), (right + 1, bottom + 1), (0, 200, 255)
        )
    for track in seen.tracks:
        where = (int(track.box[0]), max(int(track.box[1]) - 4, 10))
        cv2.putText(
            canvas, str(track.number), where, cv2.FONT_HERSHEY_PLAIN, 0.9, (80, 255, 80)
        )
    if seen.horizon is not None:
        ends = (
            (0, round(seen.horizon.left_y)),
            (
                seen.size_px[0] - 1,
                round(seen.horizon.right_y),
            ),
        )
        cv2.line(canvas, *ends, (255, 160, 0))
    return canvas.astype(np.uint8, copy=False)


def _write(path: Path, picture: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, coded = cv2.imencode(".png", picture)
    if not done:  # pragma: no cover
        raise OSError(None, "cannot be coded as PNG", str(path))
    path.write_bytes(coded.tobytes())


def as_json(seen: Seen, *, tracks: bool, horizon: bool) -> str:
    """One line for programs (docs/design/detection.md, "What comes out")."""
    found = seen.finds
    record: dict[str, Any] = {
        "path": str(seen.path),
        "frame": seen.frame,
        "width": seen.size_px[0],
        "height": seen.size_px[1],
        "detections": [
            {
                "box": _rounded(found.boxes[i]),
                "center": _rounded(found.centers[i]),
                "score": round(float(found.scores[i]), 4),
                "class": found.class_of(i).value,
                "class_scores": {
                    kind.value: round(p, 4) for kind, p in found.likelihoods(i).items()
                },
            }
            for i in range(len(found))
        ],
    }
    if tracks:
        record["tracks"] = [_track(seen, track) for track in seen.tracks]
    if horizon:
        line = seen.horizon
        record["horizon"] = (
            None if line is None else _rounded((line.left_y, line.right_y))
        )
    return json.dumps(record)


def _track(seen: Seen, track: FollowedBox) -> Mapping[str, Any]:
    return {
        "id": track.number,
        "box": _rounded(track.box),
        "score": round(track.score, 4),
        "existence": round(track.existence, 4),
        "class": seen.finds.class_of(track.row).value,
    }


def _rounded(values: Sequence[float] | npt.NDArray[np.floating]) -> list[float]:
    return [round(float(v), 2) for v in values]


def read_zone(path: Path) -> tuple[Polygon, ...]:
    """Polygons of a JSON file: a list of lists of [x, y], pixels.

    Raises:
        ConfigError: It is something else.
    """
    listed = _json(path)
    try:
        zone = tuple(
            tuple((float(x), float(y)) for x, y in polygon) for polygon in listed
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            (f"{path}: write a list of polygons, each a list of [x, y] in pixels",)
        ) from error
    if not zone or any(len(polygon) < 3 for polygon in zone):
        raise ConfigError((f"{path}: write at least one polygon of three corners",))
    return zone


def read_priors(path: Path) -> tuple[Prior, ...]:
    """Horizon priors of a JSON file: [y left, y right, half width] for each picture.

    Raises:
        ConfigError: It is something else.
    """
    try:
        return tuple(
            Prior(left_y=float(a), right_y=float(b), half_width=float(w))
            for a, b, w in _json(path)
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            (f"{path}: write one [y left, y right, half width] for each picture",)
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError((f"{path}: is no JSON; check it",)) from error
