"""What vouches for the evidence log: keys, checkpoints, cosignatures, time stamps.

Keys are not in a table: the log's own leaves say which came when. A checkpoint is made
in one transaction with the reading of its root, so that two who sign at once, the node
and a command, never sign two roots of one size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from almenara.evidence import leaves
from almenara.evidence.checkpoint import Checkpoint, key_of
from almenara.evidence.leaves import KeyEvent, KeyStep, Kind
from almenara.evidence.note import Note
from almenara.node.store import evidence_log
from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.node.store.evidence_log import LogReader, OpenLog, log_leaf

log_checkpoint = sa.Table(
    "log_checkpoint",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, primary_key=True),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
)
log_cosignature = sa.Table(
    "log_cosignature",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, primary_key=True),
    sa.Column("witness", sa.Text, primary_key=True),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
)
log_stamp = sa.Table(
    "log_stamp",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, primary_key=True),
    sa.Column("authority", sa.Text, primary_key=True),
    sa.Column("reply", sa.LargeBinary, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
)
witness_seen = sa.Table(
    "witness_seen",
    metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
)

Sign = Callable[[OpenLog, bytes], Note]
"""A log, with its size, and its root, to a signed checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint as it was signed."""

    log: int
    size: int
    root: bytes
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """One log at a glance."""

    log: int
    leaves: int
    begun_at: datetime
    checkpoint: StoredCheckpoint | None
    """The newest."""

    key: str | None
    """Which key signs, as it is handed over."""

    cosignatures: int
    stamps: int
    frozen_at: datetime | None

    def shown(self) -> dict[str, object]:
        """As a row for people and programs."""
        head = self.checkpoint
        return {
            "log": self.log,
            "leaves": self.leaves,
            "begun": self.begun_at.isoformat(timespec="seconds"),
            "covered": head.size if head else 0,
            "signed": head.at.isoformat(timespec="seconds") if head else "never",
            "root": head.root.hex() if head else "none",
            "cosignatures": self.cosignatures,
            "stamps": self.stamps,
            "state": "frozen" if self.frozen_at else "open",
            "key": self.key or "none",
        }


class SqlEvidenceLog:
    """The log as the node uses it; each call is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, *said: leaves.Leaf) -> None:
        """Write leaves that speak of no row: keys, releases, clocks."""
        await self._store.write(lambda db: evidence_log.append(db, *said))

    async def newest(self) -> OpenLog:
        """The log that is written to now."""
        return await self._store.read(evidence_log.newest)

    async def key_events(self, name: str) -> tuple[KeyEvent, ...]:
        """What became of the keys that sign for this origin, the oldest first."""
        return await self._store.read(lambda db: key_events(db, name))

    async def last_release(self) -> str | None:
        """Which version of the program wrote last, as the log says."""
        own = log_leaf.c.kind == int(Kind.RELEASE)
        wanted = sa.select(log_leaf.c.subject).where(own)
        wanted = wanted.order_by(log_leaf.c.leaf_id.desc()).limit(1)
        return await self._store.read(lambda db: db.execute(wanted).scalar())

    async def sign(self, sign: Sign, at: datetime) -> StoredCheckpoint | None:
        """Sign the newest log as it is now.

        Returns:
            The new checkpoint; None if nothing was added, or if the log is frozen.
        """
        return await self._store.write(lambda db: _sign(db, sign, at))

    async def checkpoints(self, *, limit: int = 1) -> tuple[StoredCheckpoint, ...]:
        """The newest checkpoints, the newest first."""
        return await self._store.read(lambda db: newest_checkpoints(db, limit))

    async def cosigned(
        self, of: StoredCheckpoint, witness: str, line: str, at: datetime
    ) -> None:
        """Keep a witness's signature line; repeating changes nothing."""
        row = {"log": of.log, "size": of.size, "witness": witness}
        row |= {"line": line, "at": at}
        await self._store.write(lambda db: _keep(db, log_cosignature, row))

    async def stamped(
        self, of: StoredCheckpoint, authority: str, reply: bytes, at: datetime
    ) -> None:
        """Keep an authority's time stamp; repeating changes nothing."""
        row = {"log": of.log, "size": of.size, "authority": authority}
        row |= {"reply": reply, "at": at}
        await self._store.write(lambda db: _keep(db, log_stamp, row))

    async def anchored(self) -> datetime | None:
        """When the newest checkpoint was made that somebody else vouches for."""
        return await self._store.read(last_anchor)

    async def freeze(self, log: int, *, reason: str, at: datetime) -> None:
        """As ``evidence_log.freeze``."""
        await self._store.write(
            lambda db: evidence_log.freeze(db, log, reason=reason, at=at)
        )

    async def open_next(self, *, reason: str, by: str, at: datetime) -> OpenLog:
        """Leave a frozen log; the next begins with the last witnessed checkpoint.

        Raises:
            StoreError: The log is not frozen.
        """

        def work(db: sa.Connection) -> OpenLog:
            continues = last_witnessed(db, evidence_log.newest(db).log)
            return evidence_log.open_next(
                db, reason=reason, by=by, continues=continues, at=at
            )

        return await self._store.write(work)


def summaries(db: sa.Connection) -> tuple[LogSummary, ...]:
    """Every log of this store at a glance, the first one first."""
    return tuple(_summary(db, of) for of in evidence_log.logs(db))


