"""Where a package's proofs come from: the evidence log of this centre.

Each segment is proved against the newest checkpoint that somebody outside the centre
vouches for, if that one covers its leaf; else against the newest one. The verifier
tells the two apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from almenara.core.ids import CentreId, SegmentId
from almenara.evidence import checkpoint, note
from almenara.evidence.leaves import Kind
from almenara.evidence.package import SegmentProof, Stamp
from almenara.evidence.tlog_proof import TlogProof
from almenara.node.config import Config
from almenara.node.store.database import Store
from almenara.node.store.evidence_log import LogReader, OpenLog, StoredLeaf, logs
from almenara.node.store.vouchers import (
    StoredCheckpoint,
    current_key,
    key_events,
    log_checkpoint,
    log_cosignature,
    log_stamp,
    note_with_cosignatures,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heads:
    """The checkpoints of one log that proofs may lead to."""

    of: OpenLog
    best: tuple[StoredCheckpoint, ...]
    """The newest anchored one, then the newest; one if they are the same."""

    def over(self, index: int) -> StoredCheckpoint | None:
        """The first that covers a leaf."""
        return next((head for head in self.best if index < head.size), None)


class LogProofs:
    """Fulfils ``evidence.package.Proofs`` from the store; blocking."""

    def __init__(self, store: Store, centre_id: CentreId) -> None:
        self._store = store
        self._centre_id = centre_id

    def of_segments(
        self, segment_ids: Sequence[SegmentId]
    ) -> Mapping[SegmentId, SegmentProof]:
        def work(db: sa.Connection) -> dict[SegmentId, SegmentProof]:
            found: dict[SegmentId, SegmentProof] = {}
            for heads in _heads(db):
                reader = LogReader(db, heads.of)
                for segment_id in segment_ids:
                    leaf = _sealed(reader, segment_id)
                    if leaf and (head := heads.over(leaf.index)):
                        found[segment_id] = _proof(db, reader, leaf, head)
            return found

        return self._store.read_now(work)

    def stamps(self) -> Sequence[Stamp]:
        def work(db: sa.Connection) -> list[Stamp]:
            return [
                Stamp(
                    checkpoint=note_with_cosignatures(db, head).encode("utf-8"),
                    reply=reply,
                )
                for heads in _heads(db)
                for head in heads.best
                for reply in _replies(db, head)
            ]

        return self._store.read_now(work)

    def public_keys(self) -> Sequence[str]:
        """Of every log, the key that signs now or signed last."""

        def work(db: sa.Connection) -> list[str]:
            lines = []
            for of in logs(db):
                origin = checkpoint.origin(self._centre_id, of.log)
                if key := current_key(key_events(db, origin)):
                    lines.append(f"log {checkpoint.key_of(origin, key)}")
            return lines

        return self._store.read_now(work)


def log_proofs(store: Store, config: Config) -> LogProofs:
    """The log of this centre as the exporter asks it."""
    return LogProofs(store, CentreId(config.centre.id))


def _heads(db: sa.Connection) -> Iterator[_Heads]:
    anchors = sa.union(
        *(sa.select(t.c.log, t.c.size) for t in (log_cosignature, log_stamp))
    ).subquery()
    anchored = (log_checkpoint.c.log == anchors.c.log) & (
        log_checkpoint.c.size == anchors.c.size
    )
    for of in logs(db):
        mine = sa.select(log_checkpoint).where(log_checkpoint.c.log == of.log)
        newest = mine.order_by(log_checkpoint.c.size.desc()).limit(1)
        rows = [
            *db.execute(newest.join(anchors, anchored)).mappings(),
            *db.execute(newest).mappings(),
        ]
        best = dict.fromkeys(StoredCheckpoint(**row) for row in rows)
        yield _Heads(of=of, best=tuple(best))


def _sealed(reader: LogReader, segment_id: SegmentId) -> StoredLeaf | None:
    """The newest leaf about a segment."""
    found = reader.find(Kind.SEGMENT, segment_id)
    return found[-1] if found else None


def _proof(
    db: sa.Connection, reader: LogReader, leaf: StoredLeaf, head: StoredCheckpoint
) -> SegmentProof:
    proof = TlogProof(
        index=leaf.index,
        hashes=reader.inclusion_proof(leaf.index, head.size),
        checkpoint=note.parse(note_with_cosignatures(db, head)),
    )
    return SegmentProof(leaf=leaf.data, proof=str(proof).encode("utf-8"))


def _replies(db: sa.Connection, head: StoredCheckpoint) -> Sequence[bytes]:
    mine = (log_stamp.c.log == head.log) & (log_stamp.c.size == head.size)
    wanted = sa.select(log_stamp.c.reply).where(mine).order_by(log_stamp.c.authority)
    return db.execute(wanted).scalars().all()
