"""What the store asks of a database engine; ``sqlite`` and ``postgresql`` answer.

Both promise the same: a commit that returned survives a power cut, one transaction
writes at a time, and a reader sees one consistent state. What only one of them has is
not used.
"""

from enum import Enum, auto
from typing import Protocol

import sqlalchemy as sa

from almenara.core.errors import StoreError

RESTORE = "restore a backup, or move the file away to begin an empty store"


class Outcome(Enum):
    """What became of a transaction that an error ended."""

    FAILED = auto()
    """Nothing was written, and repeating it would end alike."""

    LOST = auto()
    """Nothing was written, because the connection broke; it is there again."""

    WRITTEN = auto()
    """The answer was lost, the commit was not."""

    UNKNOWN = auto()
    """The connection broke in the commit, and the server does not come back."""


class Engine(Protocol):
    """One database with what is particular to its kind."""

    @property
    def name(self) -> str:
        """The file or the server, as messages say it; never a password."""
        ...

    @property
    def writer(self) -> sa.Engine:
        """One connection; its transactions come one after the other."""
        ...

    @property
    def readers(self) -> sa.Engine:
        """Connections whose transactions see one consistent state."""
        ...

    def check(self) -> None:
        """Look whether it is whole and keeps what it acknowledges.

        Raises:
            StoreError: It is damaged, or set so that it would lose something.
        """
        ...

    def sign(self, connection: sa.Connection) -> None:
        """Put a mark into a transaction, by which it is known again."""
        ...

    def is_in_transaction(self, connection: sa.Connection) -> bool:
        """Whether the engine itself has not given the transaction up."""
        ...

    def outcome(self, connection: sa.Connection) -> Outcome:
        """Find out what became of the transaction signed last; may wait."""
        ...

    def explained(self, error: BaseException) -> StoreError:
        """The same error with where it happened and what to do."""
        ...

    def close(self) -> None:
        """Let go of connections and locks; safe to repeat, ends a wait."""
        ...
