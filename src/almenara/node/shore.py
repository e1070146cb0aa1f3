"""The stations of this centre as they are now: kept, changed, probed.

Fulfils ``console.api.stations.StationDesk``. A change is checked, then committed with
its audit entry, then followed by the pipeline; what did not change is not interrupted.
An address is judged before anything is opened, and a probe plays a few seconds and no
more.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol, cast
from uuid import uuid4

from almenara.console.api.stations import CameraExistsError, NewCamera, Probe
from almenara.core.coast import (
    AisReceiver,
    Camera,
    Lens,
    Profile,
    Radar,
    Sensor,
    Station,
    Stream,
    WatchZone,
)
from almenara.core.errors import StationUnreachableError
from almenara.core.ids import CameraId, StationId, StreamId
from almenara.core.media import Packet, StreamFormat
from almenara.core.time import Clock
from almenara.evidence.audit import AuditEntry
from almenara.stations import Driver, Report
from almenara.stations.addresses import (
    FILE_SCHEMES,
    VIDEO_SCHEMES,
    AddressPolicy,
    parse_station_url,
    resolve,
)
from almenara.stations.drivers.ais import AisTcpDriver
from almenara.stations.drivers.file import FileDriver
from almenara.stations.drivers.radar import RadarDriver
from almenara.stations.drivers.rtsp import RtspDriver

PROBE_FOR = timedelta(seconds=3)
PROBE_PATIENCE_S = 8.0


class Registry(Protocol):
    """Where stations are kept."""

    async def load(self) -> tuple[Station, ...]:
        """The newest version."""
        ...

    async def save(
        self, stations: tuple[Station, ...], *, reason: str, entry: AuditEntry
    ) -> None:
        """Keep a new version, with its audit entry."""
        ...


class Shore:
    """What stands on the shore, and what happens when that changes."""

    def __init__(
        self,
        *,
        registry: Registry,
        zones: tuple[WatchZone, ...],
        policy: AddressPolicy,
        clock: Clock,
        formats: Callable[[], Mapping[CameraId, StreamFormat]],
    ) -> None:
        self._registry = registry
        self._zones = zones
        self._policy = policy
        self._clock = clock
        self._formats = formats
        self._changed: Callable[[tuple[Station, ...]], None] = _nobody
        self._stations: tuple[Station, ...] = ()
        self._turn = asyncio.Lock()

    async def follow(self, changed: Callable[[tuple[Station, ...]], None]) -> None:
        """Say whom to tell of changes, and read the registry for the first time."""
        self._changed = changed
        await self.reload()

    async def reload(self) -> None:
        """Read the registry again and follow it; nothing happens if nothing changed."""
        async with self._turn:  # else it could take back a change just made
            stations = await self._registry.load()
            if stations != self._stations:
                self._stations = stations
                self._changed(stations)

    def stations(self) -> tuple[Station, ...]:
        return self._stations

    def zones(self) -> tuple[WatchZone, ...]:
        return self._zones

    def formats(self) -> Mapping[CameraId, StreamFormat]:
        return self._formats()

    def main_stream(self, camera_id: CameraId) -> StreamId | None:
        """The recorded stream of a camera; None if there is no such camera."""
        for station in self._stations:
            for camera in station.cameras:
                if camera.camera_id == camera_id:
                    return camera.main.stream_id
        return None

    def is_simulated(self, sensor_id: str) -> bool:
        """Whether a sensor's pictures are made, not seen."""
        return any(
            station.simulated
            and sensor_id
            in (
                *(camera.camera_id for camera in station.cameras),
                *(receiver.receiver_id for receiver in station.receivers),
                *(radar.receiver_id for radar in station.radars),
            )
            for station in self._stations
        )

    async def add_camera(
        self, station_id: StationId, camera: NewCamera, *, entry: AuditEntry
    ) -> Camera:
        async with self._turn:
            taken = {c.camera_id for s in self._stations for c in s.cameras}
            if camera.camera_id in taken:
                raise CameraExistsError(camera.camera_id)
            if camera.analysis_url is not None:
                await self._judge_address(camera.analysis_url, station_id)
            found = await self._probe(camera.url, station_id)
            added = _camera(station_id, camera, found[0])
            await self._save(
                tuple(
                    replace(s, cameras=(*s.cameras, added))
                    if s.station_id == station_id
                    else s
                    for s in self._stations
                ),
                reason="camera added",
                entry=entry,
            )
            return added

    async def remove_camera(self, camera_id: CameraId, *, entry: AuditEntry) -> None:
        async with self._turn:
            await self._save(
                tuple(
                    replace(
                        station,
                        cameras=tuple(
                            c for c in station.cameras if c.camera_id != camera_id
                        ),
                    )
                    for station in self._stations
                ),
                reason="camera removed",
                entry=entry,
            )

    async def probe(self, url: str, *, entry: AuditEntry) -> Probe:
        del entry  # written by the caller's gate: a probe changes nothing here
        form, packets = await self._probe(url, StationId("probe"))
        span_s = packets[-1].received_monotonic_s - packets[0].received_monotonic_s
        return Probe(
            codec=form.codec,
            width_px=form.width_px,
            height_px=form.height_px,
            fps=(len(packets) - 1) / span_s if span_s > 0.5 else None,
            clock=packets[-1].captured_by,
        )

    async def _save(
        self, stations: tuple[Station, ...], *, reason: str, entry: AuditEntry
    ) -> None:
        await self._registry.save(stations, reason=reason, entry=entry)
        self._stations = stations
        self._changed(stations)

    async def _probe(
        self, url: str, station_id: StationId
    ) -> tuple[StreamFormat, list[Packet]]:
        driver = self._video(url, station_id, StreamId(str(uuid4())))
        packets: list[Packet] = []
        # Closed before the answer goes out: nothing of a probe may linger.
        reports = cast("AsyncGenerator[Report, None]", driver.reports())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_PATIENCE_S), aclosing(reports):
                async for report in reports:
                    if isinstance(report, Packet):
                        packets.append(report)
                        if _span(packets) >= PROBE_FOR:
                            break
        if not packets:
            raise StationUnreachableError(station_id, "sends no picture")
        return packets[-1].format, packets

    async def _judge_address(self, url: str, station_id: StationId) -> None:
        """Refuse what may not be opened; opens nothing."""
        parsed = parse_station_url(
            url, station_id=station_id, schemes=VIDEO_SCHEMES | FILE_SCHEMES
        )
        await resolve(parsed, policy=self._policy, station_id=station_id)

    def make_driver(
        self,
        station: Station,
        sensor: Sensor,
        stream_id: StreamId | None,
    ) -> Driver:
        """The driver for one stream of a camera, for a receiver or for a radar."""
        if isinstance(sensor, Radar):
            return RadarDriver(
                radar_id=sensor.receiver_id,
                station_id=station.station_id,
                url=sensor.url,
                policy=self._policy,
                clock=self._clock,
            )
        if isinstance(sensor, AisReceiver):
            return AisTcpDriver(
                receiver_id=sensor.receiver_id,
                station_id=station.station_id,
                url=sensor.url,
                policy=self._policy,
                clock=self._clock,
            )
        stream = next(s for s in sensor.streams if s.stream_id == stream_id)
        return self._video(stream.url, station.station_id, stream.stream_id)

    def _video(self, url: str, station_id: StationId, stream_id: StreamId) -> Driver:
        if url.startswith("file:"):
            return _PlayedFile(
                url,
                stream_id=stream_id,
                station_id=station_id,
                policy=self._policy,
                clock=self._clock,
            )
        return RtspDriver(
            stream_id=stream_id,
            station_id=station_id,
            url=url,
            policy=self._policy,
            clock=self._clock,
        )


