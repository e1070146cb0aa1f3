import asyncio
import gc
import io
import logging
import time
import traceback
import tracemalloc
from contextlib import aclosing, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import av
import pytest
import structlog

from almenara.core.errors import (
    AddressRefusedError,
    StationError,
    StationRejectedError,
    StationUnreachableError,
)
from almenara.core.media import Codec, Packet, TimeSource
from almenara.core.time import ManualClock
from almenara.node.clock import SystemClock
from almenara.simulation.rtsp_server import Fault, RtspServer
from almenara.stations.addresses import AddressPolicy
from almenara.stations.credentials import Credentials
from almenara.stations.drivers.rtsp import RtspDriver
from almenara.stations.session import RetryPolicy, keep_open
from tests.conftest import NOON
from tests.stations.cameras import (
    MAST,
    answering,
    camera,
    driver,
    guarded_by,
    playing,
    reply,
    rtp,
    sdp,
)
from tests.stations.pictures import STREAM, clip

pytestmark = pytest.mark.anyio

NASTY = "@ : / ? # % ' \" $ ;\n"


async def take(source: RtspDriver, count: int) -> list[Packet]:
    packets: list[Packet] = []
    async with aclosing(source.reports()) as reports:
        async for packet in reports:
            packets.append(packet)
            if len(packets) == count:
                break
    return packets


async def failure(source: RtspDriver) -> StationError:
    with pytest.raises(StationError) as raised:
        await take(source, 1000)
    return raised.value


@pytest.mark.slow
@pytest.mark.parametrize("codec", Codec)
async def test_what_the_camera_coded_arrives_byte_for_byte(codec: Codec):
    coded = clip(codec)
    server = RtspServer(SystemClock())
    server.add("cam/main", coded)
    async with server.listening() as port:
        packets = await take(driver(port), 40)

    wanted = [
        coded.parameter_sets + p if key else p
        for p, key in zip(coded.pictures, coded.keys, strict=True)
    ]
    start = wanted.index(packets[0].nal_units)
    assert [p.nal_units for p in packets] == [
        wanted[(start + n) % len(wanted)] for n in range(40)
    ]
    assert [p.is_key for p in packets[:26]] == [True, *[False] * 24, True]
    assert {id(p.format) for p in packets} == {id(packets[0].format)}
    found = packets[0].format
    assert (found.codec, found.width_px, found.height_px) == (codec, 192, 128)
    assert set(found.parameter_sets) == set(coded.parameter_sets)
    assert {b.pts_90k - a.pts_90k for a, b in pairwise(packets)} == {3600}
    assert all(p.dts_90k == p.pts_90k for p in packets)


@pytest.mark.slow
async def test_capture_time_is_the_cameras_by_its_sender_reports():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip())
    async with server.listening() as port:
        source = driver(port)
        packets = await take(source, 5)

    assert {p.captured_by for p in packets} == {TimeSource.CAMERA}
    for packet in packets:
        into_the_story = (packet.captured_at - server.epoch) / timedelta(seconds=0.04)
        assert into_the_story == pytest.approx(round(into_the_story), abs=0.01)
    assert source.clock_offset_s is not None
    assert abs(source.clock_offset_s) < 1.0


@pytest.mark.slow
async def test_an_independent_client_sees_the_same_bytes():
    coded = clip()
    server = RtspServer(SystemClock())
    server.add("cam/main", coded)

    def independent(port: int) -> list[bytes]:
        with av.open(
            f"rtsp://127.0.0.1:{port}/cam/main",
            options={"rtsp_transport": "tcp", "analyzeduration": "100000"},
            timeout=10,
        ) as container:
            packets = container.demux(container.streams.video[0])
            return [bytes(next(packets)) for _ in range(10)]

    async with server.listening() as port:
        theirs = await asyncio.to_thread(independent, port)
        ours = await take(driver(port), 50)

    slices = {p.nal_units[-1] for p in ours}
    assert all(any(unit in seen for unit in slices) for seen in theirs)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StationRejectedError),
        (403, StationRejectedError),
        (404, StationRejectedError),
        (453, StationUnreachableError),
        (503, StationUnreachableError),
    ],
)
async def test_a_refusal_says_whether_to_try_again(status: int, kind: type):
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(refuse_status=status))
    async with server.listening() as port:
        assert type(await failure(driver(port))) is kind


async def test_nobody_there_is_worth_retrying():
    async with camera(answering(playing())) as port:
        pass

    assert isinstance(await failure(driver(port)), StationUnreachableError)


async def test_garbage_for_a_description_is_refused():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(garbage_sdp=True))
    async with server.listening() as port:
        assert isinstance(await failure(driver(port)), StationRejectedError)


async def test_an_endless_header_is_cut_off():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(endless_header=True))
    async with server.listening() as port:
        error = await failure(driver(port))

    assert "header is too long" in error.detail


