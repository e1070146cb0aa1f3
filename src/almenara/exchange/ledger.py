"""What a link asks of the store: every act is one transaction, done or not done.

A crash before an act's return leaves the caller in doubt; every act may therefore be
asked again: sealing what is sealed, receipting what is receipted and applying what is
applied changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from almenara.exchange.envelope import Claims, Seen
from almenara.exchange.judgement import Cursor
from almenara.exchange.release import Record
from almenara.exchange.stream import ExchangeStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Something to tell, not yet sealed; written with the change that it tells of."""

    item_id: str
    """Also the envelope's id: a retry of the act queues nothing twice."""

    record: Record
    re: str | None = None
    ctx: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One envelope of ours, immutable."""

    seq: int
    digest: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an envelope's content."""

    accepted: bool
    code: str = "Success"
    """Of the business acknowledgement, in CISE's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Everything one transaction of the receiver writes."""

    stream: ExchangeStream
    raw: bytes
    claims: Claims
    outcome: Outcome
    cursor: Cursor
    """After it."""

    answer: Queued | None = None
    """For the stream back, where the content was not taken."""


class Ledger(Protocol):
    """One centre's durable side of one link."""

    def queued(self, stream: ExchangeStream) -> Queued | None:
        """The oldest that is not sealed."""
        ...

    def head(self, stream: ExchangeStream) -> Cursor:
        """Of what is sealed; the genesis document's hash and 1 at the start."""
        ...

    def keep_sealed(
        self, stream: ExchangeStream, item_id: str | None, sealed: Sealed
    ) -> None:
        """Write an envelope's bytes and take its item out of the queue.

        ``item_id`` is None for one of our own that a partner gave back.
        """
        ...

    def sealed(self, stream: ExchangeStream, seq: int) -> Sealed | None:
        """One envelope of ours."""
        ...

    def sealed_after(
        self, stream: ExchangeStream, seq: int, limit: int
    ) -> Sequence[Sealed]:
        """Those with larger numbers, in order."""
        ...

    def receipted(self, stream: ExchangeStream) -> int:
        """The last number the partner has acknowledged; 0 at the start."""
        ...

    def keep_receipt(self, stream: ExchangeStream, seq: int, raw: bytes) -> None:
        """Write a receipt; ``seq`` may be less than before."""
        ...

    def cursor(self, stream: ExchangeStream) -> Cursor:
        """Of what is applied."""
        ...

    def applied(self, stream: ExchangeStream, seq: int) -> str | None:
        """Hash of what was applied at a number; of the genesis at 0."""
        ...

    def known(self, message_id: str) -> bool:
        """Whether a message of that id was applied, in whatever stream."""
        ...

    def seen(self) -> Seen:
        """The last applied of both lanes of the partner."""
        ...

    def apply(self, arrival: Arrival) -> None:
        """Bytes, effect or quarantine, cursor and audit: all of it or nothing."""
        ...

    def epoch(self, stream: ExchangeStream) -> int:
        """The stream's epoch; a new one begins with a genesis that both signed."""
        ...

    def doubtful(self, stream: ExchangeStream) -> bool:
        """Whether we were restored and may have used larger numbers than we know."""
        ...

    def trust(self, stream: ExchangeStream) -> None:
        """The partner knows no more of our stream than we do: seal again."""
        ...

    def frozen(self, stream: ExchangeStream) -> str | None:
        """Why a stream stands still; None if it does not."""
        ...

    def freeze(self, stream: ExchangeStream, reason: str) -> None:
        """Stop one stream, and raise the alarm; the others go on."""
        ...

    def suspended(self) -> bool:
        """Whether a person has stopped the whole link."""
        ...

    def note(self, stream: ExchangeStream, event: str) -> None:
        """Leave a line in the audit: a refusal, a partner that went back."""
        ...
