import asyncio
import contextlib
import json
import subprocess
import sys
from datetime import timedelta

import av
import pytest

from almenara.core.time import ManualClock
from almenara.simulation import load_scenario
from almenara.simulation.ais_server import AisServer
from almenara.simulation.rtsp_server import RtspServer
from almenara.simulation.serve import Story
from tests.conftest import NOON

pytestmark = pytest.mark.slow


def test_the_process_serves_and_ends_with_its_input(tmp_path):
    """A small coast from an empty cache, over a real pipe, watched once."""
    command = [sys.executable, "-m", "almenara.simulation.serve"]
    scenario = tmp_path / "small.toml"
    scenario.write_text(SMALL)
    with subprocess.Popen(  # noqa: S603  # our own process
        [*command, "--scenario", str(scenario), "--cache", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = [json.loads(process.stdout.readline()) for _ in range(3)]
        url = f"rtsp://127.0.0.1:{said[0]['rtsp_port']}/a-day"
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=5) as source:
            frame = next(source.decode(video=0))
        process.stdin.close()
        assert process.wait(20) == 0

    told = [line["event"] for line in said]
    assert told == ["listening", "ready", "complete"]
    assert (frame.width, frame.height) == (320, 240)


def test_an_unknown_scenario_is_said_and_not_a_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "almenara.simulation.serve", "--scenario", "nowhere"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "config"
    assert not done.stderr


class ShortClock(ManualClock):
    """Ends whoever sleeps for the third time."""

    naps = 0

    async def sleep(self, duration: timedelta) -> None:
        self.naps += 1
        if self.naps == 3:
            raise asyncio.CancelledError
        await super().sleep(duration)


async def turns_told(name: str) -> int:
    scenario, clock = load_scenario(name), ShortClock(NOON)
    story = Story(scenario, clock, RtspServer(clock, NOON), AisServer(scenario, clock))
    story.begun.set()
    with contextlib.suppress(asyncio.CancelledError):
        await story.repeat()
    return round((clock.now() - NOON).total_seconds() / scenario.loop_s)


@pytest.mark.anyio
async def test_it_says_when_everything_jumps_back_to_its_start(capsys):
    assert await turns_told("strait") == 2
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == [{"event": "again", "turn": 1}, {"event": "again", "turn": 2}]


@pytest.mark.anyio
async def test_a_story_in_which_nothing_gets_far_goes_on_without_a_word():
    assert await turns_told("strait-20") == 0


SMALL = """
seed = 1
loop_s = 4
hero = "a-day"
[[station]]
id = "a"
name = "A"
position = [36.0, -5.6]
height_m = 50.0
[[station.cameras]]
id = "a-day"
sensor = "day"
azimuth_deg = 180.0
hfov_deg = 12.0
size = [320, 240]
fps = 10
bitrate_kbps = 500
"""
