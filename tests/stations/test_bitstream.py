import pytest

from almenara.core.errors import MediaError
from almenara.core.media import Codec
from almenara.stations.bitstream import (
    join_annex_b,
    read_configuration,
    read_sequence,
    split_annex_b,
    split_length_prefixed,
)
from almenara.stations.formats import FormatTracker
from tests.stations.pictures import clip


class Writer:
    """Writes bits: the inverse of the reader, for parameter sets no coder makes."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, value: int, count: int) -> "Writer":
        self.bits += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> "Writer":
        for value in values:
            text = f"{value + 1:b}"
            self.bits += "0" * (len(text) - 1) + text
        return self

    def nal(self, *head: int) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        body = int(bits, 2).to_bytes(len(bits) // 8, "big")
        for last in range(4):
            body = body.replace(bytes([0, 0, last]), bytes([0, 0, 3, last]))
        return bytes(head) + body


def sps(columns: int, rows: int, *, frames_only: int = 1) -> bytes:
    """A baseline sequence of so many macroblocks."""
    bits = Writer().u(66, 8).u(0, 16).ue(0, 0, 2, 1).u(0, 1).ue(columns - 1, rows - 1)
    bits.u(frames_only, 1)
    if not frames_only:
        bits.u(0, 1)
    return bits.u(0, 3).nal(0x67)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("size", [(192, 128), (322, 242), (640, 360)])
def test_the_size_is_the_one_that_was_coded(codec: Codec, size: tuple[int, int]):
    coded = clip(codec, *size, fps=5)
    tracker = FormatTracker(codec)

    found = tracker.see(coded.parameter_sets)

    assert found is not None
    assert (found.width_px, found.height_px) == size
    assert tracker.sequence is not None
    assert tracker.sequence.reorder == 0


def test_a_full_picture_is_as_large_as_its_macroblocks():
    assert read_sequence(Codec.H264, sps(512, 512)).width_px == 8192
    assert read_sequence(Codec.H264, sps(120, 34, frames_only=0)).height_px == 1088


@pytest.mark.parametrize("side", [(513, 1), (1, 513), (4096, 4096), (1 << 20, 1 << 20)])
def test_a_picture_larger_than_8192_is_refused(side: tuple[int, int]):
    with pytest.raises(MediaError, match="picture of"):
        read_sequence(Codec.H264, sps(*side))


def test_cropping_everything_away_is_refused():
    bits = Writer().u(66, 8).u(0, 16).ue(0, 0, 2, 1).u(0, 1).ue(0, 0).u(1, 1)
    unit = bits.u(0, 1).u(1, 1).ue(8, 8, 0, 0).u(0, 1).nal(0x67)

    with pytest.raises(MediaError, match="picture of"):
        read_sequence(Codec.H264, unit)


@pytest.mark.parametrize("codec", Codec)
def test_a_parameter_set_cut_anywhere_is_refused(codec: Codec):
    unit = next(u for u in clip(codec).parameter_sets if u[0] in (0x67, 0x42))
    refused = 0
    for length in range(len(unit)):
        try:
            read_sequence(codec, unit[:length])
        except MediaError:
            refused += 1

    assert refused > len(unit) // 4


def test_the_same_sets_again_are_the_same_format():
    sets = clip().parameter_sets
    tracker = FormatTracker(Codec.H264)
    first = tracker.see(sets)

    assert tracker.see((*sets, b"\x65abc")) is first
    assert tracker.see((b"\x41abc",)) is first
    changed = tracker.see(clip(width_px=256).parameter_sets)
    assert changed is not first
    assert changed is not None
    assert changed.width_px == 256


def test_there_is_no_format_before_all_sets_came():
    tracker = FormatTracker(Codec.H265)
    vps, sps_unit, pps = clip(Codec.H265).parameter_sets[:3]

    assert tracker.see((vps, sps_unit)) is None
    assert tracker.see((pps,)) is not None


def test_sets_without_end_are_refused():
    tracker = FormatTracker(Codec.H264)
    tracker.see(clip().parameter_sets)

    with pytest.raises(MediaError, match="too"):  # noqa: PT012 -- at some set
        for number in range(200):
            tracker.see((Writer().ue(number, 0).u(number, 32).nal(0x68),))


@pytest.mark.parametrize("prefix", [1, 2, 4])
def test_samples_come_apart_as_they_were_put_together(prefix: int):
    units = (b"\x67abc", b"\x68", b"\x65" + bytes(range(1, 200)))
    sample = b"".join(len(u).to_bytes(prefix, "big") + u for u in units)

    assert split_length_prefixed(sample, prefix) == units
    assert split_annex_b(join_annex_b(units)) == units
    with pytest.raises(MediaError):
        split_length_prefixed(sample[:-1], prefix)


def test_a_codec_header_that_ends_too_early_is_refused():
    whole = bytes.fromhex("0142c01effe10002674201000268ce")
    assert read_configuration(Codec.H264, whole) == ((b"gB", b"h\xce"), 4)

    for cut in (3, 9, len(whole) - 1):
        with pytest.raises(MediaError):
            read_configuration(Codec.H264, whole[:cut])
