"""What a player must know of a codec: sample entries and the names browsers use.

Everything is read from the parameter sets as the camera sent them; nothing is decoded
but a few bytes of profile and level.

**Source**: ISO/IEC 14496-15:2017, 5.3.3.1 (avcC), 8.3.3.1 (hvcC), annex E (strings);
RFC 6381; ITU-T H.264, 7.3.2.1.1; ITU-T H.265, 7.3.3.
"""

import struct
from collections.abc import Iterable

from almenara.core.errors import MediaError
from almenara.core.media import Codec, StreamFormat
from almenara.recording.boxes import box

VPS, SPS, PPS = 32, 33, 34
"""H.265 NAL unit types."""

HIGH_PROFILES = frozenset({100, 110, 122, 144})
"""H.264 profiles whose avcC carries chroma format and bit depths."""


def codec_name(stream_format: StreamFormat) -> str:
    """RFC 6381 string, such as ``avc1.64001f`` or ``hev1.1.6.L93.B0``.

    Raises:
        MediaError: If the parameter sets are missing or cut short.
    """
    if stream_format.codec is Codec.H264:
        sps = _h264_sets(stream_format)[0][0]
        return f"avc1.{sps[1:4].hex()}"
    return _h265_name(_h265_profile(stream_format))


def sample_entry(stream_format: StreamFormat) -> bytes:
    """The ``avc1`` or ``hev1`` box: size and decoder configuration.

    In-band parameter sets are kept in the samples as well, as they were received.

    Raises:
        MediaError: If the parameter sets are missing or cut short.
    """
    if stream_format.codec is Codec.H264:
        kind, configuration = b"avc1", _avcc(stream_format)
    else:
        kind, configuration = b"hev1", _hvcc(stream_format)
    visual = struct.pack(
        ">6xH16xHHIII H32xHh",
        1,
        stream_format.width_px,
        stream_format.height_px,
        0x00480000,
        0x00480000,
        0,
        1,
        0x0018,
        -1,
    )
    return box(kind, visual, configuration)


def _h264_sets(stream_format: StreamFormat) -> tuple[list[bytes], list[bytes]]:
    """SPS and PPS, at least one of each."""
    sets = [nal for nal in stream_format.parameter_sets if nal]
    sps = [nal for nal in sets if nal[0] & 0x1F == 7 and len(nal) >= 4]
    pps = [nal for nal in sets if nal[0] & 0x1F == 8]
    if not sps or not pps:
        raise MediaError("H.264 without a sequence and a picture parameter set")
    return sps[:31], pps[:255]


def _avcc(stream_format: StreamFormat) -> bytes:
    sps, pps = _h264_sets(stream_format)
    record = b"".join(
        (
            b"\x01",
            sps[0][1:4],
            b"\xff",  # NAL unit lengths take four bytes
            bytes([0xE0 | len(sps)]),
            *_counted(sps),
            bytes([len(pps)]),
            *_counted(pps),
        )
    )
    if sps[0][1] in HIGH_PROFILES:
        chroma, luma_depth, chroma_depth = _h264_chroma(sps[0])
        record += bytes(
            [0xFC | chroma & 3, 0xF8 | luma_depth & 7, 0xF8 | chroma_depth & 7, 0]
        )
    return box(b"avcC", record)


def _counted(sets: Iterable[bytes]) -> list[bytes]:
    return [struct.pack(">H", len(nal)) + nal for nal in sets]


def _hvcc(stream_format: StreamFormat) -> bytes:
    profile = _h265_profile(stream_format)
    kinds = [
        (kind, [nal for nal in stream_format.parameter_sets if _h265_kind(nal) == kind])
        for kind in (VPS, SPS, PPS)
    ]
    arrays = b"".join(
        struct.pack(">BH", kind, len(sets)) + b"".join(_counted(sets))
        for kind, sets in kinds
        if sets
    )
    count = sum(1 for _, sets in kinds if sets)
    # Spatial segmentation, parallelism, frame rate: 0 means unknown; chroma 4:2:0,
    # 8 bits: only a hint, the decoder reads the parameter sets themselves.
    fixed = b"\xf0\x00\xfc\xfd\xf8\xf8\x00\x00" + bytes([0x0F, count])
    return box(b"hvcC", b"\x01", profile, fixed, arrays)


def _h265_kind(nal: bytes) -> int:
    return nal[0] >> 1 & 0x3F if nal else -1


def _h265_profile(stream_format: StreamFormat) -> bytes:
    """The twelve bytes of general profile, tier and level of the first SPS."""
    for nal in stream_format.parameter_sets:
        if _h265_kind(nal) == SPS:
            profile = unescaped(nal[2:32])[1:13]
            if len(profile) == 12:
                return profile
    raise MediaError("H.265 without a sequence parameter set")


def _h265_name(profile: bytes) -> str:
    space = ("", "A", "B", "C")[profile[0] >> 6]
    tier = "H" if profile[0] & 0x20 else "L"
    compatible = int.from_bytes(profile[1:5], "big")
    reversed_flags = int(f"{compatible:032b}"[::-1], 2)
    constraints = [f"{byte:X}" for byte in profile[5:11].rstrip(b"\0")]
    return ".".join(
        (
            f"hev1.{space}{profile[0] & 0x1F}",
            f"{reversed_flags:X}",
            f"{tier}{profile[11]}",
            *constraints,
        )
    )


def unescaped(nal: bytes) -> bytes:
    """The bytes of a NAL unit without emulation prevention."""
    return nal.replace(b"\0\0\x03", b"\0\0")


def _h264_chroma(sps: bytes) -> tuple[int, int, int]:
    """Chroma format and bit depths over 8 from a high-profile SPS."""
    bits = _Bits(unescaped(sps[4:]))
    bits.golomb()  # seq_parameter_set_id
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    return chroma, bits.golomb(), bits.golomb()


class _Bits:
    """Reads bits from the left; beyond the end everything is one."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data[:32])
        self._at = 0

    def take(self, count: int) -> int:
        taken = self._bits[self._at : self._at + count].ljust(count, "1")
        self._at += count
        return int(taken, 2)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + (self.take(zeros) if zeros else 0)
