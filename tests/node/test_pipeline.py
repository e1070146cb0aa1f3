"""The path with drivers that play a script: what one sensor does to the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

import pytest

from almenara.core.ais import AisReport
from almenara.core.coast import (
    Camera,
    Profile,
    Sensor,
    Station,
    Stream,
)
from almenara.core.errors import AddressRefusedError
from almenara.core.ids import CameraId, ReceiverId, StationId, StreamId
from almenara.core.media import Packet
from almenara.core.time import ManualClock
from almenara.node.health import HealthBook
from almenara.node.judge import Judge
from almenara.node.pipeline import Pipeline, Stages
from almenara.node.watch.pool import WatchPool
from almenara.recording.live import LiveHub
from almenara.recording.recorder import Recorder
from almenara.stations import Driver, Report
from tests.conftest import NOON
from tests.console.fakes import camera, station
from tests.packets import packet
from tests.stations.scripted import REFUSED

pytestmark = pytest.mark.anyio
MAST = StationId("mast")
HELLO = AisReport(
    receiver_id=ReceiverId("mast-ais"),
    received_at=NOON,
    mmsi=224000001,
    message_type=1,
)


class Yielding(ManualClock):
    """Moves when slept on, and lets the others run meanwhile."""

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(0)
        await super().sleep(duration)


@dataclass
class Playing:
    """A driver that sends without end, or fails as it is told to."""

    stream: StreamId | None
    fails: list[Exception] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    async def reports(self) -> AsyncIterator[Report]:
        self.opened += 1
        try:
            if self.fails:
                raise self.fails.pop(0)
            number = 0
            while True:
                await asyncio.sleep(0)
                if self.stream is None:
                    yield HELLO
                else:
                    yield packet(number, key=number % 10 == 0, stream=self.stream)
                number += 1
        finally:
            self.closed += 1


@dataclass
class Taps:
    """Stands where the recorder, the live hub, the watch and the judge stand."""

    recorded: Counter[str] = field(default_factory=Counter)
    looked_at: Counter[str] = field(default_factory=Counter)
    heard: int = 0
    said: list[tuple[str, str]] = field(default_factory=list)

    def expect(self, stream_id: StreamId) -> None:
        self.said.append(("expect", stream_id))

    def forget(self, name: str) -> None:
        self.said.append(("forget", name))

    def watch(self, camera: Camera | tuple[Station, ...]) -> None:
        if isinstance(camera, Camera):
            self.said.append(("watch", camera.camera_id))

    def put(self, *given: CameraId | Packet) -> None:
        """Of the recorder, the live hub (a packet) and the watch (camera, packet)."""
        if len(given) == 1 and isinstance(given[0], Packet):
            self.recorded[given[0].stream_id] += 1
        elif isinstance(given[0], str):
            self.looked_at[given[0]] += 1

    def hear(self, report: AisReport) -> None:
        self.heard += report.mmsi > 0

    async def run(self) -> None:
        await asyncio.Event().wait()


class Coast:
    """A pipeline, its taps, and the drivers it made."""

    def __init__(self) -> None:
        self.taps = Taps()
        self.clock = Yielding(NOON)
        self.drivers: dict[str, Playing] = {}
        self.made: Counter[str] = Counter()
        self.health = HealthBook(clock=self.clock, wanted_looks_per_s=5.0)
        taps = self.taps
        self.pipeline = Pipeline(
            Stages(
                make_driver=self._make,
                recorder=cast("Recorder", taps),
                live=cast("LiveHub", Taps()),
                watch=cast("WatchPool", taps),
                judge=cast("Judge", taps),
                health=self.health,
                clock=self.clock,
                burst_looks=2,
            )
        )

    def _make(
        self,
        station: Station,
        sensor: Sensor,
        stream_id: StreamId | None,
    ) -> Driver:
        del station, sensor
        name = stream_id or "ais"
        self.made[name] += 1
        return self.drivers.setdefault(name, Playing(stream_id))

    def state(self, camera_id: str) -> str:
        sheet = self.health.draw()
        return next(c.state for c in sheet.cameras if c.camera_id == camera_id)


def mast(*names: str, **changes: object) -> Station:
    cameras = tuple(
        replace(
            camera(name, MAST),
            streams=(
                Stream(
                    stream_id=StreamId(f"{name}/main"),
                    profile=Profile.MAIN,
                    url=f"rtsp://10.0.0.5/{name}",
                ),
            ),
        )
        for name in names
    )
    return replace(station(MAST), cameras=cameras, **changes)  # type: ignore[arg-type]  # fields by name


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody here tells of changes
            await asyncio.sleep(0)


@asynccontextmanager
async def running(coast: Coast, *stations: Station) -> AsyncIterator[None]:
    coast.pipeline.watch(stations)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(coast.pipeline.run())
        yield
        task.cancel()


async def flows(coast: Coast, name: str) -> None:
    """Its packets are recorded from now on, still."""
    key = f"{name}/main"
    before = coast.taps.recorded[key]
    await until(lambda: coast.taps.recorded[key] > before + 20)


async def test_a_station_that_refuses_does_not_blind_the_others():
    coast = Coast()
    coast.drivers["bad/main"] = Playing(StreamId("bad/main"), fails=[REFUSED])
    async with running(coast, mast("bad", "good")):
        await flows(coast, "good")

        assert coast.state("bad") == "rejected"
        assert coast.state("good") == "live"
        assert coast.drivers["bad/main"].opened == 1


async def test_an_address_that_is_refused_is_shown_as_rejected():
    coast = Coast()
    refused = AddressRefusedError(MAST, "network", place="host")
    coast.drivers["bad/main"] = Playing(StreamId("bad/main"), fails=[refused])
    async with running(coast, mast("bad", "good")):
        await flows(coast, "good")

        assert coast.state("bad") == "rejected"
        (shown, _) = coast.health.draw().cameras
        assert "network" in (shown.detail or "")


async def test_a_bug_in_a_driver_costs_its_camera_a_pause_and_nobody_else_anything():
    coast = Coast()
    bug = [ValueError("a bug"), ZeroDivisionError()]
    coast.drivers["bad/main"] = Playing(StreamId("bad/main"), fails=bug)
    async with running(coast, mast("bad", "good")):
        await flows(coast, "good")
        await flows(coast, "bad")

        assert coast.made["good/main"] == 1
        assert coast.drivers["bad/main"].opened == 3


async def test_a_camera_comes_and_goes_without_interrupting_its_neighbours():
    coast = Coast()
    async with running(coast, mast("one")):
        await flows(coast, "one")
        coast.pipeline.watch((mast("one", "two", name="Mast with a new name"),))
        await flows(coast, "two")
        await flows(coast, "one")
        coast.pipeline.watch((mast("two"),))
        await until(lambda: coast.drivers["one/main"].closed == 1)
        await flows(coast, "two")

        assert coast.made == {"one/main": 1, "two/main": 1, "ais": 1}
        assert coast.drivers["ais"].opened == 1
        assert ("forget", "one/main") in coast.taps.said
        assert ("forget", "one") in coast.taps.said
        assert ("forget", "two") not in coast.taps.said


async def test_a_camera_with_another_address_is_opened_anew():
    coast = Coast()
    async with running(coast, mast("one", "two")):
        await flows(coast, "one")
        here = mast("one", "two")
        moved = replace(
            here.cameras[0],
            streams=(replace(here.cameras[0].main, url="rtsp://10.0.0.9/one"),),
        )
        coast.pipeline.watch((replace(here, cameras=(moved, here.cameras[1])),))
        await until(lambda: coast.drivers["one/main"].opened == 2)
        await flows(coast, "two")

        assert coast.made["two/main"] == 1


async def test_everything_is_recorded_and_the_watch_gets_the_first_of_each_group():
    coast = Coast()
    async with running(coast, mast("one")):
        await until(lambda: coast.taps.recorded["one/main"] == 101)

    assert coast.taps.looked_at["one"] == 22


async def test_an_analysis_profile_is_watched_and_never_recorded():
    coast = Coast()
    here = mast("one")
    side = Stream(
        stream_id=StreamId("one/side"),
        profile=Profile.ANALYSIS,
        url="rtsp://10.0.0.5/side",
    )
    both = replace(here.cameras[0], streams=(here.cameras[0].main, side))
    async with running(coast, replace(here, cameras=(both,))):
        await until(lambda: coast.taps.looked_at["one"] > 20)
        await flows(coast, "one")

    assert coast.taps.recorded["one/side"] == 0


async def test_ships_are_heard():
    coast = Coast()
    async with running(coast, mast("one")):
        await until(lambda: coast.taps.heard > 3)

        (receiver,) = coast.health.draw().receivers
        assert receiver.state == "live"


async def test_the_end_closes_every_connection():
    coast = Coast()
    async with running(coast, mast("one", "two")):
        await flows(coast, "one")
        await flows(coast, "two")

    assert all(driver.closed == driver.opened for driver in coast.drivers.values())
