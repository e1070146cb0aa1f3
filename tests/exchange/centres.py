"""Two centres that are paired, for tests of the exchange."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from almenara.core.errors import EnvelopeRefusedError
from almenara.core.ids import CentreId
from almenara.core.labels import Labels, Purpose, Sensitivity
from almenara.core.time import Clock
from almenara.exchange.envelope import Claims, ClockWord
from almenara.exchange.keys import KeyRing, KeyUse, PublicKey, SigningKey
from almenara.exchange.ledger import Ledger, Outcome, Queued
from almenara.exchange.link import Link
from almenara.exchange.receipt import Receipt
from almenara.exchange.release import Agreement, Gate, Record
from almenara.exchange.sealing import PairedSeals
from almenara.exchange.stream import Lane

ES, MA = CentreId("es"), CentreId("ma")
BEGIN = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
END = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
SYNCHRONISED = ClockWord(synchronised=True, error_ms=5)


def agreement(partner: CentreId = MA, **changes) -> Agreement:
    values = {
        "partner": partner,
        "legal_basis": "agreement of 2026",
        "valid_from": BEGIN,
        "valid_until": END,
        "fields": {
            "incident": frozenset({"what", "where", "when", "mmsi"}),
            "rescue.case": frozenset({"phase", "position", "people"}),
            "rescue.custody": frozenset({"entry"}),
            "evidence.pointer": frozenset({"sha256", "span"}),
        },
        "purposes": frozenset({Purpose.SAR, Purpose.SAFETY, Purpose.BORDER}),
        "sensitivity": Sensitivity.AMBER,
        "keep_for": timedelta(days=30),
    }
    return Agreement(**{**values, **changes})


def record(
    type_: str = "incident", *, lane: Lane = Lane.BULK, to: CentreId = MA, **changes
) -> Record:
    labels = Labels(
        purpose=Purpose.SAFETY,
        sensitivity=Sensitivity.GREEN,
        personal_data=False,
        releasable_to=frozenset({to}),
    )
    values = {
        "type": type_,
        "ver": 1,
        "lane": lane,
        "fields": {"what": "craft adrift", "where": [36.0, -5.6]},
        "labels": labels,
    }
    return Record(**{**values, **changes})


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: str(uuid.UUID(int=next(numbers)))


def item(name: str, of: Record, **changes) -> Queued:
    return Queued(item_id=name, record=of, **changes)


def take(claims: Claims) -> Outcome:
    del claims
    return Outcome(accepted=True)


def keys(seed: int = 1) -> tuple[SigningKey, SigningKey, KeyRing]:
    """One for each centre, and a ring with both."""
    made = []
    for n, centre in enumerate((ES, MA)):
        secret = Ed25519PrivateKey.from_private_bytes(bytes([seed + n]) * 32)
        key = SigningKey(kid=f"{centre}-1", secret=secret)
        made.append((centre, key, secret.public_key().public_bytes_raw().hex()))
    ring = KeyRing.of(
        PublicKey(
            kid=key.kid,
            centre_id=centre,
            use=KeyUse.EXCHANGE,
            public_hex=public_hex,
            valid_from=BEGIN,
            valid_until=END,
        )
        for centre, key, public_hex in made
    )
    return made[0][1], made[1][1], ring


class PlainSeals:
    """Unsigned: the simulation is about order, and signing is slow."""

    def __init__(self, me: CentreId, partner: CentreId) -> None:
        self.me, self.partner = me, partner

    def seal(self, claims: Claims) -> bytes:
        return claims.model_dump_json().encode()

    def open(self, raw: bytes) -> Claims:
        claims = Claims.model_validate_json(raw)
        if claims.iss != self.partner:
            raise EnvelopeRefusedError("stream")
        return claims

    def reopen(self, raw: bytes) -> Claims:
        return Claims.model_validate_json(raw)

    def sign_receipt(self, receipt: Receipt) -> bytes:
        return receipt.model_dump_json().encode()

    def open_receipt(self, raw: bytes) -> Receipt:
        try:
            return Receipt.model_validate(json.loads(raw))
        except ValueError as error:
            raise EnvelopeRefusedError("form") from error


def paired(me: CentreId, partner: CentreId, clock: Clock) -> PairedSeals:
    es, ma, ring = keys()
    key = es if me == ES else ma
    return PairedSeals(me=me, partner=partner, key=key, keys=ring, clock=clock)


def link(
    me: CentreId,
    partner: CentreId,
    ledger: Ledger,
    clock: Clock,
    *,
    seals=None,
    gate: Gate | None = None,
    content=take,
    new_id: Callable[[], str] | None = None,
) -> Link:
    judge = gate or Gate(agreement=agreement(partner))
    return Link(
        me=me,
        partner=partner,
        ledger=ledger,
        seals=seals or paired(me, partner, clock),
        gate=lambda said: judge.decide(said, clock.now()),
        content=content,
        clock=clock,
        new_id=new_id or ids(),
        clock_word=lambda: SYNCHRONISED,
    )


def names(prefix: int = 0) -> Iterator[str]:
    """Uuids in order."""
    return (str(uuid.UUID(int=(prefix << 64) + n)) for n in count(1))
