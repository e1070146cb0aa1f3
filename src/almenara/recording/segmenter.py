"""Packets into fragments and fragments into segments: decisions, no files.

A fragment ends before the next key picture; where that takes too long, after two
seconds or eight mebibytes. A segment ends after at most a minute, with a change of
format and with its run. Everything lies on one time line that only moves forward: a
fragment begins where the last one ended, or later, and then there is a gap with a
cause.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from almenara.core.ids import StreamId
from almenara.core.media import Packet, StreamFormat
from almenara.core.time import EPOCH, to_micros
from almenara.recording.fmp4 import Sample
from almenara.recording.timing import MAX_STEP_90K, Pace

FRAGMENT_90K = 2 * 90_000
FRAGMENT_BYTES = 8 * 1024 * 1024
SLOT = timedelta(seconds=56)
"""Segments change at multiples of this, shifted per stream: not all at one instant."""

SEGMENT = timedelta(seconds=60)
CLOCK_STEP_S = 0.25
"""Our wall clock moved by more than this against the monotonic one: it was set."""

STRIKES = 3
"""Runs in a row whose media time failed before it is no longer asked at all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragment:
    """Pictures that become durable together."""

    stream_id: StreamId
    format: StreamFormat
    run: int
    opens_segment: bool
    sequence: int
    """Within its segment, from 0."""

    base_90k: int
    """Decoding time of the first picture since the start of its segment."""

    samples: tuple[Sample, ...]
    started_at: datetime
    ended_at: datetime
    media_90k: int
    monotonic_us: int
    clock: str
    starts_with_key: bool
    continues: bool
    cause: str
    """Why there is a hole before it, if there is one."""


@dataclass(slots=True)
class _Pending:
    packets: list[Packet] = field(default_factory=list)
    durations_90k: list[int] = field(default_factory=list)
    """Of all but the last."""

    size_bytes: int = 0


