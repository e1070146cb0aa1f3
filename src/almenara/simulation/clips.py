"""Clips made once and kept: a cache of coded pictures with their truth beside them.

A camera's files are named after everything that decides its pictures, written under
another name, forced to disk and renamed, the main clip last: a clip that is there is
whole, whenever the power went.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from almenara.core.ids import CameraId
from almenara.simulation.clip import ClipWriter
from almenara.simulation.render import RENDERER, Renderer, TruePicture
from almenara.simulation.scenario import Scenario
from almenara.simulation.truth import header_line, picture_line

Progress = Callable[[CameraId, float], None]
"""Which camera, and the part of it that is ready, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraClips:
    """Where one camera's clips lie."""

    camera_id: CameraId
    main: Path
    analysis: Path | None
    truth: Path

    @property
    def ready(self) -> bool:
        """All of it is there, and whole."""
        return self.main.is_file()


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/almenara/clips``, or the same below ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "almenara" / "clips"


def clips_of(scenario: Scenario, camera_id: CameraId, cache: Path) -> CameraClips:
    """Where the camera's clips are or will be."""
    _, camera = scenario.camera(camera_id)
    stem = f"{camera_id}-{scenario.picture_key(camera_id, RENDERER)}"
    has_analysis = camera.analysis_fps is not None
    return CameraClips(
        camera_id=camera_id,
        main=cache / f"{stem}.mp4",
        analysis=cache / f"{stem}-analysis.mp4" if has_analysis else None,
        truth=cache / f"{stem}.jsonl",
    )


def render(
    scenario: Scenario,
    clips: CameraClips,
    progress: Progress | None = None,
    *,
    seconds: float | None = None,
) -> None:
    """Make one camera's clips and put them in place, over those that may be there.

    Args:
        scenario: The coast.
        clips: Where to.
        progress: Told about once a second of film.
        seconds: How much; the loop by default.
    """
    clips.main.parent.mkdir(parents=True, exist_ok=True)
    targets = [p for p in (clips.truth, clips.analysis, clips.main) if p is not None]
    partial = {p: p.with_name(f".{p.name}.{os.getpid()}.part") for p in targets}
    try:
        _write(scenario, clips, partial, progress, seconds or scenario.loop_s)
        for path in targets:
            _put_in_place(partial[path], path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _write(
    scenario: Scenario,
    clips: CameraClips,
    partial: dict[Path, Path],
    progress: Progress | None,
    seconds: float,
) -> None:
    _, camera = scenario.camera(clips.camera_id)
    renderer = Renderer(scenario, clips.camera_id)
    count = max(1, round(seconds * camera.fps))
    main = ClipWriter(
        partial[clips.main], fps=camera.fps, bitrate_kbps=camera.bitrate_kbps
    )
    analysis = None
    if clips.analysis is not None and camera.analysis_fps is not None:
        analysis = ClipWriter(
            partial[clips.analysis],
            fps=camera.analysis_fps,
            bitrate_kbps=camera.analysis_kbps,
        )
    every = camera.fps // (camera.analysis_fps or camera.fps)
    with partial[clips.truth].open("w", encoding="utf-8") as truth:
        truth.write(header_line(scenario, renderer.camera, camera.fps))
        for number in range(count):
            picture = renderer.picture(number)
            truth.write(picture_line(renderer.eye, number, picture))
            _code(picture, number, main, analysis, every)
            if progress is not None and number % camera.fps == 0:
                progress(clips.camera_id, number / count)
    main.close()
    if analysis is not None:
        analysis.close()


def _code(
    picture: TruePicture,
    number: int,
    main: ClipWriter,
    analysis: ClipWriter | None,
    every: int,
) -> None:
    luma: npt.NDArray[np.uint8] = picture.luma
    main.add(luma)
    if analysis is not None and number % every == 0:
        analysis.add(luma)


def _put_in_place(partial: Path, path: Path) -> None:
    with partial.open("rb+") as written:
        os.fsync(written.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def prepare(
    scenario: Scenario,
    cache: Path,
    *,
    processes: int = 2,
    stop: threading.Event | None = None,
) -> Iterator[CameraClips]:
    """Every camera's clips as they become ready: kept ones at once, then the hero.

    Args:
        scenario: The coast.
        cache: Folder of the clips; made if missing.
        processes: How many render at once; they give way to other programs.
        stop: When set, rendering ends within a second and nothing more is yielded.
    """
    missing = []
    for camera in scenario.cameras():
        clips = clips_of(scenario, camera.camera_id, cache)
        if clips.ready:
            yield clips
        else:
            missing.append(clips)
    if not missing:
        return
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(min(processes, len(missing)), initializer=_give_way) as pool:
        work = pool.imap_unordered(
            _render_one, [(scenario, clips) for clips in missing]
        )
        for _ in missing:
            while True:
                if stop is not None and stop.is_set():
                    return
                try:
                    yield work.next(timeout=0.5)
                except multiprocessing.TimeoutError:
                    continue
                break


def _give_way() -> None:
    os.nice(5)


def _render_one(work: tuple[Scenario, CameraClips]) -> CameraClips:
    scenario, clips = work
    render(scenario, clips)
    return clips
