"""The evidence log in the store: a leaf is written with the row that it speaks of.

:func:`append` costs one insert. Leaves are numbered through all logs; a log begins at a
multiple of 256, so that a leaf's own number says whether it completes a tile. A tile
keeps the hashes of 256 neighbours and their root: every root and every proof is then
made of one tile per eight levels and the right edge of the tree. The database refuses
to change or remove a leaf, a tile or a checkpoint (triggers of migration 0003).

Leaves come from whoever writes, the node or a command beside it: nothing is kept in
memory between two transactions, and SQLite lets one writer in at a time.

Source: docs/design/evidence-log.md.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from almenara.core.errors import EvidenceError, StoreError
from almenara.core.time import to_micros
from almenara.evidence import leaves, merkle
from almenara.evidence.leaves import Leaf
from almenara.evidence.merkle import HASH_BYTES, TILE_LEVELS, TILE_WIDTH
from almenara.node.store.base import UtcMicros, metadata, next_number

log = sa.Table(
    "log",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("first_leaf", sa.Integer, nullable=False),
    sa.Column("begun_at", UtcMicros, nullable=False),
)
log_leaf = sa.Table(
    "log_leaf",
    metadata,
    sa.Column(
        "leaf_id",
        sa.BigInteger,
        primary_key=True,
        default=next_number("log_leaf", "leaf_id"),
    ),
    sa.Column("kind", sa.Integer, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
sa.Index("log_leaf_subject", log_leaf.c.kind, log_leaf.c.subject)

log_tile = sa.Table(
    "log_tile",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)
log_stream = sa.Table(
    "log_stream",
    metadata,
    sa.Column("stream_id", sa.Text, primary_key=True),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
)
personal_text = sa.Table(
    "personal_text",
    metadata,
    sa.Column("commitment", sa.LargeBinary, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
log_freeze = sa.Table(
    "log_freeze",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
_INSERT_LEAF = sa.insert(log_leaf)
_INSERT_TEXT = sa.insert(personal_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLog:
    """One log of this centre, and how far it has come."""

    log: int
    first_leaf: int
    """The number of its first leaf through all logs."""

    size: int
    """Leaves."""

    frozen_at: datetime | None = None
    """Since when no checkpoint of it is signed; its leaves go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLeaf:
    """A leaf and where it stands."""

    index: int
    """Within its log, from 0."""

    kind: int
    subject: str
    sha256: bytes
    """Its leaf hash, as it was when it was written."""

    data: bytes


def append(db: sa.Connection, *said: Leaf) -> tuple[bytes, ...]:
    """Write leaves in the caller's transaction: with their rows, or not at all.

    Returns:
        Their leaf hashes.
    """
    hashes = []
    for leaf in said:
        data = leaves.encode(leaf)
        hashes.append(merkle.leaf_hash(data))
        row = {
            "kind": int(leaf.kind),
            "subject": leaves.subject(leaf),
            "sha256": hashes[-1],
            "data": data,
        }
        (leaf_id,) = db.execute(_INSERT_LEAF, row).inserted_primary_key or (0,)
        if leaf_id % TILE_WIDTH == TILE_WIDTH - 1:
            _complete_tiles(db, leaf_id)
    return tuple(hashes)


def follow_stream(db: sa.Connection, stream_id: str) -> bytes | None:
    """The leaf hash of a stream's newest segment; None before the first."""
    newest = sa.select(log_stream.c.sha256).where(log_stream.c.stream_id == stream_id)
    found: bytes | None = db.execute(newest).scalar()
    return found


def lead_stream(db: sa.Connection, stream_id: str, sha256: bytes) -> None:
    """Note a stream's newest segment, for the next one to name."""
    row = {"stream_id": stream_id, "sha256": sha256}
    same = sa.update(log_stream).where(log_stream.c.stream_id == stream_id)
    if not db.execute(same.values(sha256=sha256)).rowcount:
        db.execute(sa.insert(log_stream), row)


def keep_text(db: sa.Connection, text: str) -> bytes:
    """Keep a personal text beside the log; returns what its leaf commits to."""
    salt = secrets.token_bytes(leaves.SALT_BYTES)
    kept = leaves.commitment(salt, text)
    row = {"commitment": kept, "salt": salt, "text": text}
    db.execute(_INSERT_TEXT, row)
    return kept


