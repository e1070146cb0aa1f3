"""Cases on the wire: what comes in, and what goes out, in keys and numbers.

Source: docs/design/rescue.md, "The API".
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from almenara.console.wire import (
    Body,
    Instant,
    Name,
    Number,
    Place,
    PlaceBody,
    When,
    Wire,
    known,
)
from almenara.core.ids import PersonId
from almenara.core.values import CountRange, Position
from almenara.incidents.alarm import Reason
from almenara.rescue import custody
from almenara.rescue.assessment import Factor, Finding, Judgement, SourceKind
from almenara.rescue.case import (
    Case,
    CustodyAct,
    DriftRecord,
    SearchRecord,
    SearchTask,
    Wind,
)
from almenara.rescue.knew_when import KnewRow
from almenara.rescue.phases import LoweringRequest, Phase
from almenara.rescue.search import PatternKind, SearchUnit
from almenara.rescue.sitrep import Letter, Order, Part, Sitrep, Words

Craft = Literal[
    "open_boat", "inflatable", "sailing", "fishing", "ship", "persons_in_water"
]
Level = Literal["none", "uncertainty", "alert", "distress"]
Language = Literal["ar", "en", "es", "fr"]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Version = Annotated[int, Field(ge=1, le=2**31)]
Bearing = Annotated[float, Field(ge=0, lt=360)]
Metres = Annotated[float, Field(gt=0, le=1e6)]
FindingName = Literal["observed_good", "unknown", "likely_adverse", "observed_adverse"]


# -- coming in -------------------------------------------------------------------------


class WordsBody(Body):
    """Somebody's own words."""

    text: Text
    language: Language

    def words(self) -> Words:
        """As the domain keeps them."""
        return Words(text=self.text, language=self.language)


class PersonsBody(Body):
    """How many, at least and at most; never who."""

    at_least: Count
    at_most: Count | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        self.range()
        return self

    def range(self) -> CountRange:
        """As the domain keeps it."""
        return CountRange(at_least=self.at_least, at_most=self.at_most)


class FactsBody(Body):
    """What is known; what is left out is unknown."""

    position: PlaceBody | None = None
    position_std_m: Annotated[float, Field(ge=1, le=200_000)] | None = None
    position_at: When | None = None
    craft: Craft | None = None
    mmsi: Annotated[int, Field(ge=1, le=999_999_999)] | None = None
    persons: PersonsBody | None = None
    words: WordsBody | None = None


class OriginBody(Body):
    """What becomes a case."""

    kind: Literal["track", "alarm", "call", "point", "linked"]
    id: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _names_its_thing(self) -> Self:
        if (self.kind in ("track", "alarm", "linked")) != (self.id is not None):
            raise ValueError("an id goes with a track, an alarm or a linked case")
        return self


class OpeningBody(Body):
    """One act: the origin is enough, everything else may follow."""

    origin: OriginBody
    phase: Level = "uncertainty"
    facts: FactsBody = FactsBody()
    exercise: bool = False


class LearnBody(Body):
    """A newer version of the facts."""

    version: Version
    facts: FactsBody


class JudgementBody(Body):
    """One finding."""

    factor: Factor
    finding: FindingName
    source: SourceKind
    source_time: When
    evidence: Name | None = None
    correction: Text | None = None


class AssessmentBody(Body):
    """Findings on up to ten factors."""

    version: Version
    judgements: Annotated[list[JudgementBody], Field(min_length=1, max_length=10)]


class PhaseBody(Body):
    """Up, in one act; without a version, because nothing may hold it up."""

    phase: Level


class LoweringBody(Body):
    """Ask for a lower phase, or to close."""

    version: Version
    phase: Level = "none"
    closes: bool = False
    reason: Text


class CustodyBody(Body):
    """Offer, accept, refuse, withdraw."""

    version: Version
    act: CustodyAct
    reason: Annotated[str, Field(max_length=4000)] = ""


class SitrepBody(Body):
    """Order a report."""

    to: Annotated[list[Name], Field(min_length=1, max_length=20)]
    full: bool = False
    corrects: Annotated[int, Field(ge=1, le=100_000)] | None = None
    words: dict[Letter, WordsBody] = Field(default_factory=dict)

    def order(self) -> Order:
        """As the domain takes it."""
        words = {letter: body.words() for letter, body in self.words.items()}
        return Order(
            to=tuple(self.to), full=self.full, corrects=self.corrects, words=words
        )


