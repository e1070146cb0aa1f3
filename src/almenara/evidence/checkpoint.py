"""Checkpoints: how long a log is and what its root is, signed.

Whoever holds one can later tell whether the log still says the same. The origin names
one log of one centre for ever: a log that had to be frozen is followed by one with the
next number, never by another under the same name.

Source: C2SP tlog-checkpoint v1.0.0.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from almenara.core.ids import CentreId
from almenara.evidence import note
from almenara.evidence.merkle import HASH_BYTES
from almenara.evidence.note import Note, Signer, Verifier

MOST_LEAVES = 2**63 - 1
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_ORIGIN = re.compile(r"almenara/([a-z][a-z0-9-]{1,31})/log/([1-9][0-9]{0,8})")


def origin(centre_id: CentreId, log: int) -> str:
    """The name of a centre's log, numbered from 1."""
    named = f"almenara/{centre_id}/log/{log}"
    if not _ORIGIN.fullmatch(named):
        raise ValueError(f"not the origin of a log: {named!r}")
    return named


def of_origin(named: str) -> tuple[CentreId, int]:
    """Inverse of :func:`origin`.

    Raises:
        ValueError: It is not the origin of one of our logs.
    """
    found = _ORIGIN.fullmatch(named)
    if not found:
        raise ValueError(f"not the origin of a log: {named[:80]!r}")
    return CentreId(found[1]), int(found[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log at one moment."""

    origin: str
    size: int
    """Leaves."""

    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or not self.origin.isprintable():
            raise ValueError(f"not an origin: {self.origin[:80]!r}")
        if not 0 <= self.size <= MOST_LEAVES:
            raise ValueError(f"not a number of leaves: {self.size}")
        if len(self.root) != HASH_BYTES:
            raise ValueError(f"a root has {HASH_BYTES} bytes")

    @property
    def text(self) -> str:
        """What is signed."""
        packed = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{packed}\n"


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint; further lines are overlooked, as agreed.

    Raises:
        ValueError: It is none.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not text.endswith("\n"):
        raise ValueError("a checkpoint has at least three lines, none empty")
    if not _SIZE.fullmatch(lines[1]):
        raise ValueError(f"not a number of leaves: {lines[1][:80]!r}")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not a root: {lines[2][:80]!r}") from error
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def sign(checkpoint: Checkpoint, signers: Iterable[Signer]) -> Note:
    """Sign as the log does: the key's name is the origin."""
    return note.sign(checkpoint.text, [(checkpoint.origin, s) for s in signers])


def key_of(origin: str, public_key: bytes) -> Verifier:
    """A log's key as those who check its checkpoints know it."""
    return Verifier(name=origin, public_key=public_key)


def opened(text: str, trusted: Iterable[Verifier]) -> tuple[Checkpoint, Note]:
    """Read a signed checkpoint and check who signed.

    Raises:
        ValueError: It is none, or no trusted key of its log signed it.
    """
    signed = note.parse(text)
    found = parse(signed.text)
    keys = [key for key in trusted if key.name == found.origin]
    if not note.verify(signed, keys):
        raise ValueError(f"{found.origin}: signed by no key that is trusted")
    return found, signed
