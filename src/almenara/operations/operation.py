"""A joint operation: what two centres have agreed to do together, and until when.

Agreed means two signatures over the same words; an amendment is a new version that
needs both again, and until it has them the old one holds. Either side suspends it
alone, at once. What is released inside an operation ends with it.

Source: docs/design/operations.md, "Operations".
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import CentreId, PersonId
from almenara.core.time import to_micros
from almenara.core.values import Position


class OperationState(StrEnum):
    """Where in its life an operation is."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    """One side has signed."""

    AGREED = "agreed"
    """Both have, and its time has not come."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The words both sign."""

    name: str
    start: datetime
    end: datetime
    area: tuple[Position, ...]
    purpose: str
    legal_basis: str
    units: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    """Types of messages that may be told inside it."""

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"{self.name}: ends before it begins")
        if len(self.area) < 3:
            raise ValueError(f"{self.name}: an area has three corners")

    @property
    def digest(self) -> str:
        """SHA-256 of the terms: what is signed, the same for both sides."""
        words = {
            "name": self.name,
            "start_us": to_micros(self.start),
            "end_us": to_micros(self.end),
            "area_e7": [
                [round(p.latitude_deg * 1e7), round(p.longitude_deg * 1e7)]
                for p in self.area
            ],
            "purpose": self.purpose,
            "legal_basis": self.legal_basis,
            "units": list(self.units),
            "releases": sorted(self.releases),
        }
        text = json.dumps(words, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """That somebody has signed certain terms for their centre."""

    centre_id: CentreId
    person_id: PersonId
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the terms, and who has signed it."""

    number: int
    terms: Terms
    signatures: tuple[Signature, ...] = ()

    def signed_by(self, centre_id: CentreId) -> bool:
        """Whether a centre has signed these very words."""
        return any(
            s.centre_id == centre_id and s.digest == self.terms.digest
            for s in self.signatures
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation with all its versions."""

    operation_id: str
    partners: tuple[CentreId, CentreId]
    versions: tuple[Version, ...]
    suspended_by: frozenset[CentreId] = frozenset()
    ended_at: datetime | None = None
    reviewed_at: datetime | None = None

    @property
    def in_force(self) -> Version | None:
        """The newest version that both have signed."""
        signed = (
            v for v in reversed(self.versions) if all(map(v.signed_by, self.partners))
        )
        return next(signed, None)

    def state(self, now: datetime) -> OperationState:
        """What it is at an instant; its time ends it without anybody's act."""
        version = self.in_force
        if self.reviewed_at is not None:
            return OperationState.REVIEWED
        if version is None:
            signed = any(v.signatures for v in self.versions)
            return OperationState.PROPOSED if signed else OperationState.DRAFT
        if self.ended_at is not None or now >= version.terms.end:
            return OperationState.ENDED
        if self.suspended_by:
            return OperationState.SUSPENDED
        is_time = now >= version.terms.start
        return OperationState.ACTIVE if is_time else OperationState.AGREED

    def releases(self, kind: str, now: datetime) -> bool:
        """Whether a type of message may be told because of it, now."""
        version = self.in_force
        return (
            version is not None
            and self.state(now) is OperationState.ACTIVE
            and kind in version.terms.releases
        )


def propose(
    operation_id: str, partners: tuple[CentreId, CentreId], terms: Terms
) -> Operation:
    """A draft of the first version."""
    first = Version(number=1, terms=terms)
    return Operation(operation_id=operation_id, partners=partners, versions=(first,))


def amend(operation: Operation, terms: Terms) -> Operation:
    """The next version; what both have signed before holds until it is signed too."""
    number = operation.versions[-1].number + 1
    version = Version(number=number, terms=terms)
    return replace(operation, versions=(*operation.versions, version))


def sign(operation: Operation, number: int, signature: Signature) -> Operation:
    """Add a signature to a version.

    Raises:
        ValueError: Nobody's partner, no such version, or other words than these.
    """
    version = next((v for v in operation.versions if v.number == number), None)
    if version is None or signature.centre_id not in operation.partners:
        raise ValueError(f"{operation.operation_id}: nobody to sign version {number}")
    if signature.digest != version.terms.digest:
        raise ValueError(f"{operation.operation_id}: signs other words than these")
    if version.signed_by(signature.centre_id):
        return operation
    signed = replace(version, signatures=(*version.signatures, signature))
    return replace(
        operation,
        versions=tuple(signed if v is version else v for v in operation.versions),
    )


def suspend(operation: Operation, centre_id: CentreId) -> Operation:
    """Either side alone, at once."""
    return replace(operation, suspended_by=operation.suspended_by | {centre_id})


def resume(operation: Operation, centre_id: CentreId) -> Operation:
    """A side takes back its own suspension; the other's stays."""
    return replace(operation, suspended_by=operation.suspended_by - {centre_id})
