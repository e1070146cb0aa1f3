"""Checks the evidence log from its first leaf on: every hash, row and signature anew.

Nothing stored is believed: each leaf is hashed again, the tree is built again beside
what the tiles keep, each checkpoint is compared with the tree of that size, and the
signatures are checked with the keys that the log itself let in. A checkpoint that
somebody else kept shows whether the log was cut short or rewritten as a whole: nothing
inside the store can show that.

Source: docs/design/evidence-log.md, "What is checked".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from almenara.core.errors import EvidenceError
from almenara.evidence import checkpoint, leaves, merkle, note
from almenara.evidence.leaves import KeyEvent, KeyStep, LogOpening, key_statement
from almenara.evidence.merkle import TILE_WIDTH
from almenara.evidence.note import Verifier
from almenara.node.store import evidence_log
from almenara.node.store.evidence_log import LogReader, OpenLog, StoredLeaf
from almenara.node.store.evidence_rows import Fault, Read, RowCheck
from almenara.node.store.vouchers import log_checkpoint, log_cosignature, log_stamp

MOST_FINDINGS = 100
"""Beyond these the log is broken enough."""

StampFault = Callable[[str, bytes], str | None]
"""A checkpoint's note and a time stamp's reply to what is wrong with it."""

Progress = Callable[[int, int], None]
"""Leaves checked, leaves in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was written."""

    log: int
    leaf: int | None
    """The leaf's index; None where no leaf is left to name."""

    subject: str
    problem: str

    def __str__(self) -> str:
        place = f"log {self.log}" + ("" if self.leaf is None else f", leaf {self.leaf}")
        return f"{place}: {self.subject}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was checked, and what was found."""

    leaves: int
    checkpoints: int
    covered: int
    """Leaves of the newest log under its newest checkpoint."""

    cosignatures: int
    stamps: int
    older_rows: int
    """Rows older than the log: their number is vouched for, not each of them."""

    erased: int
    """Personal texts destroyed, as the log says."""

    unvouched_keys: int
    """Keys that entered without the signature of the one before."""

    findings: tuple[Finding, ...]
    """The first bad leaf first; at most a hundred."""

    @property
    def is_good(self) -> bool:
        """Whether all of it is as it was written."""
        return not self.findings


def check(
    db: sa.Connection,
    *,
    against: Sequence[str] = (),
    stamp_fault: StampFault = lambda _note, _reply: None,
    progress: Progress = lambda _done, _all: None,
) -> Verdict:
    """Check every log of this store.

    Args:
        db: A connection that sees one state of the store.
        against: Signed checkpoints that somebody else kept, as notes.
        stamp_fault: Says what is wrong with a time stamp of a checkpoint; None if
            nothing is, or if nobody can tell.
        progress: Told now and then how far it is.

    Raises:
        ValueError: One of ``against`` is no checkpoint of a log like ours.
    """
    whole = _Whole(db, progress)
    if not whole.logs:
        whole.found(1, None, "log", "there is no log")
    for number, of in enumerate(whole.logs):
        whole.check_log(of, number)
    whole.check_rows_left()
    whole.check_stamps(stamp_fault)
    whole.check_against(against)
    return whole.verdict()


@dataclass(slots=True)
class _Tree:
    """The tree of one log as it is built anew."""

    frontier: merkle.Frontier = merkle.EMPTY
    tile: list[bytes] = field(default_factory=list)
    due: int = 0
    """The index that the next leaf must have."""

    keys: list[Verifier] = field(default_factory=list)
    trusted_to: int = 0
    """The size of the last checkpoint whose root was right."""


