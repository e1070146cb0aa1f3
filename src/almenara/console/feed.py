"""One value that many watch: the newest counts, and nobody waits for the slowest.

A subscriber that is busy while several values are published is woken once and finds the
newest. So there is no queue that could grow.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Generic, TypeVar

T = TypeVar("T")


class Bell:
    """Wakes everybody who listens; rings that nobody took yet are one ring."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Wake all; to be called in the event loop."""
        for listener in self._listeners:
            listener.set()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[AsyncIterator[None]]:
        """Listen: each step of the iterator is one waking."""
        with self.listening() as event:

            async def rings() -> AsyncIterator[None]:
                while True:
                    await event.wait()
                    event.clear()
                    yield None

            yield rings()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Listen with an event that the listener clears."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)


class Newest(Generic[T]):
    """A value that is replaced; starts with ``first``."""

    def __init__(self, first: T) -> None:
        self._value = first
        self._bell = Bell()

    def latest(self) -> T:
        """The newest value."""
        return self._value

    def publish(self, value: T) -> None:
        """Replace it and wake everybody."""
        self._value = value
        self._bell.ring()

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Woken after each replacement; ask :meth:`latest` for the value."""
        return self._bell.heard()
