"""Proofs out of the evidence log, and the witness's memory.

A proof is made against the newest checkpoint that somebody outside vouches for and that
covers the leaf; where there is none, against the newest that covers it. What this
centre saw of a partner's log is read, judged and written in one transaction: the answer
leaves the house when it is durable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from almenara.core.errors import EvidenceError
from almenara.evidence import checkpoint, note, witness
from almenara.evidence.leaves import Kind
from almenara.evidence.note import Signer, Verifier
from almenara.evidence.tlog_proof import TlogProof
from almenara.evidence.witness import Cosigned, Refused, Request
from almenara.node.store import evidence_log
from almenara.node.store.database import Store
from almenara.node.store.evidence_log import LogReader, OpenLog, StoredLeaf
from almenara.node.store.vouchers import (
    StoredCheckpoint,
    log_checkpoint,
    log_cosignature,
    log_stamp,
    note_with_cosignatures,
    remember,
    seen,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedLeaf:
    """A leaf, where it stands, and all that proves it."""

    leaf: StoredLeaf
    proof: TlogProof
    head: StoredCheckpoint
    stamps: tuple[bytes, ...]
    """Replies of time-stamp authorities about that checkpoint."""


def prove(db: sa.Connection, kind: Kind, subject: str) -> tuple[ProvedLeaf, ...]:
    """Every leaf about one thing that a checkpoint covers, the oldest first.

    A leaf younger than the newest checkpoint is left out: sign one first.

    Raises:
        EvidenceError: The log is damaged.
    """
    found: list[ProvedLeaf] = []
    for of in evidence_log.logs(db):
        reader = LogReader(db, of)
        for leaf in reader.find(kind, subject):
            head = _head(db, of, leaf.index)
            if head is not None:
                found.append(_proved(db, reader, leaf, head))
    return tuple(found)


def request(db: sa.Connection, old_size: int) -> Request:
    """What this centre asks of a witness that saw ``old_size`` leaves of its log.

    Raises:
        EvidenceError: The witness saw more than there is, or the log is damaged.
    """
    of = evidence_log.newest(db)
    own = sa.select(log_checkpoint).where(log_checkpoint.c.log == of.log)
    newest = own.order_by(log_checkpoint.c.size.desc()).limit(1)
    head = db.execute(newest).mappings().first()
    if head is None or head["size"] < old_size:
        raise EvidenceError(
            f"log {of.log}: a witness saw {old_size} leaves, more than are signed; "
            "almenara audit verify says what is missing"
        )
    return Request(
        old_size=old_size,
        proof=LogReader(db, of).consistency_proof(old_size, head["size"]),
        checkpoint=note.parse(head["note"]),
    )


class SqlWitness:
    """This centre as the witness of its partners' logs."""

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        signer: Signer,
        trusted: Mapping[str, Iterable[Verifier]],
    ) -> None:
        self._store = store
        self._name = name
        self._signer = signer
        self._trusted = trusted

    async def add_checkpoint(self, body: str, at: datetime) -> Cosigned | Refused:
        """Answer a partner; a cosignature is durable before it is returned."""
        try:
            asked = witness.parse(body)
            origin = checkpoint.parse(asked.checkpoint.text).origin
        except ValueError as error:
            return Refused(status=400, reason=str(error))

        def work(db: sa.Connection) -> Cosigned | Refused:
            answer = witness.decide(
                asked,
                trusted=self._trusted,
                seen=seen(db, origin),
                name=self._name,
                signer=self._signer,
                at=at,
            )
            if isinstance(answer, Cosigned):
                remember(db, answer.seen, str(asked.checkpoint), at)
            return answer

        return await self._store.write(work)


def _head(db: sa.Connection, of: OpenLog, index: int) -> StoredCheckpoint | None:
    """The checkpoint to prove a leaf against."""
    covers = (log_checkpoint.c.log == of.log) & (log_checkpoint.c.size > index)
    vouched = sa.or_(
        *(
            sa.exists().where(
                table.c.log == log_checkpoint.c.log,
                table.c.size == log_checkpoint.c.size,
            )
            for table in (log_cosignature, log_stamp)
        )
    )
    order = (sa.case((vouched, 0), else_=1), log_checkpoint.c.size.desc())
    wanted = sa.select(log_checkpoint).where(covers).order_by(*order).limit(1)
    row = db.execute(wanted).mappings().first()
    return None if row is None else StoredCheckpoint(**row)


def _proved(
    db: sa.Connection, reader: LogReader, leaf: StoredLeaf, head: StoredCheckpoint
) -> ProvedLeaf:
    own = (log_stamp.c.log == head.log) & (log_stamp.c.size == head.size)
    stamps = db.execute(sa.select(log_stamp.c.reply).where(own)).scalars()
    proof = TlogProof(
        index=leaf.index,
        hashes=reader.inclusion_proof(leaf.index, head.size),
        checkpoint=note.parse(note_with_cosignatures(db, head)),
    )
    return ProvedLeaf(leaf=leaf, proof=proof, head=head, stamps=tuple(stamps))
