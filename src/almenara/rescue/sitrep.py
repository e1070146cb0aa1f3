"""Situation reports: what one centre tells others of a case, letter by letter.

Reports are numbered per case and originator, from 1. A report that was sent is never
changed: a correction is a new number that names the old one. Every letter of the form
is there; what nobody knows is *unknown*, never left out. Contents are keys and values:
sentences in four languages are made at the edge, from the same report.

Source: SITREP format of IMO/ICAO as published by MRCC Bremen (the letter I is not
used); docs/design/rescue.md, "Situation report".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.core.values import CountRange, Position
from almenara.incidents.alarm import Reason
from almenara.rescue.assessment import Proposal
from almenara.rescue.phases import Phase


class Letter(StrEnum):
    """The parts of the form, in order."""

    IDENTITY = "A"
    POSITION = "B"
    SITUATION = "C"
    PERSONS = "D"
    ASSISTANCE = "E"
    COORDINATOR = "F"
    DESCRIPTION = "G"
    WEATHER = "H"
    INITIAL_ACTIONS = "J"
    SEARCH_AREA = "K"
    INSTRUCTIONS = "L"
    PLANS = "M"
    ADDITIONAL = "N"


SHORT = tuple(Letter)[:6]
"""A to F: what goes out first."""

UNKNOWN = Reason("sitrep.unknown")


class Urgency(StrEnum):
    """Transmission priority."""

    DISTRESS = "distress"
    URGENCY = "urgency"
    ROUTINE = "routine"


URGENCY: Mapping[Phase, Urgency] = {
    Phase.DISTRESS: Urgency.DISTRESS,
    Phase.ALERT: Urgency.URGENCY,
    Phase.UNCERTAINTY: Urgency.URGENCY,
    Phase.NONE: Urgency.ROUTINE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Somebody's own words; they travel with their language and stay as they are."""

    text: str
    language: str
    """ISO 639-1: ``ar``, ``es``, ``fr``, ``en``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One letter of a report."""

    letter: Letter
    said: tuple[Reason, ...]
    """Keys and values; :data:`UNKNOWN` alone where nobody knows."""

    words: Words | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a case when a report is made; None is unknown."""

    case_id: CaseId
    craft: str | None = None
    """A key: ``open_boat``, ``inflatable``, ``ship``, …"""

    mmsi: int | None = None
    position: Position | None = None
    position_std_m: float | None = None
    position_at: datetime | None = None
    phase: Phase = Phase.UNCERTAINTY
    proposal: Proposal | None = None
    persons: CountRange | None = None
    coordinator: CentreId | None = None
    """None: not certain at this moment."""

    offered_to: CentreId | None = None
    wind_from_deg: float | None = None
    wind_mps: float | None = None
    area_km2: float | None = None
    """Of the search area holding 95 %."""

    area_middle: Position | None = None
    area_unknown: tuple[str, ...] = ()
    """What the drift did not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitrep:
    """A report as it was sent; immutable."""

    case_id: CaseId
    originator: CentreId
    number: int
    """From 1, per case and originator."""

    at: datetime
    by: PersonId
    urgency: Urgency
    to: tuple[str, ...]
    """Centres, by name."""

    full: bool
    parts: tuple[Part, ...]
    corrects: int | None = None
    """The number of the report that this one puts right."""

    exercise: bool = False
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asks for when they make a report."""

    to: tuple[str, ...]
    full: bool = False
    corrects: int | None = None
    words: Mapping[Letter, Words] = field(default_factory=dict[Letter, Words])


def compose(known: Known, order: Order) -> tuple[Part, ...]:
    """Every letter of the form, in order; what is not known says so."""
    said = {
        Letter.IDENTITY: _identity(known),
        Letter.POSITION: _position(known),
        Letter.SITUATION: _situation(known),
        Letter.PERSONS: _persons(known.persons),
        Letter.COORDINATOR: _coordinator(known),
        Letter.DESCRIPTION: _craft(known),
        Letter.WEATHER: _weather(known),
        Letter.SEARCH_AREA: _area(known),
    }
    parts = []
    for letter in Letter if order.full else SHORT:
        words = order.words.get(letter)
        facts = said.get(letter, ())
        if not facts and words is None:
            facts = (UNKNOWN,)
        parts.append(Part(letter=letter, said=facts, words=words))
    return tuple(parts)


def _identity(known: Known) -> tuple[Reason, ...]:
    case = Reason("sitrep.case", {"case": known.case_id})
    if known.mmsi is None:
        return (case, *(_craft(known) or (UNKNOWN,)))
    return case, Reason("sitrep.mmsi", {"mmsi": str(known.mmsi)})


def _craft(known: Known) -> tuple[Reason, ...]:
    return () if known.craft is None else (Reason(f"craft.{known.craft}"),)


def _position(known: Known) -> tuple[Reason, ...]:
    if known.position is None:
        return ()
    said = [Reason("sitrep.position", _place(known.position))]
    if known.position_std_m is None:
        said.append(Reason("sitrep.position_error_unknown"))
    else:
        error = {"error_m": float(round(known.position_std_m))}
        said.append(Reason("sitrep.position_error", error))
    if known.position_at is not None:
        at = known.position_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        said.append(Reason("sitrep.position_at", {"at": at}))
    return tuple(said)


def _place(position: Position) -> dict[str, float | str]:
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
    }


def _situation(known: Known) -> tuple[Reason, ...]:
    phase = Reason(f"phase.{known.phase.name.lower()}")
    if known.proposal is None:
        return (phase,)
    # What is unknown is named letter by letter of the assessment, not only counted.
    unknown = (Reason(f"factor_unknown.{key}") for key in known.proposal.unknown)
    because = (r for r in known.proposal.because if r.key != "factors.unknown")
    return phase, *because, *unknown


def _persons(persons: CountRange | None) -> tuple[Reason, ...]:
    if persons is None:
        return ()
    if persons.at_most is None:
        least = {"at_least": float(persons.at_least)}
        return (Reason("persons.at_least", least),)
    both = {"at_least": float(persons.at_least), "at_most": float(persons.at_most)}
    return (Reason("persons.between", both),)


def _coordinator(known: Known) -> tuple[Reason, ...]:
    if known.coordinator is None:
        return ()
    said = [Reason("coordinator", {"centre": known.coordinator})]
    if known.offered_to is not None:
        said.append(Reason("coordinator.offered", {"centre": known.offered_to}))
    return tuple(said)


def _weather(known: Known) -> tuple[Reason, ...]:
    if known.wind_mps is None or known.wind_from_deg is None:
        return ()
    wind = {
        "from_deg": float(round(known.wind_from_deg)),
        "mps": round(known.wind_mps, 1),
    }
    return (Reason("weather.wind", wind),)


def _area(known: Known) -> tuple[Reason, ...]:
    if known.area_km2 is None or known.area_middle is None:
        return ()
    values = {**_place(known.area_middle), "km2": round(known.area_km2, 1)}
    missing = (Reason(f"drift_unknown.{key}") for key in known.area_unknown)
    return Reason("area", values), *missing
