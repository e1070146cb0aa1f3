"""The exchange in the store; fulfils ``exchange.ledger.Ledger`` for one partner.

Every act is one transaction with its audit entry: sealing is a disclosure, applying a
collection, a refusal a security event. The acts block, for a link runs on a thread of
its own; what is to be told is queued by :func:`enqueue` in the transaction of the
change that it tells of.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.core.ids import CentreId, PersonId
from almenara.core.time import Clock
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    AuditResult,
)
from almenara.exchange.envelope import Seen
from almenara.exchange.judgement import Cursor
from almenara.exchange.ledger import Arrival, Queued, Sealed
from almenara.exchange.pairing import Pairing
from almenara.exchange.stream import ExchangeStream, Lane
from almenara.node.store import audit
from almenara.node.store.base import UtcMicros, metadata, next_number
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

T = TypeVar("T")

SERVICE = AuditActor(person_id=PersonId("service/exchange"), name="service/exchange")

link = sa.Table(
    "exchange_link",
    metadata,
    sa.Column("partner", sa.Text, primary_key=True),
    sa.Column("pairing", sa.Text, nullable=False),
    sa.Column("suspended_at", UtcMicros),
    sa.Column("suspended_why", sa.Text),
)
stream_row = sa.Table(
    "exchange_stream",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("partner", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("genesis", sa.Text, nullable=False),
    sa.Column("receipted_seq", sa.BigInteger, nullable=False),
    sa.Column("receipt", sa.LargeBinary),
    sa.Column("receipted_at", UtcMicros),
    sa.Column("frozen", sa.Text),
    sa.Column("doubtful", sa.Boolean, nullable=False),
)
outbox = sa.Table(
    "exchange_outbox",
    metadata,
    sa.Column(
        "number",
        sa.BigInteger,
        primary_key=True,
        default=next_number("exchange_outbox", "number"),
    ),
    sa.Column("item_id", sa.Text, nullable=False, unique=True),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("queued_at", UtcMicros, nullable=False),
    sa.Column("sealed_seq", sa.BigInteger),
)
sa.Index(
    "exchange_outbox_waiting", outbox.c.stream, outbox.c.sealed_seq, outbox.c.number
)
sealed_row = sa.Table(
    "exchange_sealed",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("sealed_at", UtcMicros, nullable=False),
)
inbox = sa.Table(
    "exchange_inbox",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("applied_at", UtcMicros, nullable=False),
)
sa.Index("exchange_inbox_message", inbox.c.message_id)

_QUEUED = TypeAdapter(Queued)
_PAIRING = TypeAdapter(Pairing)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """How one stream stands, for people."""

    name: str
    queued: int
    sealed_seq: int
    receipted_seq: int
    receipted_at: datetime | None
    applied_seq: int
    frozen: str | None
    doubtful: bool


def enqueue(
    connection: sa.Connection, stream: ExchangeStream, item: Queued, at: datetime
) -> None:
    """Queue something to tell, in the caller's transaction; safe to repeat."""
    known = sa.select(outbox.c.number).where(outbox.c.item_id == item.item_id)
    if connection.execute(known).first() is None:
        row = {
            "item_id": item.item_id,
            "stream": stream.name,
            "item": to_text(_QUEUED, item),
            "queued_at": at,
        }
        connection.execute(sa.insert(outbox).values(row))


