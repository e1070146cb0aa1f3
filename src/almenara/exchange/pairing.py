"""What two centres hand each other in person before a byte is exchanged.

Nothing is learnt from the network: keys, address and agreement come from a file that
two people compared by its hash, read aloud.

Source: docs/design/exchange.md, "Trust".
"""

import hashlib
import json
from dataclasses import dataclass

from almenara.core.ids import CentreId
from almenara.core.time import to_micros
from almenara.exchange.keys import KeyRing, PublicKey
from almenara.exchange.release import Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Everything one centre keeps of another."""

    partner: CentreId
    name: str
    url: str
    """``https://host:port``; where it listens to us."""

    listen: str
    """``host:port`` of our own listener for it alone."""

    authority_pem: str | None
    """Its private certificate authority; None only between loopback addresses."""

    telephone: str
    """Shown wherever the link is: the fallback of everything."""

    keys: tuple[PublicKey, ...]
    """Of both centres, old ones included."""

    agreement: Agreement
    genesis: str
    """SHA-256 of the document that both have signed; the first ``prev``."""

    @property
    def ring(self) -> KeyRing:
        """All keys by name."""
        return KeyRing.of(self.keys)


def genesis_of(keys: tuple[PublicKey, ...], legal_basis: str) -> str:
    """The hash both centres come to by themselves: their first keys and the basis.

    The same for both, whoever calculates it.
    """
    document = {
        "keys": sorted(
            [key.centre_id, key.kid, key.use.value, key.public_hex] for key in keys
        ),
        "legal_basis": legal_basis,
        "valid_from_us": sorted(to_micros(key.valid_from) for key in keys),
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_aloud(data: bytes) -> str:
    """A hash to read aloud: eight groups of four, the first half of SHA-256.

    >>> read_aloud(b"")
    'e3b0-c442-98fc-1c14-9afb-f4c8-996f-b924'
    """
    text = hashlib.sha256(data).hexdigest()[:32]
    return "-".join(text[i : i + 4] for i in range(0, 32, 4))
