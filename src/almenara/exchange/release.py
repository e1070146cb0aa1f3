"""The gate: what leaves is built field by field from an allow-list, or not at all.

Asked twice: when a record is queued, and again immediately before it is sealed, for a
label may have been tightened in between. It never deletes fields from a record; it
builds a new body of those that the agreement names, so a field that nobody thought of
does not exist on the wire.

Source: Regulation (EU) 2019/1896, articles 25, 89(2), 89(4), 89(5); Directive (EU)
2016/680, article 25; docs/design/exchange.md, "Release gate".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import JsonValue

from almenara.core.ids import CentreId, PersonId
from almenara.core.labels import Labels, Purpose, Sensitivity
from almenara.core.time import to_micros
from almenara.exchange.envelope import PURPOSES, SENSITIVITIES, WireLabel
from almenara.exchange.stream import Lane

ALWAYS = frozenset({"recall", "link.notice", "ack"})
"""The link's own affairs: they carry nothing of the watch."""

IDENTITIES = frozenset({"mmsi", "imo", "call_sign", "ship_registration"})
"""The only personal data of a situational picture: numbers of ships and aircraft."""

AFTER_CARE = frozenset({"rescue.custody", "recall", "link.notice", "ack"})
"""What is still told once the persons of a case are in somebody's care."""

PLACED_AFTER_CARE = frozenset({"people", "picture", "unit_route", "disembarkation"})


class Hurdle(StrEnum):
    """Why something does not leave: a stable key, and all that the partner learns."""

    SUSPENDED = "suspended"
    AGREEMENT = "agreement"
    RECIPIENT = "recipient"
    SENSITIVITY = "sensitivity"
    PURPOSE = "purpose"
    EXERCISE = "exercise"
    TYPE = "type"
    PERSONAL_DATA = "personal_data"
    IN_CARE = "in_care"
    APPROVAL = "approval"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two centres have signed, as data."""

    partner: CentreId
    legal_basis: str
    valid_from: datetime
    valid_until: datetime
    fields: Mapping[str, frozenset[str]]
    """Type to the fields that may leave; a type that is not here does not."""

    purposes: frozenset[Purpose]
    sensitivity: Sensitivity
    """The highest."""

    keep_for: timedelta
    exercise: bool = False
    """An exercise's streams carry exercise data, and no others carry any."""

    rescue_standing: bool = True
    """``rescue.*`` needs no release of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something that could be told, as the domain has it."""

    type: str
    ver: int
    lane: Lane
    fields: Mapping[str, JsonValue]
    labels: Labels
    in_care: bool = False
    """The persons it speaks of are in a unit's care, or ashore."""

    has_picture: bool = False
    has_free_text: bool = False
    requested_by: PersonId | None = None
    approved_by: frozenset[PersonId] = frozenset()
    mission: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What may be sealed."""

    body: Mapping[str, JsonValue]
    label: WireLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """What may not, and why; each is logged, and a withheld rescue is an alarm."""

    hurdle: Hurdle
    is_rescue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Decides for one partner; a value, replaced when an agreement changes."""

    agreement: Agreement
    suspended: bool = False
    evidence_types: frozenset[str] = field(
        default_factory=lambda: frozenset({"evidence.pointer"})
    )

    def decide(self, record: Record, now: datetime) -> Released | Withheld:
        """Whether, and with what body, a record may leave at ``now``."""
        hurdle = self._hurdle(record, now)
        if hurdle is not None:
            return Withheld(hurdle=hurdle, is_rescue=record.type.startswith("rescue."))
        return Released(body=self._projected(record), label=self._label(record, now))

    def _hurdle(self, record: Record, now: datetime) -> Hurdle | None:
        """The first of the checks, in the order of the design, that says no."""
        signed = self.agreement
        labels = record.labels
        is_own = record.type in ALWAYS
        is_standing = signed.rescue_standing and record.type.startswith("rescue.")
        checks = (
            (self.suspended, Hurdle.SUSPENDED),
            (not signed.valid_from <= now < signed.valid_until, Hurdle.AGREEMENT),
            (not is_own and record.type not in signed.fields, Hurdle.TYPE),
            (
                not (is_own or is_standing)
                and signed.partner not in labels.releasable_to,
                Hurdle.RECIPIENT,
            ),
            (
                not is_own and _rank(labels.sensitivity) > _rank(signed.sensitivity),
                Hurdle.SENSITIVITY,
            ),
            (
                not is_own and labels.purpose not in PURPOSES & signed.purposes,
                Hurdle.PURPOSE,
            ),
            (
                labels.simulated
                if not signed.exercise
                else not (labels.exercise or labels.simulated or is_own),
                Hurdle.EXERCISE,
            ),
            (labels.exercise and not signed.exercise, Hurdle.EXERCISE),
            (self._names_somebody(record), Hurdle.PERSONAL_DATA),
            (record.in_care and not self._after_care(record), Hurdle.IN_CARE),
            (not self._approved(record), Hurdle.APPROVAL),
        )
        return next((hurdle for fails, hurdle in checks if fails), None)

    def _names_somebody(self, record: Record) -> bool:
        """Personal data beyond the numbers of ships, which no agreement can allow."""
        allowed = self.agreement.fields.get(record.type, frozenset())
        personal = record.labels.personal_data and not (
            record.has_picture or record.has_free_text
        )
        return personal and not any(name in IDENTITIES for name in allowed)

    def _after_care(self, record: Record) -> bool:
        if record.type in AFTER_CARE:
            return True
        told = self.agreement.fields.get(record.type, frozenset()) & set(record.fields)
        return not told & PLACED_AFTER_CARE or _seconded(record, 1)

    def _approved(self, record: Record) -> bool:
        if record.type in self.evidence_types:
            return _seconded(record, 2)
        return not (record.has_picture or record.has_free_text) or _seconded(record, 1)

    def _projected(self, record: Record) -> Mapping[str, JsonValue]:
        if record.type in ALWAYS:
            return dict(record.fields)
        allowed = self.agreement.fields[record.type]
        return {name: record.fields[name] for name in allowed & set(record.fields)}

    def _label(self, record: Record, now: datetime) -> WireLabel:
        labels = record.labels
        until = now + self.agreement.keep_for
        return WireLabel.model_validate(
            {
                "purpose": labels.purpose.value,
                "sensitivity": labels.sensitivity.value,
                "personal_data": labels.personal_data,
                "retain_until_ms": to_micros(until) // 1000,
                "exercise": labels.exercise,
                "simulated": labels.simulated,
            }
        )


def _seconded(record: Record, persons: int) -> bool:
    """Whether so many others than who asked for it have approved."""
    return len(record.approved_by - {record.requested_by}) >= persons


def _rank(sensitivity: Sensitivity) -> int:
    return SENSITIVITIES.index(sensitivity)
