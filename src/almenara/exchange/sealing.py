"""Signs and checks with the keys of the pairing; fulfils ``link.Seals``."""

from dataclasses import dataclass

from almenara.core.errors import EnvelopeRefusedError
from almenara.core.ids import CentreId
from almenara.core.time import Clock
from almenara.exchange.envelope import Claims, open_envelope, seal
from almenara.exchange.keys import KeyRing, SigningKey
from almenara.exchange.receipt import Receipt, open_receipt, sign_receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSeals:
    """Both centres' keys, and a clock for their validity alone."""

    me: CentreId
    partner: CentreId
    key: SigningKey
    keys: KeyRing
    clock: Clock

    def seal(self, claims: Claims) -> bytes:
        return seal(claims, self.key)

    def open(self, raw: bytes) -> Claims:
        claims = open_envelope(raw, self.keys, self.clock.now())
        return _between(claims, self.partner, self.me)

    def reopen(self, raw: bytes) -> Claims:
        claims = open_envelope(raw, self.keys, self.clock.now())
        return _between(claims, self.me, self.partner)

    def sign_receipt(self, receipt: Receipt) -> bytes:
        return sign_receipt(receipt, self.key)

    def open_receipt(self, raw: bytes) -> Receipt:
        receipt = open_receipt(raw, self.keys, self.clock.now())
        if (receipt.iss, receipt.aud) != (self.partner, self.me):
            raise EnvelopeRefusedError("stream")
        return receipt


def _between(claims: Claims, sender: CentreId, receiver: CentreId) -> Claims:
    if (claims.iss, claims.aud) != (sender, receiver):
        raise EnvelopeRefusedError("stream")
    return claims
