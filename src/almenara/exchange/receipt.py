"""The receiver's signed word: applied up to here, and these were the last bytes.

An unsigned answer is no answer. The sender compares the head with its own: another one
at the same number means that the two hold different histories.

Source: docs/design/exchange.md, "Receiving".
"""

from datetime import datetime

from almenara.exchange.envelope import (
    RECEIPT,
    Centre,
    ClockWord,
    Digest,
    Strict,
    Whole,
    sign,
    verified,
)
from almenara.exchange.keys import KeyRing, SigningKey


class Receipt(Strict):
    """How far a stream is applied."""

    iss: Centre
    """Who received."""

    aud: Centre
    """Who sent."""

    stream: str
    epoch: int
    last_applied_seq: Whole
    head: Digest
    """SHA-256 of that envelope; of the genesis document at 0."""

    iat_ms: Whole
    clock: ClockWord


def sign_receipt(receipt: Receipt, key: SigningKey) -> bytes:
    """Its bytes."""
    return sign(receipt, key, RECEIPT)


def open_receipt(raw: bytes, keys: KeyRing, now: datetime) -> Receipt:
    """What the partner acknowledges.

    Raises:
        EnvelopeRefusedError: With a stable ``reason``.
    """
    return verified(raw, keys, now, kind=RECEIPT, of=Receipt)