def erase_text(db: sa.Connection, kept: bytes, *, reason: str, at: datetime) -> None:
    """Destroy a personal text and its salt; every proof goes on to hold.

    Raises:
        StoreError: There is no such text, or no longer.
    """
    same = personal_text.c.commitment == kept
    if not db.execute(sa.delete(personal_text).where(same)).rowcount:
        raise StoreError(f"{kept.hex()}: no text is kept under this commitment")
    gone = leaves.Deletion(
        what=leaves.Deleted.TEXT,
        id=kept.hex(),
        at=at,
        reason=reason,
        stream_id=None,
        started_at=None,
        ended_at=None,
        size_bytes=None,
        sha256=kept,
    )
    append(db, gone)


def row_sha256(row: Mapping[Any, Any]) -> bytes:
    """A hash over a row, its columns by name; times count in microseconds."""
    plain = {
        name: value.hex()
        if isinstance(value, bytes)
        else to_micros(value)
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }
    return hashlib.sha256(leaves.canonical(plain)).digest()


def logs(db: sa.Connection) -> tuple[OpenLog, ...]:
    """All logs of this store, the first one first."""
    joined = sa.outerjoin(log, log_freeze, log.c.log == log_freeze.c.log)
    wanted = sa.select(log.c.log, log.c.first_leaf, log_freeze.c.at)
    begun = list(db.execute(wanted.select_from(joined).order_by(log.c.log)))
    return tuple(
        OpenLog(
            log=number,
            first_leaf=first,
            size=_count(db, first, begun[n + 1][1] if n + 1 < len(begun) else None),
            frozen_at=frozen_at,
        )
        for n, (number, first, frozen_at) in enumerate(begun)
    )


def newest(db: sa.Connection) -> OpenLog:
    """The log that is written to now."""
    return logs(db)[-1]


def freeze(db: sa.Connection, number: int, *, reason: str, at: datetime) -> None:
    """Sign no further checkpoint of this log: a witness refused one."""
    known = sa.select(log_freeze.c.log).where(log_freeze.c.log == number)
    if db.execute(known).scalar() is None:
        row = {"log": number, "at": at, "reason": reason}
        db.execute(sa.insert(log_freeze), row)


