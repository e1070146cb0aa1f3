"""The simulated coast as a process: ``python -m almenara.simulation.serve``.

Says on standard output, one JSON object a line: ``listening`` with the ports, ``ready``
for each camera whose clip is there, ``complete`` at the end of rendering, ``again``
whenever the story begins anew and everything in it jumps back to its start. Ends when
its standard input does, so it never outlives whoever started it.
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
from itertools import count
from pathlib import Path

from almenara.core.errors import AlmenaraError
from almenara.core.time import EPOCH, Clock
from almenara.geo.geodesy import inverse
from almenara.simulation.ais_server import AisServer
from almenara.simulation.clip import read_clip
from almenara.simulation.clips import CameraClips, default_cache, prepare
from almenara.simulation.rtsp_server import RtspServer
from almenara.simulation.scenario import Scenario
from almenara.simulation.scenario_file import load_scenario
from almenara.simulation.world import state_at

FAR_M = 400.0
"""A jump that no gate of a tracker bridges."""


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
    rtsp, ais = RtspServer(clock), AisServer(scenario, clock)
    story = Story(scenario, clock, rtsp, ais)
    for camera in scenario.cameras():
        rtsp.expect(camera.camera_id)
        rtsp.expect(f"{camera.camera_id}/analysis")
    stop = threading.Event()
    async with rtsp.listening(rtsp_port) as rtsp_at, ais.listening(ais_port) as ais_at:
        say("listening", rtsp_port=rtsp_at, ais_port=ais_at, scenario=scenario.name)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(story.fill(prepare(scenario, cache, stop=stop)))
            repeating = tasks.create_task(story.repeat())
            await _end_of_input()
            stop.set()
            telling.cancel()
            repeating.cancel()


class Story:
    """Gives the servers each clip as it becomes ready, and begins anew at its end."""

    def __init__(
        self, scenario: Scenario, clock: Clock, rtsp: RtspServer, ais: AisServer
    ) -> None:
        self._scenario, self._clock, self._rtsp, self._ais = scenario, clock, rtsp, ais
        self.begun = asyncio.Event()

    async def fill(self, coming: Iterator[CameraClips]) -> None:
        """Offer clips in the order they come; the story starts with the hero's."""
        total = len(self._scenario.cameras())
        early: list[CameraClips] = []
        done = 0
        while (clips := await asyncio.to_thread(next, coming, None)) is not None:
            early.append(clips)  # until the story begins its zero is not known yet
            if clips.camera_id == self._scenario.hero:
                self._rtsp.start_over(self._clock.now())
                self._ais.begin(self._rtsp.epoch)
                self.begun.set()
            if not self.begun.is_set():
                continue
            for ready in early:
                await _offer(self._rtsp, ready)
                done += 1
                epoch = self._rtsp.epoch.isoformat().replace("+00:00", "Z")
                name = ready.camera_id
                say("ready", camera_id=name, done=done, total=total, epoch=epoch)
            early.clear()
        if done == total:
            say("complete", done=done, total=total)

    async def repeat(self) -> None:
        """Say when the story is over: everything jumps back to its start.

        A story so short that nothing gets far in it goes on without a word.
        """
        if farthest_m(self._scenario) < FAR_M:
            return
        await self.begun.wait()
        for turn in count(1):
            at = self._rtsp.epoch + turn * timedelta(seconds=self._scenario.loop_s)
            await self._clock.sleep(max(at - self._clock.now(), timedelta()))
            self._ais.begin(self._rtsp.epoch)
            say("again", turn=turn)


def farthest_m(scenario: Scenario) -> float:
    """How far the end of the story is from its start, for whoever gets farthest."""
    start = {s.thing_id: s.position for s in state_at(scenario, 0.0)}
    end = {s.thing_id: s.position for s in state_at(scenario, scenario.loop_s - 1e-3)}
    return max(
        (inverse(start[name], end[name])[0] for name in start.keys() & end.keys()),
        default=0.0,
    )


async def _offer(rtsp: RtspServer, clips: CameraClips) -> None:
    rtsp.add(clips.camera_id, await asyncio.to_thread(read_clip, clips.main))
    if clips.analysis is not None:
        analysis = await asyncio.to_thread(read_clip, clips.analysis)
        rtsp.add(f"{clips.camera_id}/analysis", analysis)


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
