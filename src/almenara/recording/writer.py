"""One stream's open file: bytes onto the disk first, then the row, then the promise.

The order is the whole point: new file, its directory, the fragment, ``fdatasync``, and
only then the index. A descriptor whose sync failed is never believed again: the file is
closed where its last acknowledged fragment ends, and the same fragment begins a new one
in the next area, at once.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from almenara.core.ids import SegmentId, StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap
from almenara.core.time import to_micros
from almenara.recording import fmp4
from almenara.recording.areas import Areas
from almenara.recording.files import Files
from almenara.recording.index import FragmentRecord, SegmentIndex, SegmentRecord
from almenara.recording.segmenter import Fragment


class SegmentWriter:
    """Writes the fragments of one stream, a segment at a time; not for two threads."""

    def __init__(self, areas: Areas, index: SegmentIndex, *, labels: Labels) -> None:
        self._areas = areas
        self._index = index
        self._labels = labels
        self._file: _OpenFile | None = None
        self.written_bytes = 0

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def write(self, fragment: Fragment, gap: Gap | None) -> "Future[None]":
        """Make a fragment durable; the answer comes when its row is, too.

        Raises:
            OSError: No area took it; call :meth:`abandon`.
            MediaError: The format's parameter sets cannot be read.
        """
        if fragment.opens_segment:
            self.seal()
        refused: list[str] = []
        while True:
            file = self._file
            try:
                if file is not None and not self._areas.has_room(file.area_id):
                    self.seal()
                    file = None
                if file is None:
                    file = self._begun(fragment, refused)
                return self._appended(file, fragment, gap)
            except _RefusedError as refusal:
                self.abandon()
                self._areas.failed(refusal.area_id, refusal.error)
                if refusal.area_id in refused:
                    raise refusal.error from None
                refused.append(refusal.area_id)

    def seal(self) -> None:
        """No more for this file."""
        file = self._let_go()
        if file is not None and not file.is_new:
            sealed = self._index.seal(file.segment.segment_id, file.size_bytes)
            sealed.add_done_callback(_heard)

    def abandon(self) -> None:
        """The disk failed: keep what was handed over, take off what followed.

        If even that is refused the segment stays open, and the next start cuts it.
        """
        file = self._let_go()
        if file is None:
            return
        place = file.segment.place
        with suppress(OSError):
            if file.is_new:
                file.files.unlink(place)
                return
            file.files.cut(place, file.size_bytes)
            sealed = self._index.seal(file.segment.segment_id, file.size_bytes)
            sealed.add_done_callback(_heard)

    def _let_go(self) -> "_OpenFile | None":
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # nothing is lost by a close: all was synced
                os.close(file.fd)
        return file

    def _begun(self, fragment: Fragment, refused: Sequence[str]) -> "_OpenFile":
        """A new file whose name and head are durable."""
        init = fmp4.init_segment(fragment.format)
        area_id, files = self._areas.choose(refused)
        segment = SegmentRecord(
            segment_id=new_segment_id(fragment.started_at),
            stream_id=fragment.stream_id,
            run=fragment.run,
            started_at=fragment.started_at,
            ended_at=fragment.ended_at,
            size_bytes=len(init),
            target_id=area_id,
            init_size_bytes=len(init),
            init_sha256=hashlib.sha256(init).digest(),
            labels=self._labels,
        )
        with _naming(area_id):
            self._file = file = _OpenFile(
                area_id=area_id,
                files=files,
                fd=files.create(segment.place),
                segment=segment,
                first=fragment,
                size_bytes=len(init),
            )
            files.write(file.fd, (init,))
            files.sync(file.fd)
            files.sync_folder(segment.place)
        return file

    def _appended(
        self, file: "_OpenFile", fragment: Fragment, gap: Gap | None
    ) -> "Future[None]":
        sequence = fragment.sequence - file.first.sequence
        head, pieces = fmp4.fragment(
            fragment.samples,
            sequence=sequence + 1,
            base_90k=fragment.base_90k - file.first.base_90k,
        )
        body = b"".join((head, *pieces))
        sha256 = hashlib.sha256(body)
        private = fmp4.describe(_description(fragment, sequence), sha256.digest())
        with _naming(file.area_id):
            file.files.write(file.fd, (private, body))
            file.files.sync(file.fd)
        record = FragmentRecord(
            segment_id=file.segment.segment_id,
            sequence=sequence,
            offset_bytes=file.size_bytes,
            length_bytes=len(private) + len(body),
            sha256=sha256.digest(),
            started_at=fragment.started_at,
            ended_at=fragment.ended_at,
            starts_with_key=fragment.starts_with_key,
        )
        new = file.segment if file.is_new else None
        file.size_bytes += record.length_bytes
        file.is_new = False
        self.written_bytes += record.length_bytes
        return self._index.add(record, segment=new, gap=gap)


@dataclass(slots=True, kw_only=True, eq=False)
class _OpenFile:
    area_id: str
    files: Files
    fd: int
    segment: SegmentRecord
    first: Fragment
    """Numbers and times in the file count from this one."""

    size_bytes: int
    """Init and every fragment that was handed to the index."""

    is_new: bool = True
    """No fragment of it was handed over."""


class _RefusedError(Exception):
    """An area's disk refused."""

    def __init__(self, area_id: str, error: OSError) -> None:
        super().__init__(area_id)
        self.area_id = area_id
        self.error = error


@contextmanager
def _naming(area_id: str) -> Iterator[None]:
    """Say whose disk it was."""
    try:
        yield
    except OSError as error:
        raise _RefusedError(area_id, error) from error


def new_segment_id(at: datetime) -> SegmentId:
    """A uuid of version 7: sorts by time, never comes twice (RFC 9562, 5.7)."""
    value = (to_micros(at) // 1000 & (1 << 48) - 1) << 80
    value |= int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(3 << 62) | 2 << 62
    return SegmentId(str(uuid.UUID(int=value)))


def _description(fragment: Fragment, sequence: int) -> fmp4.Description:
    return fmp4.Description(
        stream_id=StreamId(fragment.stream_id),
        run=fragment.run,
        sequence=sequence,
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
