import json
import subprocess
import sys

import av
import pytest

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
        said = [json.loads(process.stdout.readline()) for _ in range(4)]
        url = f"rtsp://127.0.0.1:{said[0]['rtsp_port']}/a-day"
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=5) as source:
            frame = next(source.decode(video=0))
        process.stdin.close()
        assert process.wait(20) == 0

    told = [line["event"] for line in said]
    assert told == ["listening", "ready", "complete", "again"]
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
