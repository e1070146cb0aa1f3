"""One centre's side of one link: seals, sends again, receives, suspends, recovers.

No network and no threads: the caller carries bytes, and whatever a link must remember
lies in its ledger. A link may be thrown away and made anew between any two calls.

Sealing comes before sending, and is committed before a byte leaves: what was once sent
under a number is sent under it for ever. Content never stops a stream; a wrong hash or
order does, at once and only that one.

Source: docs/design/exchange.md, "Wire".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from almenara.core.errors import EnvelopeRefusedError
from almenara.core.ids import CentreId
from almenara.core.labels import Labels, Purpose, Sensitivity
from almenara.core.time import Clock, to_micros
from almenara.exchange.envelope import Claims, ClockWord, WireLabel, digest
from almenara.exchange.judgement import Cursor, Heard, Verdict, hear, judge
from almenara.exchange.ledger import Arrival, Ledger, Outcome, Queued, Sealed
from almenara.exchange.receipt import Receipt
from almenara.exchange.release import Hurdle, Record, Released, Withheld
from almenara.exchange.stream import ExchangeStream, Lane

MOST_ENVELOPES = 64
MOST_BATCH_BYTES = 4 * 1024 * 1024
VOID = "void"
ACK = "ack"


class Seals(Protocol):
    """Signs what is ours and checks what is theirs."""

    def seal(self, claims: Claims) -> bytes:
        """The bytes of an envelope of ours."""
        ...

    def open(self, raw: bytes) -> Claims:
        """An envelope of the partner's.

        Raises:
            EnvelopeRefusedError: It is none.
        """
        ...

    def reopen(self, raw: bytes) -> Claims:
        """An envelope of our own that the partner gives back.

        Raises:
            EnvelopeRefusedError: It is none of ours.
        """
        ...

    def sign_receipt(self, receipt: Receipt) -> bytes:
        """The bytes of a receipt of ours."""
        ...

    def open_receipt(self, raw: bytes) -> Receipt:
        """A receipt of the partner's.

        Raises:
            EnvelopeRefusedError: It is none.
        """
        ...


class ReleaseGate(Protocol):
    """``release.Gate`` with the agreement of today."""

    def __call__(self, record: Record) -> Released | Withheld:
        """Decide now."""
        ...


class Content(Protocol):
    """Judges what a good envelope says; never the order it came in."""

    def __call__(self, claims: Claims) -> Outcome:
        """Whether it is taken; if not, the code that goes back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What to send: ``PUT /exchange/v1/{stream}/{first_seq}``."""

    stream: ExchangeStream
    first_seq: int
    body: bytes
    """One envelope a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; without a signed receipt it is no answer."""

    status: int
    """200 applied, 409 a gap, 413 too large, 423 frozen or suspended, 404 foreign."""

    receipt: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Between ``me`` and ``partner``; see the module."""

    me: CentreId
    partner: CentreId
    ledger: Ledger
    seals: Seals
    gate: ReleaseGate
    content: Content
    clock: Clock
    new_id: Callable[[], str]
    clock_word: Callable[[], ClockWord]

    def outgoing(self, lane: Lane) -> ExchangeStream:
        """The stream we write."""
        return ExchangeStream(sender=self.me, receiver=self.partner, lane=lane)

    def incoming(self, lane: Lane) -> ExchangeStream:
        """The stream we read."""
        return ExchangeStream(sender=self.partner, receiver=self.me, lane=lane)

    # -- sending ---------------------------------------------------------------------

    def seal_waiting(self, lane: Lane) -> int:
        """Seal what is queued, each in its own transaction; how many that were."""
        stream = self.outgoing(lane)
        count = 0
        while not (self._stands_still(stream) or self.ledger.doubtful(stream)):
            item = self.ledger.queued(stream)
            if item is None:
                break
            head = self.ledger.head(stream)
            raw = self._sealed(stream, head, item)
            sealed = Sealed(seq=head.next_seq, digest=digest(raw), raw=raw)
            self.ledger.keep_sealed(stream, item.item_id, sealed)
            count += 1
        return count

    def batch(self, lane: Lane) -> Batch | None:
        """What the partner has not acknowledged, as much as one request takes.

        After a restore it is empty: a question how much of us the partner knows.
        """
        stream = self.outgoing(lane)
        if self._stands_still(stream):
            return None
        if self.ledger.doubtful(stream):
            next_seq = self.ledger.head(stream).next_seq
            return Batch(stream=stream, first_seq=next_seq, body=b"")
        waiting = self.ledger.sealed_after(
            stream, self.ledger.receipted(stream), MOST_ENVELOPES
        )
        fitting = _fitting(waiting)
        if not fitting:
            return None
        body = b"\n".join(entry.raw for entry in fitting)
        return Batch(stream=stream, first_seq=fitting[0].seq, body=body)

    def answered(self, lane: Lane, reply: Reply) -> Heard | None:
        """Take in the answer to a batch; None if it was no answer at all."""
        stream = self.outgoing(lane)
        try:
            receipt = self.seals.open_receipt(reply.receipt)
        except EnvelopeRefusedError as error:
            self.ledger.note(stream, f"receipt_refused:{error.reason}")
            return None
        epoch = self.ledger.epoch(stream)
        if (receipt.stream, receipt.epoch) != (stream.name, epoch):
            return None
        heard = hear(
            last_applied_seq=receipt.last_applied_seq,
            head=receipt.head,
            receipted_seq=self.ledger.receipted(stream),
            sealed_seq=self.ledger.head(stream).next_seq - 1,
            digest_at=lambda seq: self._digest_at(stream, seq),
        )
        if heard is Heard.FORK:
            self.ledger.freeze(stream, "receipt names another head")
        elif heard is Heard.NEWS:
            self.ledger.keep_receipt(stream, receipt.last_applied_seq, reply.receipt)
        elif heard is Heard.WENT_BACK:
            self.ledger.note(stream, "partner_restored")
            self.ledger.keep_receipt(stream, receipt.last_applied_seq, reply.receipt)
        if heard is not Heard.AHEAD and self.ledger.doubtful(stream):
            self.ledger.trust(stream)
        return heard

    def recover(self, lane: Lane, fetch: Callable[[int], bytes | None]) -> int:
        """Take back our own envelopes that the partner has and we lost.

        Call it before anything is sealed whenever a receipt said ``AHEAD``: a number
        that was used once is never used again.

        Args:
            lane: Which of our streams.
            fetch: Our envelope of that number as the partner keeps it; None at the end.

        Returns:
            How many came back.

        Raises:
            EnvelopeRefusedError: What came back is not ours, or does not continue us.
        """
        stream = self.outgoing(lane)
        count = 0
        while True:
            head = self.ledger.head(stream)
            raw = fetch(head.next_seq)
            if raw is None:
                return count
            claims = self.seals.reopen(raw)
            if (claims.stream, claims.seq, claims.prev) != (
                stream.name,
                head.next_seq,
                head.head,
            ):
                raise EnvelopeRefusedError("order")
            sealed = Sealed(seq=claims.seq, digest=digest(raw), raw=raw)
            self.ledger.keep_sealed(stream, claims.id, sealed)
            count += 1

    # -- receiving -------------------------------------------------------------------

    def arrive(self, stream_name: str, body: bytes) -> Reply:
        """Judge and apply a batch; everything before the first fault is applied."""
        stream = self._read_by_us(stream_name)
        if stream is None:
            return Reply(status=404)
        if len(body) > MOST_BATCH_BYTES:
            return Reply(status=413, receipt=self._receipt(stream))
        status = 200
        for raw in body.split(b"\n")[:MOST_ENVELOPES] if body else ():
            if self._stands_still(stream):
                status = 423
                break
            status = self._one(stream, raw)
            if status != 200:
                break
        return Reply(status=status, receipt=self._receipt(stream))

    def _one(self, stream: ExchangeStream, raw: bytes) -> int:
        try:
            claims = self.seals.open(raw)
        except EnvelopeRefusedError as error:
            self.ledger.note(stream, f"envelope_refused:{error.reason}")
            return 404
        epoch = self.ledger.epoch(stream)
        if (claims.stream, claims.epoch) != (stream.name, epoch):
            self.ledger.note(stream, "envelope_refused:stream")
            return 404
        cursor, its = self.ledger.cursor(stream), digest(raw)
        verdict = judge(
            cursor,
            seq=claims.seq,
            prev=claims.prev,
            digest=its,
            applied=self.ledger.applied(stream, claims.seq),
        )
        if verdict is Verdict.APPLY:
            self.ledger.apply(self._arrival(stream, raw, claims, cursor.after(its)))
        elif verdict is Verdict.FORK:
            self.ledger.freeze(stream, f"two histories at {claims.seq}")
            return 423
        return 409 if verdict is Verdict.GAP else 200

    def _arrival(
        self, stream: ExchangeStream, raw: bytes, claims: Claims, cursor: Cursor
    ) -> Arrival:
        ours = claims.type in (VOID, ACK)
        if self.ledger.known(claims.id):
            outcome = Outcome(accepted=False, code="InvalidRequestObject")
        else:
            outcome = Outcome(accepted=True) if ours else self.content(claims)
        answer = None if outcome.accepted else self._refusal(stream, claims, outcome)
        return Arrival(
            stream=stream,
            raw=raw,
            claims=claims,
            outcome=outcome,
            cursor=cursor,
            answer=answer,
        )

    def _refusal(
        self, stream: ExchangeStream, claims: Claims, outcome: Outcome
    ) -> Queued:
        record = Record(
            type=ACK,
            ver=1,
            lane=stream.lane,
            fields={"code": outcome.code},
            labels=Labels(
                purpose=Purpose.SAR,
                sensitivity=Sensitivity.WHITE,
                personal_data=False,
                exercise=claims.label.exercise,
                simulated=claims.label.simulated,
            ),
        )
        return Queued(
            item_id=self.new_id(), record=record, re=claims.id, ctx=claims.ctx
        )

    def _sealed(self, stream: ExchangeStream, head: Cursor, item: Queued) -> bytes:
        decision = self.gate(item.record)
        try:
            return self.seals.seal(self._claims(stream, head, item, decision))
        except ValueError:  # too large: the slot is kept, so the stream has no hole
            lost = Withheld(hurdle=Hurdle.SIZE, is_rescue=_is_rescue(item.record))
            return self.seals.seal(self._claims(stream, head, item, lost))

    # -- both ------------------------------------------------------------------------

    def _stands_still(self, stream: ExchangeStream) -> bool:
        return self.ledger.suspended() or self.ledger.frozen(stream) is not None

    def _read_by_us(self, name: str) -> ExchangeStream | None:
        try:
            stream = ExchangeStream.named(name)
        except ValueError:
            return None
        return stream if stream == self.incoming(stream.lane) else None

    def _receipt(self, stream: ExchangeStream) -> bytes:
        cursor = self.ledger.cursor(stream)
        return self.seals.sign_receipt(
            Receipt(
                iss=self.me,
                aud=self.partner,
                stream=stream.name,
                epoch=self.ledger.epoch(stream),
                last_applied_seq=cursor.next_seq - 1,
                head=cursor.head,
                iat_ms=to_micros(self.clock.now()) // 1000,
                clock=self.clock_word(),
            )
        )

    def _digest_at(self, stream: ExchangeStream, seq: int) -> str | None:
        if seq == 0:
            return self.ledger.applied(stream, 0)
        entry = self.ledger.sealed(stream, seq)
        return None if entry is None else entry.digest

    def _claims(
        self,
        stream: ExchangeStream,
        head: Cursor,
        item: Queued,
        decision: Released | Withheld,
    ) -> Claims:
        """What is sealed: the record as the gate lets it out now, or an empty slot."""
        record = item.record
        if isinstance(decision, Withheld):
            alarm = "rescue_withheld" if decision.is_rescue else "withheld"
            self.ledger.note(stream, f"{alarm}:{decision.hurdle}")
        is_void = isinstance(decision, Withheld)
        return Claims(
            iss=self.me,
            aud=self.partner,
            stream=stream.name,
            epoch=self.ledger.epoch(stream),
            seq=head.next_seq,
            prev=head.head,
            id=item.item_id,
            re=item.re,
            ctx=None if is_void else item.ctx,
            iat_ms=to_micros(self.clock.now()) // 1000,
            clock=self.clock_word(),
            seen=self.ledger.seen(),
            type=VOID if is_void else record.type,
            ver=1 if is_void else record.ver,
            body=(
                {"reason": decision.hurdle.value}
                if isinstance(decision, Withheld)
                else dict(decision.body)
            ),
            label=EMPTY_SLOT if isinstance(decision, Withheld) else decision.label,
            mission=None if is_void else record.mission,
        )


EMPTY_SLOT = WireLabel(
    purpose="safety", sensitivity="white", personal_data=False, retain_until_ms=0
)
"""Of a slot that was withheld: it says that something was, and why in one word."""


def _is_rescue(record: Record) -> bool:
    return record.type.startswith("rescue.")


def _fitting(waiting: Sequence[Sealed]) -> list[Sealed]:
    """As many from the front as one request takes; at least one."""
    total = 0
    fitting: list[Sealed] = []
    for entry in waiting:
        total += len(entry.raw) + 1
        if fitting and total > MOST_BATCH_BYTES:
            break
        fitting.append(entry)
    return fitting
