"""Two centres with everything that goes wrong between them, from a seed.

Virtual time in seconds. Each centre commits durably; messages are lost, doubled, late
and out of order; links are cut for up to a day, one way or both; centres crash, their
clocks are a day off and jump, and each may be restored from yesterday's backup. After
every change the invariants are judged from outside, with all the truth in hand.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.rescue import custody
from almenara.rescue.custody import Act, Entry, Ledger, LevelAnswer, LevelQuestion
from tests.conftest import NOON

HOUR, DAY = 3600.0, 86400.0
HORIZON = 3 * DAY
A, B = CentreId("algeciras"), CentreId("tangier")
Belief = Callable[[Ledger], CentreId | None]


class BrokenInvariantError(AssertionError):
    """One of the three promises did not hold."""


@dataclass
class Centre:
    """One side: its durable ledger, its clock, its people."""

    name: CentreId
    ledger: Ledger
    skew_s: float
    up: bool = True
    backups: list[tuple[float, Ledger]] = field(default_factory=list)


class Coast:
    """One run."""

    def __init__(
        self, seed: int, *, believe: Belief = custody.believed, calm: bool = False
    ) -> None:
        self.rng = Random(seed)
        self.believe = believe
        self.calm = calm
        self.now_s = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.cuts: dict[CentreId, list[tuple[float, float]]] = {A: [], B: []}
        self.committed_s: dict[Entry, float] = {}
        self.moves = self.changes = self.restores = 0
        self.sides = {
            name: Centre(
                name=name,
                ledger=Ledger(case_id=CaseId("c"), own=name, partner=other),
                skew_s=self.rng.uniform(-DAY, DAY),
            )
            for name, other in ((A, B), (B, A))
        }

    # -- the world ---------------------------------------------------------------

    def run(self) -> "Coast":
        first = self.sides[self.rng.choice((A, B))]
        self._commit(first, custody.opened(first.ledger, **self._who(first)))
        self._plan()
        while self.events:
            self.now_s, _, happen = heapq.heappop(self.events)
            happen()
        self._heal()
        return self

    def _plan(self) -> None:
        rng = self.rng
        for side in self.sides.values():
            for _ in range(rng.randint(6, 30)):
                self._at(rng.uniform(0, HORIZON), partial(self._human, side))
            for _ in range(60):
                self._at(rng.uniform(0, HORIZON), partial(self._tell, side))
            if self.calm:
                continue
            for day in range(3):
                hour = rng.uniform(0, DAY)
                self._at(day * DAY + hour, partial(self._back_up, side))
            for _ in range(rng.randint(0, 3)):
                start = rng.uniform(0, HORIZON)
                long_s = rng.choice((60.0, HOUR, DAY)) * rng.uniform(0.2, 1.0)
                ways = (A, B) if rng.random() < 0.5 else (side.name,)
                for way in ways:
                    self.cuts[way].append((start, start + long_s))
            for _ in range(rng.randint(0, 2)):
                self._at(rng.uniform(0, HORIZON), partial(self._crash, side))
            for _ in range(rng.choice((0, 0, 1, 1, 2))):
                self._at(rng.uniform(HOUR, HORIZON), partial(self._restore, side))

    def _heal(self) -> None:
        """Everything works again: both must come to the same certain answer."""
        for side in self.sides.values():
            side.up = True
        self.cuts = {A: [], B: []}
        self.calm = True
        for _ in range(8):
            for side in self.sides.values():
                self._tell(side)
            while self.events:
                self.now_s, _, happen = heapq.heappop(self.events)
                happen()
        one, other = (side.ledger for side in self.sides.values())
        if (one.mine, one.theirs) != (other.theirs, other.mine):
            raise BrokenInvariantError("the ledgers do not meet")
        if not (one.is_level and other.is_level):
            raise BrokenInvariantError("somebody stays uncertain")
        if self.believe(one) != self.believe(other):
            raise BrokenInvariantError("the centres do not agree in the end")

    # -- what happens ------------------------------------------------------------

    def _human(self, side: Centre) -> None:
        if not side.up:
            return
        who = self._who(side)
        act = self.rng.choice(
            [
                lambda k: custody.offered(k, snapshot="digest", **who),
                lambda k: custody.offered(k, snapshot="digest", **who),
                lambda k: custody.accepted(k, **who),
                lambda k: custody.accepted(k, **who),
                lambda k: custody.accepted(k, **who),
                lambda k: custody.refused(k, reason="no unit", **who),
                lambda k: custody.withdrawal_requested(k, **who),
                lambda k: custody.withdrawal_requested(k, **who),
                lambda k: self._maybe_closed(k, who),
            ]
        )
        try:
            self._commit(side, act(side.ledger))
        except CaseRefusedError:
            return
        self._tell(side)

    def _maybe_closed(self, ledger: Ledger, who: dict[str, Any]) -> Ledger:
        if self.rng.random() < 0.85:
            raise CaseRefusedError("not_yet", "the rescue goes on")
        return custody.closed(ledger, reason="all safe", **who)

    def _tell(self, side: Centre) -> None:
        if side.up:
            self._send(side, custody.to_tell(side.ledger))

    def _send(self, side: Centre, message: object) -> None:
        times = 1 if self.calm else self.rng.choice((0, 1, 1, 1, 2))
        for _ in range(times):
            late_s = self.rng.choice((0.05, 1.0, 60.0, HOUR)) * self.rng.random()
            if self.calm:
                late_s = 0.05
            elif self.rng.random() < 0.02:
                late_s = DAY * self.rng.random()
            if not self._is_cut(side.name):
                self._at(self.now_s + late_s, lambda: self._arrive(side.name, message))

    def _arrive(self, sender: CentreId, message: object) -> None:
        side = self.sides[B if sender == A else A]
        if not side.up:
            return
        at = self._who(side)["at"]
        if isinstance(message, LevelQuestion):
            ledger, answer = custody.questioned(side.ledger, message)
            self._commit(side, ledger)
            self._send(side, answer)
            return
        if isinstance(message, LevelAnswer):
            self._commit(side, custody.answered(side.ledger, message, at=at))
        else:
            before = side.ledger
            self._commit(side, custody.heard(before, message, at=at))  # type: ignore[arg-type]  # a Message
            if side.ledger == before:
                return
        self._tell(side)

    def _crash(self, side: Centre) -> None:
        side.up = False
        side.skew_s += self.rng.uniform(-HOUR, HOUR)

        def start() -> None:
            side.up = True

        self._at(self.now_s + self.rng.uniform(1, 2 * HOUR), start)

    def _back_up(self, side: Centre) -> None:
        side.backups.append((self.now_s, side.ledger))

    def _restore(self, side: Centre) -> None:
        old = [kept for when, kept in side.backups if when < self.now_s - HOUR]
        other = B if side.name == A else A
        empty = Ledger(case_id=CaseId("c"), own=side.name, partner=other)
        kept = old[-1] if old else empty
        self.restores += 1
        side.up = True
        self._commit(side, custody.restored(kept, incarnation=self.restores))
        self._tell(side)

    # -- the judge ---------------------------------------------------------------

    def _commit(self, side: Centre, ledger: Ledger) -> None:
        if ledger == side.ledger:
            return
        for entry in ledger.mine:
            self.committed_s.setdefault(entry, self.now_s)
        side.ledger = ledger
        self.changes += 1
        self._judge()

    def _judge(self) -> None:
        one, other = (side.ledger for side in self.sides.values())
        streams = (whole(one, other), whole(other, one))
        self._judge_first(streams)
        beliefs = self.believe(one), self.believe(other)
        if beliefs == (other.own, one.own):
            raise BrokenInvariantError("I2: each believes the other coordinates")
        if beliefs == (one.own, other.own):
            self._judge_third(one, other)

    def _judge_first(self, streams: tuple[tuple[Entry, ...], ...]) -> None:
        merged = custody.fold(*streams)
        if merged != custody.fold(*reversed(streams)):
            raise BrokenInvariantError("I1: the merged ledger depends on who reads it")
        begins = [reign.begins for reign in merged.reigns]
        accepts = [e for s in streams for e in s if e.act is Act.ACCEPT]
        if {e for e in begins if e.act is Act.ACCEPT} != set(accepts):
            raise BrokenInvariantError("I1: somebody accepted, and it moved nothing")
        times = [self.committed_s[entry] for entry in begins]
        if sorted(times) != times:
            raise BrokenInvariantError("I1: reigns overlap")
        if any(streams) and not merged.reigns and all(s[:1] for s in streams):
            raise BrokenInvariantError("I1: nobody coordinates an open case")
        self.moves = max(self.moves, len(begins) - 1)

    def _judge_third(self, one: Ledger, other: Ledger) -> None:
        for taker, giver in ((one, other), (other, one)):
            unheard = taker.mine[len(giver.theirs) :]
            if any(entry.act is Act.ACCEPT for entry in unheard):
                return
        raise BrokenInvariantError("I3: both coordinate, and no accept is under way")

    # -- small things ------------------------------------------------------------

    def _who(self, side: Centre) -> dict[str, Any]:
        at = NOON + timedelta(seconds=self.now_s + side.skew_s)
        return {"at": at, "by": PersonId(f"watch/{side.name}")}

    def _is_cut(self, way: CentreId) -> bool:
        return any(start <= self.now_s < end for start, end in self.cuts[way])

    def _at(self, when_s: float, happen: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (when_s, self.count, happen))


def whole(author: Ledger, reader: Ledger) -> tuple[Entry, ...]:
    """All that is durable anywhere of one centre's stream."""
    copies = ((author.mine_of, author.mine), (reader.theirs_of, reader.theirs))
    return max(copies, key=lambda copy: (copy[0], len(copy[1])))[1]
