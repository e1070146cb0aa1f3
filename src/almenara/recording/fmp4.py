"""Our own writer of fragmented MP4: pictures in, bytes out, nothing opened.

A file is one *init* (``ftyp``, ``moov``) and then fragments. A recorded fragment is a
private ``uuid`` box that describes it, a ``moof`` and an ``mdat``, so the index can be
rebuilt from the media alone and a torn tail is told from a whole one by its hash. NAL
units are carried byte for byte as they came, each behind its length; durations are
those measured, never those declared.

**Source**: ISO/IEC 14496-12:2015, 8.8 (fragments), 11.1 (uuid); ISO/IEC 14496-15:2017.
"""

import binascii
import hashlib
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from almenara.core.errors import MediaError
from almenara.core.ids import StreamId
from almenara.core.media import StreamFormat
from almenara.core.time import from_micros, to_micros
from almenara.recording.boxes import Box, box, find, full_box, walk
from almenara.recording.codecs import sample_entry

TIMESCALE = 90_000
TRACK = 1

DESCRIPTION = uuid.UUID("0a1e6a8e-59c4-4d0f-8d0c-6d61e7a31f01").bytes
"""The user type of our private box, first version."""

_DESCRIPTION = struct.Struct(">16sQIqqqqBBH32s")
"""Stream, run, sequence, media time, monotonic, wall start and end, clock, flags.

Then a check, and the hash of what follows. Times but the media time are microseconds.
The check is a CRC of the box's own words: no bit of a file is without a guard.
"""

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
KEY_FLAGS = 0x02000000
"""Depends on no other sample."""

DELTA_FLAGS = 0x01010000
"""Depends on others; no sync sample."""

STARTS_WITH_KEY, CONTINUES, CHECKED = 1, 2, 4
"""Without the last, of before it was introduced, the check is zero."""

_CHECK = slice(62, 64)
CLOCKS = ("camera", "file", "arrival")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture with its measured duration."""

    nal_units: tuple[bytes, ...]
    is_key: bool
    duration_90k: int
    composition_90k: int = 0
    """Presentation minus decoding time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a fragment says of itself."""

    stream_id: StreamId
    run: int
    sequence: int
    """Within its segment, from 0."""

    media_90k: int
    """The camera's own decoding time of the first picture."""

    monotonic_us: int
    """Our monotonic clock when the first picture came."""

    started_at: datetime
    ended_at: datetime
    clock: str
    """How the capture time is known, as ``core.media.TimeSource``."""

    starts_with_key: bool
    continues: bool = False
    """Closed by its age or size, not by the next key picture."""


def init_segment(stream_format: StreamFormat) -> bytes:
    """``ftyp`` and ``moov``: what a decoder needs, once per file.

    Raises:
        MediaError: If the parameter sets are missing or cut short.
    """
    width, height = stream_format.width_px, stream_format.height_px
    zero = struct.pack(">I", 0)
    stbl = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), sample_entry(stream_format)),
        full_box(b"stts", 0, 0, zero),
        full_box(b"stsc", 0, 0, zero),
        full_box(b"stsz", 0, 0, zero, zero),
        full_box(b"stco", 0, 0, zero),
    )
    dinf = box(
        b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
    )
    minf = box(b"minf", full_box(b"vmhd", 0, 1, bytes(8)), dinf, stbl)
    mdia = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, struct.pack(">8xIIHxx", TIMESCALE, 0, 0x55C4)),
        full_box(b"hdlr", 0, 0, struct.pack(">4x4s12x", b"vide"), b"Almenara\0"),
        minf,
    )
    tkhd = full_box(
        b"tkhd",
        0,
        3,
        struct.pack(">8xI4xI8xhhh2x", TRACK, 0, 0, 0, 0),
        MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )
    mvhd = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">8xIIIH10x", TIMESCALE, 0, 0x10000, 0x0100),
        MATRIX,
        bytes(24),
        struct.pack(">I", TRACK + 1),
    )
    trex = full_box(b"trex", 0, 0, struct.pack(">5I", TRACK, 1, 0, 0, 0))
    ftyp = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6iso5mp41")
    return ftyp + box(b"moov", mvhd, box(b"trak", tkhd, mdia), box(b"mvex", trex))


def fragment(
    samples: Sequence[Sample], *, sequence: int, base_90k: int
) -> tuple[bytes, list[bytes]]:
    """``moof`` and ``mdat`` of some pictures in decoding order.

    Args:
        samples: At least one.
        sequence: Of the ``moof`` in its file, from 1.
        base_90k: Decoding time of the first picture on the file's own time line.

    Returns:
        The ``moof`` with the header of the ``mdat``, and what follows it in pieces: NAL
        units are not copied together before they are written.
    """
    pieces: list[bytes] = []
    rows: list[bytes] = []
    total = 0
    for sample in samples:
        size = 0
        for nal in sample.nal_units:
            pieces += (len(nal).to_bytes(4, "big"), nal)
            size += 4 + len(nal)
        total += size
        rows.append(
            struct.pack(
                ">IIIi",
                sample.duration_90k,
                size,
                KEY_FLAGS if sample.is_key else DELTA_FLAGS,
                sample.composition_90k,
            )
        )
    moof_bytes = 8 + 16 + 8 + 16 + 20 + 20 + 16 * len(samples)
    moof = b"".join(
        (
            struct.pack(">I4sI4sII", moof_bytes, b"moof", 16, b"mfhd", 0, sequence),
            struct.pack(">I4s", moof_bytes - 24, b"traf"),
            struct.pack(">I4sII", 16, b"tfhd", 0x020000, TRACK),
            struct.pack(">I4sIQ", 20, b"tfdt", 1 << 24, base_90k),
            struct.pack(">I4sI", 20 + 16 * len(samples), b"trun", 1 << 24 | 0xF01),
            struct.pack(">Ii", len(samples), moof_bytes + 8),
            *rows,
            struct.pack(">I4s", 8 + total, b"mdat"),
        )
    )
    return moof, pieces


