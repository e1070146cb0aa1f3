"""The whole path in one file: from a sensor's bytes to an alarm on somebody's screen.

Data flows down this page and nothing flows back up. Every queue is bounded and says
what it gives up: the watch forgets the oldest pictures and counts them; recording,
which taps the packets before they are decoded, never waits for the watch and never
forgets. A station that refuses or fails costs itself and nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from almenara.core.ais import AisReport
from almenara.core.coast import Camera, Sensor, Station
from almenara.core.errors import AddressRefusedError, StationRejectedError
from almenara.core.ids import StreamId
from almenara.core.media import Packet
from almenara.core.radar import RadarReport
from almenara.core.time import Clock
from almenara.node.health import HealthBook
from almenara.node.judge import Judge
from almenara.node.watch.pool import WatchPool
from almenara.recording.live import LiveHub
from almenara.recording.recorder import Recorder
from almenara.stations import Driver, Report
from almenara.stations.looks import LookGate
from almenara.stations.session import RetryPolicy, keep_open

log = structlog.get_logger()

AFTER_A_BUG = timedelta(seconds=6)
"""What one strange packet broke may go well with the next."""

MakeDriver = Callable[[Station, Sensor, StreamId | None], Driver]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Every stage of the path, in the order the data meets them."""

    make_driver: MakeDriver
    recorder: Recorder
    live: LiveHub
    watch: WatchPool
    judge: Judge
    health: HealthBook
    clock: Clock
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    burst_looks: int = 5


class Pipeline:
    """Runs the path for the stations it is told of, until cancelled."""

    def __init__(self, stages: Stages) -> None:
        self._do = stages
        self._wanted: tuple[Station, ...] = ()
        self._changed = asyncio.Event()
        self._running: dict[str, tuple[object, asyncio.Task[None]]] = {}

    def watch(self, stations: tuple[Station, ...]) -> None:
        """Replace the stations; what did not change is not interrupted."""
        self._wanted = stations
        self._changed.set()

    async def run(self) -> None:
        """Hear, record, watch and judge."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._do.watch.run())
            tasks.create_task(self._do.judge.run())
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._follow(tasks)

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Start what is new, end what is gone, start again what changed."""
        wanted = dict(_sensors(self._wanted))
        for name, (is_now, task) in tuple(self._running.items()):
            if name not in wanted or _essence(*wanted[name]) != is_now:
                task.cancel()
                await asyncio.wait([task])
                del self._running[name]
        self._do.judge.watch(self._wanted)
        self._do.health.watch(self._wanted)
        for name, sensor in wanted.items():
            if name not in self._running:
                task = tasks.create_task(self._attend(*sensor), name=name)
                self._running[name] = (_essence(*sensor), task)

    async def _attend(self, station: Station, sensor: Sensor) -> None:
        """One sensor, for as long as it is wanted."""
        if not isinstance(sensor, Camera):
            await self._keep(station, sensor, None, self._hear)
            return
        self._do.watch.watch(sensor)
        self._do.recorder.expect(sensor.main.stream_id)
        try:
            async with asyncio.TaskGroup() as streams:
                for stream in sensor.streams:
                    sink = self._sink(sensor, stream.stream_id)
                    streams.create_task(
                        self._keep(station, sensor, stream.stream_id, sink)
                    )
        finally:
            self._do.watch.forget(sensor.camera_id)
            self._do.recorder.forget(sensor.main.stream_id)

    async def _keep(
        self,
        station: Station,
        sensor: Sensor,
        stream_id: StreamId | None,
        sink: Callable[[Report], Awaitable[None]],
    ) -> None:
        name = _name(sensor)
        is_side = isinstance(sensor, Camera) and stream_id != sensor.main.stream_id
        listener = None if is_side else self._do.health.link(sensor)
        while True:
            try:
                await keep_open(
                    self._do.make_driver(station, sensor, stream_id),
                    sink,
                    station_id=station.station_id,
                    clock=self._do.clock,
                    policy=self._do.policy,
                    listener=listener,
                )
            except (StationRejectedError, AddressRefusedError) as error:
                log.error("station_rejected", sensor=name, reason=error.detail)
                if listener is not None:
                    listener.rejected(error.detail)
                return
            except Exception:  # one of three places that may: a bug costs one sensor
                log.exception("station_failed", sensor=name)
                if listener is not None:
                    listener.lost("failed inside; see the log")
                await self._do.clock.sleep(AFTER_A_BUG)

    def _sink(
        self, camera: Camera, stream_id: StreamId
    ) -> Callable[[Report], Awaitable[None]]:
        """Where one stream's packets go: record, show, watch."""
        is_main = stream_id == camera.main.stream_id
        is_watched = stream_id == camera.watched.stream_id
        # An analysis profile is all looks; of a main stream, the first of each group.
        gate = LookGate.burst(self._do.burst_looks) if is_main else LookGate.every()

        async def take(report: Report) -> None:
            if not isinstance(report, Packet):
                return
            if is_main:
                self._do.recorder.put(report)
                self._do.live.put(report)
                self._do.health.packet(camera.camera_id, report)
            if is_watched and gate.passes(report):
                self._do.watch.put(camera.camera_id, report)

        return take

    async def _hear(self, report: Report) -> None:
        if isinstance(report, AisReport):
            self._do.judge.hear(report)
        elif isinstance(report, RadarReport):
            self._do.judge.sweep(report)


def _name(sensor: Sensor) -> str:
    return sensor.camera_id if isinstance(sensor, Camera) else sensor.receiver_id


def _essence(station: Station, sensor: Sensor) -> tuple[object, ...]:
    """What a running session depends on: not its neighbours, nor a station's name."""
    return station.station_id, station.simulated, sensor


def _sensors(
    stations: tuple[Station, ...],
) -> Iterator[tuple[str, tuple[Station, Sensor]]]:
    for station in stations:
        for camera in station.cameras:
            yield camera.camera_id, (station, camera)
        for receiver in station.listeners:
            yield receiver.receiver_id, (station, receiver)
