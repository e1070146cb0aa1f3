"""Out of the archive again: what there is of a stream, and one film of any part of it.

A film begins with the last key picture before the wanted instant and carries the
recorded fragments as they are; only their numbers and times are new. A gap is a jump in
time. A film has one format: where the camera changed it, the film ends, and another one
can be asked for from there. Segments that are still written are readable up to the last
acknowledged fragment, and every fragment is compared with its hash on the way out.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from almenara.core.errors import RecordingError
from almenara.core.ids import StreamId
from almenara.core.media import Gap, Span, Timeline
from almenara.recording.areas import Areas, as_areas
from almenara.recording.files import Files
from almenara.recording.fmp4 import delivered
from almenara.recording.index import FragmentRecord, SegmentIndex, SegmentRecord

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(minutes=10)
"""How far before the wanted instant a key picture is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One fragment and the file it lies in."""

    segment: SegmentRecord
    fragment: FragmentRecord


class Playback:
    """Reads recordings; the file work runs in threads."""

    def __init__(
        self, media: Path | Areas, index: SegmentIndex, *, files: Files | None = None
    ) -> None:
        self._areas = as_areas(media, files)
        self._index = index

    async def timeline(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> Timeline:
        """What is durable of a stream in [start, end), cut to it.

        Spans that touch are one. A gap that lasts has no end.
        """
        return await asyncio.to_thread(self._timeline, stream_id, start, end)

    async def clip(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> AsyncGenerator[bytes]:
        """One fragmented MP4 from the last key picture before ``start`` on.

        The first picture has time zero; see :meth:`pieces` for when that was. Yields
        nothing if nothing is recorded there. Damaged fragments are left out.
        """
        pieces = await asyncio.to_thread(self.pieces, stream_id, start, end)
        if not pieces:
            return
        origin = pieces[0].fragment.started_at
        try:
            init = await asyncio.to_thread(self.init, pieces[0].segment)
        except OSError as error:  # gone, failing or not configured any more
            log.error("recording_unreadable", reason=str(error))
            return
        yield init
        for number, piece in enumerate(pieces, start=1):
            data = await asyncio.to_thread(self.fragment, piece)
            if data is not None:
                elapsed = piece.fragment.started_at - origin
                base_90k = round(elapsed / timedelta(seconds=1) * 90_000)
                yield delivered(data, sequence=number, base_90k=base_90k)

    def pieces(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> list[Piece]:
        """The fragments a film of [start, end) is made of, in order; blocking."""
        segments = self._index.segments(stream_id, start - LOOK_BACK, end)
        all_pieces = [
            Piece(segment=segment, fragment=fragment)
            for segment in segments
            for fragment in self._index.fragments(segment.segment_id)
            if fragment.started_at < end
        ]
        wanted = (i for i, p in enumerate(all_pieces) if p.fragment.ended_at > start)
        first = next(wanted, None)
        if first is None:
            return []
        begin = _key_for(all_pieces, first)
        return [] if begin is None else _of_one_format(all_pieces[begin:])

    def _timeline(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> Timeline:
        spans: list[Span] = []
        for segment in self._index.segments(stream_id, start, end):
            span = Span(
                start=max(start, segment.started_at), end=min(end, segment.ended_at)
            )
            if spans and spans[-1].end >= span.start:
                span = Span(start=spans.pop().start, end=span.end)
            spans.append(span)
        gaps = tuple(
            Gap(
                start=max(start, gap.start),
                end=gap.end and min(end, gap.end),
                cause=gap.cause,
            )
            for gap in self._index.gaps(stream_id, start, end)
        )
        return Timeline(spans=tuple(spans), gaps=gaps)

    def init(self, segment: SegmentRecord) -> bytes:
        """What a decoder needs before a segment's fragments; blocking.

        Raises:
            FileNotFoundError: The segment's file is gone, or its area is.
        """
        try:
            files = self._areas.files(segment.target_id)
        except RecordingError as error:
            raise FileNotFoundError(str(error)) from error
        return files.read(segment.place, 0, segment.init_size_bytes)

    def fragment(self, piece: Piece) -> bytes | None:
        """A fragment with its description, as recorded; None if damaged; blocking."""
        fragment = piece.fragment
        try:
            data = self._areas.files(piece.segment.target_id).read(
                piece.segment.place, fragment.offset_bytes, fragment.length_bytes
            )
        except (OSError, RecordingError):  # gone, failing or not configured any more
            data = b""
        private_bytes = int.from_bytes(data[:4], "big")
        if hashlib.sha256(data[private_bytes:]).digest() == fragment.sha256:
            return data
        log.error(
            "fragment_damaged",
            segment_id=fragment.segment_id,
            sequence=fragment.sequence,
        )
        return None


def _key_for(pieces: list[Piece], first: int) -> int | None:
    """Where decoding begins: back at a key picture, or on at the next one."""
    keys = [i for i, p in enumerate(pieces) if p.fragment.starts_with_key]
    before = [i for i in keys if i <= first and _follows(pieces, i, first)]
    after = [i for i in keys if i > first]
    return before[-1] if before else next(iter(after), None)


def _follows(pieces: list[Piece], begin: int, end: int) -> bool:
    """Whether one can be decoded on from the other: one run, one format."""
    first, last = pieces[begin].segment, pieces[end].segment
    return (first.run, first.init_sha256) == (last.run, last.init_sha256)


def _of_one_format(pieces: list[Piece]) -> list[Piece]:
    init_sha256 = pieces[0].segment.init_sha256
    for position, piece in enumerate(pieces):
        if piece.segment.init_sha256 != init_sha256:
            return pieces[:position]
    return pieces