class WindBody(Body):
    """Where it comes from, degrees true, and how fast."""

    from_deg: Bearing
    mps: Annotated[float, Field(ge=0, le=80)]

    def wind(self) -> Wind:
        """As the domain keeps it."""
        return Wind(from_deg=self.from_deg, mps=self.mps)


class DriftBody(Body):
    """What a drift needs to know; a wind left out is unknown, never calm."""

    craft: Literal["open_boat", "inflatable", "persons_in_water"] | None = None
    until: When
    wind: WindBody | None = None
    current: WindBody | None = None
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    particles: Annotated[int, Field(ge=100, le=20_000)] = 5_000


class UnitBody(Body):
    """Who can search."""

    name: Name
    speed_mps: Annotated[float, Field(gt=0, le=200)]
    endurance_s: Annotated[float, Field(gt=0, le=172_800)]
    sweep_width_m: Metres
    sweep_source: Name

    def unit(self) -> SearchUnit:
        """As the domain takes it."""
        return SearchUnit(
            name=self.name,
            speed_mps=self.speed_mps,
            endurance_s=self.endurance_s,
            sweep_width_m=self.sweep_width_m,
            sweep_source=self.sweep_source,
        )


class SearchBody(Body):
    """Plan a search of the newest drift."""

    pattern: Literal["parallel", "creeping", "expanding_square", "sector"] = "parallel"
    units: Annotated[list[UnitBody], Field(min_length=1, max_length=20)]

    @property
    def kind(self) -> PatternKind:
        """As the domain names it."""
        return PatternKind(self.pattern)


# -- going out -------------------------------------------------------------------------


class ReasonRow(Wire):
    """A fact in keys and values."""

    key: str
    values: dict[str, float | str | None]

    @classmethod
    def of(cls, reason: Reason) -> Self:
        """A reason as the wire shows it."""
        return cls(key=reason.key, values=_values(reason.values))


def _values(values: Mapping[str, float | str]) -> dict[str, float | str | None]:
    return {
        key: value if isinstance(value, str) else known(value)
        for key, value in values.items()
    }


class PersonsRow(Wire):
    """How many."""

    at_least: int
    at_most: int | None


class WordsRow(Wire):
    """Somebody's own words."""

    text: str
    language: str


class FactsRow(Wire):
    """What is known."""

    at: Instant
    by: str
    position: Place | None
    position_cov_m2: tuple[float, float, float] | None
    position_at: Instant | None
    craft: str | None
    mmsi: int | None
    persons: PersonsRow | None
    words: WordsRow | None


class FactorRow(Wire):
    """One factor of the assessment."""

    factor: str
    finding: str
    source: str | None
    source_time: Instant | None
    who: str | None
    evidence: str | None


class ProposalRow(Wire):
    """What the software would decide."""

    phase: str
    because: list[ReasonRow]
    unknown: list[str]
    table_version: int


class DecisionRow(Wire):
    """What a person decided."""

    phase: str
    proposed: str
    at: Instant
    by: str
    reason: str
    agreed_by: str | None


class RequestRow(Wire):
    """Somebody wants it lower; ``digest`` is what a second person agrees to."""

    digest: str
    phase: str
    closes: bool
    reason: str
    asked_by: str
    asked_at: Instant
    used: bool


class EntryRow(Wire):
    """A line of the ledger."""

    author: str
    seq: int
    act: str
    epoch: int
    at: Instant
    by: str
    addressee: str | None
    offer: int | None
    snapshot: str | None
    reason: str


class NoticeRow(Wire):
    """What people were told about the open offer."""

    kind: str
    nth: int


class CustodyRow(Wire):
    """Who coordinates, and whether that is certain."""

    coordinator: str | None
    certain: bool
    epoch: int
    since: Instant | None
    offered_to: str | None
    withdrawing: bool
    delivered: bool
    notices: list[NoticeRow]
    ledger: list[EntryRow]


class DriftAreaRow(Wire):
    """A region; rings are closed."""

    level: float
    size_km2: Number
    rings: list[list[Place]]