def describe(description: Description, sha256: bytes) -> bytes:
    """The private box before a recorded fragment; ``sha256`` is of what follows."""
    flags = STARTS_WITH_KEY * description.starts_with_key
    flags |= CONTINUES * description.continues | CHECKED
    payload = _DESCRIPTION.pack(
        uuid.UUID(description.stream_id).bytes,
        description.run,
        description.sequence,
        description.media_90k,
        description.monotonic_us,
        to_micros(description.started_at),
        to_micros(description.ended_at),
        CLOCKS.index(description.clock),
        flags,
        0,
        sha256,
    )
    check = _check(payload).to_bytes(2, "big")
    payload = payload[: _CHECK.start] + check + payload[_CHECK.stop :]
    return box(b"uuid", DESCRIPTION, payload)


def _check(payload: bytes) -> int:
    """CRC-16 of the payload with its check as zero; never zero itself."""
    plain = payload[: _CHECK.start] + bytes(2) + payload[_CHECK.stop :]
    return binascii.crc_hqx(plain, 0xFFFF) or 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFragment:
    """A complete fragment in a file, as the walker found it."""

    description: Description
    offset_bytes: int
    """Of its private box."""

    length_bytes: int
    """Private box, ``moof`` and ``mdat``."""

    sha256: bytes
    """As the private box claims; true if ``is_whole``."""

    is_whole: bool


def init_length(data: bytes | memoryview) -> int:
    """Bytes of ``ftyp`` and ``moov`` at the start of a file; 0 if not whole."""
    boxes = walk(data)
    first, second = next(boxes, None), next(boxes, None)
    if first is None or second is None:
        return 0
    return second.end if (first.kind, second.kind) == (b"ftyp", b"moov") else 0


def found_fragments(data: bytes | memoryview) -> list[FoundFragment]:
    """Every fragment of a recorded file, up to the first that is torn or odd."""
    found: list[FoundFragment] = []
    boxes = list(walk(data, init_length(data)))
    for private, moof, mdat in zip(boxes[::3], boxes[1::3], boxes[2::3], strict=False):
        kinds = (private.kind, moof.kind, mdat.kind)
        read = read_description(data, private)
        if kinds != (b"uuid", b"moof", b"mdat") or read is None:
            break
        description, sha256 = read
        digest = hashlib.sha256(data[moof.start : mdat.end]).digest()
        found.append(
            FoundFragment(
                description=description,
                offset_bytes=private.start,
                length_bytes=mdat.end - private.start,
                sha256=sha256,
                is_whole=digest == sha256,
            )
        )
    return found


def read_description(
    data: bytes | memoryview, private: Box
) -> tuple[Description, bytes] | None:
    """The private box's words and the hash it claims; None if it is none of ours."""
    body = bytes(data[private.body : private.end])
    if len(body) != 16 + _DESCRIPTION.size or body[:16] != DESCRIPTION:
        return None
    fields = _DESCRIPTION.unpack_from(body, 16)
    stream, run, sequence, media, monotonic, start, end, clock, flags, check, sha256 = (
        fields
    )
    if check != (_check(body[16:]) if flags & CHECKED else 0):
        return None
    try:
        description = Description(
            stream_id=StreamId(str(uuid.UUID(bytes=stream))),
            run=run,
            sequence=sequence,
            media_90k=media,
            monotonic_us=monotonic,
            started_at=from_micros(start),
            ended_at=from_micros(end),
            clock=CLOCKS[clock],
            starts_with_key=bool(flags & STARTS_WITH_KEY),
            continues=bool(flags & CONTINUES),
        )
    except (OverflowError, IndexError):
        return None
    return description, sha256


def delivered(data: bytes, *, sequence: int, base_90k: int) -> bytes:
    """A recorded fragment as a player gets it: our box gone, two numbers new.

    Raises:
        MediaError: If there is no ``moof`` with times in it.
    """
    moof, mfhd = find(data, b"moof"), find(data, b"moof", b"mfhd")
    tfdt = find(data, b"moof", b"traf", b"tfdt")
    if moof is None or mfhd is None or tfdt is None or tfdt.end - tfdt.body != 12:
        raise MediaError("a fragment without moof, mfhd or tfdt")
    patched = bytearray(data[moof.start :])
    struct.pack_into(">I", patched, mfhd.body - moof.start + 4, sequence)
    struct.pack_into(">Q", patched, tfdt.body - moof.start + 4, base_90k)
    return bytes(patched)
