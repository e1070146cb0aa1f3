"""Puts recordings in order after whatever happened, before anything new is recorded.

Doomed files are finished. Segments that were open are compared with their rows: whole
fragments whose own hash matches are adopted, a torn tail is cut off, and they are
sealed. Every stream gets a gap from its last durable instant on. Files without a row
are adopted by what they say of themselves, or set aside; nothing without a tombstone is
unlinked.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import structlog

from almenara.core.errors import RecordingError
from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap
from almenara.core.time import EPOCH, Clock
from almenara.recording.areas import Areas, as_areas
from almenara.recording.files import Files
from almenara.recording.fmp4 import FoundFragment, found_fragments, init_length
from almenara.recording.index import (
    FragmentRecord,
    Origin,
    SegmentIndex,
    SegmentRecord,
    SegmentState,
)
from almenara.recording.janitor import answered, finish, settle
from almenara.recording.purge import PurgeJournal

log = structlog.get_logger(__name__)

RECENT = timedelta(days=1)
"""Files without a row are looked for on these days: today's and yesterday's."""

FAR = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """What was found, and done about it."""

    finished: int = 0
    """Deletions that were under way."""

    sealed: int = 0
    adopted_fragments: int = 0
    cut_bytes: int = 0
    """Of torn tails: never acknowledged."""

    lost_fragments: int = 0
    """Acknowledged, and not there: never without a broken disk or a hand in between."""

    adopted_files: int = 0
    set_aside: int = 0


def reconcile(
    media: Path | Areas,
    index: SegmentIndex,
    clock: Clock,
    *,
    files: Files | None = None,
    journal: PurgeJournal | None = None,
) -> Reconciliation:
    """Bring files and rows together; safe to repeat, blocking.

    An area whose disk refuses is failing from there on, and does not keep the others
    from being put in order.

    Raises:
        StoreError: The store refused.
    """
    work = _Work(as_areas(media, files), index)
    for segment in index.segments_in([SegmentState.DOOMED]):
        with work.braving(segment.target_id):
            finish(work.areas, index, segment)
            work.found.finished += 1
    if journal is not None:
        work.found.finished += settle(journal, work.areas, index, clock)
    for segment in index.segments_in([SegmentState.OPEN]):
        with work.braving(segment.target_id):
            work.close(segment)
    since = (clock.now() - RECENT).strftime("%Y%m%d")
    for area_id, kept in work.areas:
        with work.braving(area_id):
            for place in kept.places():
                if place[1] >= since and index.find(_segment_id(place)) is None:
                    work.adopt(area_id, kept, place)
    for stream_id in index.streams():
        work.mend_gaps(stream_id)
        last_end = index.last_end(stream_id)
        if last_end is not None and index.open_gap(stream_id) is None:
            gap = Gap(start=last_end, end=None, cause="restart")
            answered(index.put_gap(stream_id, gap))
    return work.found


class _Work:
    def __init__(self, areas: Areas, index: SegmentIndex) -> None:
        self.areas = areas
        self.found = Reconciliation()
        self._index = index

    @contextmanager
    def braving(self, area_id: str) -> Iterator[None]:
        """Go on with the rest when an area's disk refuses or is not there."""
        try:
            yield
        except RecordingError as error:
            log.error("reconciliation_skipped", area=area_id, reason=str(error))
        except OSError as error:
            log.error("reconciliation_failed", area=area_id, reason=str(error))
            self.areas.failed(area_id, error)

    def close(self, segment: SegmentRecord) -> None:
        """Make file and rows of an open segment agree, then seal it."""
        files, place = self.areas.own(segment.target_id), segment.place
        size_bytes = files.size_bytes(place) or 0
        if size_bytes < segment.size_bytes:
            self._mourn(segment, size_bytes)
        elif size_bytes > segment.size_bytes:
            data = files.read(place)
            tail = (f for f in found_fragments(data))
            new = [f for f in tail if f.offset_bytes >= segment.size_bytes]
            sequence = len(self._index.fragments(segment.segment_id))
            end = self._take(segment, new, sequence) or segment.size_bytes
            if end < size_bytes:
                files.cut(place, end)
                self.found.cut_bytes += size_bytes - end
        answered(self._index.seal(segment.segment_id))
        self.found.sealed += 1

    def adopt(self, area_id: str, files: Files, place: tuple[str, str, str]) -> None:
        """Give a file without a row its row back, or set it aside."""
        data = files.read(place)
        fragments = found_fragments(data)
        whole = bool(fragments) and fragments[0].is_whole
        if not whole or not self._belongs(place, fragments[0]):
            self.found.set_aside += 1
            aside = files.set_aside(place)
            log.warning("file_set_aside", path=str(aside), size_bytes=len(data))
            return
        init = data[: init_length(data)]
        first = fragments[0].description
        segment = SegmentRecord(
            segment_id=_segment_id(place),
            stream_id=first.stream_id,
            run=first.run,
            started_at=first.started_at,
            ended_at=first.ended_at,
            size_bytes=len(init),
            target_id=area_id,
            init_size_bytes=len(init),
            init_sha256=hashlib.sha256(init).digest(),
            labels=Labels(),
            origin=Origin.RECOVERED,
        )
        end = self._take(segment, fragments, 0, is_new=True) or len(init)
        if end < len(data):
            files.cut(place, end)
            self.found.cut_bytes += len(data) - end
        answered(self._index.seal(segment.segment_id))
        self.found.adopted_files += 1

    def mend_gaps(self, stream_id: StreamId) -> None:
        """No two gaps overlap: a store that refused may have kept one too many."""
        gaps = self._index.gaps(stream_id, EPOCH, FAR)
        for gap, following in pairwise(gaps):
            if gap.end is None or gap.end > following.start:
                mended = Gap(start=gap.start, end=following.start, cause=gap.cause)
                answered(self._index.put_gap(stream_id, mended))

    def _belongs(self, place: tuple[str, str, str], first: FoundFragment) -> bool:
        """Whether it lies where it says, after everything else of its stream."""
        said = first.description
        last_end = self._index.last_end(said.stream_id)
        day = said.started_at.strftime("%Y%m%d")
        is_later = last_end is None or said.started_at >= last_end
        return (said.stream_id, day) == place[:2] and said.sequence == 0 and is_later

    def _take(
        self,
        segment: SegmentRecord,
        fragments: Iterable[FoundFragment],
        sequence: int,
        *,
        is_new: bool = False,
    ) -> int | None:
        """Add rows for what is whole and in order; returns where that ends."""
        end = None
        for found in fragments:
            said = found.description
            wanted = (segment.stream_id, sequence)
            if not found.is_whole or (said.stream_id, said.sequence) != wanted:
                break
            if self._is_taken(segment, said.started_at, said.ended_at):
                break
            gap = self._gap_before(segment.stream_id, said.started_at, said.ended_at)
            record = FragmentRecord(
                segment_id=segment.segment_id,
                sequence=sequence,
                offset_bytes=found.offset_bytes,
                length_bytes=found.length_bytes,
                sha256=found.sha256,
                started_at=said.started_at,
                ended_at=said.ended_at,
                starts_with_key=said.starts_with_key,
            )
            new = segment if is_new and sequence == 0 else None
            answered(self._index.add(record, segment=new, gap=gap))
            self.found.adopted_fragments += 1
            sequence += 1
            end = found.offset_bytes + found.length_bytes
        return end

    def _is_taken(self, own: SegmentRecord, start: datetime, end: datetime) -> bool:
        """Whether other recordings of the stream lie there already."""
        others = self._index.segments(own.stream_id, start, end)
        return any(other.segment_id != own.segment_id for other in others)

    def _gap_before(
        self, stream_id: StreamId, start: datetime, end: datetime
    ) -> Gap | None:
        """What is left before ``start`` of the gap that lay there; the rest follows.

        A fragment that was written, but whose row was refused, lies in a gap that was
        noted at that moment and may have ended since.
        """
        for gap in self._index.gaps(stream_id, start, end):
            if gap.end is not None and gap.end > end:
                rest = Gap(start=end, end=gap.end, cause=gap.cause)
                answered(self._index.put_gap(stream_id, rest))
            return Gap(start=gap.start, end=start, cause=gap.cause)
        last_end = self._index.last_end(stream_id)
        if last_end is None or last_end >= start:
            return None
        return Gap(start=last_end, end=start, cause="restart")

    def _mourn(self, segment: SegmentRecord, size_bytes: int) -> None:
        lost = [
            fragment.sequence
            for fragment in self._index.fragments(segment.segment_id)
            if fragment.offset_bytes + fragment.length_bytes > size_bytes
        ]
        self.found.lost_fragments += len(lost)
        log.error(
            "acknowledged_fragments_lost",
            segment_id=segment.segment_id,
            stream_id=segment.stream_id,
            fragments=lost,
        )


def _segment_id(place: tuple[str, str, str]) -> SegmentId:
    return SegmentId(place[2].removesuffix(".mp4"))
