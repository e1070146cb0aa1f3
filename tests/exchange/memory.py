"""A ledger in memory that can die before or after any of its transactions."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from almenara.core.ids import CentreId
from almenara.exchange.envelope import Seen
from almenara.exchange.judgement import Cursor
from almenara.exchange.ledger import Arrival, Queued, Sealed
from almenara.exchange.stream import ExchangeStream, Lane

GENESIS = "0" * 64


class CrashError(Exception):
    """The process is gone; what was committed stays."""


def never(where: str) -> None:
    del where


@dataclass(slots=True, kw_only=True)
class MemoryLedger:
    """Fulfils ``exchange.ledger.Ledger``."""

    me: CentreId
    partner: CentreId
    die: Callable[[str], None] = never
    """Called before and after every commit; may raise ``CrashError``."""

    queue: dict[str, list[Queued]] = field(default_factory=lambda: defaultdict(list))
    ours: dict[str, list[Sealed]] = field(default_factory=lambda: defaultdict(list))
    receipts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    theirs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    effects: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    bytes_kept: dict[str, list[bytes]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ids: set[str] = field(default_factory=set)
    quarantined: list[str] = field(default_factory=list)
    halted: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    restored: set[str] = field(default_factory=set)
    is_suspended: bool = False

    def tell(self, item: Queued) -> None:
        """Queue something, with the change that it tells of."""
        name = self._out(item.record.lane)
        known = {queued.item_id for queued in self.queue[name]}
        if item.item_id not in known:
            self.queue[name].append(item)

    def _out(self, lane: Lane) -> str:
        return ExchangeStream(sender=self.me, receiver=self.partner, lane=lane).name

    def _committed(self, where: str) -> None:
        self.die(f"{where} committed")

    def queued(self, stream: ExchangeStream) -> Queued | None:
        waiting = self.queue[stream.name]
        return waiting[0] if waiting else None

    def head(self, stream: ExchangeStream) -> Cursor:
        sealed = self.ours[stream.name]
        head = sealed[-1].digest if sealed else GENESIS
        return Cursor(next_seq=len(sealed) + 1, head=head)

    def keep_sealed(
        self, stream: ExchangeStream, item_id: str | None, sealed: Sealed
    ) -> None:
        self.die("seal")
        assert sealed.seq == len(self.ours[stream.name]) + 1
        self.ours[stream.name].append(sealed)
        self.queue[stream.name] = [
            item for item in self.queue[stream.name] if item.item_id != item_id
        ]
        self._committed("seal")

    def sealed(self, stream: ExchangeStream, seq: int) -> Sealed | None:
        sealed = self.ours[stream.name]
        return sealed[seq - 1] if 0 < seq <= len(sealed) else None

    def sealed_after(
        self, stream: ExchangeStream, seq: int, limit: int
    ) -> Sequence[Sealed]:
        return self.ours[stream.name][seq : seq + limit]

    def receipted(self, stream: ExchangeStream) -> int:
        return self.receipts[stream.name]

    def keep_receipt(self, stream: ExchangeStream, seq: int, raw: bytes) -> None:
        del raw
        self.die("receipt")
        self.receipts[stream.name] = seq
        self._committed("receipt")

    def cursor(self, stream: ExchangeStream) -> Cursor:
        applied = self.theirs[stream.name]
        head = applied[-1] if applied else GENESIS
        return Cursor(next_seq=len(applied) + 1, head=head)

    def applied(self, stream: ExchangeStream, seq: int) -> str | None:
        applied = self.theirs[stream.name]
        if seq == 0:
            return GENESIS
        return applied[seq - 1] if seq <= len(applied) else None

    def known(self, message_id: str) -> bool:
        return message_id in self.ids

    def seen(self) -> Seen:
        urgent, bulk = (
            len(
                self.theirs[
                    ExchangeStream(
                        sender=self.partner, receiver=self.me, lane=lane
                    ).name
                ]
            )
            for lane in (Lane.URGENT, Lane.BULK)
        )
        return Seen(urgent=urgent, bulk=bulk)

    def apply(self, arrival: Arrival) -> None:
        self.die("apply")
        self._effect(arrival)
        self._move(arrival)
        self._committed("apply")

    def _effect(self, arrival: Arrival) -> None:
        name = arrival.stream.name
        self.ids.add(arrival.claims.id)
        if arrival.outcome.accepted:
            self.effects[name].append(arrival.claims.id)
        else:
            self.quarantined.append(arrival.claims.id)
        self.bytes_kept[name].append(arrival.raw)
        if arrival.answer is not None:
            self.tell(arrival.answer)

    def _move(self, arrival: Arrival) -> None:
        self.theirs[arrival.stream.name].append(arrival.cursor.head)

    def epoch(self, stream: ExchangeStream) -> int:
        del stream
        return 1

    def doubtful(self, stream: ExchangeStream) -> bool:
        return stream.name in self.restored

    def trust(self, stream: ExchangeStream) -> None:
        self.restored.discard(stream.name)

    def frozen(self, stream: ExchangeStream) -> str | None:
        return self.halted.get(stream.name)

    def freeze(self, stream: ExchangeStream, reason: str) -> None:
        self.halted[stream.name] = reason

    def suspended(self) -> bool:
        return self.is_suspended

    def note(self, stream: ExchangeStream, event: str) -> None:
        self.notes.append(f"{stream.name} {event}")


class SplitLedger(MemoryLedger):
    """A mistake: the effect is in one transaction, the cursor in the next."""

    def apply(self, arrival: Arrival) -> None:
        self.die("apply")
        self._effect(arrival)
        self.die("between")
        self._move(arrival)
        self._committed("apply")


class LateLedger(MemoryLedger):
    """A mistake: what was sealed is kept only once it was acknowledged."""

    def forget(self) -> None:
        """What a crash takes from it."""
        for name, sealed in self.ours.items():
            lost = sealed[self.receipts[name] :]
            self.ours[name] = sealed[: self.receipts[name]]
            self.queue[name] = [self.was[entry.seq, name] for entry in lost] + (
                self.queue[name]
            )

    def keep_sealed(
        self, stream: ExchangeStream, item_id: str | None, sealed: Sealed
    ) -> None:
        self.was[sealed.seq, stream.name] = self.queue[stream.name][0]
        super().keep_sealed(stream, item_id, sealed)

    @property
    def was(self) -> dict[tuple[int, str], Queued]:
        return _WAS.setdefault(id(self), {})


_WAS: dict[int, dict[tuple[int, str], Queued]] = {}
