from __future__ import annotations

import asyncio
import itertools
import struct
from datetime import timedelta
from typing import Any

import av
import pytest

from almenara.node.clock import SystemClock
from almenara.simulation.clip import Clip
from almenara.simulation.rtsp_server import Fault, RtspServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def watch(url: str, count: int = 12) -> list[av.Packet[Any]]:
    """What a client gets: ``count`` packets; an error or the end cuts it short."""
    packets: list[av.Packet[Any]] = []
    options = {"rtsp_transport": "tcp", "analyzeduration": "0", "probesize": "5000"}
    with av.open(url, options=options, timeout=3) as source:
        try:
            for packet in source.demux(video=0):
                if packet.size:
                    packets.append(packet)
                if len(packets) == count:
                    break
        except av.FFmpegError:
            pass
    return packets


async def watched(
    server: RtspServer, path: str = "cam", count: int = 12
) -> list[av.Packet[Any]]:
    async with server.listening() as port:
        url = f"rtsp://127.0.0.1:{port}/{path}"
        watching = asyncio.to_thread(watch, url, count)
        outcomes = await asyncio.gather(watching, return_exceptions=True)
    outcome = outcomes[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def served(clip: Clip, fault: Fault | None = None) -> RtspServer:
    server = RtspServer(SystemClock())
    server.add("cam", clip, fault)
    return server


async def test_a_client_joins_at_a_key_picture_and_decodes_all(clip: Clip):
    packets = await watched(served(clip))

    assert packets[0].is_keyframe
    decoder = av.CodecContext.create("h264", "r")
    frames = [f for p in packets for f in decoder.decode(p)]
    assert len(frames) >= len(packets) - 1
    assert {(f.width, f.height) for f in frames} == {(320, 240)}


async def test_h265_plays_too(h265_clip: Clip):
    packets = await watched(served(h265_clip))

    decoder = av.CodecContext.create("hevc", "r")
    assert [f for p in packets for f in decoder.decode(p)]


async def test_capture_times_are_the_servers_own(clip: Clip):
    server = served(clip)
    packets = await watched(server)

    for packet in packets:
        (prft,) = (
            bytes(s) for s in packet.iter_sidedata() if "prft" in str(s.data_type)
        )
        captured_us = struct.unpack_from("<q", prft)[0]
        since_s = captured_us / 1e6 - server.epoch.timestamp()
        number = round(since_s * clip.fps)
        assert since_s == pytest.approx(number / clip.fps, abs=0.002)


async def test_media_time_runs_on_over_the_loops_end(clip: Clip):
    packets = await watched(served(clip), count=25)

    steps = {
        int(b.pts or 0) - int(a.pts or 0) for a, b in itertools.pairwise(packets[1:])
    }
    assert steps == {9000}


async def test_two_clients_see_the_same(clip: Clip):
    server = served(clip)
    async with server.listening() as port:
        url = f"rtsp://127.0.0.1:{port}/cam"
        both = await asyncio.gather(
            *(asyncio.to_thread(watch, url, 10) for _ in range(2))
        )

    a, b = ({p.pts: bytes(p) for p in packets if p.pts} for packets in both)
    common = a.keys() & b.keys()
    assert common
    assert all(a[pts] == b[pts] for pts in common)


async def test_a_clip_not_yet_made_is_unavailable_and_an_unknown_one_not_found(clip):
    server = served(clip)
    server.expect("later")

    with pytest.raises(av.error.HTTPServerError):
        await watched(server, "later")
    with pytest.raises(av.error.HTTPNotFoundError):
        await watched(server, "never")


@pytest.mark.parametrize("status", [401, 404, 503])
async def test_a_camera_may_refuse(clip: Clip, status: int):
    with pytest.raises(av.FFmpegError):
        await watched(served(clip, Fault(refuse_status=status)))


@pytest.mark.parametrize("fault", [Fault(garbage_sdp=True), Fault(endless_header=True)])
async def test_a_camera_may_talk_nonsense(clip: Clip, fault: Fault):
    with pytest.raises((av.FFmpegError, IndexError)):
        await watched(served(clip, fault))


@pytest.mark.parametrize("fault", [Fault(reset_after=4), Fault(silent_after=4)])
async def test_a_camera_may_stop(clip: Clip, fault: Fault):
    assert len(await watched(served(clip, fault))) <= 4


async def test_time_stamps_may_jump(clip: Clip):
    packets = await watched(served(clip, Fault(jump_after=5)))

    times = [p.pts for p in packets if p.pts is not None]
    assert max(b - a for a, b in itertools.pairwise(times)) > 90_000 * 3000


async def test_the_picture_may_change_its_size(clip: Clip, wide_clip: Clip):
    fault = Fault(change_after=10, changed=wide_clip)
    packets = await watched(served(clip, fault), count=22)

    decoder = av.CodecContext.create("h264", "r")
    sizes = [(f.width, f.height) for p in packets for f in decoder.decode(p)]
    assert sizes[0] == (320, 240)
    assert sizes[-1] == (384, 192)


async def test_damaged_slices_are_damaged(clip: Clip):
    whole = await watched(served(clip))
    cut = await watched(served(clip, Fault(cut_nal_units=True)))

    assert sum(p.size for p in cut) < 0.7 * sum(p.size for p in whole)


async def test_one_that_does_not_read_is_dropped_and_the_others_watch_on(clip: Clip):
    server = served(clip)
    async with server.listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"BOGUS rtsp://127.0.0.1/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert b"501" in await reader.readline()
        packets = await asyncio.to_thread(watch, f"rtsp://127.0.0.1:{port}/cam", 5)
        writer.close()

    assert len(packets) == 5


async def test_a_sender_report_goes_before_the_first_packet(clip: Clip):
    server = served(clip)
    async with server.listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, line in enumerate(
            ("SETUP rtsp://h/cam/track0", "PLAY rtsp://h/cam/"), start=1
        ):
            transport = "Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n"
            writer.write(
                f"{line} RTSP/1.0\r\nCSeq: {number}\r\n{transport}\r\n".encode()
            )
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        head = await reader.readexactly(6)
        assert head[:2] == b"$\x03"
        assert head[4:] == b"\x80\xc8"
        await reader.readexactly(int.from_bytes(head[2:4], "big") - 2)
        assert (await reader.readexactly(2)) == b"$\x02"
        writer.close()


async def test_udp_is_not_supported_and_says_so(clip: Clip):
    server = served(clip)
    async with server.listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        transport = "Transport: RTP/AVP;unicast;client_port=5000-5001"
        asked = f"SETUP rtsp://h/cam/track0 RTSP/1.0\r\nCSeq: 1\r\n{transport}"
        writer.write(f"{asked}\r\n\r\n".encode())
        assert b" 461 " in await reader.readline()
        writer.close()


async def test_the_story_can_start_over(clip: Clip):
    server = served(clip)
    later = server.epoch + timedelta(seconds=100)

    server.start_over(later)

    assert server.epoch == later
