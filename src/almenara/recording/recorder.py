"""Takes packets without waiting and makes them durable on a thread of its own.

``put`` counts what waits per stream. A stream whose waiting packets grow past the limit
stops at the next key picture until half of them are written: a gap with the cause
``backpressure``, never a silent loss and never a growing queue. The thread turns
packets into fragments, writes them, and tells everybody how far each stream is durable.
What is missing is said, too: a gap is opened within five seconds of the last packet and
closed by the next durable fragment, so that recorded time and gaps are all the time
there was.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

import structlog

from almenara.core.errors import MediaError, StoreError, StoreFullError
from almenara.core.ids import StreamId
from almenara.core.labels import Labels
from almenara.core.media import Gap, Packet
from almenara.core.time import EPOCH, Clock, to_micros
from almenara.recording.areas import FULL, Areas, as_areas
from almenara.recording.files import Files
from almenara.recording.index import SegmentIndex
from almenara.recording.segmenter import Fragment, Segmenter
from almenara.recording.threads import name_this_thread
from almenara.recording.writer import SegmentWriter

log = structlog.get_logger(__name__)

WAITING_BYTES = 16 * 1024 * 1024
WAITING_S = 30.0
TICK_S = 0.5
FLUSH_AFTER_S = 3.0
GAP_AFTER_S = 4.0
RETRY_S = 5.0

Durable = Callable[[StreamId, datetime], None]
"""Told after each acknowledgement, from another thread: durable up to this instant."""

Trouble = Callable[[StreamId, str], None]
"""Told when a stream cannot be recorded, from another thread: the gap's cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecording:
    """How one stream's recording stands."""

    stream_id: StreamId
    is_recording: bool
    durable_until: datetime | None
    gap_cause: str | None
    """Of the gap that lasts."""

    waiting_bytes: int
    refused_packets: int


@dataclass(eq=False, slots=True)
class _Stream:
    stream_id: StreamId
    segmenter: Segmenter
    writer: SegmentWriter
    due_from: datetime
    """End of what is recorded: a gap begins here. EPOCH: nothing was due yet."""

    last_packet_s: float
    unrecorded_from: datetime = EPOCH
    """Where its first gap would begin while nothing at all is durable."""

    gap: Gap | None = None
    noted_cause: str | None = None
    is_flushed: bool = True
    is_forgotten: bool = False
    retry_at_s: float | None = None
    failed_cause: str = "io_error"
    durable_until: datetime | None = None
    waiting_bytes: int = 0
    oldest_s: deque[float] = field(default_factory=deque)
    unanswered: list[tuple[datetime, "Future[None]"]] = field(default_factory=list)
    is_refusing: bool = False
    refused_packets: int = 0
    era: int = 0
    """Counts failures: an answer to something older is no news."""


