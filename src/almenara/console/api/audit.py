"""The audit, for those who may read it; reading it is written into it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from almenara.console.gate import AuditLog, Caller, Gate, Needs
from almenara.console.wire import Instant, Wire
from almenara.evidence.access import Action
from almenara.evidence.audit import AuditObject, RecordedEntry


class ActorRow(Wire):
    """Who acted."""

    person_id: str
    name: str
    roles: list[str]
    purpose: str | None
    session: str | None
    address: str | None


class ObjectRow(Wire):
    """What was acted upon."""

    kind: str
    id: str
    start: Instant | None
    end: Instant | None


class EntryRow(Wire):
    """An entry on the wire."""

    seq: int
    entry_id: str
    at: Instant
    actor: ActorRow
    action: str
    act: str
    object: ObjectRow
    result: str
    justification: str | None
    size_bytes: int | None


class EntryList(Wire):
    """An object, never a bare array; newest first."""

    items: list[EntryRow]


def entry_row(recorded: RecordedEntry) -> EntryRow:
    """An entry as the wire shows it."""
    entry = recorded.entry
    return EntryRow(
        seq=recorded.seq,
        entry_id=entry.entry_id,
        at=entry.at,
        actor=ActorRow.model_validate(entry.actor),
        action=entry.action,
        act=entry.act,
        object=ObjectRow.model_validate(entry.object),
        result=entry.result,
        justification=entry.justification,
        size_bytes=entry.size_bytes,
    )


def router(audit: AuditLog, gate: Gate) -> APIRouter:
    """Bind the handler to the audit."""
    api = APIRouter(prefix="/audit", tags=["audit"])

    @api.get("")
    async def entries(
        caller: Annotated[Caller, Depends(Needs(gate, Action.AUDIT_READ))],
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    ) -> EntryList:
        thing = AuditObject(kind="audit", id="-" if before is None else str(before))
        await audit.record(caller.entry(Action.AUDIT_READ, thing))
        found = await audit.read(limit=limit, before_seq=before)
        return EntryList(items=[entry_row(recorded) for recorded in found])

    return api
