"""Puts recordings in order after whatever happened, before anything new is recorded.

Doomed files are finished. Segments that were open are compared with their rows: whole
fragments whose own hash matches are adopted, a torn tail is cut off, and they are
sealed. Every stream gets a gap from its last durable instant on. Files without a row
are adopted by what they say of themselves, or set aside; nothing without a tombstone is
unlinked.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap
from almenara.core.time import Clock
from almenara.recording.files import Files
from almenara.recording.fmp4 import FoundFragment, found_fragments, init_length
from almenara.recording.index import (
    FragmentRecord,
    Origin,
    SegmentIndex,
    SegmentRecord,
    SegmentState,
)
from almenara.recording.janitor import answered, finish

log = structlog.get_logger(__name__)

RECENT = timedelta(days=1)
"""Files without a row are looked for on these days: today's and yesterday's."""


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
    directory: Path,
    index: SegmentIndex,
    clock: Clock,
    *,
    target_id: str = "main",
    files: Files | None = None,
) -> Reconciliation:
    """Bring files and rows of one target together; safe to repeat, blocking.

    Raises:
        StoreError: The store refused.
        OSError: The disk refused.
    """
    directory.mkdir(parents=True, exist_ok=True)
    work = _Work(files or Files(directory), index, target_id)
    for segment in index.segments_in([SegmentState.DOOMED]):
        if segment.target_id == target_id:
            finish(work.files, index, segment)
            work.found.finished += 1
    for segment in index.segments_in([SegmentState.OPEN]):
        if segment.target_id == target_id:
            work.close(segment)
    since = (clock.now() - RECENT).strftime("%Y%m%d")
    for place in work.files.places():
        if place[1] >= since and index.find(_segment_id(place)) is None:
            work.adopt(place)
    for stream_id in index.streams():
        last_end = index.last_end(stream_id)
        if last_end is not None and index.open_gap(stream_id) is None:
            gap = Gap(start=last_end, end=None, cause="restart")
            answered(index.put_gap(stream_id, gap))
    return work.found


class _Work:
    def __init__(self, files: Files, index: SegmentIndex, target_id: str) -> None:
        self.files = files
        self._target_id = target_id
        self.found = Reconciliation()
        self._index = index

    def close(self, segment: SegmentRecord) -> None:
        """Make file and rows of an open segment agree, then seal it."""
        place = segment.place
        size_bytes = self.files.size_bytes(place) or 0
        if size_bytes < segment.size_bytes:
            self._mourn(segment, size_bytes)
        elif size_bytes > segment.size_bytes:
            data = self.files.read(place)
            tail = (f for f in found_fragments(data))
            new = [f for f in tail if f.offset_bytes >= segment.size_bytes]
            sequence = len(self._index.fragments(segment.segment_id))
            end = self._take(segment, new, sequence) or segment.size_bytes
            if end < size_bytes:
                self.files.cut(place, end)
                self.found.cut_bytes += size_bytes - end
        answered(self._index.seal(segment.segment_id))
        self.found.sealed += 1

    def adopt(self, place: tuple[str, str, str]) -> None:
        """Give a file without a row its row back, or set it aside."""
        data = self.files.read(place)
        fragments = found_fragments(data)
        whole = bool(fragments) and fragments[0].is_whole
        if not whole or not self._belongs(place, fragments[0]):
            self.found.set_aside += 1
            aside = self.files.set_aside(place)
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
            target_id=self._target_id,
            init_size_bytes=len(init),
            init_sha256=hashlib.sha256(init).digest(),
            labels=Labels(),
            origin=Origin.RECOVERED,
        )
        end = self._take(segment, fragments, 0, is_new=True) or len(init)
        if end < len(data):
            self.files.cut(place, end)
            self.found.cut_bytes += len(data) - end
        answered(self._index.seal(segment.segment_id))
        self.found.adopted_files += 1

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
            gap = self._gap_before(segment.stream_id, said.started_at)
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

    def _gap_before(self, stream_id: StreamId, start: datetime) -> Gap | None:
        lasting = self._index.open_gap(stream_id)
        if lasting is not None:
            return Gap(start=lasting.start, end=start, cause=lasting.cause)
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
