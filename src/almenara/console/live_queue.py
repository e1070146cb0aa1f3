"""What waits for one viewer of live pictures: bounded, and never starts mid-sentence.

A viewer too slow for the stream loses everything up to the next key picture, because a
picture between two key pictures is worth nothing without those before it.
"""

import struct
from collections import deque

from almenara.core.media import LiveFragment, LiveInit, LiveMessage
from almenara.core.time import to_micros

MOST_FRAGMENTS = 120
MOST_BYTES = 8 * 2**20
HEADER = struct.Struct(">QIB3x")
INIT, KEY, DELTA = 0, 1, 2


def framed(message: LiveMessage) -> bytes:
    """Header and payload: capture time in µs, media time in 1/90 000 s, kind."""
    if isinstance(message, LiveInit):
        return HEADER.pack(0, 0, INIT) + message.data
    kind = KEY if message.is_key else DELTA
    captured = to_micros(message.captured_at)
    return HEADER.pack(captured, message.dts_90k % 2**32, kind) + message.data


class LiveQueue:
    """The messages that one viewer has not been sent yet."""

    def __init__(self) -> None:
        self._waiting: deque[LiveMessage] = deque()
        self._size_bytes = 0
        self._wants_key = True
        self.dropped = 0

    def put(self, message: LiveMessage) -> None:
        """Add the newest; a new format makes what waits worthless."""
        if isinstance(message, LiveInit):
            self._give_up()
            self._add(message)
            return
        if self._wants_key and not message.is_key:
            self.dropped += 1
            return
        if len(self._waiting) >= MOST_FRAGMENTS or self._size_bytes >= MOST_BYTES:
            self._give_up()
            if not message.is_key:
                self.dropped += 1
                return
        self._wants_key = False
        self._add(message)

    def take(self) -> LiveMessage | None:
        """The oldest; None if nothing waits."""
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._size_bytes -= len(message.data)
        return message

    def _add(self, message: LiveMessage) -> None:
        self._waiting.append(message)
        self._size_bytes += len(message.data)

    def _give_up(self) -> None:
        """Forget all pictures, but never an init the viewer has not seen."""
        inits = [m for m in self._waiting if isinstance(m, LiveInit)]
        self.dropped += sum(isinstance(m, LiveFragment) for m in self._waiting)
        self._waiting = deque(inits[-1:])
        self._size_bytes = sum(len(m.data) for m in self._waiting)
        self._wants_key = True
