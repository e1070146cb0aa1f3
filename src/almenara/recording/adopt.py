"""Takes in what has no rows, from what the files say of themselves.

For two occasions, both ordered by a person: a foreign media folder, and single files
that a check found. A file is taken in whole or not at all; nothing here unlinks a file
unless its deletion is on record.

**Source**: docs/design/store.md, "Adopt" and "Repair".
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from almenara.core.ids import SegmentId
from almenara.core.labels import Labels
from almenara.recording.check import Flaw, FlawKind
from almenara.recording.files import Files
from almenara.recording.fmp4 import (
    DESCRIPTION,
    FoundFragment,
    found_fragments,
    init_length,
)
from almenara.recording.index import (
    FragmentRecord,
    Origin,
    SegmentRecord,
)
from almenara.recording.janitor import answered
from almenara.recording.targets import Target

log = structlog.get_logger(__name__)

NAMED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.mp4")
LOST = "lost"
"""Reason on the tombstone of a segment whose file is gone."""


class RebuildIndex(Protocol):
    """What taking in needs of the index."""

    def rebuild(
        self, record: SegmentRecord, fragments: Sequence[FragmentRecord]
    ) -> "Future[str | None]":
        """Take in a whole file that has no row; says why not."""
        ...

    def find(self, segment_id: SegmentId) -> SegmentRecord | None:
        """One segment in any state."""
        ...

    def doom(
        self, segment_ids: Sequence[SegmentId], reason: str, at: datetime
    ) -> "Future[list[SegmentRecord]]":
        """Choose for deletion those that are sealed and that no hold covers."""
        ...

    def bury(self, segment_id: SegmentId) -> "Future[None]":
        """Drop the rows of a doomed one, keep the tombstone."""
        ...


@dataclass(slots=True, kw_only=True)
class Adoption:
    """What became of the files."""

    adopted: int = 0
    known: int = 0
    """Had their rows already."""

    cut_bytes: int = 0
    refused: list[tuple[Path, str]] = field(default_factory=list)
    """Left where they are, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file as it describes itself."""

    record: SegmentRecord
    fragments: tuple[FragmentRecord, ...]
    torn_bytes: int
    """After the last whole fragment: of a write that was never finished."""


def described(place: tuple[str, str, str], data: bytes, target_id: str) -> Found | str:
    """Read a file's own words; a text says why they cannot be believed."""
    fragments = found_fragments(data)
    doubt = _doubt(place, data, fragments)
    if doubt is not None:
        return doubt
    first, last = fragments[0].description, fragments[-1]
    end = last.offset_bytes + last.length_bytes
    segment_id = SegmentId(Path(place[2]).stem)
    init = data[: init_length(data)]
    record = SegmentRecord(
        segment_id=segment_id,
        stream_id=first.stream_id,
        run=first.run,
        started_at=first.started_at,
        ended_at=last.description.ended_at,
        size_bytes=end,
        target_id=target_id,
        init_size_bytes=len(init),
        init_sha256=hashlib.sha256(init).digest(),
        labels=Labels(),
        origin=Origin.REBUILT,
    )
    rows = tuple(_row(segment_id, each) for each in fragments)
    return Found(record=record, fragments=rows, torn_bytes=len(data) - end)


def _doubt(
    place: tuple[str, str, str], data: bytes, fragments: Sequence[FoundFragment]
) -> str | None:
    """Why a file cannot be taken in; one torn write at its end is no reason."""
    if not fragments:
        return "it has no fragment of ours"
    if not NAMED.fullmatch(place[2]):
        return "its name is none of ours"
    first, last = fragments[0].description, fragments[-1]
    end = last.offset_bytes + last.length_bytes
    damaged = [f.description.sequence for f in fragments if not f.is_whole]
    if not damaged and data.count(DESCRIPTION, end) > 1:
        damaged = [len(fragments)]
    if damaged:
        return f"fragment {damaged[0]} is damaged"
    said = [(f.description.stream_id, f.description.sequence) for f in fragments]
    if said != [(first.stream_id, number) for number in range(len(said))]:
        return "its fragments do not belong together"
    is_home = place[:2] == (first.stream_id, f"{first.started_at:%Y%m%d}")
    return None if is_home else "it lies where another stream or day belongs"


