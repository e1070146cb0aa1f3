"""Whose signatures count, for what, and until when.

Keys come from the pairing of two centres and from nowhere else: an envelope names one
by its ``kid`` and can neither bring nor fetch one. Only validity of keys looks at our
own clock; order, duplicates and refusals never do.

Source: RFC 8032 (Ed25519), RFC 7515 (JWS); docs/design/exchange.md, "Trust".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from almenara.core.ids import CentreId


class KeyUse(StrEnum):
    """What a key may sign; a key for one is worthless for the other."""

    EXCHANGE = "exchange"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One key of a centre, as paired."""

    kid: str
    centre_id: CentreId
    use: KeyUse
    public_hex: str
    """32 bytes in 64 lower case digits."""

    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None = None

    def counts_at(self, now: datetime) -> bool:
        """Whether a signature is believed now."""
        is_revoked = self.revoked_at is not None and now >= self.revoked_at
        return self.valid_from <= now < self.valid_until and not is_revoked

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            raw = bytes.fromhex(self.public_hex)
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signs(Protocol):
    """The secret half of a key, wherever it lies."""

    def sign(self, data: bytes, /) -> bytes:
        """64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key of our own; its secret half never shows."""

    kid: str
    secret: Signs = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self.secret.sign(data)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every key that was ever paired, ours and the partner's."""

    keys: Mapping[str, PublicKey]

    @classmethod
    def of(cls, keys: Iterable[PublicKey]) -> Self:
        """A ring of these keys.

        Raises:
            ValueError: Two keys have one name.
        """
        kept = tuple(keys)
        by_kid = {key.kid: key for key in kept}
        if len(by_kid) != len(kept):
            raise ValueError("two keys have one name")
        return cls(MappingProxyType(by_kid))

    def find(
        self, kid: str, centre_id: CentreId, use: KeyUse, now: datetime
    ) -> PublicKey | None:
        """The key of that name, if it is that centre's, for that use, and counts."""
        key = self.keys.get(kid)
        if key is None or key.centre_id != centre_id or key.use is not use:
            return None
        return key if key.counts_at(now) else None