class DriftRow(Wire):
    """A drift that was calculated."""

    number: int
    at: Instant
    by: str
    start_at: Instant
    until: Instant
    hypotheses: list[str]
    rows: list[str]
    seed: int
    particles: int
    datum: Place
    areas: list[DriftAreaRow]
    unknown: list[str]
    analogues: list[str]


class TaskRow(Wire):
    """One unit's part."""

    unit: str
    sweep_width_m: float
    sweep_source: str
    coverage: Number
    pod: Number
    spacing_m: Number
    length_m: Number
    waypoints: list[Place]


class SearchRow(Wire):
    """A plan."""

    number: int
    at: Instant
    by: str
    pattern: str
    drift: int
    tasks: list[TaskRow]


class PartRow(Wire):
    """One letter of a report."""

    letter: str
    said: list[ReasonRow]
    words: WordsRow | None


class SitrepRow(Wire):
    """A report."""

    number: int
    originator: str
    at: Instant
    by: str
    urgency: str
    to: list[str]
    full: bool
    corrects: int | None
    exercise: bool
    simulated: bool
    parts: list[PartRow]


class SitrepText(Wire):
    """A report as people read it."""

    number: int
    language: str
    text: str


class CaseHead(Wire):
    """A line of the list."""

    case_id: str
    version: int
    phase: str
    proposed: str
    opened_at: Instant
    closed_at: Instant | None
    coordinator: str | None
    position: Place | None
    persons: PersonsRow | None
    simulated: bool
    exercise: bool


class CaseList(Wire):
    """An object, never a bare array; gravest and oldest first."""

    items: list[CaseHead]


class OriginRow(Wire):
    """Where it comes from."""

    kind: str
    id: str | None


class CaseRow(CaseHead):
    """Everything."""

    origin: OriginRow
    facts: list[FactsRow]
    assessment_version: int
    factors: list[FactorRow]
    proposal: ProposalRow
    decisions: list[DecisionRow]
    requests: list[RequestRow]
    custody: CustodyRow
    reports: list[SitrepRow]
    drifts: list[DriftRow]
    searches: list[SearchRow]


class KnewRowWire(Wire):
    """One line of knew-when."""

    at: Instant
    kind: str
    centre: str
    actor: str
    what: str
    object: str
    source_time: Instant | None
    evidence: str | None


class KnewWhen(Wire):
    """The whole line of time."""

    case_id: str
    version: int
    items: list[KnewRowWire]


def phase_of(level: Level) -> Phase:
    """A phase by its name on the wire."""
    return Phase[level.upper()]


def judgement_of(body: JudgementBody, who: str) -> Judgement:
    """A finding as the domain keeps it.

    Raises:
        CaseRefusedError: What must not be said of this factor.
    """
    return Judgement(
        factor=body.factor,
        finding=Finding[body.finding.upper()],
        source=body.source,
        source_time=body.source_time,
        who=PersonId(who),
        evidence=body.evidence,
        correction=body.correction,
    )


def head_of(case: Case) -> CaseHead:
    """A case as a line of the list."""
    return CaseHead.model_validate(_head(case))


def _head(case: Case) -> dict[str, object]:
    facts = case.facts[-1]
    return {
        "case_id": case.case_id,
        "version": case.version,
        "phase": _name(case.phase),
        "proposed": _name(case.proposal.phase),
        "opened_at": case.opened_at,
        "closed_at": case.closed_at,
        "coordinator": custody.believed(case.ledger),
        "position": facts.position,
        "persons": facts.persons,
        "simulated": case.labels.simulated,
        "exercise": case.labels.exercise,
    }


def row_of(case: Case) -> CaseRow:
    """A case with everything."""
    proposal = case.proposal
    return CaseRow.model_validate(
        {
            **_head(case),
            "origin": case.origin,
            "facts": list(case.facts),
            "assessment_version": case.assessment.version,
            "factors": [_factor(case, factor) for factor in Factor],
            "proposal": ProposalRow(
                phase=_name(proposal.phase),
                because=[ReasonRow.of(reason) for reason in proposal.because],
                unknown=list(proposal.unknown),
                table_version=proposal.table_version,
            ),
            "decisions": [
                DecisionRow(
                    phase=_name(made.phase),
                    proposed=_name(made.proposed),
                    at=made.at,
                    by=made.by,
                    reason=made.reason,
                    agreed_by=made.agreed_by,
                )
                for made in case.decisions
            ],
            "requests": [_request(asked) for asked in case.requests],
            "custody": _custody(case),
            "reports": [sitrep_row(made) for made in case.reports],
            "drifts": [drift_row(d, n) for n, d in enumerate(case.drifts, 1)],
            "searches": [search_row(s, n) for n, s in enumerate(case.searches, 1)],
        }
    )


