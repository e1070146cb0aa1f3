"""One entry of a stream: claims in JSON, signed once, the same bytes for ever.

Compact JWS with exactly one header: no member more, no algorithm to choose, no key that
the envelope itself brings. Claims are parsed strictly: an unknown member, a duplicate
one, a fraction where a whole number belongs, and it is no envelope of ours.

Source: RFC 7515 (JWS compact), RFC 8037 (Ed25519); docs/design/exchange.md, "Envelope".
"""

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from almenara.core.errors import EnvelopeRefusedError
from almenara.core.ids import CentreId
from almenara.core.labels import Purpose, Sensitivity
from almenara.exchange.keys import KeyRing, KeyUse, SigningKey
from almenara.exchange.stream import CENTRE, ExchangeStream, Lane

ENVELOPE = "almenara-x+jws"
RECEIPT = "almenara-r+jws"
MOST_BYTES: Mapping[Lane, int] = {Lane.URGENT: 64 * 1024, Lane.BULK: 256 * 1024}
DEEPEST = 12

Whole = Annotated[int, Field(ge=0, le=2**53 - 1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Centre = Annotated[str, Field(pattern=f"^{CENTRE}$", max_length=40)]
Signed = TypeVar("Signed", bound=BaseModel)


class Strict(BaseModel):
    """Nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ClockWord(Strict):
    """What the sender knows of its own clock."""

    synchronised: bool
    error_ms: Whole


class Seen(Strict):
    """The last of the partner's envelopes applied when this one was sealed."""

    urgent: Whole = 0
    bulk: Whole = 0


class WireLabel(Strict):
    """The label of the content; what is not said is forbidden."""

    purpose: Literal["sar", "safety", "border", "law_enforcement"]
    sensitivity: Literal["white", "green", "amber", "red"]
    personal_data: bool
    retain_until_ms: Whole
    onward: bool = False
    exercise: bool = False
    simulated: bool = False


class Attachment(Strict):
    """Bytes that are fetched apart, by their hash."""

    sha256: Digest
    size_bytes: Whole
    media_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]{1,60}$")]


class Claims(Strict):
    """Everything an envelope says."""

    iss: Centre
    aud: Centre
    stream: Annotated[str, Field(max_length=100)]
    epoch: Annotated[int, Field(ge=1, le=2**31)]
    seq: Annotated[int, Field(ge=1, le=2**53 - 1)]
    prev: Digest
    id: Uuid
    re: Uuid | None = None
    """The id that this answers."""

    ctx: Annotated[str, Field(max_length=100)] | None = None
    """The case or operation it belongs to."""

    iat_ms: Whole
    """Sealed at, milliseconds since 1970 UTC; never used for order."""

    clock: ClockWord
    seen: Seen
    type: Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z_]+)?$", max_length=40)]
    ver: Annotated[int, Field(ge=1, le=1000)]
    body: dict[str, JsonValue]
    label: WireLabel
    mission: Annotated[str, Field(max_length=100)] | None = None
    not_after_ms: Whole | None = None
    att: tuple[Attachment, ...] = Field(default=(), max_length=16, strict=False)


def seal(claims: Claims, key: SigningKey) -> bytes:
    """The envelope's bytes; whoever resends it sends these.

    Raises:
        ValueError: It is larger than its lane takes.
    """
    raw = sign(claims, key, ENVELOPE)
    lane = ExchangeStream.named(claims.stream).lane
    if len(raw) > MOST_BYTES[lane]:
        raise ValueError(f"{len(raw)} bytes do not fit the {lane} lane")
    return raw


def open_envelope(raw: bytes, keys: KeyRing, now: datetime) -> Claims:
    """What a partner says, once all of it has been checked but its place in the order.

    Args:
        raw: As it came, without a line end.
        keys: Of the pairing.
        now: Our own clock, for the validity of keys alone.

    Raises:
        EnvelopeRefusedError: With a stable ``reason``; nothing of it may be used.
    """
    claims = verified(raw, keys, now, kind=ENVELOPE, of=Claims)
    try:
        stream = ExchangeStream.named(claims.stream)
    except ValueError as error:
        raise EnvelopeRefusedError("stream") from error
    if (stream.sender, stream.receiver) != (claims.iss, claims.aud):
        raise EnvelopeRefusedError("stream")
    if len(raw) > MOST_BYTES[stream.lane]:
        raise EnvelopeRefusedError("size")
    return claims


def digest(raw: bytes) -> str:
    """What the next envelope's ``prev`` must be."""
    return hashlib.sha256(raw).hexdigest()


def sign(claims: BaseModel, key: SigningKey, kind: str) -> bytes:
    """Compact JWS of some claims."""
    header = {"alg": "Ed25519", "crit": ["v"], "kid": key.kid, "typ": kind, "v": 1}
    signed = b".".join((_b64(_json(header)), _b64(_json(claims.model_dump()))))
    return signed + b"." + _b64(key.sign(signed))


def verified(
    raw: bytes, keys: KeyRing, now: datetime, *, kind: str, of: type[Signed]
) -> Signed:
    """The claims of a JWS whose size, header, signature and form are good.

    Raises:
        EnvelopeRefusedError: With a stable ``reason``.
    """
    if len(raw) > max(MOST_BYTES.values()):
        raise EnvelopeRefusedError("size")
    parts = raw.split(b".")
    if len(parts) != 3:
        raise EnvelopeRefusedError("form")
    kid = _kid(_parsed(_unb64(parts[0])), kind)
    payload = _parsed(_unb64(parts[1]))
    issuer = payload.get("iss")
    if not isinstance(issuer, str):
        raise EnvelopeRefusedError("form")
    key = keys.find(kid, CentreId(issuer), KeyUse.EXCHANGE, now)
    if key is None:
        raise EnvelopeRefusedError("key")
    if not key.signed(b".".join(parts[:2]), _unb64(parts[2])):
        raise EnvelopeRefusedError("signature")
    try:
        return of.model_validate(payload)
    except ValidationError as error:
        raise EnvelopeRefusedError("claims") from error


def _kid(header: Mapping[str, object], kind: str) -> str:
    kid = header.get("kid")
    wanted = {"alg": "Ed25519", "crit": ["v"], "kid": kid, "typ": kind, "v": 1}
    if header != wanted or not isinstance(kid, str) or header["v"] is True:
        raise EnvelopeRefusedError("header")
    return kid


def _json(value: object) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


def _parsed(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(
            data, object_pairs_hook=_once, parse_constant=_never, parse_float=float
        )
    except (ValueError, RecursionError) as error:
        raise EnvelopeRefusedError("form") from error
    if not isinstance(value, dict) or _depth(value) > DEEPEST:
        raise EnvelopeRefusedError("form")
    return value


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """A member said twice could be read in two ways."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member comes twice")
    return found


def _never(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise EnvelopeRefusedError("form") from error
    if _b64(data) != text:  # one meaning, one spelling
        raise EnvelopeRefusedError("form")
    return data


PURPOSES = frozenset(
    {Purpose.SAR, Purpose.SAFETY, Purpose.BORDER, Purpose.LAW_ENFORCEMENT}
)
"""Maintenance and audit never leave the house."""

SENSITIVITIES = tuple(Sensitivity)
