"""Opens the media folders at a start, and keeps what is not ours apart.

The configured folder is recorded into if it is ours. If it is foreign, recording goes
on in a folder beside it (``NAME-2``, ``NAME-3``, …): an argument about old footage must
never cost new footage. Every folder of ours stays readable and is tidied, whichever of
them is recorded into.

**Source**: docs/design/store.md, "Identity".
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Protocol

import structlog

from almenara.core.errors import Fault
from almenara.core.time import Clock
from almenara.recording.files import make_folder
from almenara.recording.identity import (
    Identity,
    Mismatch,
    TargetRow,
    judge,
    locked,
    write_identity,
)

log = structlog.get_logger(__name__)

MEANINGS = {
    Mismatch.DAMAGED: "an identity file that cannot be read",
    Mismatch.OTHER_STORE: "media of another store",
    Mismatch.UNKNOWN: "media that this database does not know",
    Mismatch.DATABASE_OLD: "media newer than the database: was it restored?",
    Mismatch.MEDIA_OLD: "media older than the database: was the disk restored?",
    Mismatch.MISSING: "no identity file: is the right disk mounted?",
    Mismatch.COPY: "a copy of another media folder",
}


class TargetBook(Protocol):
    """Rows of media folders, as this module needs them; ``node.store`` keeps them."""

    def database_id(self, now: datetime) -> str:
        """The database's own uuid; made at the first call."""
        ...

    def begin_boot(self, boot_id: str, now: datetime) -> None:
        """Note a start."""
        ...

    def targets(self) -> dict[str, TargetRow]:
        """Every media folder, by uuid."""
        ...

    def add_target(self, target_id: str, path: Path, now: datetime) -> None:
        """A new folder, at generation 0.

        The first one takes over the segments from before folders had uuids.
        """
        ...

    def move_on(self, target_id: str, path: Path) -> int:
        """One generation on, before the file says so; returns it."""
        ...

    def confirm(self, target_id: str, generation: int) -> None:
        """The file says this generation now."""
        ...

    def has_nameless_segments(self) -> bool:
        """Whether there are segments from before folders had uuids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A media folder that is ours."""

    target_id: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTarget:
    """A media folder that is not written to."""

    path: Path
    why: Mismatch
    target_id: str | None
    """Of the row it once had; its old footage is still read."""

    def fault(self, recording_into: Path) -> Fault:
        """What an operator is told."""
        return Fault(
            place=str(self.path),
            found=MEANINGS[self.why],
            expected="the media folder of this store",
            cure=f"Recording goes on in {recording_into}. Mount the right disk, or "
            f"take it in: almenara store adopt {self.path}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTargets:
    """What a start found."""

    database_id: str
    boot_id: str
    ours: tuple[Target, ...]
    """The first is recorded into."""

    foreign: tuple[ForeignTarget, ...]

    @property
    def main(self) -> Target:
        return self.ours[0]

    def faults(self) -> tuple[Fault, ...]:
        """One per foreign folder."""
        return tuple(each.fault(self.main.path) for each in self.foreign)


def open_targets(directory: Path, book: TargetBook, clock: Clock) -> OpenTargets:
    """Procedure *open a store*, its steps 1 to 4; safe to repeat from any of them.

    Raises:
        StoreError: The store refused.
        OSError: No folder can be written.
    """
    directory = directory.absolute()
    now = clock.now()
    database_id, boot_id = book.database_id(now), str(uuid.uuid4())
    book.begin_boot(boot_id, now)  # 1
    if not book.targets() and book.has_nameless_segments():
        book.add_target(str(uuid.uuid4()), directory, now)
    ours, foreign = survey(directory, database_id, book.targets())  # 2, 4
    main = main_of(directory, ours, foreign)
    if main is None:
        path = _empty_place(directory, foreign)
        main = Target(target_id=str(uuid.uuid4()), path=path)
        book.add_target(main.target_id, main.path, now)
    ours = [main, *(each for each in ours if each != main)]
    for target in ours:
        make_folder(target.path)
        renew(target, database_id, boot_id, book)  # 3
    opened = OpenTargets(
        database_id=database_id,
        boot_id=boot_id,
        ours=tuple(ours),
        foreign=tuple(foreign),
    )
    for fault in opened.faults():
        log.error("media_folder_foreign", fault=str(fault))
    return opened


def survey(
    directory: Path, database_id: str, rows: Mapping[str, TargetRow]
) -> tuple[list[Target], list[ForeignTarget]]:
    """Sort every folder there is into ours and foreign; looks, and changes nothing."""
    ours: dict[str, Target] = {}
    foreign: list[ForeignTarget] = []
    seen: set[Path] = set()
    lost = (row.path for row in rows.values() if row.target_id not in ours)
    for folder in chain(_beside(directory), lost):
        if folder in seen:
            continue
        seen.add(folder)
        row, why = judge(folder, database_id, rows)
        same = (None, Mismatch.MEDIA_OLD, Mismatch.DATABASE_OLD)
        if row is not None and why in same and row.target_id in ours:
            row, why = None, Mismatch.COPY
        if why is not None:
            target_id = row.target_id if row else None
            foreign.append(ForeignTarget(path=folder, why=why, target_id=target_id))
        elif row is not None:
            ours[row.target_id] = Target(target_id=row.target_id, path=folder)
    named = {*ours, *(each.target_id for each in foreign)}
    foreign += [  # another folder stands where it was
        ForeignTarget(path=row.path, why=Mismatch.MISSING, target_id=row.target_id)
        for row in rows.values()
        if row.target_id not in named
    ]
    return list(ours.values()), foreign


def renew(target: Target, database_id: str, boot_id: str, book: TargetBook) -> Identity:
    """One generation on: the row, the file, the row again; safe to repeat."""
    with locked(target.path):
        generation = book.move_on(target.target_id, target.path)
        identity = Identity(
            database_id=database_id,
            target_id=target.target_id,
            generation=generation,
            boot_id=boot_id,
        )
        write_identity(target.path, identity)
        book.confirm(target.target_id, generation)
    return identity


def _beside(directory: Path) -> Iterator[Path]:
    """The configured folder and those that took its place, as far as they exist."""
    yield directory
    for number in count(2):
        folder = directory.with_name(f"{directory.name}-{number}")
        if not folder.exists():
            return
        yield folder


def main_of(
    directory: Path, ours: Sequence[Target], foreign: Sequence[ForeignTarget]
) -> Target | None:
    """Where to record: the configured folder, else one that took its place before."""
    if not any(each.path == directory for each in foreign):
        return next((each for each in ours if each.path == directory), None)
    beside = set(_beside(directory))
    return next((each for each in ours if each.path in beside), None)


def _empty_place(directory: Path, foreign: Sequence[ForeignTarget]) -> Path:
    """The configured folder unless it is foreign, else the first free one beside it."""
    if not any(each.path == directory for each in foreign):
        return directory
    *_, last = _beside(directory)
    number = 2 if last == directory else int(last.name.rpartition("-")[2]) + 1
    return directory.with_name(f"{directory.name}-{number}")