def _summary(db: sa.Connection, of: OpenLog) -> LogSummary:
    own = log_checkpoint.c.log == of.log
    wanted = sa.select(log_checkpoint).where(own)
    wanted = wanted.order_by(log_checkpoint.c.size.desc()).limit(1)
    head = db.execute(wanted).mappings().first()
    begun = sa.select(evidence_log.log.c.begun_at).where(
        evidence_log.log.c.log == of.log
    )
    name = head["note"].split("\n", 1)[0] if head else ""
    key = current_key(key_events(db, name))
    vouchers = {
        table.name: sa.select(sa.func.count()).where(table.c.log == of.log)
        for table in (log_cosignature, log_stamp)
    }
    return LogSummary(
        log=of.log,
        leaves=of.size,
        begun_at=db.execute(begun).scalar_one(),
        checkpoint=None if head is None else StoredCheckpoint(**head),
        key=None if key is None else str(key_of(name, key)),
        cosignatures=db.execute(vouchers["log_cosignature"]).scalar_one(),
        stamps=db.execute(vouchers["log_stamp"]).scalar_one(),
        frozen_at=of.frozen_at,
    )


def key_events(db: sa.Connection, name: str) -> tuple[KeyEvent, ...]:
    """What became of the keys that sign for this origin, the oldest first."""
    wanted = sa.select(log_leaf.c.data).where(log_leaf.c.kind == int(Kind.KEY))
    found = map(
        leaves.decode, db.execute(wanted.order_by(log_leaf.c.leaf_id)).scalars()
    )
    return tuple(e for e in found if isinstance(e, KeyEvent) and e.name == name)


def current_key(events: Sequence[KeyEvent]) -> bytes | None:
    """The public key that signs now; None if none was entered, or it was revoked."""
    key: bytes | None = None
    for event in events:
        key = None if event.step is KeyStep.REVOKED else event.public_key
    return key


def newest_checkpoints(db: sa.Connection, limit: int) -> tuple[StoredCheckpoint, ...]:
    """The newest checkpoints, the newest first."""
    order = (log_checkpoint.c.log.desc(), log_checkpoint.c.size.desc())
    rows = db.execute(sa.select(log_checkpoint).order_by(*order).limit(limit))
    return tuple(StoredCheckpoint(**row) for row in rows.mappings())


def last_anchor(db: sa.Connection) -> datetime | None:
    """When the newest checkpoint that somebody outside vouches for was made."""
    anchors = sa.union_all(
        *(
            sa.select(table.c.log, table.c.size)
            for table in (log_cosignature, log_stamp)
        )
    ).subquery()
    same = (log_checkpoint.c.log == anchors.c.log) & (
        log_checkpoint.c.size == anchors.c.size
    )
    wanted = sa.select(sa.func.max(log_checkpoint.c.at)).join(anchors, same)
    found: datetime | None = db.execute(wanted).scalar()
    return found


def last_witnessed(db: sa.Connection, log: int) -> str | None:
    """The newest checkpoint of a log that a witness signed, with its cosignatures."""
    same = (log_checkpoint.c.log == log_cosignature.c.log) & (
        log_checkpoint.c.size == log_cosignature.c.size
    )
    wanted = (
        sa.select(log_checkpoint.c.note, log_cosignature.c.line)
        .join(log_cosignature, same)
        .where(log_checkpoint.c.log == log)
        .order_by(log_checkpoint.c.size.desc())
    )
    rows = db.execute(wanted).all()
    lines = [row.line for row in rows if row.note == rows[0].note]
    return rows[0].note + "".join(lines) if rows else None


def note_with_cosignatures(db: sa.Connection, of: StoredCheckpoint) -> str:
    """A checkpoint's note with every cosignature that is kept under it."""
    own = (log_cosignature.c.log == of.log) & (log_cosignature.c.size == of.size)
    lines = sa.select(log_cosignature.c.line).where(own).order_by(log_cosignature.c.at)
    return of.note + "".join(db.execute(lines).scalars())


def seen(db: sa.Connection, origin: str) -> Checkpoint | None:
    """What this centre, as a witness, cosigned last for a partner's log."""
    own = witness_seen.c.origin == origin
    row = db.execute(sa.select(witness_seen).where(own)).first()
    if row is None:
        return None
    return Checkpoint(origin=row.origin, size=row.size, root=row.root)


def remember(db: sa.Connection, head: Checkpoint, note: str, at: datetime) -> None:
    """Note what was cosigned; in the transaction that decided it."""
    row = {"size": head.size, "root": head.root, "note": note, "at": at}
    same = sa.update(witness_seen).where(witness_seen.c.origin == head.origin)
    if not db.execute(same.values(row)).rowcount:
        db.execute(sa.insert(witness_seen), {"origin": head.origin, **row})


def _sign(db: sa.Connection, sign: Sign, at: datetime) -> StoredCheckpoint | None:
    of = evidence_log.newest(db)
    own = log_checkpoint.c.log == of.log
    last = db.execute(sa.select(sa.func.max(log_checkpoint.c.size)).where(own)).scalar()
    if of.frozen_at is not None or last == of.size:
        return None
    root = LogReader(db, of).root_at(of.size)
    made = StoredCheckpoint(
        log=of.log, size=of.size, root=root, note=str(sign(of, root)), at=at
    )
    row = {name: getattr(made, name) for name in log_checkpoint.c.keys()}  # noqa: SIM118
    db.execute(sa.insert(log_checkpoint), row)
    return made


def _keep(db: sa.Connection, table: sa.Table, row: dict[str, object]) -> None:
    same = [each == row[each.name] for each in table.primary_key]
    if db.execute(sa.select(sa.literal(1)).where(*same)).scalar() is None:
        db.execute(sa.insert(table), row)
