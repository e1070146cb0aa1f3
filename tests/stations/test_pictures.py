import os
import signal
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from almenara.core.errors import MediaError
from almenara.stations.drivers import pictures
from almenara.stations.drivers.pictures import PictureReader, read_video

RAMP = (np.arange(48 * 64).reshape(48, 64) % 251).astype(np.uint8)


def stored(path: Path, picture) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def children() -> set[int]:
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(map(int, own.read_text().split()))


def kill(child: int) -> None:
    """As a file that owns the decoder might; returns when it is dead."""
    os.kill(child, signal.SIGKILL)
    while Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        os.sched_yield()


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def raw_avi(height: int, *, size=48, frames=51) -> bytes:
    """Uncompressed 24-bit pictures; a positive height says that rows go upwards."""
    picture_bytes = size * size * 3
    main = struct.pack(
        "<14I", 40_000, 0, 0, 16, frames, 0, 1, picture_bytes, size, size, 0, 0, 0, 0
    )
    stream = b"vidsDIB " + struct.pack(
        "<IHHIIIIIIII4h", 0, 0, 0, 0, 1, 25, 0, frames, picture_bytes, 0, 0,
        0, 0, size, size,
    )  # fmt: skip
    form = struct.pack("<IiiHHIIiiII", 40, size, height, 1, 24, 0, picture_bytes,
                       0, 0, 0, 0)  # fmt: skip
    header = chunk(b"strh", stream) + chunk(b"strf", form)
    lists = chunk(
        b"LIST",
        b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", b"strl" + header),
    )
    body = b"".join(
        chunk(b"00db", bytes([i % 256]) * picture_bytes) for i in range(frames)
    )
    return chunk(b"RIFF", b"AVI " + lists + chunk(b"LIST", b"movi" + body))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "bmp", "tif", "pgm", "webp", "jpg"])
def test_a_grey_picture_comes_back_as_it_was(tmp_path, kind):
    path = stored(tmp_path / f"a.{kind}", RAMP)
    with PictureReader() as reader:
        luma = reader.read(path)

    assert luma.dtype == np.uint8
    assert luma.shape == RAMP.shape
    if kind in {"png", "bmp", "tif", "pgm"}:
        assert np.array_equal(luma, RAMP)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_deep_picture_keeps_its_depth(tmp_path, kind):
    deep = RAMP.astype(np.uint16) * 201
    path = stored(tmp_path / f"a.{kind}", deep)
    with PictureReader() as reader:
        assert np.array_equal(reader.read(path), deep)


@pytest.mark.slow
def test_a_colour_picture_becomes_its_brightness(tmp_path):
    path = stored(tmp_path / "a.png", np.dstack([RAMP] * 3))
    with PictureReader() as reader:
        assert np.abs(reader.read(path).astype(int) - RAMP).max() <= 1


@pytest.mark.slow
def test_a_broken_picture_costs_itself_and_nothing_else(tmp_path):
    good = stored(tmp_path / "good.png", RAMP)
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:90])
    other = tmp_path / "other.jpg"
    other.write_bytes(b"no picture at all" * 20)
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    with PictureReader() as reader:
        for path in (broken, other, empty):
            with pytest.raises(MediaError, match=path.name):
                reader.read(path)
            assert np.array_equal(reader.read(good), RAMP)


@pytest.mark.slow
def test_a_decoder_that_dies_costs_its_file(tmp_path):
    good = stored(tmp_path / "good.png", RAMP)
    before = children()
    with PictureReader() as reader:
        reader.read(good)
        (decoder,) = children() - before
        kill(decoder)
        with pytest.raises(MediaError, match="died"):
            reader.read(good)
        assert np.array_equal(reader.read(good), RAMP)


def test_a_child_that_talks_nonsense_is_not_believed():
    with pytest.raises(MediaError):
        pictures.checked(48 << 32 | 64, 8, b"too short")
    with pytest.raises(MediaError):
        pictures.checked(0, 8, b"")


@pytest.mark.slow
@pytest.mark.parametrize("height", [48, -48])
def test_a_raw_video_that_runs_upwards_harms_nobody(tmp_path, height):
    # Regression: this file corrupts the heap of OpenCV's own reader.
    path = tmp_path / "up.avi"
    path.write_bytes(raw_avi(height))

    read = [p.luma for p in read_video(path)]

    assert len(read) == 51
    assert [int(np.median(p)) for p in read] == pytest.approx(range(51), abs=1)


@pytest.mark.slow
def test_a_text_that_calls_itself_a_video_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\nfile:///etc/passwd\n")

    with pytest.raises(MediaError, match=r"a\.mp4"):
        list(read_video(path))