def adopt(
    target: Target,
    index: RebuildIndex,
    places: Iterable[tuple[str, str, str]],
    progress: Callable[[], None] = lambda: None,
) -> Adoption:
    """Give files of a folder their rows; safe to repeat, blocking.

    Raises:
        StoreError: The store refused.
        OSError: The disk refused.
    """
    done = Adoption()
    files = Files(target.path)
    for place in places:
        known = index.find(SegmentId(Path(place[2]).stem))
        if known is not None:
            done.known += 1
        else:
            _take_in(target, index, files, place, done)
        progress()
    return done


def _take_in(
    target: Target,
    index: RebuildIndex,
    files: Files,
    place: tuple[str, str, str],
    done: Adoption,
) -> None:
    path = target.path.joinpath(*place)
    found = described(place, files.read(place), target.target_id)
    if isinstance(found, str):
        done.refused.append((path, found))
        return
    reason = answered(index.rebuild(found.record, found.fragments))
    if reason is not None:
        done.refused.append((path, reason))
        return
    if found.torn_bytes:  # after the rows: a crash in between leaves it too long
        files.cut(place, found.record.size_bytes)
        done.cut_bytes += found.torn_bytes
    done.adopted += 1


@dataclass(slots=True, kw_only=True)
class Repair:
    """What a repair did; the flaws that are left need a person or a backup."""

    adopted: int = 0
    set_aside: int = 0
    unlinked: int = 0
    buried: int = 0
    left: list[Flaw] = field(default_factory=list)


def repair(
    flaws: Iterable[Flaw],
    targets: Sequence[Target],
    index: RebuildIndex,
    now: datetime,
) -> Repair:
    """Mend what can be mended without losing anything; blocking.

    A file without a row is taken in, or moved to ``quarantine``. A file whose deletion
    is on record is unlinked. A row whose file is gone becomes a tombstone that says
    *lost*, unless a hold keeps it. Damaged bytes stay: only a copy can mend them.

    Raises:
        StoreError: The store refused.
        OSError: The disk refused.
    """
    done = Repair()
    for flaw in flaws:
        target = next((t for t in targets if _is_in(flaw, t)), None)
        if target is None or not _mended(flaw, target, index, now, done):
            done.left.append(flaw)
    return done


def _mended(
    flaw: Flaw, target: Target, index: RebuildIndex, now: datetime, done: Repair
) -> bool:
    path, segment_id = flaw.file, flaw.segment_id
    if path is None or segment_id is None:
        return False
    place = (path.parts[-3], path.parts[-2], path.parts[-1])
    files = Files(target.path)
    if flaw.kind is FlawKind.ORPHAN:
        adoption = Adoption()
        _take_in(target, index, files, place, adoption)
        done.adopted += adoption.adopted
        for _, reason in adoption.refused:
            aside = files.set_aside(place)
            log.warning("file_set_aside", path=str(aside), reason=reason)
            done.set_aside += 1
        return True
    if flaw.kind is FlawKind.UNDEAD:
        files.unlink(place)
        done.unlinked += 1
        return True
    if flaw.kind is FlawKind.MISSING and not path.exists():
        for doomed in answered(index.doom([segment_id], LOST, now)):
            answered(index.bury(doomed.segment_id))
            done.buried += 1
            return True
    return False


def _is_in(flaw: Flaw, target: Target) -> bool:
    return flaw.file is not None and flaw.file.is_relative_to(target.path)


def _row(segment_id: SegmentId, found: FoundFragment) -> FragmentRecord:
    said = found.description
    return FragmentRecord(
        segment_id=segment_id,
        sequence=said.sequence,
        offset_bytes=found.offset_bytes,
        length_bytes=found.length_bytes,
        sha256=found.sha256,
        started_at=said.started_at,
        ended_at=said.ended_at,
        starts_with_key=said.starts_with_key,
    )
