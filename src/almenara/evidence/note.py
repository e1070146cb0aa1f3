"""Signed notes: a text, an empty line, and who signed it.

Several keys may sign one text; a reader trusts the keys that were given to it and
overlooks all others. What is signed here is short (a log's checkpoint), so the limits
below are generous. Keys sign behind :class:`Signer`: a key may live in a file, or in a
device that never hands it out.

Source: C2SP signed-note v1.0.0; RFC 8032 for Ed25519.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DASH = "\u2014"
"""Begins every signature line."""

MOST_BYTES = 65_536
MOST_SIGNATURES = 64
"""A note beyond these is refused unread."""

SIGNATURE_BYTES = 64
KEY_BYTES = 32


class KeyKind(IntEnum):
    """What a key's signature means; part of its hash, so a key never serves two."""

    NOTE = 0x01
    """Ed25519 over the text: a log's own signature."""

    COSIGNATURE = 0x04
    """Ed25519 over the text with a time: a witness's (``cosignature/v1``)."""


class Signer(Protocol):
    """Signs with a private key that nobody here sees."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One line under a note."""

    name: str
    key_hash: bytes
    """4 bytes: which key claims to have signed."""

    signature: bytes

    def __str__(self) -> str:
        packed = base64.b64encode(self.key_hash + self.signature).decode()
        return f"{DASH} {self.name} {packed}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A key somebody trusts, by name."""

    name: str
    public_key: bytes
    kind: KeyKind = KeyKind.NOTE

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError(f"not a key's name: {self.name!r}")
        if len(self.public_key) != KEY_BYTES:
            raise ValueError(f"{self.name}: a key has {KEY_BYTES} bytes")

    @property
    def key_hash(self) -> bytes:
        """4 bytes that name the key in a signature line."""
        return key_hash(self.name, self.public_key, self.kind)

    @property
    def id(self) -> str:
        """The same in hexadecimal, as people see it."""
        return self.key_hash.hex()

    def __str__(self) -> str:
        """The one line by which a key is handed over: name, hash, kind and key."""
        packed = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_hash.hex()}+{packed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and the signatures under it, none of them checked yet."""

    text: str
    """Ends with a newline."""

    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def signed_by(self, name: str, key_hash: bytes) -> tuple[Signature, ...]:
        """The lines that claim to be of this key."""
        return tuple(
            each
            for each in self.signatures
            if each.name == name and each.key_hash == key_hash
        )


def key_hash(name: str, public_key: bytes, kind: KeyKind = KeyKind.NOTE) -> bytes:
    """The 4 bytes that name a key in a signature line."""
    named = name.encode() + b"\n" + bytes([kind]) + public_key
    return hashlib.sha256(named).digest()[:4]


def is_name(name: str) -> bool:
    """Whether a key may be called so: something, without space or plus."""
    return bool(name) and name.isprintable() and not set(name) & {" ", "+"}


def verifier(line: str) -> Verifier:
    """Read the line by which a key is handed over.

    Raises:
        ValueError: It is none, or its hash is not that of its key.
    """
    name, found, packed = _three(line.strip().split("+", 2), line)
    key = _decoded(packed)
    if len(key) != KEY_BYTES + 1 or key[0] not in list(KeyKind):
        raise ValueError(f"{name}: not an Ed25519 key this program knows")
    read = Verifier(name=name, public_key=key[1:], kind=KeyKind(key[0]))
    if read.key_hash.hex() != found:
        raise ValueError(f"{name}: the hash of this key is {read.id}, not {found}")
    return read


def sign(text: str, signers: Iterable[tuple[str, Signer]]) -> Note:
    """Sign a text with one key or several.

    Args:
        text: Ends with a newline.
        signers: Each key's name and what signs with it.
    """
    return Note(
        text=_sound(text),
        signatures=tuple(
            Signature(
                name=name,
                key_hash=key_hash(name, signer.public_key),
                signature=signer.sign(text.encode()),
            )
            for name, signer in signers
        ),
    )


def parse(text: str) -> Note:
    """Split a note into text and signatures.

    Raises:
        ValueError: It is no note; says what is wrong with it.
    """
    if len(text) > MOST_BYTES:
        raise ValueError("longer than a note may be")
    body, gap, under = text.rpartition("\n\n")
    lines = under.splitlines(keepends=True)
    if not gap or not lines or len(lines) > MOST_SIGNATURES:
        raise ValueError("no signature under the text, or too many")
    return Note(text=_sound(body + "\n"), signatures=tuple(map(signature_line, lines)))


def signature_line(line: str) -> Signature:
    """Read one signature line with its newline.

    Raises:
        ValueError: It is none.
    """
    dash, name, packed = _three(line.removesuffix("\n").split(" "), line)
    signed = _decoded(packed)
    if dash != DASH or not is_name(name) or len(signed) < 5 or not line.endswith("\n"):
        raise ValueError(f"not a signature line: {line[:80]!r}")
    return Signature(name=name, key_hash=signed[:4], signature=signed[4:])


def verify(note: Note, trusted: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """Who of the trusted signed this text.

    Returns:
        Those whose signature is good; empty if none of them signed.

    Raises:
        ValueError: A trusted key's line is there and its signature is wrong: the whole
            note is worth nothing.
    """
    good: list[Verifier] = []
    for key in trusted:
        lines = note.signed_by(key.name, key.key_hash)
        if key.kind is KeyKind.NOTE and lines:
            for each in lines:
                if not is_signed(key.public_key, note.text.encode(), each.signature):
                    raise ValueError(f"the signature of {key.name} is wrong")
            good.append(key)
    return tuple(good)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature over exactly these bytes is good."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _sound(text: str) -> str:
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        raise ValueError("a note's text ends with a newline and has no control codes")
    return text


def _three(parts: list[str], line: str) -> tuple[str, str, str]:
    if len(parts) != 3:
        raise ValueError(f"not three parts: {line[:80]!r}")
    return parts[0], parts[1], parts[2]


def _decoded(packed: str) -> bytes:
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {packed[:80]!r}") from error
