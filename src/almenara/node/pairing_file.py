"""A pairing as text: TOML in, every fault of the file at once.

Two people make it from what they handed each other: the partner's identity as its own
``almenara partner identity`` prints it, and the agreement both centres signed. What an
agreement does not name is not told.
"""

import ssl
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from almenara.core.errors import ConfigError, Fault
from almenara.core.ids import CentreId
from almenara.core.labels import Purpose, Sensitivity
from almenara.exchange.envelope import PURPOSES, Centre
from almenara.exchange.keys import KeyUse, PublicKey
from almenara.exchange.messages import MESSAGES, fields_of
from almenara.exchange.pairing import Pairing, genesis_of
from almenara.exchange.release import Agreement
from almenara.node.config.faults import (
    Lines,
    from_syntax,
    from_validation,
    scan,
    secrets,
    wrong,
)
from almenara.node.config.sections import Section, Whole

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise wrong("a time with its zone", "Write 2026-01-01T00:00:00Z.")
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (parts.hostname and (plain or parts.scheme == "https")):
        raise wrong("https://host:port", "Write the address of its listener.")
    return value


def _host_and_port(value: str) -> str:
    parts = urlsplit(f"//{value}")
    try:
        good = bool(parts.hostname) and parts.port is not None and not parts.path
    except ValueError:
        good = False
    if not good:
        raise wrong("host:port", "Write where this centre listens to that partner.")
    return value


Instant = Annotated[datetime, AfterValidator(_aware)]


class KeyFile(Section):
    """``[partner.key]``: as the partner's ``almenara partner identity`` prints it."""

    kid: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$")]
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    valid_from: Instant
    valid_until: Instant


class PartnerFile(Section):
    """``[partner]``: who, where, and by which telephone."""

    id: Centre
    name: Annotated[str, Field(min_length=1, max_length=80)]
    url: Annotated[str, AfterValidator(_address)]
    listen: Annotated[str, AfterValidator(_host_and_port)]
    telephone: Annotated[str, Field(min_length=3, max_length=40)]
    authority_file: Path | None = None
    key: KeyFile


class AgreementFile(Section):
    """``[agreement]``: what both centres signed."""

    legal_basis: Annotated[str, Field(min_length=1, max_length=400)]
    valid_from: Instant
    valid_until: Instant
    purposes: Annotated[list[Purpose], Field(min_length=1)]
    sensitivity: Sensitivity = Sensitivity.GREEN
    keep_days: Annotated[Whole, Field(ge=1, le=90)] = 30
    exercise: bool = False
    rescue_standing: bool = True
    fields: dict[str, list[str]]


class PairingFile(Section):
    """The whole file."""

    partner: PartnerFile
    agreement: AgreementFile


def read_pairing(path: Path, own_key: PublicKey) -> Pairing:
    """The pairing of a file.

    Args:
        path: The TOML.
        own_key: Ours, as the partner has it from us.

    Raises:
        ConfigError: With every fault found.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault(
            place=str(path),
            found=str(getattr(error, "strerror", None) or error),
            expected="a TOML file of a pairing",
            cure="Check the path and your rights.",
        )
        raise ConfigError((fault,)) from error
    return parse_pairing(str(path), text, own_key)


def parse_pairing(name: str, text: str, own_key: PublicKey) -> Pairing:
    """As :func:`read_pairing`, of a text."""
    lines = scan(name, text)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((from_syntax(lines, error),)) from error
    faults = secrets(lines, raw)
    try:
        read = PairingFile.model_validate(raw)
    except ValidationError as error:
        refused = from_validation(lines, PairingFile, error.errors())
        raise ConfigError(faults + refused) from error
    faults += tuple(_contradictions(lines, read, own_key))
    if faults:
        raise ConfigError(faults)
    return _pairing(read, own_key, _authority(lines, read, Path(name).parent))


def _authority(lines: Lines, read: PairingFile, folder: Path) -> str | None:
    """The partner's certificate authority, taken into the store with the pairing."""
    if read.partner.authority_file is None:
        return None
    place = folder / read.partner.authority_file
    try:
        text = place.read_text("ascii")
        ssl.create_default_context(cadata=text)
    except (OSError, UnicodeDecodeError, ssl.SSLError) as error:
        fault = Fault(
            place=lines.place(("partner", "authority_file")),
            found=f"{place}: {getattr(error, 'strerror', None) or error}",
            expected="certificates as PEM",
            cure="Name the file of its certificate authority, as it was handed over.",
        )
        raise ConfigError((fault,)) from error
    return text


