"""The bounded queue of one camera before the watch: it forgets, and says how much.

Coded pictures depend on each other, so nothing is taken out of the middle: when the
queue is full, everything up to the next key picture goes, and while there is none,
nothing more is let in until one arrives. Recording taps the packets before this queue.
"""

from collections import deque
from dataclasses import dataclass, field

from almenara.core.media import Packet


@dataclass(frozen=True, slots=True)
class Queued:
    """A packet and what the worker must know about its place in the stream."""

    packet: Packet
    restart: bool
    """What came before it is missing."""


@dataclass(slots=True)
class LookQueue:
    """Packets of one camera on their way to its worker, oldest first."""

    limit: int
    dropped: int = 0
    """Packets forgotten since the start: each would have been a look."""

    _waiting: deque[Queued] = field(default_factory=deque[Queued])
    _broken: bool = True

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, packet: Packet) -> None:
        """Add the newest packet; forget the oldest run of them if there is no room."""
        if self._broken and not packet.is_key:
            self.dropped += 1
            return
        self._waiting.append(Queued(packet, restart=self._broken))
        self._broken = False
        if len(self._waiting) > self.limit:
            self._forget_oldest_run()

    def _forget_oldest_run(self) -> None:
        self._waiting.popleft()
        self.dropped += 1
        self.begin_anew()

    def begin_anew(self) -> None:
        """The worker is new: keep what it can decode, from the next key one on."""
        while self._waiting and not self._waiting[0].packet.is_key:
            self._waiting.popleft()
            self.dropped += 1
        if self._waiting:
            self._waiting[0] = Queued(self._waiting[0].packet, restart=True)
        else:
            self._broken = True

    def interrupt(self) -> None:
        """Forget everything: the stream begins again."""
        self.dropped += len(self._waiting)
        self._waiting.clear()
        self._broken = True

    def take(self) -> Queued | None:
        """The oldest packet, or None."""
        return self._waiting.popleft() if self._waiting else None