@pytest.mark.slow
async def test_silence_after_play_is_noticed():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(silent_after=3))
    async with server.listening() as port:
        error = await failure(driver(port, silence_s=1.2))

    assert (type(error), error.detail) == (StationUnreachableError, "silent")


@pytest.mark.slow
async def test_a_reset_is_worth_retrying():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(reset_after=3))
    async with server.listening() as port:
        assert isinstance(await failure(driver(port)), StationUnreachableError)


@pytest.mark.slow
async def test_a_jump_of_the_cameras_time_goes_on_where_it_was():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(jump_after=5))
    async with server.listening() as port:
        source = driver(port)
        packets = await take(source, 40)

    steps = {b.dts_90k - a.dts_90k for a, b in pairwise(packets)}
    assert min(steps) > 0
    assert max(steps) < 90_000
    assert source.counters.time_jumps == 1
    late = [abs(p.received_at - p.captured_at) for p in packets]
    assert max(late) < timedelta(seconds=2)


@pytest.mark.slow
async def test_a_new_picture_size_is_a_new_format():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(change_after=10, changed=clip(width_px=256)))
    async with server.listening() as port:
        packets = await take(driver(port), 45)

    assert packets[0].format.width_px == 192
    assert packets[-1].format.width_px == 256
    assert len({id(p.format) for p in packets}) == 2
    assert len(packets[-1].format.parameter_sets) == 2


@pytest.mark.slow
async def test_cut_nal_units_never_raise_anything_but_ours():
    server = RtspServer(SystemClock())
    server.add("cam/main", clip(), Fault(cut_nal_units=True))
    async with server.listening() as port:
        source = driver(port, silence_s=1.5)
        with suppress(StationUnreachableError):
            await take(source, 20)


SIGN_IN: list[dict[str, Any]] = [
    {"algorithm": "MD5", "qop": True},
    {"algorithm": "MD5", "qop": False},
    {"algorithm": "SHA-256", "qop": True},
]


@pytest.mark.parametrize("how", SIGN_IN)
@pytest.mark.parametrize("user", ["watch", 'o"\\dd'])
async def test_credentials_of_any_signs_open_the_door(user: str, how: dict[str, Any]):
    key = Credentials(user=user, password=NASTY)
    async with camera(answering(guarded_by(user, NASTY, **how))) as port:
        offer = await driver(port, credentials=key).probe()

    assert offer.codec is Codec.H264
    assert offer.control.endswith("/cam/main/track0")


async def test_wrong_credentials_are_refused_once_and_for_all():
    asked: list[str] = []
    key = Credentials(user="watch", password="wrong")  # noqa: S106 -- of a test
    async with camera(answering(guarded_by("watch", NASTY), asked)) as port:
        error = await failure(driver(port, credentials=key))

    assert (type(error), error.detail) == (StationRejectedError, "credentials refused")
    assert len(asked) == 2


async def test_credentials_are_in_no_log_error_or_representation(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    secret = "Tr0ub4dor-canary"  # noqa: S105 -- of a test
    key = Credentials(user="watch", password=secret)
    told = [repr(key), str(key), f"{key}"]

    def answer(_: str, fields: dict[str, str]) -> bytes:
        # A camera that repeats what it was told, to get it into somebody's log.
        echo = fields.get("Authorization", "")
        offer = 'WWW-Authenticate: Basic realm="x"'
        return reply(fields, f"401 {echo}" if echo else "401 No", offer)

    asked: list[str] = []
    async with camera(answering(answer, asked)) as port:
        source = driver(port, credentials=key)
        with (
            structlog.testing.capture_logs() as logs,
            caplog.at_level(logging.DEBUG),
            pytest.raises(StationRejectedError) as raised,
        ):
            await keep_open(
                source,
                _nowhere,
                station_id=MAST,
                clock=ManualClock(NOON),
                policy=RetryPolicy(),
            )
    out = io.StringIO()
    traceback.print_exception(raised.value, file=out)
    told += [out.getvalue(), repr(source), repr(logs), caplog.text, *capfd.readouterr()]

    assert len(asked) == 2  # it was told to the camera, and to nobody else
    assert not any(secret in text for text in told)
    assert not any("V2F0Y2g6" in text or "d2F0Y2g6" in text for text in told)


async def _nowhere(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "305 Use Proxy"])
async def test_a_redirect_is_not_followed(status: str):
    visits: list[str] = []
    async with camera(answering(playing(), visits)) as elsewhere:
        target = f"Location: rtsp://127.0.0.1:{elsewhere}/x"
        async with camera(answering(lambda _, f: reply(f, status, target))) as port:
            error = await failure(driver(port))

    assert isinstance(error, StationRejectedError)
    assert "redirect" in error.detail
    assert not visits


@pytest.mark.parametrize(
    "control",
    [
        "rtsp://169.254.169.254/x",
        "rtsp://10.0.0.1:554/x",
        "http://other/x",
        "//other/x",
        "track 1",
        "rtsp://[bad/x",
    ],
)
async def test_a_control_address_that_leads_elsewhere_is_refused(control: str):
    def answer(_: str, fields: dict[str, str]) -> bytes:
        return reply(fields, body=sdp(f"a=control:{control}"))

    async with camera(answering(answer)) as port:
        assert isinstance(await failure(driver(port)), StationRejectedError)


