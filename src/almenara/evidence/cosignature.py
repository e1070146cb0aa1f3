"""Cosignatures: a witness says that it saw this checkpoint, and nothing against it.

A witness signs the checkpoint's text together with the second at which it did. Its key
is of a kind of its own, so a cosignature never passes for a log's signature.

Source: C2SP tlog-cosignature v1.0.0, Ed25519.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from almenara.evidence.note import (
    SIGNATURE_BYTES,
    KeyKind,
    Note,
    Signature,
    Signer,
    Verifier,
    is_signed,
    key_hash,
)

HEADER = "cosignature/v1"
TIME_BYTES = 8
LATEST_S = 253_402_300_799
"""The end of the year 9999: a later time is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A good signature of a trusted witness, and its time."""

    witness: Verifier
    at: datetime
    """By the witness's clock, in whole seconds."""


def witness_key(name: str, public_key: bytes) -> Verifier:
    """A witness's key as those who trust it know it."""
    return Verifier(name=name, public_key=public_key, kind=KeyKind.COSIGNATURE)


def cosign(text: str, name: str, signer: Signer, at: datetime) -> Signature:
    """Sign a checkpoint's text as a witness.

    Args:
        text: Of the checkpoint, with its final newline and no signatures.
        name: The witness's.
        signer: Its key.
        at: Now.
    """
    at_s = int(at.timestamp())
    return Signature(
        name=name,
        key_hash=key_hash(name, signer.public_key, KeyKind.COSIGNATURE),
        signature=at_s.to_bytes(TIME_BYTES, "big") + signer.sign(_message(text, at_s)),
    )


def cosignatures(note: Note, trusted: Iterable[Verifier]) -> tuple[Cosignature, ...]:
    """Who of the trusted witnesses cosigned this checkpoint, and when.

    Raises:
        ValueError: A trusted witness's line is there and its signature is wrong.
    """
    found: list[Cosignature] = []
    for key in trusted:
        if key.kind is KeyKind.COSIGNATURE:
            for line in note.signed_by(key.name, key.key_hash):
                at = checked(note.text, line, key)
                if at is None:
                    raise ValueError(f"the cosignature of {key.name} is wrong")
                found.append(Cosignature(witness=key, at=at))
    return tuple(found)


def checked(text: str, line: Signature, witness: Verifier) -> datetime | None:
    """When this witness cosigned this text; None if it did not."""
    packed = line.signature
    if len(packed) != TIME_BYTES + SIGNATURE_BYTES:
        return None
    at_s = int.from_bytes(packed[:TIME_BYTES], "big")
    message = _message(text, at_s)
    if at_s > LATEST_S or not is_signed(
        witness.public_key, message, packed[TIME_BYTES:]
    ):
        return None
    return datetime.fromtimestamp(at_s, UTC)


def _message(text: str, at_s: int) -> bytes:
    return f"{HEADER}\ntime {at_s}\n{text}".encode()
