import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyais import encode_dict

from almenara.core.ais import AisReport
from almenara.core.errors import AddressRefusedError, StationUnreachableError
from almenara.core.ids import ReceiverId, StationId
from almenara.core.time import ManualClock
from almenara.node.clock import SystemClock
from almenara.stations.addresses import AddressPolicy
from almenara.stations.ais_decoding import AisDecoder
from almenara.stations.drivers.ais import AisFileDriver, AisTcpDriver
from almenara.stations.nmea import Message
from tests.conftest import NOON
from tests.stations.cameras import camera
from tests.stations.samples import sample

pytestmark = pytest.mark.anyio

RADIO, MAST = ReceiverId("radio"), StationId("mast")


def file(path: Path) -> AisFileDriver:
    return AisFileDriver(
        path, receiver_id=RADIO, station_id=MAST, clock=ManualClock(NOON)
    )


def tcp(port: int, silence_s: float = 5.0) -> AisTcpDriver:
    return AisTcpDriver(
        receiver_id=RADIO,
        station_id=MAST,
        url=f"tcp://127.0.0.1:{port}",
        policy=AddressPolicy(loopback_ports=frozenset({port})),
        clock=SystemClock(),
        silence_s=silence_s,
    )


def said(**fields: str | float) -> AisReport | None:
    lines = encode_dict(
        {"mmsi": 224000001, **fields}, talker_id="AI", sentence_type="VDM"
    )
    message = Message(sentences=tuple(line.encode() for line in lines))
    return AisDecoder(RADIO).decode(message, NOON)


@pytest.mark.slow
async def test_a_national_stream_decodes_to_the_last_message():
    source = file(sample("ais/dma_stream_20100611.nmea"))
    reports = [report async for report in source.reports()]

    told = source.counters
    # 4 051 messages, two of them with a checksum that does not hold.
    assert (told.decoded, told.undecodable, source.dropped) == (4049, 0, 2)
    assert len(reports) == told.decoded - told.not_reported
    assert reports[0].received_at == datetime(2010, 6, 11, 11, 46, 11, 390_000, UTC)
    assert all(r.received_at.year == 2010 for r in reports)
    names = {r.ship_name for r in reports if r.message_type == 5}
    assert len(names) > 50


async def test_a_faulty_file_gives_what_is_sound_in_it():
    source = file(sample("ais/pyais_nmea_data_sample.txt"))
    reports = [report async for report in source.reports()]

    assert (source.counters.decoded, source.counters.undecodable) == (778, 100)
    assert len({r.mmsi for r in reports}) == 166  # the 167th only says what we pass by


async def test_comments_and_time_stamps_are_understood():
    reports = [r async for r in file(sample("ais/pyais_timestamped.ais")).reports()]

    assert reports[0].received_at == datetime(2008, 5, 9, 0, 0, 0, 10_000, UTC)


def test_a_position_report_in_our_units():
    report = said(type=1, speed=10.0, lat=36.0, lon=-5.5, course=90.0, heading=91)

    assert report is not None
    assert report.position is not None
    assert report.position.latitude_deg == pytest.approx(36.0, abs=1e-5)
    assert report.position.longitude_deg == pytest.approx(-5.5, abs=1e-5)
    assert report.speed_mps == pytest.approx(5.1444, abs=1e-3)
    assert (report.course_deg, report.heading_deg) == (90.0, 91.0)


@pytest.mark.parametrize("kind", [1, 18, 27])
def test_absent_is_none_and_never_a_number(kind: int):
    absent: dict[str, float] = {"speed": 102.3, "course": 360.0, "heading": 511}
    if kind == 27:
        absent = {"speed": 63, "course": 511}
    report = said(type=kind, lat=91.0, lon=181.0, **absent)

    assert report is not None
    assert (report.position, report.speed_mps) == (None, None)
    assert (report.course_deg, report.heading_deg) == (None, None)


def test_static_data_is_a_report_without_a_position():
    ship: dict[str, str | float] = {
        "shipname": "LUZ@@@",
        "ship_type": 70,
        "to_bow": 100,
        "to_stern": 20,
    }
    five = said(type=5, **ship)
    name = said(type=24, partno=0, shipname="MAR")
    size = said(type=24, partno=1, ship_type=36, to_bow=7, to_stern=3)

    assert five is not None
    assert name is not None
    assert size is not None
    assert (five.ship_name, five.ship_type, five.length_m) == ("LUZ", 70, 120.0)
    assert five.position is None
    assert (name.ship_name, name.length_m) == ("MAR", None)
    assert (size.ship_name, size.ship_type, size.length_m) == (None, 36, 10.0)


def test_a_distress_device_is_known_by_its_number_and_its_words():
    report = said(type=14, mmsi=970123456, text="SART ACTIVE")

    assert report is not None
    assert report.is_distress_device
    assert report.text == "SART ACTIVE"


@pytest.mark.parametrize(("mmsi", "status"), [(970123456, 15), (224000001, None)])
def test_status_15_means_a_test_of_a_device_and_nothing_of_a_ship(mmsi, status):
    report = said(type=1, mmsi=mmsi, status=15, lat=36.0, lon=-5.5)

    assert report is not None
    assert report.navigation_status == status


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 9, 18, 19, 21, 27])
def test_every_message_with_a_place_is_a_report_with_one(kind: int):
    report = said(type=kind, msg_type=kind, lat=36.0, lon=-5.5)

    assert report is not None
    assert report.message_type == kind
    assert report.position is not None
    assert report.position.latitude_deg == pytest.approx(36.0, abs=1e-3)


def test_a_base_station_speaks_and_a_channel_order_does_not():
    base = said(type=4, lat=36.0, lon=-5.5)
    assert base is not None
    assert base.position is not None
    assert said(type=22) is None


GOOD = b"!AIVDM,1,1,,A,13HOI:0P0000VOHLCnHQKwvL05Ip,0*23\r\n"


async def test_a_receiver_over_tcp_is_heard_through_noise():
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\x00noise\n$GPZDA,1*00\n" + GOOD[:20])
        await writer.drain()
        writer.write(GOOD[20:] + GOOD)
        await writer.drain()

    async with camera(serve) as port:
        source = tcp(port)
        async with aclosing(source.reports()) as reports:
            heard = [await anext(reports), await anext(reports)]
            with pytest.raises(StationUnreachableError, match="closed"):
                await anext(reports)

    assert [r.mmsi for r in heard] == [227006760] * 2
    assert source.dropped == 2


async def test_a_receiver_that_says_nothing_is_silent():
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with camera(serve) as port:
        with pytest.raises(StationUnreachableError, match="silent"):
            await anext(tcp(port, silence_s=0.1).reports())


async def test_a_receiver_elsewhere_is_refused():
    source = AisTcpDriver(
        receiver_id=RADIO,
        station_id=MAST,
        url="tcp://10.1.2.3:4001",
        policy=AddressPolicy(),
        clock=SystemClock(),
    )
    with pytest.raises(AddressRefusedError):
        await anext(source.reports())