def _name(phase: Phase) -> str:
    return phase.name.lower()


def _factor(case: Case, factor: Factor) -> FactorRow:
    found = next((j for j in case.assessment.judgements if j.factor is factor), None)
    return FactorRow(
        factor=factor.value,
        finding=case.assessment.of(factor).name.lower(),
        source=found.source.value if found else None,
        source_time=found.source_time if found else None,
        who=found.who if found else None,
        evidence=found.evidence if found else None,
    )


def _request(asked: LoweringRequest) -> RequestRow:
    return RequestRow(
        digest=asked.digest,
        phase=_name(asked.phase),
        closes=asked.closes,
        reason=asked.reason,
        asked_by=asked.asked_by,
        asked_at=asked.asked_at,
        used=asked.used,
    )


def _custody(case: Case) -> CustodyRow:
    ledger = case.ledger
    standing = ledger.standing
    offer = standing.offer
    since: datetime | None = standing.reigns[-1].begins.at if standing.reigns else None
    entries = (*ledger.mine, *ledger.theirs)
    of_offer = [n for n in case.told if offer is not None and n.offer == offer.seq]
    of_offer.sort(key=lambda n: (n.kind, n.nth))
    return CustodyRow(
        coordinator=custody.believed(ledger),
        certain=ledger.is_level,
        epoch=standing.epoch,
        since=since,
        offered_to=offer.addressee if offer else None,
        withdrawing=standing.withdrawing,
        delivered=offer is not None and ledger.confirmed >= offer.seq,
        notices=[NoticeRow.model_validate(notice) for notice in of_offer],
        ledger=[EntryRow.model_validate(entry) for entry in entries],
    )


def drift_row(record: DriftRecord, number: int) -> DriftRow:
    """A drift as the wire shows it."""
    return DriftRow(
        number=number,
        at=record.at,
        by=record.by,
        start_at=record.start_at,
        until=record.until,
        hypotheses=list(record.hypotheses),
        rows=list(record.rows),
        seed=record.seed,
        particles=record.particles,
        datum=Place.model_validate(record.datum),
        areas=[
            DriftAreaRow(
                level=area.level,
                size_km2=area.size_km2,
                rings=[_places(ring) for ring in area.rings],
            )
            for area in record.areas
        ],
        unknown=list(record.unknown),
        analogues=list(record.analogues),
    )


def search_row(record: SearchRecord, number: int) -> SearchRow:
    """A plan as the wire shows it."""
    return SearchRow(
        number=number,
        at=record.at,
        by=record.by,
        pattern=record.pattern,
        drift=record.drift,
        tasks=[_task(task) for task in record.tasks],
    )


def _task(task: SearchTask) -> TaskRow:
    return TaskRow(
        unit=task.unit,
        sweep_width_m=task.sweep_width_m,
        sweep_source=task.sweep_source,
        coverage=task.coverage,
        pod=task.pod,
        spacing_m=task.spacing_m,
        length_m=task.length_m,
        waypoints=_places(task.waypoints),
    )


def _places(positions: tuple[Position, ...]) -> list[Place]:
    return [Place.model_validate(position) for position in positions]


def sitrep_row(made: Sitrep) -> SitrepRow:
    """A report as the wire shows it."""
    return SitrepRow(
        number=made.number,
        originator=made.originator,
        at=made.at,
        by=made.by,
        urgency=made.urgency.value,
        to=list(made.to),
        full=made.full,
        corrects=made.corrects,
        exercise=made.exercise,
        simulated=made.simulated,
        parts=[_part(part) for part in made.parts],
    )


def _part(part: Part) -> PartRow:
    return PartRow(
        letter=part.letter.value,
        said=[ReasonRow.of(reason) for reason in part.said],
        words=WordsRow.model_validate(part.words) if part.words else None,
    )


def knew_row(row: KnewRow) -> KnewRowWire:
    """A line as the wire shows it."""
    return KnewRowWire.model_validate(row)
