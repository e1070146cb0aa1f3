"""Looks after what is kept: checks, repairs, and takes in what is foreign.

A check works beside a running node. Taking a folder in needs the node stopped: it holds
the store's lock, because a node opens its folders at its start alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from almenara.core.errors import StoreError
from almenara.core.time import Clock
from almenara.evidence.audit import AuditEntry
from almenara.node.config import Config
from almenara.node.store import audit
from almenara.node.store.database import Store, open_as_it_is, open_store
from almenara.node.store.inspection import SqlLedger
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.targets import SqlTargets, known_id
from almenara.recording.adopt import Adoption, Repair, adopt, repair
from almenara.recording.check import Flaw, FlawKind, Level, Progress, check
from almenara.recording.files import Files
from almenara.recording.identity import (
    IdentityDamagedError,
    Mismatch,
    TargetRow,
    read_identity,
)
from almenara.recording.targets import (
    MEANINGS,
    ForeignTarget,
    Target,
    renew,
    survey,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """A store and its media folders, to be looked at."""

    store: Store
    clock: Clock
    ours: Sequence[Target]
    foreign: Sequence[ForeignTarget]

    def flaws(self, level: Level, progress: Progress) -> Iterator[Flaw]:
        """Everything that is not as it was acknowledged, up to ``level``.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            self.store.check()
        except StoreError as error:
            yield Flaw(kind=FlawKind.DATABASE, detail=str(error))
        for each in self.foreign:
            yield Flaw(kind=FlawKind.FOREIGN, detail=MEANINGS[each.why], file=each.path)
        yield from check(
            SqlLedger(self.store),
            self.ours,
            level,
            now_s=self.clock.now().timestamp(),
            progress=progress,
        )

    def repair(self, flaws: Sequence[Flaw], entry: AuditEntry) -> Repair:
        """Mend what can be mended without losing anything; it stands in the audit.

        Raises:
            StoreError: The store refused.
        """
        self.store.submit(lambda db: audit.append(db, (entry,))).result()
        index = SqlSegmentIndex(self.store)
        return repair(flaws, self.ours, index, self.clock.now())


@contextmanager
def kept(config: Config, clock: Clock) -> Iterator[Keeping]:
    """The store of a configuration, as it is.

    Raises:
        StoreError: There is none, or it cannot be opened.
    """
    with open_as_it_is(config.store_place) as store:
        ours, foreign = _surveyed(config, store)
        yield Keeping(store=store, clock=clock, ours=ours, foreign=foreign)


def take_in(
    config: Config,
    folder: Path,
    clock: Clock,
    entry: AuditEntry,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Adoption:
    """Make a foreign media folder ours; safe to repeat after an interruption.

    Rows are rebuilt from the files' own words with the origin ``rebuilt``; what has
    rows keeps them. The folder's identity is written last.

    Raises:
        StoreError: The folder is not foreign, or a node runs.
        OSError: The disk refused.
    """
    folder = folder.absolute()
    with open_store(config.store_place, exclusive=True) as store:
        book = SqlTargets(store)
        database_id = book.database_id(clock.now())
        rows = book.targets()
        ours, foreign = survey(config.recording.directory.absolute(), database_id, rows)
        found = next((each for each in foreign if each.path == folder), None)
        if any(each.path == folder for each in ours):
            raise StoreError(f"{folder}: is this store's own; there is nothing to do")
        if found is None or not folder.is_dir():
            raise StoreError(
                f"{folder}: no foreign media folder; it must lie at or beside "
                "recording.directory, as NAME or NAME-2"
            )
        store.submit(lambda db: audit.append(db, (entry,))).result()
        target = Target(target_id=_name_for(found, rows), path=folder)
        if target.target_id not in rows:
            book.add_target(target.target_id, folder, clock.now())
        places = Files(folder).places()
        done = iter(range(1, len(places) + 1))
        adoption = adopt(
            target,
            SqlSegmentIndex(store),
            places,
            lambda: progress(next(done), len(places)),
        )
        renew(target, database_id, str(uuid4()), book)
    return adoption


def _name_for(found: ForeignTarget, rows: dict[str, TargetRow]) -> str:
    """The uuid a folder gets: the one it has, unless another folder has it too."""
    if found.why in (Mismatch.DATABASE_OLD, Mismatch.MEDIA_OLD, Mismatch.MISSING):
        return found.target_id or str(uuid4())
    try:
        said = read_identity(found.path)
    except IdentityDamagedError:
        return found.target_id or str(uuid4())
    free = said is not None and said.target_id not in rows
    return said.target_id if said is not None and free else str(uuid4())


def _surveyed(config: Config, store: Store) -> tuple[list[Target], list[ForeignTarget]]:
    """The first folder and those beside it, and every other area as configured."""
    database_id = store.read_now(known_id)
    rows = SqlTargets(store).targets()
    ours, foreign = survey(
        config.recording.directory.absolute(), database_id or "", rows
    )
    ours += [
        Target(target_id=name, path=area.directory)
        for name, area in config.recording.areas.items()
    ]
    return ours, foreign
