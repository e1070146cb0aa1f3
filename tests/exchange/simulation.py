"""Two centres, a bad network and crashes, from one seed, in virtual time.

The product's own link runs on both sides. The network loses, doubles and delays; it is
cut in one direction or both for up to four hours; either process dies before or after
any of its transactions. At the end the network heals, and what was told must have been
applied: all of it, once, in order.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from almenara.core.ids import CentreId
from almenara.exchange.judgement import Heard
from almenara.exchange.link import Batch, Link, Reply
from almenara.exchange.stream import ExchangeStream, Lane
from tests.exchange.centres import ES, MA, PlainSeals, item, link, names, record
from tests.exchange.memory import CrashError, LateLedger, MemoryLedger

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
HOURS = 6
EVERY_S = 180.0
"""Mean time between two things to tell, per centre and lane."""

MakeLedger = Callable[[CentreId, CentreId], MemoryLedger]
MakeLink = Callable[[CentreId, CentreId, MemoryLedger, "SimClock"], Link]


class SimClock:
    """The time of the simulation, a little wrong at each centre."""

    def __init__(self, sim: "Simulation", off_s: float) -> None:
        self._sim, self._off_s = sim, off_s

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._sim.now_s + self._off_s)

    def monotonic_s(self) -> float:
        return self._sim.now_s

    async def sleep(self, duration: timedelta) -> None:
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class Centre:
    """One node: its ledger outlives it."""

    me: CentreId
    ledger: MemoryLedger
    make: Callable[[], Link]
    link: Link
    is_up: bool = True
    life: int = 0
    waits_s: dict[Lane, float] = field(default_factory=dict)
    told: dict[Lane, list[str]] = field(
        default_factory=lambda: {Lane.URGENT: [], Lane.BULK: []}
    )


def honest_ledger(me: CentreId, partner: CentreId) -> MemoryLedger:
    return MemoryLedger(me=me, partner=partner)


def honest_link(
    me: CentreId, partner: CentreId, ledger: MemoryLedger, clock: "SimClock"
) -> Link:
    return link(me, partner, ledger, clock, seals=PlainSeals(me, partner))


class Simulation:
    """One run from one seed."""

    def __init__(
        self,
        seed: int,
        *,
        make_ledger: MakeLedger = honest_ledger,
        make_link: MakeLink = honest_link,
    ) -> None:
        self.rng = random.Random(seed)
        self.now_s = 0.0
        self.crashes = self.doubles = self.losses = 0
        self._calm = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._cuts = {ES: self._some_cuts(), MA: self._some_cuts()}
        self.centres = {
            me: self._centre(me, partner, make_ledger, make_link)
            for me, partner in ((ES, MA), (MA, ES))
        }

    def run(self) -> None:
        """Six hours of trouble, then calm until all is told."""
        for prefix, centre in enumerate(self.centres.values()):
            fresh = names(prefix + 1)
            for lane in Lane:
                self._tell_soon(centre, lane, fresh)
                self._after(self.rng.uniform(0, 5), self._pump(centre, lane))
        self._until(HOURS * 3600.0)
        self._calm = True
        for centre in self.centres.values():
            if not centre.is_up:
                self._restart(centre)
        self._until(self.now_s + 2 * 3600.0)

    def faults(self) -> list[str]:
        """What is wrong at the end."""
        wrong = []
        for me, partner in ((ES, MA), (MA, ES)):
            for lane in Lane:
                stream = ExchangeStream(sender=me, receiver=partner, lane=lane)
                told = self.centres[me].told[lane]
                applied = self.centres[partner].ledger.effects[stream.name]
                if told != applied:
                    wrong.append(f"{stream.name}: told {len(told)}, {len(applied)}")
                wrong += [
                    f"{stream.name} frozen: {reason}"
                    for centre in self.centres.values()
                    if (reason := centre.ledger.frozen(stream))
                ]
        return wrong

    # -- the world -------------------------------------------------------------------

    def _centre(
        self,
        me: CentreId,
        partner: CentreId,
        make_ledger: MakeLedger,
        make_link: MakeLink,
    ) -> Centre:
        ledger = make_ledger(me, partner)
        ledger.die = self._die
        clock = SimClock(self, self.rng.gauss(0.0, 5.0))
        return Centre(
            me=me,
            ledger=ledger,
            make=lambda: make_link(me, partner, ledger, clock),
            link=make_link(me, partner, ledger, clock),
        )

    def _some_cuts(self) -> list[tuple[float, float]]:
        """When nothing from a centre gets through."""
        cuts = []
        for _ in range(self.rng.randrange(4)):
            start_s = self.rng.uniform(0.0, HOURS * 3600.0)
            cuts.append((start_s, start_s + self.rng.expovariate(1 / 2400.0)))
        return cuts

    def _die(self, where: str) -> None:
        if not self._calm and self.rng.random() < 0.02:
            raise CrashError(where)

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_s + delay_s, next(self._order), act))

    def _until(self, end_s: float) -> None:
        while self._events and self._events[0][0] <= end_s:
            self.now_s, _, act = heapq.heappop(self._events)
            act()
        self.now_s = end_s

    def _carry(self, sender: CentreId, act: Callable[[], None]) -> None:
        """Through the network: late, twice, or not at all."""
        cut = any(a <= self.now_s < b for a, b in self._cuts[sender])
        if not self._calm and (cut or self.rng.random() < 0.15):
            self.losses += 1
            return
        self._after(self.rng.expovariate(2.0), act)
        if not self._calm and self.rng.random() < 0.1:
            self.doubles += 1
            self._after(self.rng.expovariate(0.05), act)

    # -- the centres -----------------------------------------------------------------

    def _tell_soon(self, centre: Centre, lane: Lane, fresh) -> None:
        def tell() -> None:
            if self._calm:
                return
            name = next(fresh)
            to = MA if centre.me == ES else ES
            centre.ledger.tell(item(name, record(lane=lane, to=to)))
            centre.told[lane].append(name)
            self._tell_soon(centre, lane, fresh)

        self._after(self.rng.expovariate(1 / EVERY_S), tell)

    def _crash(self, centre: Centre) -> None:
        self.crashes += 1
        centre.is_up = False
        centre.life += 1
        if isinstance(centre.ledger, LateLedger):
            centre.ledger.forget()
        self._after(self.rng.expovariate(1 / 20.0), lambda: self._restart(centre))

    def _restart(self, centre: Centre) -> None:
        if centre.is_up:
            return
        centre.is_up, centre.link, centre.waits_s = True, centre.make(), {}
        for lane in Lane:
            self._after(1.0, self._pump(centre, lane))

    def _pump(self, centre: Centre, lane: Lane) -> Callable[[], None]:
        """Seal, send what is not acknowledged, look again later."""
        life = centre.life

        def pump() -> None:
            if not centre.is_up or centre.life != life:
                return
            try:
                centre.link.seal_waiting(lane)
                batch = centre.link.batch(lane)
            except CrashError:
                self._crash(centre)
                return
            if batch is not None:
                self._carry(centre.me, self._receive(centre, lane, batch))
            wait_s = min(centre.waits_s.get(lane, 1.0) * 2.0, 60.0)
            centre.waits_s[lane] = wait_s
            self._after(wait_s * self.rng.uniform(0.5, 1.0), pump)

        return pump

    def _receive(self, sender: Centre, lane: Lane, batch: Batch) -> Callable[[], None]:
        other = self.centres[batch.stream.receiver]

        def receive() -> None:
            if not other.is_up:
                return
            try:
                reply = other.link.arrive(batch.stream.name, batch.body)
            except CrashError:
                self._crash(other)
                return
            self._carry(other.me, self._answer(sender, lane, reply))

        return receive

    def _answer(self, sender: Centre, lane: Lane, reply: Reply) -> Callable[[], None]:
        def answer() -> None:
            if not sender.is_up:
                return
            try:
                heard = sender.link.answered(lane, reply)
            except CrashError:
                self._crash(sender)
                return
            if heard is Heard.NEWS:
                sender.waits_s[lane] = 1.0

        return answer
