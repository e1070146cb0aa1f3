import struct
from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from almenara.core.errors import StationRejectedError
from almenara.core.ids import CameraId, StationId, StreamId
from almenara.core.media import Codec, Packet, TimeSource
from almenara.core.time import ManualClock
from almenara.simulation.clip import read_clip, write_clip
from almenara.stations.decode import Decoder
from almenara.stations.drivers.file import FileDriver
from tests.conftest import NOON
from tests.stations.samples import sample

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def driver(path: Path, **options: bool) -> FileDriver:
    return FileDriver(
        path,
        stream_id=StreamId("file"),
        station_id=StationId("mast"),
        clock=ManualClock(NOON),
        **options,
    )


async def take(source: FileDriver, count: int = 10_000) -> list[Packet]:
    packets: list[Packet] = []
    async with aclosing(source.reports()) as reports:
        async for packet in reports:
            packets.append(packet)
            if len(packets) == count:
                break
    return packets


def film(path: Path, codec: Codec = Codec.H264) -> Path:
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 255, (64, 96), dtype=np.uint8) for _ in range(20)]
    write_clip(path, pictures, fps=10, bitrate_kbps=500, codec=codec)
    return path


@pytest.mark.parametrize("codec", Codec)
async def test_a_film_plays_in_its_own_time(codec: Codec, tmp_path: Path):
    path = film(tmp_path / "film.mp4", codec)

    packets = await take(driver(path))

    assert [p.nal_units[-1] for p in packets] == [
        units[-1] for units in read_clip(path).pictures
    ]
    assert [p.dts_90k for p in packets] == [n * 9000 for n in range(20)]
    for number, packet in enumerate(packets):
        assert packet.captured_by is TimeSource.FILE
        assert packet.captured_at == NOON + timedelta(seconds=number / 10)
        # Paced: nothing is handed on before it happened.
        assert packet.received_at >= packet.captured_at


async def test_a_loop_goes_on_without_a_step(tmp_path: Path):
    packets = await take(driver(film(tmp_path / "film.mp4"), loop=True), 50)

    assert {b.dts_90k - a.dts_90k for a, b in pairwise(packets)} == {9000}
    assert packets[20].nal_units == packets[0].nal_units
    assert packets[0].format is packets[49].format


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("car-detection.mp4", 377, (432, 768)),
        ("bottle-detection.mp4", 1189, (360, 640)),
        ("one-by-one-person-detection.mp4", 1394, (432, 768)),
    ],
)
async def test_the_sample_videos_play_and_decode(
    name: str, count: int, size: tuple[int, int]
):
    decoder, shapes = Decoder(CameraId("sample")), set()
    packets = await take(driver(sample(f"sample_videos/{name}"), paced=False))
    for p in packets:
        frames = decoder.decode(p.format, p.nal_units, p.captured_at, p.pts_90k)
        shapes |= {frame.luma.shape for frame in frames}
    decoder.flush()

    assert len(packets) == decoder.decoded == count
    assert shapes == {size}
    assert decoder.damaged == 0
    assert all(b.dts_90k > a.dts_90k for a, b in pairwise(packets))


def hostile_avi() -> bytes:
    """A bottom-up raw AVI, 48 by 48 pixels: some readers write before their buffer."""
    side, frames = 48, 51
    picture = side * side * 3

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)

    def tree(name: bytes, kind: bytes, body: bytes) -> bytes:
        return chunk(name, kind + body)

    main = struct.pack(
        "<14I", 40_000, picture * 25, 0, 16, frames, 0, 1, picture, side, side, *[0] * 4
    )
    stream = b"vidsDIB " + struct.pack(
        "<I2H8I4H", 0, 0, 0, 0, 1, 25, 0, frames, picture, 0, picture, 0, 0, side, side
    )
    # A positive height: rows from the bottom up.
    bitmap = struct.pack("<I2i2H6I", 40, side, side, 1, 24, 0, picture, 0, 0, 0, 0)
    header = chunk(b"avih", main) + tree(
        b"LIST", b"strl", chunk(b"strh", stream) + chunk(b"strf", bitmap)
    )
    movie = chunk(b"00db", bytes(picture)) * frames
    body = tree(b"LIST", b"hdrl", header) + tree(b"LIST", b"movi", movie)
    return tree(b"RIFF", b"AVI ", body)


async def test_a_hostile_film_kills_its_reader_at_most(tmp_path: Path):
    path = tmp_path / "hostile.avi"
    path.write_bytes(hostile_avi())

    with pytest.raises(StationRejectedError) as refusal:
        await take(driver(path))

    assert "convert" in refusal.value.detail
    assert "rawvideo" in refusal.value.detail
    assert len(await take(driver(film(tmp_path / "good.mp4")))) == 20


async def test_another_codec_is_named_with_the_cure(tmp_path: Path):
    path = tmp_path / "old.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))

    with pytest.raises(StationRejectedError, match=r"mpeg4.*ffmpeg"):
        await take(driver(path))


@pytest.mark.parametrize("content", [b"", b"\x00" * 5000, b"#EXTM3U\nfile:/etc/passwd"])
async def test_what_is_no_film_is_refused(content: bytes, tmp_path: Path):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)

    with pytest.raises(StationRejectedError):
        await take(driver(path))


async def test_a_film_cut_short_plays_what_it_has(tmp_path: Path):
    whole = film(tmp_path / "film.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) - 200])

    try:
        packets = await take(driver(path))
    except StationRejectedError:
        return  # its index was what was cut off
    assert len(packets) <= 20


async def test_no_film_at_all_is_said(tmp_path: Path):
    with pytest.raises(StationRejectedError, match="No such file"):
        await take(driver(tmp_path / "none.mp4"))