def open_next(
    db: sa.Connection, *, reason: str, by: str, continues: str | None, at: datetime
) -> OpenLog:
    """Leave a frozen log; the next one begins with why, and with what was witnessed.

    Raises:
        StoreError: The log is not frozen: there is no reason to leave it.
    """
    last = newest(db)
    if last.frozen_at is None:
        raise StoreError(f"log {last.log} is not frozen; it goes on")
    after = last.first_leaf + last.size
    first = -(-after // TILE_WIDTH) * TILE_WIDTH
    row = {"log": last.log + 1, "first_leaf": first, "begun_at": at}
    db.execute(sa.insert(log), row)
    opening = leaves.LogOpening(
        log=last.log + 1, at=at, reason=reason, by=by, continues=continues, earlier=()
    )
    data = leaves.encode(opening)
    leaf = {
        "leaf_id": first,
        "kind": int(opening.kind),
        "subject": leaves.subject(opening),
        "sha256": merkle.leaf_hash(data),
        "data": data,
    }
    db.execute(sa.insert(log_leaf), leaf)
    return newest(db)


class LogReader:
    """Roots and proofs of one log, from what is stored; for one transaction."""

    def __init__(self, db: sa.Connection, of: OpenLog) -> None:
        self._db = db
        self._of = of
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    @property
    def size(self) -> int:
        """Leaves when the reader was made."""
        return self._of.size

    def subtree(self, level: int, number: int) -> bytes:
        """Fulfils ``evidence.merkle.Subtree``.

        Raises:
            EvidenceError: Leaves or tiles are missing.
        """
        tile_level, within = divmod(level, TILE_LEVELS)
        shift = TILE_LEVELS - within
        hashes = self._tile(tile_level, number >> shift)
        try:
            return merkle.tile_subtree(hashes, within, number & ((1 << shift) - 1))
        except IndexError as error:
            raise EvidenceError(
                f"log {self._of.log} is damaged: {error}; almenara audit verify says "
                "where"
            ) from error

    def root_at(self, size: int) -> bytes:
        """The root of the first ``size`` leaves."""
        return merkle.root_at(size, self.subtree)

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """As ``evidence.merkle``."""
        return merkle.inclusion_proof(index, size, self.subtree)

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """As ``evidence.merkle``."""
        return merkle.consistency_proof(old, new, self.subtree)

    def leaf(self, index: int) -> StoredLeaf | None:
        """One leaf; None if the log does not reach so far."""
        return next(self.between(index, index + 1), None)

    def between(self, start: int, end: int) -> Iterator[StoredLeaf]:
        """The leaves [start, end), in order."""
        first = self._of.first_leaf
        wanted = sa.select(log_leaf).where(
            log_leaf.c.leaf_id >= first + start,
            log_leaf.c.leaf_id < first + min(end, self.size),
        )
        for row in self._db.execute(wanted.order_by(log_leaf.c.leaf_id)):
            yield StoredLeaf(
                index=row.leaf_id - first,
                kind=row.kind,
                subject=row.subject,
                sha256=_raw(row.sha256),
                data=_raw(row.data),
            )

    def find(self, kind: leaves.Kind, subject: str) -> tuple[StoredLeaf, ...]:
        """Every leaf of this log about one thing, the oldest first."""
        first = self._of.first_leaf
        wanted = sa.select(log_leaf.c.leaf_id).where(
            log_leaf.c.kind == int(kind),
            log_leaf.c.subject == subject,
            log_leaf.c.leaf_id >= first,
            log_leaf.c.leaf_id < first + self.size,
        )
        ids = self._db.execute(wanted.order_by(log_leaf.c.leaf_id)).scalars().all()
        found = (self.leaf(leaf_id - first) for leaf_id in ids)
        return tuple(each for each in found if each is not None)

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        key = (level, number)
        if key not in self._tiles:
            full = stored_tile(self._db, self._of.log, level, number)
            self._tiles[key] = full or self._edge(level, number)
        return self._tiles[key]

    def _edge(self, level: int, number: int) -> Sequence[bytes]:
        """The hashes of a tile that is not full yet."""
        return _below(self._db, self._of, level, number)


def stored_tile(
    db: sa.Connection, number_of_log: int, level: int, number: int
) -> tuple[bytes, ...]:
    """The hashes of a full tile; empty if it is not full."""
    wanted = sa.select(log_tile.c.hashes).where(
        log_tile.c.log == number_of_log,
        log_tile.c.level == level,
        log_tile.c.number == number,
    )
    packed: bytes | None = db.execute(wanted).scalar()
    return () if packed is None else _unpacked(packed)


def _complete_tiles(db: sa.Connection, leaf_id: int) -> None:
    """Write the tile that this leaf completes, and those above that it completes."""
    of = newest(db)
    number, level = leaf_id - of.first_leaf, 0
    while number % TILE_WIDTH == TILE_WIDTH - 1:
        number //= TILE_WIDTH
        hashes = _below(db, of, level, number)
        if len(hashes) != TILE_WIDTH:  # damaged; whoever writes a row must not suffer
            return
        row = {
            "log": of.log,
            "level": level,
            "number": number,
            "root": merkle.tile_subtree(hashes, TILE_LEVELS, 0),
            "hashes": b"".join(hashes),
        }
        db.execute(sa.insert(log_tile), row)
        level += 1


def _below(
    db: sa.Connection, of: OpenLog, level: int, number: int
) -> tuple[bytes, ...]:
    """A tile's hashes from what lies under it: leaves, or the roots of tiles."""
    start = number * TILE_WIDTH
    if level == 0:
        first = of.first_leaf + start
        own = (log_leaf.c.leaf_id >= first) & (log_leaf.c.leaf_id < first + TILE_WIDTH)
        own &= log_leaf.c.leaf_id < of.first_leaf + of.size
        wanted = sa.select(log_leaf.c.sha256).where(own).order_by(log_leaf.c.leaf_id)
    else:
        own = (log_tile.c.log == of.log) & (log_tile.c.level == level - 1)
        own &= (log_tile.c.number >= start) & (log_tile.c.number < start + TILE_WIDTH)
        wanted = sa.select(log_tile.c.root).where(own).order_by(log_tile.c.number)
    return tuple(db.execute(wanted).scalars())


def _count(db: sa.Connection, first: int, before: int | None) -> int:
    """Leaves from ``first`` on; they have no holes, so the last one tells."""
    own = log_leaf.c.leaf_id >= first
    if before is not None:
        own &= log_leaf.c.leaf_id < before
    last = db.execute(sa.select(sa.func.max(log_leaf.c.leaf_id)).where(own)).scalar()
    return 0 if last is None else last - first + 1


def _raw(found: object) -> bytes:
    """Bytes, even where somebody put text in their place."""
    return found if isinstance(found, bytes) else str(found).encode()


def _unpacked(packed: bytes) -> tuple[bytes, ...]:
    return tuple(
        packed[start : start + HASH_BYTES]
        for start in range(0, len(packed), HASH_BYTES)
    )