async def test_an_unknown_codec_is_named_with_the_cure():
    def answer(_: str, fields: dict[str, str]) -> bytes:
        return reply(fields, body=sdp(encoding="JPEG"))

    async with camera(answering(answer)) as port:
        error = await failure(driver(port))

    assert isinstance(error, StationRejectedError)
    assert "JPEG" in error.detail
    assert "H.264" in error.detail


HUGE_SPS = bytes.fromhex("6742c01fda00800002000080000200ffff")


@pytest.mark.parametrize(
    "raw",
    [
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 10485760\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: -5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 1_000_000,
        b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n<html>" + b"x" * 100_000,
        b"\x00" * 100_000,
        b"\r\n" * 1_000_000,
        b"$\x00\xff\xff" * 200_000,
    ],
)
async def test_whatever_a_camera_pours_out_memory_stays_bounded(raw: bytes):
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        await asyncio.sleep(30)

    async with camera(pour) as port:
        gc.collect()
        tracemalloc.start()
        try:
            error = await failure(driver(port, handshake_s=0.2))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert isinstance(error, StationUnreachableError)
    assert peak < 8 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("after_play", [False, True])
async def test_one_byte_a_second_is_silence(*, after_play: bool):
    drip = 0.05

    async def trickle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if after_play:
            for _ in range(3):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                cseq = head.split("CSeq: ")[1].split("\r\n")[0]
                writer.write(playing()(head.split(" ")[0], {"CSeq": cseq}))
        for byte in b"RTSP/1.0 200 OK\r\nX: " + b"x" * 10_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(drip)

    async with camera(trickle) as port:
        error = await failure(driver(port, handshake_s=0.6, silence_s=0.6))

    assert isinstance(error, StationUnreachableError)


async def test_a_picture_that_cannot_be_is_refused():
    def answer(method: str, fields: dict[str, str]) -> bytes:
        stream = rtp(HUGE_SPS, sequence=1, timestamp=0, marker=False)
        stream += rtp(b"\x68\xce\x3c\x80", sequence=2, timestamp=0, marker=False)
        stream += rtp(b"\x65\x88", sequence=3, timestamp=0) * 2
        stream += rtp(b"\x65\x88\x80\x00", sequence=4, timestamp=3600)
        return playing(stream)(method, fields)

    async with camera(answering(answer)) as port:
        error = await failure(driver(port, silence_s=1))

    assert isinstance(error, StationUnreachableError)


async def test_a_hole_in_the_stream_is_dropped_and_counted():
    pictures = clip().pictures
    stream = b"".join(
        rtp(units[-1][:1000], sequence=n, timestamp=n * 3600)
        for n, units in enumerate(pictures[:10])
        if n != 4
    )
    async with camera(answering(playing(stream))) as port:
        source = driver(port)
        packets = await take(source, 8)

    assert [p.pts_90k // 3600 for p in packets] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert source.counters.lost_packets == 1
    assert source.counters.dropped_units == 2  # the one missing, and the next


@pytest.mark.slow
async def test_a_station_that_misbehaves_does_not_blind_the_others():
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)

    server = RtspServer(SystemClock())
    server.add("good/main", clip())
    server.add("bad/main", clip(), Fault(endless_header=True))
    results: list[Packet] = []
    async with (
        server.listening() as port,
        camera(drip) as flood,
        asyncio.TaskGroup() as tasks,
    ):

        async def good() -> None:
            results.extend(await take(driver(port, "good/main"), 30))

        tasks.create_task(good())
        for target, path in ((port, "bad/main"), (flood, "x"), (port, "none")):
            tasks.create_task(failure(driver(target, path)))

    steps = {b.pts_90k - a.pts_90k for a, b in pairwise(results)}
    assert steps == {3600}


@pytest.mark.slow
async def test_cancelling_lets_go_of_the_camera_at_once():
    async def endless(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await answering(playing())(reader, writer)
        gone.set()

    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await endless(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            gone.set()

    async with camera(serve) as port:
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(take(driver(port), 5))
            await asyncio.sleep(0.1)
            task.cancel()
        async with asyncio.timeout(1.0):
            await gone.wait()

    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "url", ["rtsp://127.0.0.1:1/x", "rtsp://10.9.9.9/x", "rtsp://u:p@10.9.9.9/x"]
)
async def test_a_refused_address_is_never_dialled(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    async def dial(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(asyncio, "open_connection", dial)
    with pytest.raises(AddressRefusedError):  # noqa: PT012 -- at either step
        source = RtspDriver(
            stream_id=STREAM,
            station_id=MAST,
            url=url,
            policy=AddressPolicy(),
            clock=SystemClock(),
        )
        await take(source, 1)
