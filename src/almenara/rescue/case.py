"""A rescue case: everything a centre knows, decided and did about one rescue.

A track, an alarm, a call or a point of the map becomes a case in one act. A case is a
value; each act makes the next version of it and says whom to notify. From uncertainty
on the competent rescue coordination centre is told all there is, at every change. Who
lowers the phase or closes needs a reason and a second person (``phases``), and only the
coordinator closes (``custody``).

Source: Regulation (EU) No 656/2014, article 9; docs/design/rescue.md, "The case".
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.core.labels import Labels, Purpose
from almenara.core.values import CountRange, Position
from almenara.rescue import custody
from almenara.rescue.assessment import Assessment, Judgement, Proposal, propose
from almenara.rescue.custody import Ledger
from almenara.rescue.phases import (
    LoweringRequest,
    Phase,
    PhaseDecision,
    agreed,
    raised,
)
from almenara.rescue.sitrep import (
    URGENCY,
    Known,
    Order,
    Part,
    Sitrep,
    Words,
    compose,
)


class OriginKind(StrEnum):
    """What became a case."""

    TRACK = "track"
    ALARM = "alarm"
    CALL = "call"
    POINT = "point"
    LINKED = "linked"
    """Another centre's case, while that centre cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a case comes from."""

    kind: OriginKind
    id: str | None = None
    """Of the track, alarm or case; None for a call or a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One version of what is known of the craft and the people; None is unknown."""

    at: datetime
    by: PersonId
    position: Position | None = None
    position_cov_m2: tuple[float, float, float] | None = None
    """East variance, north variance, covariance."""

    position_at: datetime | None = None
    craft: str | None = None
    """``open_boat``, ``inflatable``, ``sailing``, ``fishing``, ``ship``,
    ``persons_in_water``."""

    mmsi: int | None = None
    persons: CountRange | None = None
    words: Words | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wind:
    """As somebody gave it: where it comes from."""

    from_deg: float
    mps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftArea:
    """A region that holds a share of every hypothesis."""

    level: float
    size_km2: float
    rings: tuple[tuple[Position, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRecord:
    """A drift that was calculated, with all that determines it."""

    at: datetime
    by: PersonId
    start_at: datetime
    until: datetime
    hypotheses: tuple[str, ...]
    rows: tuple[str, ...]
    wind: Wind | None
    current: Wind | None
    """``from_deg`` is where it comes from, as for a wind."""

    seed: int
    particles: int
    datum: Position
    areas: tuple[DriftArea, ...]
    unknown: tuple[str, ...]
    analogues: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTask:
    """One unit's part of a search: proposed, never ordered by the software."""

    unit: str
    sweep_width_m: float
    sweep_source: str
    coverage: float
    pod: float
    spacing_m: float
    length_m: float
    waypoints: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecord:
    """A plan for a search."""

    at: datetime
    by: PersonId
    pattern: str
    drift: int
    """Which drift of the case it searches, from 1."""

    tasks: tuple[SearchTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rescue as this centre knows it; every earlier word is still in it."""

    case_id: CaseId
    version: int
    origin: Origin
    opened_at: datetime
    facts: tuple[Facts, ...]
    assessments: tuple[Assessment, ...]
    decisions: tuple[PhaseDecision, ...]
    ledger: Ledger
    labels: Labels
    requests: tuple[LoweringRequest, ...] = ()
    reports: tuple[Sitrep, ...] = ()
    drifts: tuple[DriftRecord, ...] = ()
    searches: tuple[SearchRecord, ...] = ()
    closed_at: datetime | None = None
    told: frozenset[custody.Notice] = frozenset()
    """Which notices about the open offer people were told."""

    @property
    def phase(self) -> Phase:
        """As a person decided last."""
        return self.decisions[-1].phase

    @property
    def assessment(self) -> Assessment:
        """The newest."""
        return self.assessments[-1]

    @property
    def proposal(self) -> Proposal:
        """What the software would decide, with its reasons."""
        return propose(self.assessment)

    @property
    def is_open(self) -> bool:
        """Whether anybody still has to do something."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the rescue coordination centre has to be told; the edge delivers it."""

    key: str
    """The same for the same version: delivering twice is telling once."""

    case_id: CaseId
    version: int
    at: datetime
    phase: Phase
    parts: tuple[Part, ...]
    """Every letter of the form, whatever is known."""

    exercise: bool
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an act makes of a case; committed whole or not at all."""

    case: Case
    act: str
    """A stable key: ``case.open``, ``case.phase``, …"""

    notifications: tuple[Notification, ...] = ()


# -- acts ------------------------------------------------------------------------------


def open_case(
    case_id: CaseId,
    *,
    origin: Origin,
    own: CentreId,
    partner: CentreId,
    facts: Facts,
    labels: Labels,
    phase: Phase = Phase.UNCERTAINTY,
) -> Change:
    """One act, any phase: a case begins, coordinated by the centre that opens it.

    Args:
        case_id: Never used before.
        origin: What became a case.
        own: This centre.
        partner: Who may be offered coordination.
        facts: What is known of it; ``at`` and ``by`` say who opens it and when.
        labels: Of what it began with: exercise and simulated go with it.
        phase: As the person says; at least uncertainty.
    """
    at, by = facts.at, facts.by
    blank = Assessment(version=0, at=at, by=by)
    phase = max(Phase.UNCERTAINTY, phase)
    decision = raised(Phase.NONE, phase, proposed=propose(blank).phase, at=at, by=by)
    ledger = Ledger(case_id=case_id, own=own, partner=partner)
    case = Case(
        case_id=case_id,
        version=1,
        origin=origin,
        opened_at=at,
        facts=(facts,),
        assessments=(blank,),
        decisions=(decision,),
        ledger=custody.opened(ledger, at=at, by=by),
        labels=Labels(purpose=Purpose.SAR).joined(labels),
    )
    return _change(case, "case.open", at, tells=True)


def learn(case: Case, facts: Facts) -> Change:
    """Put a newer version of the facts beside the older ones."""
    _open(case)
    after = _next(case, facts=(*case.facts, facts))
    return _change(after, "case.facts", facts.at, tells=True)


def assess(
    case: Case, judgements: Iterable[Judgement], *, at: datetime, by: PersonId
) -> Change:
    """A new version of the assessment; the phase stays until a person decides."""
    _open(case)
    newer = case.assessment.revised(judgements, at=at, by=by)
    after = _next(case, assessments=(*case.assessments, newer))
    return _change(after, "case.assess", at, tells=True)


def decide(case: Case, phase: Phase, *, at: datetime, by: PersonId) -> Change:
    """One person's decision to go up, or to stay.

    Raises:
        CaseRefusedError: It would go down, or the case is closed.
    """
    _open(case)
    proposed = case.proposal.phase
    decision = raised(case.phase, phase, proposed=proposed, at=at, by=by)
    after = _next(case, decisions=(*case.decisions, decision))
    return _change(after, "case.phase", at, tells=True)


def ask_lower(
    case: Case,
    phase: Phase,
    *,
    closes: bool,
    reason: str,
    at: datetime,
    by: PersonId,
) -> Change:
    """Ask for a lower phase, or to close: nothing happens before somebody agrees.

    Raises:
        CaseRefusedError: No reason, nothing to lower, or this centre may not close.
    """
    _open(case)
    if not reason.strip():
        raise CaseRefusedError("reason_missing", "say why, in your own words")
    if not closes and phase >= case.phase:
        raise CaseRefusedError("not_lower", "decide it directly")
    request = LoweringRequest(
        case_id=case.case_id,
        phase=Phase.NONE if closes else phase,
        closes=closes,
        reason=reason,
        decisions_seen=len(case.decisions),
        assessment_seen=case.assessment.version,
        asked_by=by,
        asked_at=at,
        proposed=case.proposal.phase,
    )
    if closes:
        custody.closed(case.ledger, at=at, by=by, reason=reason)  # refuses in time
    after = _next(case, requests=(*case.requests, request))
    return _change(after, "case.ask_lower", at)


def agree_lower(case: Case, digest: str, *, at: datetime, by: PersonId) -> Change:
    """The second person agrees to exactly what was asked.

    Raises:
        CaseRefusedError: See :func:`almenara.rescue.phases.agreed`; or no such request.
    """
    _open(case)
    request = next((r for r in case.requests if r.digest == digest), None)
    if request is None:
        raise CaseRefusedError("request_unknown", "read the case again")
    decision = agreed(
        request,
        by=by,
        at=at,
        decisions=len(case.decisions),
        assessment=case.assessment.version,
    )
    used = tuple(replace(r, used=True) if r is request else r for r in case.requests)
    after = _next(case, decisions=(*case.decisions, decision), requests=used)
    if request.closes:
        reason = request.reason
        ledger = custody.closed(case.ledger, at=at, by=request.asked_by, reason=reason)
        after = replace(after, ledger=ledger, closed_at=at)
    act = "case.close" if request.closes else "case.lower"
    return _change(after, act, at, tells=True)


class CustodyAct(StrEnum):
    """What people do about who coordinates."""

    OFFER = "offer"
    ACCEPT = "accept"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


def hand_over(
    case: Case, act: CustodyAct, *, at: datetime, by: PersonId, reason: str = ""
) -> Change:
    """Offer, accept, refuse, or ask to withdraw; see ``custody`` for what each moves.

    Raises:
        CaseRefusedError: The act is not this centre's to do now.
    """
    ledger = case.ledger
    match act:
        case CustodyAct.OFFER:
            _open(case)
            ledger = custody.offered(ledger, at=at, by=by, snapshot=digest_of(case))
        case CustodyAct.ACCEPT:
            ledger = custody.accepted(ledger, at=at, by=by)
        case CustodyAct.REFUSE:
            if not reason.strip():
                raise CaseRefusedError("reason_missing", "say why, in your own words")
            ledger = custody.refused(ledger, at=at, by=by, reason=reason)
        case CustodyAct.WITHDRAW:
            ledger = custody.withdrawal_requested(ledger, at=at, by=by)
    return _change(_next(case, ledger=ledger), f"case.custody.{act}", at, tells=True)


def hear_custody(case: Case, message: custody.Message, *, at: datetime) -> Change:
    """Apply what the partner told; an accept that crossed our close opens it again."""
    ledger = custody.heard(case.ledger, message, at=at)
    reopened = case.closed_at is not None and ledger.standing.closed is None
    closed_at = None if reopened else case.closed_at
    if (ended := ledger.standing.closed) is not None and closed_at is None:
        closed_at = ended.at
    after = _next(case, ledger=ledger, closed_at=closed_at)
    return _change(after, "case.custody.heard", at, tells=True)


def report(case: Case, order: Order, *, at: datetime, by: PersonId) -> Change:
    """Make the next situation report.

    Raises:
        CaseRefusedError: It corrects a report that does not exist.
    """
    if order.corrects is not None and not 1 <= order.corrects <= len(case.reports):
        raise CaseRefusedError("report_unknown", "correct a report of this case")
    made = Sitrep(
        case_id=case.case_id,
        originator=case.ledger.own,
        number=len(case.reports) + 1,
        at=at,
        by=by,
        urgency=URGENCY[case.phase],
        to=order.to,
        full=order.full,
        parts=compose(known(case), order),
        corrects=order.corrects,
        exercise=case.labels.exercise,
        simulated=case.labels.simulated,
    )
    return _change(_next(case, reports=(*case.reports, made)), "case.sitrep", at)


def keep_drift(case: Case, record: DriftRecord) -> Change:
    """Keep a drift with the case."""
    _open(case)
    after = _next(case, drifts=(*case.drifts, record))
    return _change(after, "case.drift", record.at)


def keep_search(case: Case, record: SearchRecord) -> Change:
    """Keep a plan with the case."""
    _open(case)
    after = _next(case, searches=(*case.searches, record))
    return _change(after, "case.search", record.at)


def remind(case: Case, now: datetime) -> tuple[Change, tuple[custody.Notice, ...]]:
    """Which notices about the open offer are due, and the case that remembers them."""
    due = custody.notices(case.ledger, now, case.told)
    after = _next(case, told=case.told | frozenset(due)) if due else case
    return _change(after, "case.custody.notice", now), due


# -- what follows ----------------------------------------------------------------------


def known(case: Case) -> Known:
    """What a report of now can say."""
    facts = case.facts[-1]
    standing = case.ledger.standing
    drift = case.drifts[-1] if case.drifts else None
    wind = drift.wind if drift else None
    return Known(
        case_id=case.case_id,
        craft=facts.craft,
        mmsi=facts.mmsi,
        position=facts.position,
        position_std_m=_std_m(facts.position_cov_m2),
        position_at=facts.position_at,
        phase=case.phase,
        proposal=case.proposal,
        persons=facts.persons,
        coordinator=custody.believed(case.ledger),
        offered_to=standing.offer.addressee if standing.offer else None,
        wind_from_deg=wind.from_deg if wind else None,
        wind_mps=wind.mps if wind else None,
        area_km2=drift.areas[-1].size_km2 if drift else None,
        area_middle=drift.datum if drift else None,
        area_unknown=drift.unknown if drift else (),
    )


def digest_of(case: Case) -> str:
    """A print of everything that an offer shows its addressee."""
    parts = compose(known(case), Order(to=(), full=True))
    text = f"{case.case_id}\n{case.version}\n{parts!r}"
    return hashlib.sha256(text.encode()).hexdigest()


def _std_m(cov_m2: tuple[float, float, float] | None) -> float | None:
    """One number for an ellipse: its longer half axis."""
    if cov_m2 is None:
        return None
    east, north, cross = cov_m2
    half = (east + north) / 2.0
    apart = ((east - north) ** 2 / 4.0 + cross**2) ** 0.5
    return float((half + apart) ** 0.5)


def _open(case: Case) -> None:
    if not case.is_open:
        raise CaseRefusedError("case_closed", "open a new case")


def _next(case: Case, **changes: object) -> Case:
    return replace(case, version=case.version + 1, **changes)  # type: ignore[arg-type]  # fields by name


def _change(case: Case, act: str, at: datetime, *, tells: bool = False) -> Change:
    if not tells or not _concerns_rescue(case):
        return Change(case=case, act=act)
    notification = Notification(
        key=f"{case.case_id}/{case.version}",
        case_id=case.case_id,
        version=case.version,
        at=at,
        phase=case.phase,
        parts=compose(known(case), Order(to=(), full=True)),
        exercise=case.labels.exercise,
        simulated=case.labels.simulated,
    )
    return Change(case=case, act=act, notifications=(notification,))


def _concerns_rescue(case: Case) -> bool:
    """From uncertainty on; and who was told of a case is told of its end."""
    return any(d.phase >= Phase.UNCERTAINTY for d in case.decisions)