class SqlLedger:
    """One partner's link in the store; blocking, from any one thread."""

    def __init__(
        self, store: Store, me: CentreId, partner: CentreId, clock: Clock
    ) -> None:
        self._store, self._clock = store, clock
        self._me, self._partner = me, partner

    def tell(self, item: Queued) -> None:
        """Queue something that no other change of the store goes with."""
        lane = item.record.lane
        stream = ExchangeStream(sender=self._me, receiver=self._partner, lane=lane)
        self._write(lambda c: enqueue(c, stream, item, self._clock.now()))

    def queued(self, stream: ExchangeStream) -> Queued | None:
        wanted = (
            sa.select(outbox.c.item)
            .where(outbox.c.stream == stream.name, outbox.c.sealed_seq.is_(None))
            .order_by(outbox.c.number)
            .limit(1)
        )
        text = self._read(lambda c: c.execute(wanted).scalar())
        return None if text is None else from_text(_QUEUED, text)

    def head(self, stream: ExchangeStream) -> Cursor:
        return self._end(sealed_row, stream)

    def keep_sealed(
        self, stream: ExchangeStream, item_id: str | None, sealed: Sealed
    ) -> None:
        now = self._clock.now()
        row = {
            "stream": stream.name,
            "seq": sealed.seq,
            "digest": sealed.digest,
            "raw": sealed.raw,
            "sealed_at": now,
        }
        taken = sa.update(outbox).where(outbox.c.item_id == item_id)
        name = f"{stream.name}/{sealed.seq}"
        entry = self._entry("exchange.seal", name, AuditAction.DISCLOSURE, sealed.raw)

        def work(connection: sa.Connection) -> None:
            if self._holds(connection, sealed_row, stream, sealed.seq, sealed.digest):
                return
            connection.execute(sa.insert(sealed_row).values(row))
            connection.execute(taken.values(sealed_seq=sealed.seq))
            audit.append(connection, (entry,))

        self._write(work)

    def sealed(self, stream: ExchangeStream, seq: int) -> Sealed | None:
        found = self.sealed_after(stream, seq - 1, 1)
        return found[0] if found and found[0].seq == seq else None

    def sealed_after(
        self, stream: ExchangeStream, seq: int, limit: int
    ) -> Sequence[Sealed]:
        wanted = (
            sa.select(sealed_row.c.seq, sealed_row.c.digest, sealed_row.c.raw)
            .where(sealed_row.c.stream == stream.name, sealed_row.c.seq > seq)
            .order_by(sealed_row.c.seq)
            .limit(limit)
        )
        rows = self._read(lambda c: c.execute(wanted).all())
        return tuple(Sealed(seq=n, digest=its, raw=raw) for n, its, raw in rows)

    def receipted(self, stream: ExchangeStream) -> int:
        return int(self._of_stream(stream, stream_row.c.receipted_seq) or 0)

    def keep_receipt(self, stream: ExchangeStream, seq: int, raw: bytes) -> None:
        values = {
            "receipted_seq": seq,
            "receipt": raw,
            "receipted_at": self._clock.now(),
        }
        self._change(stream, values)

    def cursor(self, stream: ExchangeStream) -> Cursor:
        return self._end(inbox, stream)

    def applied(self, stream: ExchangeStream, seq: int) -> str | None:
        if seq == 0:
            return self._genesis(stream)
        wanted = sa.select(inbox.c.digest).where(
            inbox.c.stream == stream.name, inbox.c.seq == seq
        )
        return self._read(lambda c: c.execute(wanted).scalar())

    def kept(self, stream: ExchangeStream, seq: int) -> bytes | None:
        """The bytes we applied at a number; for a partner that lost its own."""
        wanted = sa.select(inbox.c.raw).where(
            inbox.c.stream == stream.name, inbox.c.seq == seq
        )
        return self._read(lambda c: c.execute(wanted).scalar())

    def known(self, message_id: str) -> bool:
        wanted = sa.select(inbox.c.seq).where(inbox.c.message_id == message_id)
        return self._read(lambda c: c.execute(wanted).first()) is not None

    def seen(self) -> Seen:
        urgent, bulk = (
            self.cursor(
                ExchangeStream(sender=self._partner, receiver=self._me, lane=lane)
            ).next_seq
            - 1
            for lane in (Lane.URGENT, Lane.BULK)
        )
        return Seen(urgent=urgent, bulk=bulk)

    def apply(self, arrival: Arrival) -> None:
        now = self._clock.now()
        claims, stream = arrival.claims, arrival.stream
        row = {
            "stream": stream.name,
            "seq": claims.seq,
            "digest": arrival.cursor.head,
            "raw": arrival.raw,
            "message_id": claims.id,
            "type": claims.type,
            "accepted": arrival.outcome.accepted,
            "code": arrival.outcome.code,
            "applied_at": now,
        }
        back = ExchangeStream(sender=self._me, receiver=self._partner, lane=stream.lane)
        name = f"{stream.name}/{claims.seq}"
        entry = self._entry(
            "exchange.apply" if arrival.outcome.accepted else "exchange.quarantine",
            name,
            AuditAction.COLLECTION,
            arrival.raw,
        )

        def work(connection: sa.Connection) -> None:
            digest = arrival.cursor.head
            if self._holds(connection, inbox, stream, claims.seq, digest):
                return
            connection.execute(sa.insert(inbox).values(row))
            if arrival.answer is not None:
                enqueue(connection, back, arrival.answer, now)
            audit.append(connection, (entry,))

        self._write(work)

    def epoch(self, stream: ExchangeStream) -> int:
        return int(self._of_stream(stream, stream_row.c.epoch) or 1)

    def doubtful(self, stream: ExchangeStream) -> bool:
        return bool(self._of_stream(stream, stream_row.c.doubtful))

    def trust(self, stream: ExchangeStream) -> None:
        self._change(stream, {"doubtful": False})

    def doubt(self) -> None:
        """We were restored: seal nothing until the partner has said what it knows."""
        mine = stream_row.c.name.startswith(f"{self._me}>{self._partner}/")
        self._write(
            lambda c: c.execute(
                sa.update(stream_row).where(mine).values(doubtful=True)
            ).close()
        )

    def frozen(self, stream: ExchangeStream) -> str | None:
        found = self._of_stream(stream, stream_row.c.frozen)
        return None if found is None else str(found)

    def freeze(self, stream: ExchangeStream, reason: str) -> None:
        entry = self._entry("exchange.freeze", stream.name, AuditAction.SECURITY)
        self._change(stream, {"frozen": reason}, entry)

    def suspended(self) -> bool:
        wanted = sa.select(link.c.suspended_at).where(link.c.partner == self._partner)
        return self._read(lambda c: c.execute(wanted).scalar()) is not None

    def note(self, stream: ExchangeStream, event: str) -> None:
        entry = self._entry(
            f"exchange.{event.partition(':')[0]}",
            stream.name,
            AuditAction.SECURITY,
            result=AuditResult.DENY,
            why=event,
        )
        self._write(lambda c: audit.append(c, (entry,)))

    def states(self) -> tuple[StreamState, ...]:
        """All four streams of the link, ours first."""
        return tuple(
            self._state(ExchangeStream(sender=one, receiver=other, lane=lane))
            for one, other in ((self._me, self._partner), (self._partner, self._me))
            for lane in Lane
        )

    # -- within ----------------------------------------------------------------------

    def _state(self, stream: ExchangeStream) -> StreamState:
        waiting = (
            sa.select(sa.func.count())
            .select_from(outbox)
            .where(outbox.c.stream == stream.name, outbox.c.sealed_seq.is_(None))
        )
        at = self._of_stream(stream, stream_row.c.receipted_at)
        return StreamState(
            name=stream.name,
            queued=self._read(lambda c: c.execute(waiting).scalar()) or 0,
            sealed_seq=self.head(stream).next_seq - 1,
            receipted_seq=self.receipted(stream),
            receipted_at=at,
            applied_seq=self.cursor(stream).next_seq - 1,
            frozen=self.frozen(stream),
            doubtful=self.doubtful(stream),
        )

    def _end(self, table: sa.Table, stream: ExchangeStream) -> Cursor:
        wanted = (
            sa.select(table.c.seq, table.c.digest)
            .where(table.c.stream == stream.name)
            .order_by(table.c.seq.desc())
            .limit(1)
        )
        last = self._read(lambda c: c.execute(wanted).first())
        if last is None:
            return Cursor(next_seq=1, head=self._genesis(stream))
        return Cursor(next_seq=last.seq + 1, head=last.digest)

    def _genesis(self, stream: ExchangeStream) -> str:
        return str(self._of_stream(stream, stream_row.c.genesis) or "")

    def _of_stream(self, stream: ExchangeStream, column: sa.Column[Any]) -> Any:
        wanted = sa.select(column).where(stream_row.c.name == stream.name)
        return self._read(lambda c: c.execute(wanted).scalar())

    def _change(
        self, stream: ExchangeStream, values: dict[str, object], *entries: AuditEntry
    ) -> None:
        changed = sa.update(stream_row).where(stream_row.c.name == stream.name)

        def work(connection: sa.Connection) -> None:
            connection.execute(changed.values(values))
            audit.append(connection, entries)

        self._write(work)

    def _holds(
        self,
        connection: sa.Connection,
        table: sa.Table,
        stream: ExchangeStream,
        seq: int,
        digest: str,
    ) -> bool:
        """Whether the row is there already: the act was done, its answer lost."""
        wanted = sa.select(table.c.digest).where(
            table.c.stream == stream.name, table.c.seq == seq
        )
        return connection.execute(wanted).scalar() == digest

    def _entry(
        self,
        act: str,
        name: str,
        action: AuditAction,
        raw: bytes = b"",
        *,
        result: AuditResult = AuditResult.ALLOW,
        why: str | None = None,
    ) -> AuditEntry:
        return AuditEntry(
            entry_id=secrets.token_hex(8),
            at=self._clock.now(),
            actor=SERVICE,
            action=action,
            act=act,
            object=AuditObject(kind="envelope", id=name),
            result=result,
            justification=why,
            size_bytes=len(raw) or None,
        )

    def _write(self, work: Callable[[sa.Connection], None]) -> None:
        self._store.submit(work).result()

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        return self._store.read_now(work)


