"""One stream's open file: bytes onto the disk first, then the row, then the promise.

The order is the whole point: new file, its directory, the fragment, ``fdatasync``, and
only then the index. A descriptor whose sync failed is never believed again: the file is
closed and a new one begun.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import hashlib
import os
import uuid
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap
from almenara.core.time import to_micros
from almenara.recording import fmp4
from almenara.recording.files import Files
from almenara.recording.index import FragmentRecord, SegmentIndex, SegmentRecord
from almenara.recording.segmenter import Fragment


class SegmentWriter:
    """Writes the fragments of one stream, a segment at a time; not for two threads."""

    def __init__(
        self, files: Files, index: SegmentIndex, *, target_id: str, labels: Labels
    ) -> None:
        self._files = files
        self._index = index
        self._target_id = target_id
        self._labels = labels
        self._fd: int | None = None
        self._segment: SegmentRecord | None = None
        self._size_bytes = 0

    @property
    def is_open(self) -> bool:
        return self._fd is not None

    def write(self, fragment: Fragment, gap: Gap | None) -> "Future[None]":
        """Make a fragment durable; the answer comes when its row is, too.

        Raises:
            OSError: The disk refused; call :meth:`abandon`.
            MediaError: The format's parameter sets cannot be read.
        """
        new = self._begun(fragment) if fragment.opens_segment else None
        fd, segment = self._fd, self._segment
        if fd is None or segment is None:
            raise OSError("the segment was abandoned")
        head, pieces = fmp4.fragment(
            fragment.samples,
            sequence=fragment.sequence + 1,
            base_90k=fragment.base_90k,
        )
        body = b"".join((head, *pieces))
        sha256 = hashlib.sha256(body)
        private = fmp4.describe(_description(fragment), sha256.digest())
        offset_bytes = self._size_bytes
        self._files.write(fd, (private, body))
        self._files.sync(fd)
        self._size_bytes += len(private) + len(body)
        return self._index.add(
            FragmentRecord(
                segment_id=segment.segment_id,
                sequence=fragment.sequence,
                offset_bytes=offset_bytes,
                length_bytes=len(private) + len(body),
                sha256=sha256.digest(),
                started_at=fragment.started_at,
                ended_at=fragment.ended_at,
                starts_with_key=fragment.starts_with_key,
            ),
            segment=new,
            gap=gap,
        )

    def seal(self) -> None:
        """No more for this file."""
        self._let_go()
        if self._segment is not None:
            self._index.seal(self._segment.segment_id).add_done_callback(_heard)
            self._segment = None

    def abandon(self) -> None:
        """The disk failed: keep what was acknowledged, believe nothing else."""
        self.seal()

    def _begun(self, fragment: Fragment) -> SegmentRecord:
        self.seal()
        init = fmp4.init_segment(fragment.format)
        segment = SegmentRecord(
            segment_id=new_segment_id(fragment.started_at),
            stream_id=fragment.stream_id,
            run=fragment.run,
            started_at=fragment.started_at,
            ended_at=fragment.ended_at,
            size_bytes=len(init),
            target_id=self._target_id,
            init_size_bytes=len(init),
            init_sha256=hashlib.sha256(init).digest(),
            labels=self._labels,
        )
        self._fd = self._files.create(segment.place)
        self._files.write(self._fd, (init,))
        self._files.sync(self._fd)
        self._files.sync_folder(segment.place)
        self._segment, self._size_bytes = segment, len(init)
        return segment

    def _let_go(self) -> None:
        if self._fd is not None:
            with suppress(OSError):  # nothing is lost by a close: all was synced
                os.close(self._fd)
            self._fd = None


def new_segment_id(at: datetime) -> SegmentId:
    """A uuid of version 7: sorts by time, never comes twice (RFC 9562, 5.7)."""
    value = (to_micros(at) // 1000 & (1 << 48) - 1) << 80
    value |= int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(3 << 62) | 2 << 62
    return SegmentId(str(uuid.UUID(int=value)))


def _description(fragment: Fragment) -> fmp4.Description:
    return fmp4.Description(
        stream_id=StreamId(fragment.stream_id),
        run=fragment.run,
        sequence=fragment.sequence,
        media_90k=fragment.media_90k,
        monotonic_us=fragment.monotonic_us,
        started_at=fragment.started_at,
        ended_at=fragment.ended_at,
        clock=fragment.clock,
        starts_with_key=fragment.starts_with_key,
        continues=fragment.continues,
    )


def _heard(answer: "Future[None]") -> None:
    """A seal that failed is done again at the next start."""
    answer.exception()
