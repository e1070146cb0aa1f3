"""Out of the archive for others: whole fragments in clips, one per stream and format.

The same resolver as playback says which fragments a span is made of. Each goes into the
clip with every byte that was recorded, its private description too; only two numbers of
its ``moof``, its place and its base time, are the clip's own. The recorded ones are
handed on, so that whoever has the clip can put them back and find the recorded hash. A
fragment that is damaged on the disk is left out and named.

**Source**: docs/design/evidence-export.md, "Clips".
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from almenara.core.errors import MediaError, RecordingError
from almenara.core.ids import StreamId
from almenara.core.time import to_micros
from almenara.recording.boxes import find
from almenara.recording.fmp4 import read_description
from almenara.recording.index import FragmentRecord, SegmentRecord
from almenara.recording.playback import Piece, Playback

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFragment:
    """One fragment in a clip, and what its recording had in its place."""

    segment: SegmentRecord
    fragment: FragmentRecord
    offset_bytes: int
    """Of its description, in the clip."""

    length_bytes: int
    description_sha256: bytes
    number: int
    """Of the recorded ``moof``."""

    base_90k: int
    """Of the recorded ``moof``."""

    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenClip:
    """A clip that lies somewhere now."""

    init_bytes: int
    init_sha256: bytes
    origin: datetime
    """The instant of the first picture."""

    sha256: bytes
    """Of all of it."""

    size_bytes: int
    fragments: tuple[ClipFragment, ...]
    damaged: tuple[FragmentRecord, ...]
    """Left out: their bytes on the disk are no longer those that were recorded."""


def plan_clips(
    playback: Playback, stream_id: StreamId, start: datetime, end: datetime
) -> list[list[Piece]]:
    """The pieces of [start, end), a list per clip; blocking.

    The first clip begins with the last key picture at or before ``start``.
    """
    planned: list[list[Piece]] = []
    at = start
    while at < end and (pieces := playback.pieces(stream_id, at, end)):
        known = planned[-1][-1].fragment.ended_at if planned else None
        fresh = [p for p in pieces if known is None or p.fragment.started_at >= known]
        if not fresh:
            break
        planned.append(fresh)
        at = fresh[-1].fragment.ended_at
    return planned


def write_clip(
    playback: Playback, pieces: Sequence[Piece], write: Write
) -> WrittenClip | None:
    """Hand the bytes of one clip to ``write``, in order; blocking.

    Returns:
        What was written; None if not one fragment of it is whole.

    Raises:
        RecordingError: No file of this format has a whole init.
        MediaError: A fragment with the right hash has no header.
    """
    whole = hashlib.sha256()
    damaged: list[FragmentRecord] = []
    written: list[ClipFragment] = []
    at = init_bytes = 0
    origin: datetime | None = None

    def put(data: bytes) -> None:
        nonlocal at
        whole.update(data)
        write(data)
        at += len(data)

    for piece, data in _read(playback, pieces):
        if data is None:
            damaged.append(piece.fragment)
            continue
        if origin is None:
            origin = piece.fragment.started_at
            put(_init(playback, pieces))
            init_bytes = at
        row, delivered = _placed(
            piece, data, number=len(written) + 1, origin=origin, at=at
        )
        put(delivered)
        written.append(row)
    if origin is None:
        return None
    return WrittenClip(
        init_bytes=init_bytes,
        init_sha256=pieces[0].segment.init_sha256,
        origin=origin,
        sha256=whole.digest(),
        size_bytes=at,
        fragments=tuple(written),
        damaged=tuple(damaged),
    )


def _init(playback: Playback, pieces: Sequence[Piece]) -> bytes:
    """From the first file whose init is whole: all of one clip have the same."""
    places = {piece.segment.segment_id: piece.segment for piece in pieces}
    for segment in places.values():
        with suppress(FileNotFoundError):
            data = playback.init(segment)
            if hashlib.sha256(data).digest() == segment.init_sha256:
                return data
    raise RecordingError(
        f"{pieces[0].segment.segment_id}: no file of this format has its init; "
        "restore them from a copy, then export again"
    )


def _read(
    playback: Playback, pieces: Sequence[Piece]
) -> Iterator[tuple[Piece, bytes | None]]:
    for piece in pieces:
        yield piece, playback.fragment(piece)


def _placed(
    piece: Piece, data: bytes, *, number: int, origin: datetime, at: int
) -> tuple[ClipFragment, bytes]:
    """The fragment with its numbers of the clip, and those it had."""
    mfhd, tfdt = find(data, b"moof", b"mfhd"), find(data, b"moof", b"traf", b"tfdt")
    private = find(data, b"uuid")
    described = None if private is None else read_description(data, private)
    if private is None or mfhd is None or tfdt is None or tfdt.end - tfdt.body != 12:
        raise MediaError("a fragment without moof, mfhd or tfdt")
    changed = bytearray(data)
    (recorded_number,) = struct.unpack_from(">I", data, mfhd.body + 4)
    (recorded_90k,) = struct.unpack_from(">Q", data, tfdt.body + 4)
    struct.pack_into(">I", changed, mfhd.body + 4, number)
    struct.pack_into(
        ">Q", changed, tfdt.body + 4, elapsed_90k(origin, piece.fragment.started_at)
    )
    row = ClipFragment(
        segment=piece.segment,
        fragment=piece.fragment,
        offset_bytes=at,
        length_bytes=len(data),
        description_sha256=hashlib.sha256(data[: private.end]).digest(),
        number=recorded_number,
        base_90k=recorded_90k,
        clock="unknown" if described is None else described[0].clock,
    )
    return row, bytes(changed)


def elapsed_90k(origin: datetime, at: datetime) -> int:
    """From one instant to a later one in media time, to the nearest unit."""
    return ((to_micros(at) - to_micros(origin)) * 9 + 50) // 100
