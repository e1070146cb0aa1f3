"""The simulated coast as a process: ``python -m almenara.simulation.serve``.

Says on standard output, one JSON object a line: ``listening`` with the ports, ``ready``
for each camera whose clip is there, ``complete`` at the end of rendering. Ends when its
standard input does, so it never outlives whoever started it.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from almenara.core.errors import AlmenaraError
from almenara.core.time import EPOCH
from almenara.simulation.ais_server import AisServer
from almenara.simulation.clip import read_clip
from almenara.simulation.clips import CameraClips, default_cache, prepare
from almenara.simulation.rtsp_server import RtspServer
from almenara.simulation.scenario import Scenario
from almenara.simulation.scenario_file import load_scenario


class HostClock:
    """Fulfils ``core.time.Clock``; the node's own is above this layer."""

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=time.time_ns() // 1000)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


def say(event: str, **values: object) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


async def serve(
    scenario: Scenario, cache: Path, *, rtsp_port: int = 0, ais_port: int = 0
) -> None:
    """Serve until standard input ends; the story starts with the hero's clip."""
    clock = HostClock()
    rtsp, ais = RtspServer(clock), AisServer(scenario, clock, clock.now())
    for camera in scenario.cameras():
        rtsp.expect(camera.camera_id)
        rtsp.expect(f"{camera.camera_id}/analysis")
    stop = threading.Event()
    async with rtsp.listening(rtsp_port) as rtsp_at, ais.listening(ais_port) as ais_at:
        say("listening", rtsp_port=rtsp_at, ais_port=ais_at, scenario=scenario.name)
        async with asyncio.TaskGroup() as tasks:
            filling = tasks.create_task(_fill(scenario, cache, rtsp, ais, stop))
            await _end_of_input()
            stop.set()
            filling.cancel()


async def _fill(
    scenario: Scenario,
    cache: Path,
    rtsp: RtspServer,
    ais: AisServer,
    stop: threading.Event,
) -> None:
    """Give the server each clip as it becomes ready."""
    coming = prepare(scenario, cache, stop=stop)
    total = sum(len(station.cameras) for station in scenario.stations)
    early: list[CameraClips] = []
    done, started = 0, False
    while (clips := await asyncio.to_thread(_next, coming)) is not None:
        if not started and clips.camera_id != scenario.hero:
            early.append(clips)  # the story has not begun: its zero is not known yet
            continue
        if not started:
            rtsp.start_over(HostClock().now())
            ais.epoch, started = rtsp.epoch, True
        for ready in (clips, *early):
            await _offer(rtsp, ready)
            done += 1
            epoch = rtsp.epoch.isoformat().replace("+00:00", "Z")
            say("ready", camera_id=ready.camera_id, done=done, total=total, epoch=epoch)
        early.clear()
    if done == total:
        say("complete", done=done, total=total)


async def _offer(rtsp: RtspServer, clips: CameraClips) -> None:
    rtsp.add(clips.camera_id, await asyncio.to_thread(read_clip, clips.main))
    if clips.analysis is not None:
        analysis = await asyncio.to_thread(read_clip, clips.analysis)
        rtsp.add(f"{clips.camera_id}/analysis", analysis)


def _next(coming: Iterator[CameraClips]) -> CameraClips | None:
    return next(coming, None)


async def _end_of_input() -> None:
    """Return when standard input is closed."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await ended.wait()


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="almenara.simulation.serve")
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--rtsp-port", type=int, default=0)
    parser.add_argument("--ais-port", type=int, default=0)
    said = parser.parse_args(arguments)
    try:
        scenario = load_scenario(said.scenario)
        asyncio.run(
            serve(
                scenario, said.cache, rtsp_port=said.rtsp_port, ais_port=said.ais_port
            )
        )
    except AlmenaraError as fault:
        say("failed", code=fault.code, detail=str(fault))
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