def _contradictions(
    lines: Lines, read: PairingFile, own_key: PublicKey
) -> Iterator[Fault]:
    if read.partner.id == own_key.centre_id:
        yield Fault(
            place=lines.place(("partner", "id")),
            found=f"{read.partner.id}, which is this centre",
            expected="another centre",
            cure="Give each centre its own id in [centre].",
        )
    is_near = urlsplit(read.partner.url).hostname in LOOPBACK
    is_near &= urlsplit(f"//{read.partner.listen}").hostname in LOOPBACK
    if read.partner.authority_file is None and not is_near:
        yield Fault(
            place=lines.place(("partner",)),
            found="no authority_file",
            expected="the certificates by which the partner is known",
            cure="Name the file of its certificate authority, as it was handed over.",
        )
    for where, table in (("agreement", read.agreement), ("partner", read.partner.key)):
        if table.valid_until <= table.valid_from:
            yield Fault(
                place=lines.place((where,)),
                found="an end before its beginning",
                expected="valid_from before valid_until",
                cure="Exchange or correct the two times.",
            )
    for purpose in read.agreement.purposes:
        if purpose not in PURPOSES:
            yield Fault(
                place=lines.place(("agreement", "purposes")),
                found=purpose.value,
                expected="sar, safety, border or law_enforcement",
                cure="Take it out: this purpose never leaves a centre.",
            )
    for kind, fields in read.agreement.fields.items():
        yield from _unknown_fields(lines, kind, fields)


def _unknown_fields(lines: Lines, kind: str, fields: list[str]) -> Iterator[Fault]:
    known = fields_of(kind)
    place = lines.place(("agreement", "fields", kind))
    if not known:
        yield Fault(
            place=place,
            found=f"the unknown type {kind}",
            expected=f"one of {', '.join(sorted(name for name, _ in MESSAGES))}",
            cure="Correct the name, or take the line out.",
        )
        return
    if strange := sorted(set(fields) - known):
        yield Fault(
            place=place,
            found=f"fields that {kind} has not: {', '.join(strange)}",
            expected=f"some of {', '.join(sorted(known))}",
            cure="Take them out: a field that does not exist cannot be told.",
        )


def _pairing(
    read: PairingFile, own_key: PublicKey, authority_pem: str | None
) -> Pairing:
    partner, signed = CentreId(read.partner.id), read.agreement
    their_key = PublicKey(
        kid=read.partner.key.kid,
        centre_id=partner,
        use=KeyUse.EXCHANGE,
        public_hex=read.partner.key.public_key,
        valid_from=read.partner.key.valid_from,
        valid_until=read.partner.key.valid_until,
    )
    keys = (own_key, their_key)
    return Pairing(
        partner=partner,
        name=read.partner.name,
        url=read.partner.url,
        listen=read.partner.listen,
        authority_pem=authority_pem,
        telephone=read.partner.telephone,
        keys=keys,
        agreement=Agreement(
            partner=partner,
            legal_basis=signed.legal_basis,
            valid_from=signed.valid_from,
            valid_until=signed.valid_until,
            fields={kind: frozenset(some) for kind, some in signed.fields.items()},
            purposes=frozenset(signed.purposes),
            sensitivity=signed.sensitivity,
            keep_for=timedelta(days=signed.keep_days),
            exercise=signed.exercise,
            rescue_standing=signed.rescue_standing,
        ),
        genesis=genesis_of(keys, signed.legal_basis),
    )
