import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from almenara.core.coast import SensorKind
from almenara.core.errors import MediaError
from almenara.simulation import Scenario
from almenara.simulation.clip import read_clip
from almenara.simulation.clips import clips_of, prepare, render
from almenara.simulation.footage import write_footage
from almenara.simulation.scenario import SimulatedCamera

pytestmark = pytest.mark.slow


@pytest.fixture
def short(one_boat: Scenario) -> Scenario:
    """Four seconds, thermal only, with an analysis stream."""
    (station,) = one_boat.stations
    thermal: SimulatedCamera = next(
        replace(c, analysis_fps=5)
        for c in station.cameras
        if c.sensor is SensorKind.THERMAL
    )
    return replace(
        one_boat,
        loop_s=4,
        hero=thermal.camera_id,
        stations=(replace(station, cameras=(thermal,)),),
    )


def test_same_seed_same_bytes(short: Scenario, tmp_path: Path):
    for name in ("a", "b"):
        write_footage(short, tmp_path / name)

    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_clip_is_a_loop_long_with_a_key_picture_each_second(short, tmp_path: Path):
    (main,) = write_footage(short, tmp_path)
    clip = read_clip(main)

    assert (len(clip), clip.fps, clip.width_px) == (40, 10, 320)
    assert [i for i, key in enumerate(clip.keys) if key] == [0, 10, 20, 30]
    assert len(read_clip(tmp_path / "faro-thermal-analysis.mp4")) == 20
    assert len((tmp_path / "faro-thermal.jsonl").read_text().splitlines()) == 41


def test_a_kept_clip_is_not_made_again(short: Scenario, tmp_path: Path):
    (made,) = prepare(short, tmp_path, processes=1)
    before = made.main.stat().st_mtime_ns

    (kept,) = prepare(short, tmp_path)

    assert kept == made
    assert made.main.stat().st_mtime_ns == before


def test_a_kill_while_rendering_leaves_no_clip_that_looks_whole(short, tmp_path: Path):
    clips = clips_of(short, short.hero, tmp_path)
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=render, args=(short, clips, _die))
    process.start()
    process.join(30)

    assert process.exitcode == -signal.SIGKILL
    assert not clips.ready

    render(short, clips)
    assert len(read_clip(clips.main)) == 40


def _die(_camera: str, done: float) -> None:
    if done > 0.4:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_file_that_is_no_clip_is_named(tmp_path: Path):
    (tmp_path / "x.mp4").write_bytes(b"nothing")

    with pytest.raises(MediaError, match=r"x\.mp4"):
        read_clip(tmp_path / "x.mp4")
