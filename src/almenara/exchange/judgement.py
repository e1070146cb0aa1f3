"""What an arriving envelope is, and what a receipt says: pure decisions.

Order is a protocol, not luck. A number below the cursor is the same bytes again, or a
fork; the next number must continue the last one's hash; anything beyond waits.

Source: docs/design/exchange.md, "Receiving" and "Loss, restore, fork".
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What to do with an envelope whose signature is good."""

    APPLY = "apply"
    REPEAT = "repeat"
    """Applied already, these very bytes: acknowledge again, do nothing."""

    GAP = "gap"
    """Some before it are missing: say which is expected."""

    FORK = "fork"
    """Two histories: freeze the stream, call the partner."""


class Heard(StrEnum):
    """What a receipt means to who sent."""

    NEWS = "news"
    NOTHING = "nothing"
    WENT_BACK = "went_back"
    """The partner knows less than it acknowledged: restored from a backup."""

    AHEAD = "ahead"
    """It has applied more than we have sealed: it is we who were restored."""

    FORK = "fork"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a stream stands: the next number, and the hash it has to continue."""

    next_seq: int
    head: str

    def after(self, digest: str) -> "Cursor":
        """One envelope later."""
        return Cursor(next_seq=self.next_seq + 1, head=digest)


def judge(
    cursor: Cursor, *, seq: int, prev: str, digest: str, applied: str | None
) -> Verdict:
    """Judge one envelope by its place.

    Args:
        cursor: Of everything applied.
        seq: Its number.
        prev: The hash it says it continues.
        digest: Its own.
        applied: The hash of what was applied at that number; None if nothing was.
    """
    if seq > cursor.next_seq:
        return Verdict.GAP
    if seq < cursor.next_seq:
        return Verdict.REPEAT if applied == digest else Verdict.FORK
    return Verdict.APPLY if prev == cursor.head else Verdict.FORK


def hear(
    *,
    last_applied_seq: int,
    head: str,
    receipted_seq: int,
    sealed_seq: int,
    digest_at: Callable[[int], str | None],
) -> Heard:
    """Judge one receipt.

    Args:
        last_applied_seq: What the partner says it has applied.
        head: The hash it says that has.
        receipted_seq: What it had acknowledged before.
        sealed_seq: The last we have sealed.
        digest_at: Hash of our own envelope; of the genesis at 0.
    """
    if last_applied_seq > sealed_seq:
        return Heard.AHEAD
    if digest_at(last_applied_seq) != head:
        return Heard.FORK
    if last_applied_seq < receipted_seq:
        return Heard.WENT_BACK
    return Heard.NEWS if last_applied_seq > receipted_seq else Heard.NOTHING