class Recorder:
    """Records every stream into the areas; close it, or use it as a context."""

    def __init__(
        self,
        media: Path | Areas,
        index: SegmentIndex,
        clock: Clock,
        *,
        labels: Callable[[StreamId], Labels] = lambda _: Labels(),
        on_durable: Durable = lambda *_: None,
        on_trouble: Trouble = lambda *_: None,
        files: Files | None = None,
    ) -> None:
        self._areas = as_areas(media, files)
        self._index = index
        self._clock = clock
        self._labels = labels
        self._on_durable = on_durable
        self._on_trouble = on_trouble
        self._streams: dict[StreamId, _Stream] = {}
        self._early_bytes: dict[StreamId, int] = {}
        self._lock = threading.Lock()
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ticked_s = clock.monotonic_s()

    def start(self) -> Self:
        """Begin to write; packets put before wait."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, stream_id: StreamId) -> None:
        """From now on this stream is due: what is missing of it is a gap.

        Raises:
            ValueError: The id is no uuid.
        """
        uuid.UUID(stream_id)
        self._orders.put(partial(self._expect, stream_id))

    def forget(self, stream_id: StreamId) -> None:
        """The stream was taken away on purpose: its gap is ``planned``."""
        self._orders.put(partial(self._forget, stream_id))

    def note(self, stream_id: StreamId, cause: str | None) -> None:
        """Say why nothing comes, for the next gap: ``link``, ``camera_refused``."""
        self._orders.put(partial(self._note, stream_id, cause))

    def put(self, packet: Packet) -> None:
        """Take one packet; never waits.

        Raises:
            ValueError: The stream's id is no uuid.
        """
        stream = self._streams.get(packet.stream_id)
        if stream is None:
            self.expect(packet.stream_id)
            self._put_early(packet)
            return
        with self._lock:
            refuses = self._refuses(stream, packet)
            begins = refuses and not stream.is_refusing
            stream.is_refusing = refuses
            if refuses:
                stream.refused_packets += 1
            else:
                stream.waiting_bytes += packet.size_bytes
                stream.oldest_s.append(packet.received_monotonic_s)
        if begins:
            self._orders.put(partial(self._pause, stream))
        if not refuses:
            self._orders.put(partial(self._take, stream, packet))

    def _put_early(self, packet: Packet) -> None:
        """The thread does not know this stream yet: wait, within the same bounds."""
        waiting_bytes = self._early_bytes.get(packet.stream_id, 0) + packet.size_bytes
        if waiting_bytes <= WAITING_BYTES:
            self._early_bytes[packet.stream_id] = waiting_bytes
            self._orders.put(partial(self._first, packet))

    def durable_until(self, stream_id: StreamId) -> datetime | None:
        """The end of the last acknowledged fragment; None before the first."""
        stream = self._streams.get(stream_id)
        return stream.durable_until if stream else None

    def states(self) -> list[StreamRecording]:
        """How every stream stands, for people to see."""
        return [
            StreamRecording(
                stream_id=stream.stream_id,
                is_recording=stream.writer.is_open and stream.gap is None,
                durable_until=stream.durable_until,
                gap_cause=stream.gap.cause if stream.gap else None,
                waiting_bytes=stream.waiting_bytes,
                refused_packets=stream.refused_packets,
            )
            for stream in list(self._streams.values())
            if not stream.is_forgotten
        ]

    def written_bytes(self) -> int:
        """Since the start, of all streams."""
        return sum(s.writer.written_bytes for s in list(self._streams.values()))

    def close(self) -> None:
        """Write what waits, seal all, and note that everything from here is planned."""
        self._orders.put(None)
        if self._thread is not None:
            self._thread.join()

    # The rest runs on the thread alone.

    def _run(self) -> None:
        name_this_thread("recorder")
        while True:
            try:
                order = self._orders.get(timeout=TICK_S)
            except Empty:
                self.tick()
                continue
            if order is None:
                break
            try:
                order()
            except Exception:  # a bug with one packet must not end all recording
                log.exception("recorder_order_failed")
            if self._clock.monotonic_s() - self._ticked_s >= TICK_S:
                self.tick()
        for stream in self._streams.values():
            self._end(stream, "planned")

    def settle(self) -> None:
        """Do all that waits, here and now: for those who drive it without a thread."""
        while not self._orders.empty():
            order = self._orders.get()
            if order is not None:
                order()

    def tick(self) -> None:
        """Look after streams that send nothing."""
        self._ticked_s = now_s = self._clock.monotonic_s()
        for stream in self._streams.values():
            silent_s = now_s - stream.last_packet_s
            if silent_s >= FLUSH_AFTER_S and not stream.is_flushed:
                stream.is_flushed = True
                self._store(stream, stream.segmenter.flush())
            if silent_s >= GAP_AFTER_S and stream.gap is None:
                self._open_gap(stream, stream.noted_cause or "camera_silent")

    def _expect(self, stream_id: StreamId) -> None:
        stream = self._enrolled(stream_id)
        if stream.due_from == EPOCH:
            self._due(stream, self._clock.now())

    def _due(self, stream: _Stream, since: datetime) -> None:
        stream.due_from = stream.unrecorded_from = since

    def _enrolled(self, stream_id: StreamId) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            now = self._clock.now()
            until = self._index.last_end(stream_id)
            gap = self._index.open_gap(stream_id)
            stream = _Stream(
                stream_id=stream_id,
                segmenter=Segmenter(
                    stream_id, not_before=until or EPOCH, run=to_micros(now)
                ),
                writer=SegmentWriter(
                    self._areas,
                    self._index,
                    labels=self._labels(stream_id),
                ),
                due_from=gap.start if gap else until or EPOCH,
                last_packet_s=self._clock.monotonic_s(),
                unrecorded_from=gap.start if gap else EPOCH,
                gap=gap,
                durable_until=until,
            )
            self._streams[stream_id] = stream
        stream.is_forgotten = False
        return stream

    def _first(self, packet: Packet) -> None:
        self._take(self._enrolled(packet.stream_id), packet)

    def _forget(self, stream_id: StreamId) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._end(stream, "planned")
            stream.is_forgotten = True

    def _note(self, stream_id: StreamId, cause: str | None) -> None:
        self._enrolled(stream_id).noted_cause = cause

    def _refuses(self, stream: _Stream, packet: Packet) -> bool:
        """Whether too much waits; begins at a key picture unless it is far too much."""
        waiting_bytes = stream.waiting_bytes
        waited_s = (
            packet.received_monotonic_s - stream.oldest_s[0] if stream.oldest_s else 0.0
        )
        load = max(waiting_bytes / WAITING_BYTES, waited_s / WAITING_S)
        if stream.is_refusing:
            return load > 0.5 or not packet.is_key
        return load >= (1.0 if packet.is_key else 1.5)

    def _pause(self, stream: _Stream) -> None:
        self._store(stream, stream.segmenter.end("backpressure"))
        self._open_gap(stream, "backpressure")
        self._on_trouble(stream.stream_id, "backpressure")

    def _take(self, stream: _Stream, packet: Packet) -> None:
        with self._lock:
            if stream.oldest_s:
                stream.oldest_s.popleft()
                stream.waiting_bytes -= packet.size_bytes
        stream.last_packet_s = self._clock.monotonic_s()
        stream.is_flushed = stream.is_forgotten = False
        if stream.due_from == EPOCH:
            self._due(stream, min(packet.captured_at, self._clock.now()))
        if stream.retry_at_s is not None:
            if stream.last_packet_s < stream.retry_at_s or not packet.is_key:
                return
            stream.retry_at_s = None
        self._store(stream, stream.segmenter.add(packet))

    def _store(self, stream: _Stream, fragments: list[Fragment]) -> None:
        for fragment in fragments:
            if stream.retry_at_s is not None:
                return
            gap = self._gap_before(stream, fragment)
            try:
                answer = stream.writer.write(fragment, gap)
            except OSError as error:
                cause = "disk_full" if error.errno in FULL else "io_error"
                self._fail(stream, cause, error, since=fragment.started_at)
            except (MediaError, StoreError) as error:
                self._fail(stream, "unknown", error, since=fragment.started_at)
            else:
                stream.due_from = fragment.ended_at
                stream.gap = None
                stream.unanswered = [
                    (until, waiting)
                    for until, waiting in stream.unanswered
                    if not waiting.done()
                ]
                stream.unanswered.append((fragment.ended_at, answer))
                answer.add_done_callback(
                    partial(self._answered, stream, stream.era, fragment.ended_at)
                )

    def _gap_before(self, stream: _Stream, fragment: Fragment) -> Gap | None:
        start, end = stream.due_from, fragment.started_at
        if stream.gap is not None:
            return Gap(start=stream.gap.start, end=end, cause=stream.gap.cause)
        cause = stream.noted_cause or fragment.cause
        return Gap(start=start, end=end, cause=cause) if start < end else None

    def _answered(
        self, stream: _Stream, era: int, until: datetime, answer: "Future[None]"
    ) -> None:
        """The row is durable, or it is not; called by the store's thread."""
        error = answer.exception()
        if error is None:
            stream.durable_until = until
            self._on_durable(stream.stream_id, until)
        else:
            self._orders.put(partial(self._unanswered, stream, era, error))

    def _unanswered(self, stream: _Stream, era: int, error: BaseException) -> None:
        if era == stream.era:
            is_full = isinstance(error, StoreFullError)
            self._fail(stream, "disk_full" if is_full else "io_error", error)

    def _fail(
        self,
        stream: _Stream,
        cause: str,
        error: BaseException,
        *,
        since: datetime | None = None,
    ) -> None:
        """Believe only what was acknowledged, say so, and try again soon.

        A gap that lasted for another reason ends where there would have been pictures
        again, at ``since``: what is missing from there on is this failure's.
        """
        log.error(
            "recording_failed",
            stream_id=stream.stream_id,
            cause=cause,
            reason=str(error),
        )
        stream.era += 1
        stream.writer.abandon()
        stream.segmenter.end(cause)
        stream.due_from = self._acknowledged(stream)
        stream.segmenter.ended_at = stream.due_from
        stream.retry_at_s = self._clock.monotonic_s() + RETRY_S
        later, stream.gap = stream.gap, None
        if later is not None and later.start > stream.due_from:  # it begins earlier now
            none = Gap(start=later.start, end=later.start, cause=later.cause)
            self._index.put_gap(stream.stream_id, none)
        elif later is not None and since is not None and later.cause != cause:
            ended = Gap(start=later.start, end=since, cause=later.cause)
            self._index.put_gap(stream.stream_id, ended)
            stream.due_from = stream.segmenter.ended_at = since
        self._open_gap(stream, cause)
        self._on_trouble(stream.stream_id, cause)

    def _acknowledged(self, stream: _Stream) -> datetime:
        """How far the stream is durable once every row that waits has its answer."""
        if not stream.unanswered:
            return stream.durable_until or stream.unrecorded_from
        until = stream.durable_until
        wait([answer for _, answer in stream.unanswered])
        for ended_at, answer in stream.unanswered:
            if answer.exception() is None:
                until = ended_at
        stream.unanswered = []
        return until or stream.unrecorded_from

    def _end(self, stream: _Stream, cause: str) -> None:
        self._store(stream, stream.segmenter.end(cause))
        stream.writer.seal()
        if stream.gap is None:
            self._open_gap(stream, cause)

    def _open_gap(self, stream: _Stream, cause: str) -> None:
        if stream.due_from == EPOCH:
            self._due(stream, self._clock.now())
        gap = Gap(start=stream.due_from, end=None, cause=cause)
        stream.gap = gap
        answer = self._index.put_gap(stream.stream_id, gap)
        answer.add_done_callback(partial(self._gap_answered, stream, gap))

    def _gap_answered(self, stream: _Stream, gap: Gap, answer: "Future[None]") -> None:
        if answer.exception() is not None and stream.gap is gap:
            stream.gap = None  # the next tick says it again