class _PlayedFile:
    """A recording that plays a camera, over and over; its address is checked first."""

    def __init__(
        self,
        url: str,
        *,
        stream_id: StreamId,
        station_id: StationId,
        policy: AddressPolicy,
        clock: Clock,
    ) -> None:
        self._url = parse_station_url(url, station_id=station_id, schemes=FILE_SCHEMES)
        self._stream_id = stream_id
        self._station_id = station_id
        self._policy = policy
        self._clock = clock

    async def reports(self) -> AsyncIterator[Packet]:
        address = await resolve(
            self._url, policy=self._policy, station_id=self._station_id
        )
        driver = FileDriver(
            Path(address.path),
            stream_id=self._stream_id,
            station_id=self._station_id,
            clock=self._clock,
            loop=True,
        )
        async for packet in driver.reports():
            yield packet


def _span(packets: list[Packet]) -> timedelta:
    return packets[-1].received_at - packets[0].received_at


def _nobody(stations: tuple[Station, ...]) -> None:
    """Nobody follows yet."""


def _camera(station_id: StationId, new: NewCamera, form: StreamFormat) -> Camera:
    urls = [(Profile.MAIN, new.url)]
    if new.analysis_url is not None:
        urls.append((Profile.ANALYSIS, new.analysis_url))
    name = new.camera_id or CameraId(f"{station_id}-{new.sensor}-{uuid4().hex[:4]}")
    return Camera(
        camera_id=name,
        station_id=station_id,
        sensor=new.sensor,
        scene=new.scene,
        pose=new.pose,
        lens=Lens(
            width_px=form.width_px, height_px=form.height_px, hfov_deg=new.hfov_deg
        ),
        streams=tuple(
            Stream(stream_id=StreamId(str(uuid4())), profile=profile, url=url)
            for profile, url in urls
        ),
    )
