"""Rescue cases: open one, judge it, hand it over, report, drift, search.

A handler passes the gate, takes typed values, awaits one method of the desk with a pure
act of ``rescue.case``, and returns a wire model. Raising a phase takes no version:
nothing may hold it up. A request with an ``Idempotency-Key`` does once what it asks.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, Protocol

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel

from almenara.console import case_work
from almenara.console.api.alarms import AlarmDesk, header_of
from almenara.console.api.picture import PictureFeed
from almenara.console.case_files import FORMATS
from almenara.console.case_wire import (
    AssessmentBody,
    CaseList,
    CaseRow,
    CustodyBody,
    DriftBody,
    DriftRow,
    KnewWhen,
    LearnBody,
    LoweringBody,
    OpeningBody,
    PhaseBody,
    SearchBody,
    SearchRow,
    SitrepBody,
    SitrepRow,
    SitrepText,
    drift_row,
    head_of,
    judgement_of,
    knew_row,
    phase_of,
    row_of,
    search_row,
    sitrep_row,
)
from almenara.console.gate import AuditLog, Caller, Gate, Needs
from almenara.console.problems import Problem, not_found
from almenara.console.sitrep_text import sitrep_text
from almenara.core.errors import CaseRefusedError, CaseVersionError
from almenara.core.ids import AlarmId, CaseId
from almenara.core.labels import Labels
from almenara.evidence.access import Action
from almenara.evidence.access import Header as Thing
from almenara.evidence.audit import AuditEntry, AuditObject, RecordedEntry
from almenara.incidents.shore import Shore
from almenara.rescue import case as acts
from almenara.rescue.case import Case, Change, Facts, Origin
from almenara.rescue.knew_when import Sending, knew_when
from almenara.rescue.phases import Phase

CaseAct = Callable[[Case], Change]
"""What a person does: pure, decided on the case as it is by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What becomes a case."""

    origin: Origin
    facts: Facts
    labels: Labels
    phase: Phase


class CaseDesk(Protocol):
    """What this resource needs from the rest of Almenara; the node provides it."""

    @property
    def shore(self) -> Shore | None:
        """Where land is; None if this centre knows none."""
        ...

    async def cases(self, *, closed: bool, limit: int) -> tuple[Case, ...]:
        """Open ones, gravest and oldest first; with ``closed`` those as well."""
        ...

    async def get(self, case_id: CaseId) -> Case | None:
        """One case, open or closed."""
        ...

    async def open(
        self,
        opening: Opening,
        *,
        entry: AuditEntry,
        key: str | None = None,
        digest: str = "",
    ) -> Case:
        """Begin a case; the audit entry gets its name, in the same transaction.

        Raises:
            CaseRefusedError: The key was used for something else.
        """
        ...

    async def act(
        self,
        case_id: CaseId,
        act: CaseAct,
        *,
        version: int | None,
        entry: AuditEntry,
        key: str | None = None,
        digest: str = "",
    ) -> Case | None:
        """Commit what ``act`` makes of the case, its audit and what to tell.

        Args:
            case_id: Which.
            act: Decides; what it raises is raised here, and nothing was written.
            version: The one the person saw; None where an older one does no harm.
            entry: Who and when.
            key: Of a request that may come twice.
            digest: A print of what the request asks.

        Returns:
            None if there is no such case.

        Raises:
            CaseVersionError: It changed since.
            CaseRefusedError: The rules forbid it.
        """
        ...

    async def entries(self, case_id: CaseId) -> tuple[RecordedEntry, ...]:
        """The audit of one case, oldest first."""
        ...

    async def sendings(self, case_id: CaseId) -> tuple[Sending, ...]:
        """What was told to the rescue coordination centre, in order."""
        ...

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Woken after each committed change."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePorts:
    """Where cases come from and where they go."""

    desk: CaseDesk
    picture: PictureFeed
    alarms: AlarmDesk
    audit: AuditLog


Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=8, max_length=100, pattern=r"^[\w-]+$"),
]
InPath = Annotated[CaseId, Path(max_length=200)]
Number = Annotated[int, Path(ge=1, le=100_000)]


def thing_of(case: Case) -> Thing:
    """What the gate knows of a case."""
    return Thing(kind="case", id=case.case_id, labels=case.labels)


class _Room:
    """What every handler does with a case, once."""

    def __init__(self, ports: CasePorts) -> None:
        self.desk = ports.desk
        self._ports = ports

    async def theirs(self, caller: Caller, action: Action, case_id: CaseId) -> Case:
        """A case that the caller may do this with, or a refusal."""
        case = await self.desk.get(case_id)
        if case is None:
            raise not_found()
        await caller.must(action, thing_of(case))
        return case

    async def done(
        self,
        caller: Caller,
        action: Action,
        case_id: CaseId,
        act: CaseAct,
        *,
        asked: BaseModel | None = None,
        version: int | None = None,
        key: str | None = None,
    ) -> Case:
        """Do it, or say why not."""
        await self.theirs(caller, action, case_id)
        entry = caller.entry(action, AuditObject(kind="case", id=case_id))
        digest = asked.model_dump_json() if asked is not None else ""
        try:
            after = await self.desk.act(
                case_id, act, version=version, entry=entry, key=key, digest=digest
            )
        except (CaseVersionError, CaseRefusedError) as error:
            raise _problem(error) from None
        if after is None:
            raise not_found()
        return after

    async def changed(
        self,
        caller: Caller,
        action: Action,
        case_id: CaseId,
        act: CaseAct,
        *,
        body: AssessmentBody | CustodyBody | LearnBody | LoweringBody,
        key: str | None,
    ) -> CaseRow:
        """Do what a body asks of the version that the person saw."""
        return row_of(
            await self.done(
                caller,
                action,
                case_id,
                act,
                asked=body,
                version=body.version,
                key=key,
            )
        )

    async def look(self, caller: Caller, action: Action, case: Case, act: str) -> None:
        """Every look leaves a trace."""
        thing = AuditObject(kind="case", id=case.case_id)
        await self._ports.audit.record(caller.entry(action, thing, act=act))

    async def found(self, caller: Caller, body: OpeningBody) -> case_work.Found:
        """The thing that becomes a case, as far as the caller may know of it."""
        by, origin = caller.principal.person_id, body.origin
        if origin.kind == "track":
            tracks = self._ports.picture.latest().tracks
            track = next((t for t in tracks if t.track_id == origin.id), None)
            if track is None:
                raise not_found()
            return case_work.from_track(track, caller.now, by)
        if origin.kind == "alarm":
            alarm = await self._ports.alarms.get(AlarmId(origin.id or ""))
            if alarm is None:
                raise not_found()
            await caller.must(Action.ALARM_READ, header_of(alarm))
            return case_work.from_alarm(alarm, caller.now, by)
        return case_work.from_words(origin, caller.now, by, Labels())


def _problem(error: CaseVersionError | CaseRefusedError) -> Problem:
    if isinstance(error, CaseVersionError):
        return Problem(409, "case.version", "it changed since; read it again")
    return Problem(409, f"case.{error.reason}", error.cure)


def router(ports: CasePorts, gate: Gate) -> APIRouter:
    """Bind the handlers to a desk; the composition root calls this once."""
    api = APIRouter(prefix="/cases", tags=["cases"])
    room = _Room(ports)
    _reading(api, room, gate)
    _opening(api, room, gate)
    _judging(api, room, gate)
    _handing_over(api, room, gate)
    _reporting(api, room, gate)
    _searching(api, room, gate)
    return api


def _reading(api: APIRouter, room: _Room, gate: Gate) -> None:
    reads = Needs(gate, Action.CASE_READ)
    knows = Needs(gate, Action.CASE_KNEW_WHEN)

    @api.get("")
    async def every(
        caller: Annotated[Caller, Depends(reads)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        *,
        closed: bool = False,
    ) -> CaseList:
        found = await room.desk.cases(closed=closed, limit=limit)
        theirs = [c for c in found if caller.sees(Action.CASE_READ, thing_of(c))]
        return CaseList(items=[head_of(case) for case in theirs])

    @api.get("/{case_id}")
    async def one(
        case_id: InPath, caller: Annotated[Caller, Depends(reads)]
    ) -> CaseRow:
        case = await room.theirs(caller, Action.CASE_READ, case_id)
        await room.look(caller, Action.CASE_READ, case, "case.read")
        return row_of(case)

    @api.get("/{case_id}/knew-when")
    async def line_of_time(
        case_id: InPath, caller: Annotated[Caller, Depends(knows)]
    ) -> KnewWhen:
        case = await room.theirs(caller, Action.CASE_KNEW_WHEN, case_id)
        await room.look(caller, Action.CASE_KNEW_WHEN, case, "case.knew_when")
        rows = knew_when(
            case, await room.desk.entries(case_id), await room.desk.sendings(case_id)
        )
        return KnewWhen(
            case_id=case_id,
            version=case.version,
            items=[knew_row(row) for row in rows],
        )


def _opening(api: APIRouter, room: _Room, gate: Gate) -> None:
    opens = Needs(gate, Action.CASE_OPEN)

    @api.post("", status_code=201)
    async def begin(
        body: OpeningBody,
        caller: Annotated[Caller, Depends(opens)],
        key: Key = None,
    ) -> CaseRow:
        found = await room.found(caller, body)
        by = caller.principal.person_id
        opening = Opening(
            origin=found.origin,
            facts=case_work.facts_of(body.facts, found.facts, caller.now, by),
            labels=found.labels.joined(replace(found.labels, exercise=body.exercise)),
            phase=phase_of(body.phase),
        )
        entry = caller.entry(Action.CASE_OPEN, AuditObject(kind="case", id="-"))
        digest = body.model_dump_json()
        try:
            case = await room.desk.open(opening, entry=entry, key=key, digest=digest)
        except (CaseVersionError, CaseRefusedError) as error:
            raise _problem(error) from None
        return row_of(case)


def _judging(api: APIRouter, room: _Room, gate: Gate) -> None:
    works = Needs(gate, Action.CASE_WORK)
    agrees = Needs(gate, Action.CASE_AGREE)

    @api.post("/{case_id}/facts")
    async def learn(
        case_id: InPath,
        body: LearnBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now

        def act(case: Case) -> Change:
            newer = case_work.facts_of(body.facts, case.facts[-1], at, by)
            return acts.learn(case, newer)

        return await room.changed(
            caller, Action.CASE_WORK, case_id, act, body=body, key=key
        )

    @api.post("/{case_id}/assessment")
    async def assess(
        case_id: InPath,
        body: AssessmentBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now

        def act(case: Case) -> Change:
            found = [judgement_of(one, by) for one in body.judgements]
            return acts.assess(case, found, at=at, by=by)

        return await room.changed(
            caller, Action.CASE_WORK, case_id, act, body=body, key=key
        )

    @api.post("/{case_id}/phase")
    async def decide(
        case_id: InPath, body: PhaseBody, caller: Annotated[Caller, Depends(works)]
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now
        act = partial(acts.decide, phase=phase_of(body.phase), at=at, by=by)
        return row_of(await room.done(caller, Action.CASE_WORK, case_id, act))

    @api.post("/{case_id}/lowering")
    async def ask(
        case_id: InPath,
        body: LoweringBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now
        act = partial(
            acts.ask_lower,
            phase=phase_of(body.phase),
            closes=body.closes,
            reason=body.reason,
            at=at,
            by=by,
        )
        return await room.changed(
            caller, Action.CASE_WORK, case_id, act, body=body, key=key
        )

    @api.post("/{case_id}/lowering/{digest}/agree")
    async def agree(
        case_id: InPath,
        digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
        caller: Annotated[Caller, Depends(agrees)],
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now
        act = partial(acts.agree_lower, digest=digest, at=at, by=by)
        return row_of(await room.done(caller, Action.CASE_AGREE, case_id, act))


def _handing_over(api: APIRouter, room: _Room, gate: Gate) -> None:
    coordinates = Needs(gate, Action.CASE_COORDINATE)

    @api.post("/{case_id}/custody")
    async def hand_over(
        case_id: InPath,
        body: CustodyBody,
        caller: Annotated[Caller, Depends(coordinates)],
        key: Key = None,
    ) -> CaseRow:
        by, at = caller.principal.person_id, caller.now

        def act(case: Case) -> Change:
            return acts.hand_over(case, body.act, at=at, by=by, reason=body.reason)

        return await room.changed(
            caller, Action.CASE_COORDINATE, case_id, act, body=body, key=key
        )


def _reporting(api: APIRouter, room: _Room, gate: Gate) -> None:
    works = Needs(gate, Action.CASE_WORK)
    reads = Needs(gate, Action.CASE_READ)

    @api.post("/{case_id}/sitreps", status_code=201)
    async def report(
        case_id: InPath,
        body: SitrepBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> SitrepRow:
        by, at = caller.principal.person_id, caller.now
        act = partial(acts.report, order=body.order(), at=at, by=by)
        case = await room.done(
            caller, Action.CASE_WORK, case_id, act, asked=body, key=key
        )
        return sitrep_row(case.reports[-1])

    @api.get("/{case_id}/sitreps/{number}")
    async def read(
        case_id: InPath,
        number: Number,
        caller: Annotated[Caller, Depends(reads)],
        language: Literal["ar", "en", "es", "fr"] = "en",
    ) -> SitrepText:
        case = await room.theirs(caller, Action.CASE_READ, case_id)
        if number > len(case.reports):
            raise not_found()
        await room.look(caller, Action.CASE_READ, case, "case.sitrep.read")
        text = sitrep_text(case.reports[number - 1], language)
        return SitrepText(number=number, language=language, text=text)


def _searching(api: APIRouter, room: _Room, gate: Gate) -> None:
    works = Needs(gate, Action.CASE_WORK)
    reads = Needs(gate, Action.CASE_READ)

    @api.post("/{case_id}/drifts", status_code=201)
    async def drift(
        case_id: InPath,
        body: DriftBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> DriftRow:
        by, at = caller.principal.person_id, caller.now
        case = await room.theirs(caller, Action.CASE_WORK, case_id)
        try:
            request = await run_sync(
                case_work.drift_request, case, body, room.desk.shore
            )
        except CaseRefusedError as error:
            raise _problem(error) from None
        record = await run_sync(case_work.drifted, request, body, at, by)
        act = partial(acts.keep_drift, record=record)
        after = await room.done(
            caller, Action.CASE_WORK, case_id, act, asked=body, key=key
        )
        return drift_row(after.drifts[-1], len(after.drifts))

    @api.post("/{case_id}/searches", status_code=201)
    async def plan(
        case_id: InPath,
        body: SearchBody,
        caller: Annotated[Caller, Depends(works)],
        key: Key = None,
    ) -> SearchRow:
        by, at = caller.principal.person_id, caller.now

        def act(case: Case) -> Change:
            return acts.keep_search(case, case_work.planned(case, body, at, by))

        after = await room.done(
            caller, Action.CASE_WORK, case_id, act, asked=body, key=key
        )
        return search_row(after.searches[-1], len(after.searches))

    @api.get("/{case_id}/searches/{number}/{unit}/{form}", response_class=Response)
    async def take_along(
        case_id: InPath,
        number: Number,
        unit: Annotated[int, Path(ge=1, le=20)],
        form: Literal["gpx", "rtz", "cot"],
        caller: Annotated[Caller, Depends(reads)],
    ) -> Response:
        case = await room.theirs(caller, Action.CASE_READ, case_id)
        if number > len(case.searches) or unit > len(case.searches[number - 1].tasks):
            raise not_found()
        record = case.searches[number - 1]
        await room.look(caller, Action.CASE_READ, case, f"case.search.{form}")
        text = FORMATS[form](case, record, record.tasks[unit - 1])
        name = f"{case_id}-search-{number}-{unit}.{form}"
        return Response(
            text,
            media_type="application/xml",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