class _Whole:
    """One check of one store."""

    def __init__(self, db: sa.Connection, progress: Progress) -> None:
        self._db = db
        self.logs = evidence_log.logs(db)
        self._all = sum(of.size for of in self.logs)
        self._done = 0
        self._progress = progress
        self._findings: list[Finding] = []
        self._rows = RowCheck(db)
        self._broken: list[tuple[int, int, int]] = []
        """Checkpoints of another tree: log, leaves that were right before, leaves."""

        self._checkpoints = 0
        self._covered = 0
        self._older = 0
        self._unvouched = 0

    def check_log(self, of: OpenLog, number: int) -> None:
        """Leaves, tiles, checkpoints of one log, in step."""
        if of.log != number + 1:
            self.found(of.log, None, "log", f"log {number + 1} is missing")
        tree = _Tree()
        heads = self._heads(of)
        head = next(heads, None)
        self._covered = 0
        reader = LogReader(self._db, of)
        for batch in _batches(reader.between(0, of.size)):
            read = []
            for leaf in batch:
                said = self._leaf(of, tree, leaf)
                read += [] if said is None else [said]
                while head is not None and head.size <= tree.frontier.size:
                    self._head(of, tree, head)
                    head = next(heads, None)
            for fault in self._rows.see(read):
                self._fault(of.log, fault)
            self._done += len(batch)
            self._progress(self._done, self._all)
        size = tree.frontier.size
        while head is not None:
            problem = f"cut short: {head.size} leaves were signed, {size} are left"
            self.found(of.log, size, "checkpoint", problem)
            head = next(heads, None)
        if size == of.size and _root(reader, size) != tree.frontier.root():
            self.found(of.log, None, "tiles", "do not make the tree of these leaves")

    def check_rows_left(self) -> None:
        """Rows that no leaf speaks of, and vouchers without their checkpoint."""
        for fault in self._rows.end():
            self._fault(len(self.logs), fault)
        known = [of.log for of in self.logs]
        stray = sa.select(log_checkpoint.c.log).where(
            log_checkpoint.c.log.not_in(known)
        )
        for log in self._db.execute(stray.distinct()).scalars():
            self.found(log, None, "checkpoint", "of a log that is not here")
        for table in (log_cosignature, log_stamp):
            same = (log_checkpoint.c.log == table.c.log) & (
                log_checkpoint.c.size == table.c.size
            )
            lost = sa.select(table.c.log, table.c.size).where(~sa.exists().where(same))
            for log, size in self._db.execute(lost.limit(10)):
                problem = f"vouches for a checkpoint of {size} leaves that is gone"
                self.found(log, size - 1, table.name, problem)

    def check_stamps(self, stamp_fault: StampFault) -> None:
        """Each time stamp against the checkpoint it is about."""
        same = (log_checkpoint.c.log == log_stamp.c.log) & (
            log_checkpoint.c.size == log_stamp.c.size
        )
        wanted = sa.select(
            log_stamp.c.log, log_stamp.c.size, log_stamp.c.reply, log_checkpoint.c.note
        ).join(log_checkpoint, same)
        for log, size, reply, text in self._db.execute(wanted):
            if (fault := stamp_fault(text, reply)) is not None:
                self.found(log, size - 1, "time stamp", fault)

    def check_against(self, kept: Sequence[str]) -> None:
        """Compare with checkpoints that somebody else kept."""
        heads = [checkpoint.parse(note.parse(text).text) for text in kept]
        same: dict[int, int] = {}
        for head in sorted(heads, key=lambda each: each.size):
            _, log = checkpoint.of_origin(head.origin)
            of = next((each for each in self.logs if each.log == log), None)
            if of is None:
                self.found(log, None, head.origin, "this log is gone")
                continue
            if head.size > of.size:
                problem = f"cut short: {head.size} leaves were seen, {of.size} are left"
                self.found(log, of.size, head.origin, problem)
                continue
            if _root(LogReader(self._db, of), head.size) != head.root:
                problem = f"not the {head.size} leaves that were seen elsewhere"
                self.found(log, same.get(log, 0), head.origin, problem)
            else:
                same[log] = head.size

    def verdict(self) -> Verdict:
        """What came of it."""
        self._name_broken()
        first = sorted(
            self._findings,
            key=lambda f: (f.log, self._all if f.leaf is None else f.leaf),
        )
        return Verdict(
            leaves=self._all,
            checkpoints=self._checkpoints,
            covered=self._covered,
            cosignatures=self._rows_of(log_cosignature),
            stamps=self._rows_of(log_stamp),
            older_rows=self._older,
            erased=self._rows.erased,
            unvouched_keys=self._unvouched,
            findings=tuple(first[:MOST_FINDINGS]),
        )

    def _name_broken(self) -> None:
        """A checkpoint bounds where the first bad leaf is, where nothing names it."""
        named = {(f.log, f.leaf) for f in self._findings if f.leaf is not None}
        for log, good, size in self._broken:
            if not any(log == at and good <= leaf < size for at, leaf in named):
                problem = (
                    f"not the {size} leaves that were signed: the first {good} are "
                    "the same, the first that is not lies behind them"
                )
                self.found(log, good, "checkpoint", problem)

    def _leaf(self, of: OpenLog, tree: _Tree, leaf: StoredLeaf) -> Read | None:
        """One leaf: its place, its bytes, its tile; read, if it can be."""
        if leaf.index != tree.due:
            self.found(of.log, tree.due, f"leaf {tree.due}", "is missing")
        tree.due = leaf.index + 1
        sha256 = merkle.leaf_hash(leaf.data)
        if sha256 != leaf.sha256:
            problem = "its bytes are not those that were hashed"
            self.found(of.log, leaf.index, leaf.subject, problem)
        tree.frontier = tree.frontier.append(sha256)
        tree.tile.append(sha256)
        if len(tree.tile) == TILE_WIDTH:
            self._tile(of, tree, tree.frontier.size - TILE_WIDTH)
            tree.tile.clear()
        try:
            said = leaves.decode(leaf.data)
        except ValueError as error:
            self.found(of.log, leaf.index, leaf.subject, str(error))
            return None
        if (leaf.kind, leaf.subject) != (said.kind, leaves.subject(said)):
            problem = "filed under something it does not speak of"
            self.found(of.log, leaf.index, leaf.subject, problem)
        self._special(of, tree, leaf.index, said)
        return Read(index=leaf.index, sha256=sha256, leaf=said)

    def _tile(self, of: OpenLog, tree: _Tree, start: int) -> None:
        kept = evidence_log.stored_tile(self._db, of.log, 0, start // TILE_WIDTH)
        if not kept:
            self.found(of.log, start, "tile", "its tile is missing")
        for within, (found, said) in enumerate(zip(tree.tile, kept, strict=False)):
            if found != said:
                problem = "not the leaf that its tile was made of"
                self.found(of.log, start + within, "tile", problem)
                break

    def _special(self, of: OpenLog, tree: _Tree, index: int, said: leaves.Leaf) -> None:
        """Leaves that change how the others are checked."""
        if isinstance(said, LogOpening):
            self._older += sum(each.rows for each in said.earlier)
        if isinstance(said, LogOpening) is not (index == 0):
            problem = "a log is opened by its first leaf, and by no other"
            self.found(of.log, index, "opening", problem)
        if isinstance(said, KeyEvent):
            self._key(of, tree, index, said)

    def _key(self, of: OpenLog, tree: _Tree, index: int, said: KeyEvent) -> None:
        statement = key_statement(said)
        before = tree.keys[-1].public_key if tree.keys else None
        by = [said.public_key]
        if said.step is KeyStep.SUCCEEDED:
            by.append(said.before or b"")
        good = len(by) == len(said.signatures) and all(
            note.is_signed(key, statement, signature)
            for key, signature in zip(by, said.signatures, strict=False)
        )
        if said.before != before or not good:
            problem = "a key that the key before it did not let in"
            self.found(of.log, index, said.name, problem)
            return
        if said.step is KeyStep.ENTERED and (before is not None or of.log > 1):
            self._unvouched += 1
        if said.step is KeyStep.REVOKED:
            gone = said.public_key
            tree.keys = [key for key in tree.keys if key.public_key != gone]
        else:
            tree.keys.append(checkpoint.key_of(said.name, said.public_key))

    def _heads(self, of: OpenLog) -> Iterator[sa.Row[tuple[object, ...]]]:
        wanted = sa.select(log_checkpoint).where(log_checkpoint.c.log == of.log)
        yield from self._db.execute(wanted.order_by(log_checkpoint.c.size))

    def _head(self, of: OpenLog, tree: _Tree, row: sa.Row[tuple[object, ...]]) -> None:
        """One checkpoint against the tree of its size."""
        self._checkpoints += 1
        try:
            head, _ = checkpoint.opened(row.note, tree.keys)
        except ValueError as error:
            self.found(of.log, tree.trusted_to, "checkpoint", str(error))
            return
        own = (head.size, head.root, checkpoint.of_origin(head.origin)[1])
        if own != (row.size, row.root, of.log):
            problem = f"the row of {row.size} leaves is not what was signed"
            self.found(of.log, row.size - 1, "checkpoint", problem)
        elif tree.frontier.root() != head.root:
            self._broken.append((of.log, tree.trusted_to, head.size))
        else:
            tree.trusted_to = self._covered = head.size

    def _rows_of(self, table: sa.Table) -> int:
        wanted = sa.select(sa.func.count()).select_from(table)
        return int(self._db.execute(wanted).scalar_one())

    def _fault(self, log: int, fault: Fault) -> None:
        self.found(log, fault.index, fault.subject, fault.problem)

    def found(self, log: int, leaf: int | None, subject: str, problem: str) -> None:
        """Note what is not as it was written."""
        if len(self._findings) < 10 * MOST_FINDINGS:
            self._findings.append(
                Finding(log=log, leaf=leaf, subject=subject, problem=problem)
            )


def _root(reader: LogReader, size: int) -> bytes | None:
    """The root by what the tiles say; None if they are damaged."""
    try:
        return reader.root_at(size)
    except EvidenceError:
        return None


def _batches(found: Iterator[StoredLeaf]) -> Iterator[list[StoredLeaf]]:
    batch: list[StoredLeaf] = []
    for leaf in found:
        batch.append(leaf)
        if len(batch) == TILE_WIDTH:
            yield batch
            batch = []
    if batch:
        yield batch