class SqlPartners:
    """The partners of this centre: paired, suspended, resumed; never forgotten."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pair(self, pairing: Pairing, me: CentreId, entry: AuditEntry) -> None:
        """Take up a partner, or its new keys and agreement; streams stay as they are.

        The genesis of both directions is the hash of what both have signed.
        """
        text = to_text(_PAIRING, pairing)
        streams = [
            ExchangeStream(sender=one, receiver=other, lane=lane).name
            for one, other in ((me, pairing.partner), (pairing.partner, me))
            for lane in Lane
        ]

        def work(connection: sa.Connection) -> None:
            changed = connection.execute(
                sa.update(link)
                .where(link.c.partner == pairing.partner)
                .values(pairing=text)
            )
            if changed.rowcount == 0:
                row = {"partner": pairing.partner, "pairing": text}
                connection.execute(sa.insert(link).values(row))
                for name in streams:
                    connection.execute(
                        sa.insert(stream_row).values(_new_stream(name, pairing))
                    )
            audit.append(connection, (entry,))

        self._store.submit(work).result()

    def all(self) -> tuple[Pairing, ...]:
        """Everybody we are paired with, by name."""
        wanted = sa.select(link.c.pairing).order_by(link.c.partner)
        rows = self._store.read_now(lambda c: c.execute(wanted).scalars().all())
        return tuple(from_text(_PAIRING, text) for text in rows)

    def suspend(self, partner: CentreId, *, why: str | None, entry: AuditEntry) -> bool:
        """Stop a link in the next transaction, or with ``why`` None let it go on.

        Returns:
            Whether there is such a partner.
        """
        values = {
            "suspended_at": None if why is None else entry.at,
            "suspended_why": why,
        }

        def work(connection: sa.Connection) -> bool:
            done = connection.execute(
                sa.update(link).where(link.c.partner == partner).values(values)
            )
            audit.append(connection, (entry,))
            return done.rowcount > 0

        return self._store.submit(work).result()

    def suspended(self, partner: CentreId) -> str | None:
        """Why a link stands still by a person's act; None if it does not."""
        wanted = sa.select(link.c.suspended_why).where(link.c.partner == partner)
        return self._store.read_now(lambda c: c.execute(wanted).scalar())


def _new_stream(name: str, pairing: Pairing) -> dict[str, object]:
    return {
        "name": name,
        "partner": pairing.partner,
        "epoch": 1,
        "genesis": pairing.genesis,
        "receipted_seq": 0,
        "doubtful": False,
    }
