"""Passwords: Argon2id, two at a time, and as long for a stranger as for a friend.

Source: RFC 9106; OWASP's minimum of 46 MiB with one pass. Two at once bound the memory
a flood of sign-ins can take to 92 MiB; more than sixteen in waiting are turned away.
"""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from almenara.console.problems import Problem

T = TypeVar("T")

SHORTEST, LONGEST = 12, 256
AT_ONCE, IN_WAITING = 2, 16


class Passwords:
    """Makes and checks hashes off the event loop; one per application."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=1, memory_cost=46 * 1024, parallelism=1
        )
        self._turns = CapacityLimiter(AT_ONCE)
        self._nobody: str | None = None
        self._preparing = anyio.Lock()

    async def hash(self, password: str) -> str:
        """A new salted hash."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the right one.

        None (nobody of this name, or no password yet) takes as long and is never right.
        """
        async with self._preparing:
            if self._nobody is None:
                self._nobody = await self._in_turn(lambda: self._hasher.hash("nobody"))
        against = kept or self._nobody
        right = await self._in_turn(lambda: self._verify(against, password))
        return right and kept is not None

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._turns.statistics().tasks_waiting >= IN_WAITING:
            raise Problem(
                429, "session.busy", "too many at once", headers={"Retry-After": "2"}
            )
        return await to_thread.run_sync(work, limiter=self._turns)


def faults_of(password: str, name: str) -> tuple[str, ...]:
    """Why this cannot be somebody's password; empty if it can."""
    faults = []
    if not SHORTEST <= len(password) <= LONGEST:
        faults.append("password.length")
    if name.casefold() in password.casefold() or len(set(password)) < 5:
        faults.append("password.guessable")
    return tuple(faults)
