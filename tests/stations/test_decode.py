import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.core.errors import MediaError
from almenara.core.ids import CameraId
from almenara.core.media import Codec, Frame, StreamFormat
from almenara.simulation.clip import Clip
from almenara.stations.decode import Decoder
from almenara.stations.formats import FormatTracker
from tests.conftest import NOON
from tests.stations.pictures import clip
from tests.stations.test_bitstream import sps

CAMERA = CameraId("mast-day")


def format_of(coded: Clip) -> StreamFormat:
    found = FormatTracker(coded.codec).see(coded.parameter_sets)
    assert found is not None
    return found


def decode(decoder: Decoder, coded: Clip, count: int = 10) -> list[Frame]:
    wanted = format_of(coded)
    frames: list[Frame] = []
    for number, units in enumerate(coded.pictures[:count]):
        frames += decoder.decode(wanted, units, NOON, number * 3600)
    return frames + decoder.flush()


@pytest.mark.parametrize("codec", Codec)
def test_every_packet_becomes_a_read_only_picture(codec: Codec):
    decoder = Decoder(CAMERA)

    frames = decode(decoder, clip(codec))

    assert len(frames) == decoder.decoded == 10
    for frame in frames:
        assert frame.luma.shape == (128, 192)
        assert not frame.luma.flags.writeable
        assert frame.camera_id == CAMERA
        with pytest.raises(ValueError, match="read-only"):
            frame.luma[0, 0] = 1
    # The slope that was coded: brighter to the right, up to noise and loss.
    assert frames[0].luma[:40, 150].mean() > frames[0].luma[:40, 10].mean() + 50


def test_a_luma_outlives_its_decoder():
    frames = decode(Decoder(CAMERA), clip())
    kept = frames[0].luma
    before = kept.copy()
    for _ in range(3):
        decode(Decoder(CAMERA), clip(width_px=256))

    assert np.array_equal(kept, before)


@pytest.mark.parametrize("codec", Codec)
def test_a_new_size_makes_a_new_decoder(codec: Codec):
    decoder = Decoder(CAMERA)

    sizes = [
        frame.luma.shape
        for coded in (clip(codec), clip(codec, 256), clip(codec))
        for frame in decode(decoder, coded, 3)
    ]

    assert sizes == [(128, 192)] * 3 + [(128, 256)] * 3 + [(128, 192)] * 3


def test_a_burst_and_a_flush_and_a_burst_again():
    decoder, coded = Decoder(CAMERA), clip()
    wanted, frames = format_of(coded), []
    for start in (0, 25):
        for number in range(start, start + 5):
            frames += decoder.decode(wanted, coded.pictures[number], NOON, number)
        frames += decoder.flush()

    assert len(frames) == 10
    assert decoder.damaged == 0


def test_a_picture_too_large_never_gets_a_decoder():
    decoder, good = Decoder(CAMERA), format_of(clip())
    huge = StreamFormat(
        codec=Codec.H264,
        width_px=16,
        height_px=16,
        parameter_sets=(sps(4096, 4096), good.parameter_sets[1]),
    )

    with pytest.raises(MediaError, match="picture of"):
        decoder.decode(huge, clip().pictures[0], NOON, 0)
    with pytest.raises(MediaError, match="picture of"):
        decoder.decode(good, (sps(4096, 4096), *clip().pictures[0]), NOON, 0)

    assert decoder.damaged == 2
    assert len(decode(decoder, clip(), 3)) == 3


@pytest.mark.parametrize("codec", Codec)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_costs_pictures_and_nothing_else(codec: Codec, data: st.DataObject):
    coded, decoder = clip(codec), Decoder(CAMERA)
    wanted = format_of(coded)
    for number, units in enumerate(coded.pictures[:6]):
        hurt = bytearray(units[-1])
        at = data.draw(st.integers(0, len(hurt) - 1))
        hurt[at] ^= data.draw(st.integers(1, 255))
        try:
            frames = decoder.decode(wanted, (*units[:-1], bytes(hurt)), NOON, number)
        except MediaError:
            continue
        assert all(f.luma.size <= 8192 * 8192 for f in frames)
    decoder.flush()

    assert len(decode(decoder, coded, 3)) == 3
