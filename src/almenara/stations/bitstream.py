"""H.264 and H.265 as bytes: NAL units, parameter sets, the size of a picture.

No decoder is made before the sequence parameter set was read here, because its two
numbers decide how much memory a decoder asks for. Everything is bounded, works on bytes
alone and raises ``MediaError`` for what it cannot read; nothing here is slow enough to
matter, because parameter sets change a few times a day.

Source: ITU-T H.264 (08/2021) 7.3.1, 7.3.2.1, E.1.1; ITU-T H.265 (08/2021) 7.3.1, 7.3.2,
7.3.3; Annex B of both for start codes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from almenara.core.errors import MediaError
from almenara.core.media import Codec

MAX_SIDE_PX = 8192
MAX_PARAMETER_SET_BYTES = 4096
MAX_EXP_GOLOMB_ZEROS = 31
MAX_REORDER = 16
"""The largest picture buffer either standard knows."""

_START_CODE = re.compile(rb"\x00\x00\x01")
_H264_HIGH_PROFILES = frozenset(
    {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
)
_H264_SPS, _H264_PPS, _H264_IDR = 7, 8, 5
_H265_VPS, _H265_SPS, _H265_PPS = 32, 33, 34
_H265_KEY = range(16, 22)
"""BLA, IDR and CRA: decoding can start here (H.265 table 7-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """What a sequence parameter set says, as far as anybody here needs to know."""

    width_px: int
    """After cropping: what is shown."""

    height_px: int
    set_id: int
    reorder: int | None = None
    """Pictures that may be shown later than they are decoded; None when not said."""

    fps: float | None = None


class Bits:
    """Reads a NAL unit's bits; reading past its end is a ``MediaError``."""

    __slots__ = ("_at", "_end", "_value")

    def __init__(self, payload: bytes) -> None:
        data = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(data, "big")
        self._end = len(data) * 8
        self._at = 0

    def take(self, count: int) -> int:
        """The next ``count`` bits as an unsigned number."""
        self._at += count
        if self._at > self._end:
            raise MediaError("parameter set ends too early")
        return (self._value >> (self._end - self._at)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb number (H.264 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > MAX_EXP_GOLOMB_ZEROS:
                raise MediaError("parameter set holds an endless number")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb number (H.264 9.1.1)."""
        k = self.ue()
        return (k + 1) // 2 if k % 2 else -(k // 2)


def split_annex_b(data: bytes) -> tuple[bytes, ...]:
    r"""The NAL units between start codes, without them and their padding zeros.

    >>> split_annex_b(bytes.fromhex("00000001 6742 000001 68ce"))
    (b'gB', b'h\xce')
    """
    begins = [mark.end() for mark in _START_CODE.finditer(data)]
    ends = [begin - 3 for begin in begins[1:]] + [len(data)]
    units = (
        data[begin:end].rstrip(b"\x00")
        for begin, end in zip(begins, ends, strict=False)
    )
    return tuple(unit for unit in units if unit)


def split_length_prefixed(data: bytes, prefix_bytes: int) -> tuple[bytes, ...]:
    """The NAL units of an MP4 or Matroska sample.

    Raises:
        MediaError: A length reaches beyond the sample.
    """
    units: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + prefix_bytes
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data):
            raise MediaError("a NAL unit is longer than its sample")
        if at > begin:
            units.append(data[begin:at])
    return tuple(units)


def join_annex_b(nal_units: Iterable[bytes]) -> bytes:
    """The byte stream a decoder takes."""
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units)


def unit_type(codec: Codec, nal_unit: bytes) -> int:
    """``nal_unit_type`` of its header; -1 for an empty unit."""
    if not nal_unit:
        return -1
    if codec is Codec.H264:
        return nal_unit[0] & 0x1F
    return (nal_unit[0] >> 1) & 0x3F


def is_key(codec: Codec, nal_units: Iterable[bytes]) -> bool:
    """Whether decoding can start at this access unit."""
    types = (unit_type(codec, unit) for unit in nal_units)
    if codec is Codec.H264:
        return _H264_IDR in types
    return any(kind in _H265_KEY for kind in types)


def is_slice(codec: Codec, nal_unit: bytes) -> bool:
    """Whether this unit carries coded picture."""
    kind = unit_type(codec, nal_unit)
    return 1 <= kind <= 5 if codec is Codec.H264 else 0 <= kind < 32


def parameter_kind(codec: Codec, nal_unit: bytes) -> str | None:
    """``vps``, ``sps``, ``pps``, or None for everything else."""
    kind = unit_type(codec, nal_unit)
    if codec is Codec.H264:
        return {_H264_SPS: "sps", _H264_PPS: "pps"}.get(kind)
    return {_H265_VPS: "vps", _H265_SPS: "sps", _H265_PPS: "pps"}.get(kind)


def parameter_id(codec: Codec, nal_unit: bytes) -> int:
    """The number a parameter set gives itself."""
    kind = parameter_kind(codec, nal_unit)
    if kind == "sps":
        return read_sequence(codec, nal_unit).set_id
    bits = Bits(nal_unit[1 if codec is Codec.H264 else 2 :][:16])
    return bits.take(4) if kind == "vps" else bits.ue()


def read_sequence(codec: Codec, nal_unit: bytes) -> Sequence:
    """Read a sequence parameter set.

    Raises:
        MediaError: It is no SPS, ends too early, or its picture is empty or larger
            than 8192 by 8192.
    """
    if parameter_kind(codec, nal_unit) != "sps":
        raise MediaError("no sequence parameter set")
    if len(nal_unit) > MAX_PARAMETER_SET_BYTES:
        raise MediaError("parameter set is too long")
    found = _h264(nal_unit) if codec is Codec.H264 else _h265(nal_unit)
    if not (0 < found.width_px <= MAX_SIDE_PX and 0 < found.height_px <= MAX_SIDE_PX):
        raise MediaError(f"picture of {found.width_px} by {found.height_px} pixels")
    return found


def _h264(nal_unit: bytes) -> Sequence:
    bits = Bits(nal_unit[1:])
    profile = bits.take(8)
    bits.take(16)
    set_id = bits.ue()
    chroma = _h264_chroma(bits) if profile in _H264_HIGH_PROFILES else 1
    bits.ue()  # log2_max_frame_num
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.flag()
        bits.se(), bits.se()
        for _ in range(min(bits.ue(), 256)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.flag()
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        bits.flag()
    bits.flag()
    step_x = 2 if chroma in (1, 2) else 1
    step_y = (2 if chroma == 1 else 1) * (1 if frames_only else 2)
    cut_x, cut_y = _crop(bits)
    reorder, fps = _h264_usability(bits) if bits.flag() else (None, None)
    return Sequence(
        width_px=16 * columns - step_x * cut_x,
        height_px=16 * rows * (1 if frames_only else 2) - step_y * cut_y,
        set_id=set_id,
        # Output order equals decoding order (H.264 8.2.1.3).
        reorder=0 if order_type == 2 else reorder,
        fps=fps,
    )


def _crop(bits: Bits) -> tuple[int, int]:
    if not bits.flag():
        return 0, 0
    left, right, top, bottom = (bits.ue() for _ in range(4))
    return left + right, top + bottom


def _h264_chroma(bits: Bits) -> int:
    chroma = bits.ue()
    if chroma == 3 and bits.flag():
        chroma = 0
    bits.ue(), bits.ue(), bits.flag()
    if bits.flag():
        for index in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _h264_usability(  # noqa: C901 -- the order of the standard, one line a field
    bits: Bits,
) -> tuple[int | None, float | None]:
    """Reorder depth and frame rate of a VUI (H.264 E.1.1); None where not said."""
    if bits.flag() and bits.take(8) == 255:  # aspect ratio, extended
        bits.take(32)
    if bits.flag():
        bits.flag()  # overscan
    if bits.flag():
        bits.take(4)
        if bits.flag():
            bits.take(24)  # colour description
    if bits.flag():
        bits.ue(), bits.ue()  # chroma location
    fps = None
    if bits.flag():
        ticks, scale = bits.take(32), bits.take(32)
        bits.flag()
        fps = _plausible_fps(scale / (2 * ticks) if ticks else 0.0)
    coded_buffers = 0
    for _ in range(2):
        if bits.flag():
            _skip_hrd(bits)
            coded_buffers += 1
    if coded_buffers:
        bits.flag()
    bits.flag()
    if not bits.flag():
        return None, fps
    bits.flag()
    bits.ue(), bits.ue(), bits.ue(), bits.ue()
    return min(bits.ue(), MAX_REORDER), fps


def _skip_hrd(bits: Bits) -> None:
    count = min(bits.ue() + 1, 32)
    bits.take(8)
    for _ in range(count):
        bits.ue(), bits.ue(), bits.flag()
    bits.take(20)


def _plausible_fps(fps: float) -> float | None:
    return fps if 0.1 <= fps <= 300.0 else None


def _h265(nal_unit: bytes) -> Sequence:
    bits = Bits(nal_unit[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.flag()
    _skip_profile_tier_level(bits, layers)
    set_id = bits.ue()
    chroma = bits.ue()
    if chroma == 3 and bits.flag():
        chroma = 0
    width_px, height_px = bits.ue(), bits.ue()
    cut_x, cut_y = _crop(bits)
    bits.ue(), bits.ue(), bits.ue()
    each_layer = bits.flag()
    reorder = 0
    for _ in range(layers + 1 if each_layer else 1):
        bits.ue()
        reorder = bits.ue()
        bits.ue()
    return Sequence(
        width_px=width_px - cut_x * (2 if chroma in (1, 2) else 1),
        height_px=height_px - cut_y * (2 if chroma == 1 else 1),
        set_id=set_id,
        reorder=min(reorder, MAX_REORDER),
    )


def _skip_profile_tier_level(bits: Bits, layers: int) -> None:
    bits.take(96)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)


def read_configuration(codec: Codec, extradata: bytes) -> tuple[tuple[bytes, ...], int]:
    """Parameter sets and length-prefix size out of a container's codec header.

    Returns:
        The sets, and the bytes of each sample's length prefix; 0 where the samples are
        an Annex B byte stream.

    Raises:
        MediaError: An ``avcC`` or ``hvcC`` that ends too early.

    Source: ISO/IEC 14496-15 5.3.3.1 (avcC), 8.3.3.1 (hvcC).
    """
    if not extradata or extradata[0] != 1:
        return split_annex_b(extradata), 0
    avc = codec is Codec.H264
    if len(extradata) < (7 if avc else 23):
        raise MediaError("codec header ends too early")
    sets: list[bytes] = []
    if avc:
        at = 5
        for mask in (0x1F, 0xFF):
            if at < len(extradata):
                count = extradata[at] & mask
                at = _take_sets(extradata, at + 1, count, sets)
        return tuple(sets), (extradata[4] & 3) + 1
    at = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at = _take_sets(extradata, at + 3, count, sets)
    return tuple(sets), (extradata[21] & 3) + 1


def _take_sets(data: bytes, at: int, count: int, sets: list[bytes]) -> int:
    for _ in range(count):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data) or at == begin:
            raise MediaError("codec header ends too early")
        sets.append(data[begin:at])
    return at
