"""Footage with truth for whoever tests or trains: files instead of streams.

Behind ``almenara simulate SCENARIO --out DIR``.
"""

from pathlib import Path

from almenara.simulation.clips import CameraClips, Progress, render
from almenara.simulation.scenario import Scenario


def write_footage(
    scenario: Scenario,
    out_dir: Path,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write ``<camera>.mp4`` and ``<camera>.jsonl`` for every camera, hero first.

    Args:
        scenario: The coast.
        out_dir: Made if missing; files of the same names are replaced.
        seconds: How much of each camera; the whole loop by default.
        progress: Told which camera is how far.

    Returns:
        The clips' paths.
    """
    written = []
    for camera in scenario.cameras():
        name = camera.camera_id
        _, simulated = scenario.camera(name)
        has_analysis = simulated.analysis_fps is not None
        clips = CameraClips(
            camera_id=name,
            main=out_dir / f"{name}.mp4",
            analysis=out_dir / f"{name}-analysis.mp4" if has_analysis else None,
            truth=out_dir / f"{name}.jsonl",
        )
        render(scenario, clips, progress, seconds=seconds)
        if progress is not None:
            progress(name, 1.0)
        written.append(clips.main)
    return tuple(written)
