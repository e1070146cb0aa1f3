"""Radars over TCP and UDP, by real sockets."""

import asyncio
import socket
from contextlib import aclosing
from typing import Any

import pytest

from almenara.core.errors import AddressRefusedError, StationUnreachableError
from almenara.core.ids import ReceiverId, StationId
from almenara.node.clock import SystemClock
from almenara.stations.addresses import AddressPolicy
from almenara.stations.drivers.radar import RadarDriver, RadarEar
from tests.conftest import NOON
from tests.stations.cameras import camera
from tests.stations.test_asterix import CAT_010, CAT_048, block
from tests.stations.test_radar_sentences import said

pytestmark = pytest.mark.anyio

TTM = said("RATTM,07,5.00,123.4,T,10.0,270.0,T,1.0,2.0,N,,T,,,A") + b"\r\n"


def driver(scheme: str, port: int, silence_s: float = 5.0) -> RadarDriver:
    return RadarDriver(
        radar_id=ReceiverId("radar-1"),
        station_id=StationId("mast"),
        url=f"{scheme}://127.0.0.1:{port}",
        policy=AddressPolicy(loopback_ports=frozenset({port})),
        clock=SystemClock(),
        silence_s=silence_s,
    )


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_asterix_over_tcp_is_heard_whatever_the_cut():
    data = block(48, CAT_048) + block(10, CAT_010)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data[:7])
        await writer.drain()
        writer.write(data[7:])
        await writer.drain()

    async with (
        camera(serve) as port,
        aclosing(driver("tcp", port).reports()) as reports,
    ):
        heard = [await anext(reports), await anext(reports)]
        with pytest.raises(StationUnreachableError, match="closed"):
            await anext(reports)

    assert [r.track_number for r in heard] == [42, 5]


async def test_sentences_over_tcp_are_heard():
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(TTM)
        await writer.drain()

    async with (
        camera(serve) as port,
        aclosing(driver("tcp", port).reports()) as reports,
    ):
        assert (await anext(reports)).track_number == 7


async def test_datagrams_of_the_radar_are_heard_and_those_of_others_are_not():
    port = free_port()
    one = driver("udp", port)

    async def send() -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radar,
        ):
            stranger.bind(("127.0.0.2", 0))
            radar.bind(("127.0.0.1", 0))
            while True:
                stranger.sendto(block(10, CAT_010), ("127.0.0.1", port))
                radar.sendto(block(48, CAT_048) + b"\x30", ("127.0.0.1", port))
                radar.sendto(TTM, ("127.0.0.1", port))
                await asyncio.sleep(0.01)

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send())
        heard: list[Any] = []
        async with aclosing(one.reports()) as reports:
            async for report in reports:
                heard.append(report)
                if len(heard) == 6:
                    break
        sending.cancel()

    assert {r.track_number for r in heard} == {42, 7}
    assert one.strange > 0


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
async def test_a_radar_that_says_nothing_is_silent(scheme: str):
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with camera(serve) as port:
        with pytest.raises(StationUnreachableError, match="silent"):
            await anext(driver(scheme, port, silence_s=0.1).reports())


async def test_a_radar_elsewhere_is_refused():
    source = RadarDriver(
        radar_id=ReceiverId("radar-1"),
        station_id=StationId("mast"),
        url="udp://10.1.2.3:8600",
        policy=AddressPolicy(),
        clock=SystemClock(),
    )
    with pytest.raises(AddressRefusedError):
        await anext(source.reports())


def test_an_address_that_is_no_radars_is_refused_at_once():
    with pytest.raises(AddressRefusedError):
        driver("rtsp", 8600)


def test_a_broken_datagram_does_not_spoil_the_next():
    ear = RadarEar(ReceiverId("radar-1"))

    assert ear.hear_datagram(block(48, CAT_048)[:10], NOON) == []
    assert len(ear.hear_datagram(block(48, CAT_048), NOON)) == 1
