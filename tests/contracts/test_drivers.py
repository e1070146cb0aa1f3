"""One body for every driver: what the session, the recorder and the watch rely on."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from almenara.core.ais import AisReport
from almenara.core.errors import StationError, StationUnreachableError
from almenara.core.ids import ReceiverId, StationId, StreamId
from almenara.core.media import Packet
from almenara.core.radar import RadarReport
from almenara.node.clock import SystemClock
from almenara.simulation.clip import Clip
from almenara.simulation.rtsp_server import RtspServer
from almenara.stations import Driver, Report
from almenara.stations.addresses import AddressPolicy
from almenara.stations.drivers.ais import AisFileDriver, AisTcpDriver
from almenara.stations.drivers.file import FileDriver
from almenara.stations.drivers.radar import RadarDriver
from almenara.stations.drivers.rtsp import RtspDriver
from tests.stations.cameras import camera
from tests.stations.pictures import clip
from tests.stations.test_asterix import CAT_048, block
from tests.stations.test_file import film

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MAST = StationId("mast")
GOOD = b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\r\n"


def allowing(port: int) -> AddressPolicy:
    return AddressPolicy(
        networks=(ipaddress.ip_network("192.0.2.0/24"),),
        loopback_ports=frozenset({port}),
    )


@asynccontextmanager
async def rtsp(_: Path) -> AsyncIterator[Driver]:
    coded: Clip = clip()
    server = RtspServer(SystemClock())
    server.add("cam/main", coded)
    async with server.listening() as port:
        yield RtspDriver(
            stream_id=StreamId("s"),
            station_id=MAST,
            url=f"rtsp://127.0.0.1:{port}/cam/main",
            policy=allowing(port),
            clock=SystemClock(),
        )


@asynccontextmanager
async def file(folder: Path) -> AsyncIterator[Driver]:
    yield FileDriver(
        film(folder / "film.mp4"),
        stream_id=StreamId("s"),
        station_id=MAST,
        clock=SystemClock(),
        loop=True,
    )


@asynccontextmanager
async def ais_tcp(_: Path) -> AsyncIterator[Driver]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(GOOD)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with camera(serve) as port:
        yield AisTcpDriver(
            receiver_id=ReceiverId("r"),
            station_id=MAST,
            url=f"tcp://127.0.0.1:{port}",
            policy=allowing(port),
            clock=SystemClock(),
        )


@asynccontextmanager
async def ais_file(folder: Path) -> AsyncIterator[Driver]:
    path = folder / "recorded.nmea"
    path.write_bytes(GOOD * 100)
    yield AisFileDriver(
        path, receiver_id=ReceiverId("r"), station_id=MAST, clock=SystemClock()
    )


@asynccontextmanager
async def radar_tcp(_: Path) -> AsyncIterator[Driver]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(block(48, CAT_048))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with camera(serve) as port:
        yield RadarDriver(
            radar_id=ReceiverId("r"),
            station_id=MAST,
            url=f"tcp://127.0.0.1:{port}",
            policy=allowing(port),
            clock=SystemClock(),
        )


every_driver = pytest.mark.parametrize(
    "make", [rtsp, file, ais_tcp, ais_file, radar_tcp]
)


async def take(driver: Any, count: int) -> list[Report]:
    taken: list[Report] = []
    async with asyncio.timeout(20), aclosing(driver.reports()) as reports:
        async for report in reports:
            taken.append(report)
            if len(taken) == count:
                break
    return taken


@every_driver
async def test_reports_come_in_order_with_both_clocks(make, tmp_path: Path):
    async with make(tmp_path) as driver:
        before = SystemClock().now()
        taken = await take(driver, 12)

    assert len(taken) == 12
    for report in taken:
        assert report.received_at.utcoffset() == timedelta()
        assert before <= report.received_at <= SystemClock().now()
    for earlier, later in pairwise(taken):
        assert earlier.received_at <= later.received_at
        if isinstance(earlier, Packet):
            assert isinstance(later, Packet)
            assert earlier.dts_90k < later.dts_90k
            assert earlier.received_monotonic_s <= later.received_monotonic_s
            assert earlier.format is later.format


@every_driver
async def test_every_report_is_whole(make, tmp_path: Path):
    async with make(tmp_path) as driver:
        taken = await take(driver, 3)

    for report in taken:
        if isinstance(report, AisReport):
            assert report.mmsi == 227006760
            continue
        if isinstance(report, RadarReport):
            assert report.range_m == 18_520.0
            continue
        assert report.nal_units
        assert report.size_bytes > 0
        assert not any(unit.startswith(b"\x00\x00") for unit in report.nal_units)
        assert report.format.width_px > 0
        assert len(report.format.parameter_sets) >= 2
        assert abs(report.captured_at - report.received_at) < timedelta(seconds=3)
    assert isinstance(taken[0], AisReport | RadarReport) or taken[0].is_key


@every_driver
async def test_a_driver_can_be_asked_again(make, tmp_path: Path):
    async with make(tmp_path) as driver:
        first = await take(driver, 3)
        second = await take(driver, 3)

    assert len(first) == len(second) == 3


@every_driver
async def test_cancelling_ends_it_at_once(make, tmp_path: Path):
    async with make(tmp_path) as driver:
        await take(driver, 1)
        heard = asyncio.Event()

        async def listen() -> None:
            async with aclosing(driver.reports()) as reports:
                async for _ in reports:
                    heard.set()
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(listen())
            await heard.wait()
            task.cancel()
            async with asyncio.timeout(1.0):
                await asyncio.wait([task])


@pytest.mark.parametrize("make", [rtsp, ais_tcp])
async def test_a_station_that_is_gone_is_worth_retrying(make, tmp_path: Path):
    async with make(tmp_path) as driver:
        pass

    with pytest.raises(StationError) as gone:
        await take(driver, 1)
    assert type(gone.value) is StationUnreachableError