class Segmenter:
    """One stream's packets in, fragments out."""

    def __init__(
        self, stream_id: StreamId, *, not_before: datetime = EPOCH, run: int = 0
    ) -> None:
        self.stream_id = stream_id
        self.ended_at = not_before
        """Nothing after this instant has been put into a fragment."""

        self._run = run
        self._pending = _Pending()
        self._pace = Pace()
        self._strikes = 0
        self._format: StreamFormat | None = None
        self._last: Packet | None = None
        self._anchor: datetime | None = None
        self._elapsed_90k = 0
        self._waits_for_key = True
        self._flushed_90k: int | None = None
        self._segment_at: datetime | None = None
        self._segment_base_90k = 0
        self._sequence = 0
        self._cause = "unknown"
        micros = timedelta(microseconds=1)
        digest = hashlib.sha256(stream_id.encode()).digest()
        self._shift = int.from_bytes(digest[:4], "big") * micros % SLOT

    def add(self, packet: Packet) -> list[Fragment]:
        """Take the next packet; returns what it completed: none or one fragment."""
        done: list[Fragment] = []
        if packet.format is not self._format:
            done += self.end("unknown")
            self._format = packet.format
        elif self._clock_was_set(packet):
            done += self.end("clock", waits_for_key=self._waits_for_key)
        if self._waits_for_key and not packet.is_key:
            return done
        self._waits_for_key = False
        done += self._timed(packet)
        self._last = packet
        if self._waits_for_key and not packet.is_key:
            return done
        self._waits_for_key = False
        self._pending.packets.append(packet)
        self._pending.size_bytes += packet.size_bytes
        return done

    def flush(self) -> list[Fragment]:
        """Complete what waits: nothing came for a while, and it should be durable."""
        if not self._pending.packets:
            return []
        self._flushed_90k = self._pace.usual_90k
        self._pending.durations_90k.append(self._flushed_90k)
        return [self._closed(continues=True)]

    def end(self, cause: str, *, waits_for_key: bool = True) -> list[Fragment]:
        """End the run: what follows begins a new segment; ``cause`` names the hole."""
        done = self.flush()
        self._begin_run(cause)
        self._waits_for_key = waits_for_key
        return done

    def _begin_run(self, cause: str) -> None:
        self._run += 1
        self._cause = cause
        self._anchor = None
        self._segment_at = None
        self._elapsed_90k = 0
        self._last = None
        self._flushed_90k = None
        self._pace = Pace(trusts_media=self._strikes < STRIKES)

    def _timed(self, packet: Packet) -> list[Fragment]:
        """Give the picture before this one its duration; close what is complete."""
        trusted = self._pace.trusts_media
        step_90k = self._pace.step(packet)
        if step_90k is None:
            self._strikes = 0
            return self._after_hole(packet)
        if trusted and not self._pace.trusts_media:
            self._strikes += 1
        flushed_90k, self._flushed_90k = self._flushed_90k, None
        if flushed_90k is not None and abs(step_90k - flushed_90k) > 45_000:
            return self._after_hole(packet)
        return self._closed_if_full(packet, step_90k)

    def _closed_if_full(self, packet: Packet, step_90k: int) -> list[Fragment]:
        pending = self._pending
        if not pending.packets:
            return []
        pending.durations_90k.append(step_90k)
        if packet.is_key:
            return self._at_key()
        too_large = pending.size_bytes + packet.size_bytes > FRAGMENT_BYTES
        if too_large or sum(pending.durations_90k) >= FRAGMENT_90K:
            return [self._closed(continues=True)]
        return []

    def _at_key(self) -> list[Fragment]:
        done = [self._closed(continues=False)]
        if not self._pace.trusts_media and self._strikes < STRIKES:
            self._begin_run("clock")  # give its media time another chance
        return done

    def _after_hole(self, packet: Packet) -> list[Fragment]:
        done = self.end("camera_silent", waits_for_key=not packet.is_key)
        self._pace.step(packet)
        return done

    def _clock_was_set(self, packet: Packet) -> bool:
        if self._last is None:
            return False
        wall_s = (packet.received_at - self._last.received_at).total_seconds()
        monotonic_s = packet.received_monotonic_s - self._last.received_monotonic_s
        return abs(wall_s - monotonic_s) > CLOCK_STEP_S

    def _closed(self, *, continues: bool) -> Fragment:
        pending, self._pending = self._pending, _Pending()
        first, durations_90k = pending.packets[0], pending.durations_90k
        if self._anchor is None:
            self._anchor = max(self.ended_at, _least_delayed(pending))
        started_at = self._at(self._elapsed_90k)
        base_90k = self._elapsed_90k
        self._elapsed_90k += sum(durations_90k)
        self.ended_at = self._at(self._elapsed_90k)
        opens = self._segment_is_over(started_at, first)
        if opens:
            self._segment_at, self._segment_base_90k = started_at, base_90k
            self._sequence = 0
        fragment = Fragment(
            stream_id=self.stream_id,
            format=first.format,
            run=self._run,
            opens_segment=opens,
            sequence=self._sequence,
            base_90k=base_90k - self._segment_base_90k,
            samples=tuple(map(_sample, pending.packets, durations_90k)),
            started_at=started_at,
            ended_at=self.ended_at,
            media_90k=first.dts_90k,
            monotonic_us=round(first.received_monotonic_s * 1e6),
            clock=first.captured_by.value,
            starts_with_key=first.is_key,
            continues=continues,
            cause=self._cause,
        )
        self._sequence += 1
        return fragment

    def _at(self, elapsed_90k: int) -> datetime:
        """On our clock; whole microseconds, the same for an end and the next start."""
        assert self._anchor is not None  # noqa: S101  # set by the first fragment
        return self._anchor + timedelta(microseconds=elapsed_90k * 100 // 9)

    def _segment_is_over(self, started_at: datetime, first: Packet) -> bool:
        if self._segment_at is None or self.ended_at - self._segment_at > SEGMENT:
            return True
        begun, now = (
            (at - EPOCH + self._shift) // SLOT for at in (self._segment_at, started_at)
        )
        return first.is_key and begun != now


def _least_delayed(pending: _Pending) -> datetime:
    """When the first picture was taken, by the packet that lost least on its way."""
    elapsed_90k = 0
    starts = []
    durations_90k = [0, *pending.durations_90k]
    for packet, step_90k in zip(pending.packets, durations_90k, strict=False):
        elapsed_90k += step_90k
        starts.append(to_micros(packet.captured_at) - elapsed_90k * 100 // 9)
    return EPOCH + timedelta(microseconds=min(starts))


def _sample(packet: Packet, duration_90k: int) -> Sample:
    composition_90k = packet.pts_90k - packet.dts_90k
    if abs(composition_90k) > MAX_STEP_90K:  # one of the two has wrapped, or lies
        composition_90k = 0
    return Sample(
        nal_units=packet.nal_units,
        is_key=packet.is_key,
        duration_90k=duration_90k,
        composition_90k=composition_90k,
    )
