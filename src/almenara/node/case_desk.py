"""The case desk: decides with ``rescue``, commits with the store, then tells.

One act at a time goes through, so a person's act is decided on the case as it is. What
has to be told to the rescue coordination centre is committed with the act and delivered
afterwards, again and again until somebody takes it; a delivery that fails never holds
up an act.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge

from almenara.console.api.cases import CaseAct, Opening
from almenara.console.feed import Bell
from almenara.core.errors import CaseVersionError
from almenara.core.ids import CaseId, CentreId
from almenara.core.time import Clock
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    RecordedEntry,
)
from almenara.incidents.shore import Shore
from almenara.node.store.cases import Repeatable, SqlCases
from almenara.rescue import case as acts
from almenara.rescue.case import Case, Change, Notification
from almenara.rescue.custody import Notice
from almenara.rescue.knew_when import Sending

log = structlog.get_logger()

DELIVER_EVERY = timedelta(seconds=5)
TOLD = Counter(
    "almenara_rcc_notifications_total",
    "Notifications of the rescue coordination centre.",
    ["result"],
)
REMIND_EVERY = timedelta(seconds=5)
REMINDED = Counter(
    "almenara_custody_notices_total",
    "Open offers of coordination that nobody took or answered.",
    ["kind"],
)
WAITING = Gauge("almenara_rcc_notifications_waiting", "Not delivered yet.")


class Courier(Protocol):
    """Carries a notification out of the house."""

    async def deliver(self, notification: Notification) -> str:
        """Hand it over; returns a receipt.

        Raises:
            OSError: Nobody took it; it is tried again.
        """
        ...


class CaseDesk:
    """Fulfils ``console.api.cases.CaseDesk``."""

    def __init__(
        self,
        kept: SqlCases,
        *,
        own: CentreId,
        partner: CentreId,
        clock: Clock,
        shore: Shore | None = None,
    ) -> None:
        self._kept = kept
        self._own, self._partner = own, partner
        self._clock = clock
        self._turn = asyncio.Lock()
        self._bell = Bell()
        self.shore = shore

    async def cases(self, *, closed: bool, limit: int) -> tuple[Case, ...]:
        return await self._kept.list(closed=closed, limit=limit)

    async def get(self, case_id: CaseId) -> Case | None:
        return await self._kept.get(case_id)

    async def looked(self, case_id: CaseId, *, entry: AuditEntry) -> Case | None:
        """One case, after the look at it was written down."""
        case = await self._kept.get(case_id)
        if case is not None:
            await self._kept.record(entry)
        return case

    async def open(
        self,
        opening: Opening,
        *,
        entry: AuditEntry,
        key: str | None = None,
        digest: str = "",
    ) -> Case:
        async with self._turn:
            request = _repeatable(key, "open", digest)
            done = await self._done(request, entry)
            if done is not None:
                return done
            change = acts.open_case(
                await self._new_name(entry),
                origin=opening.origin,
                own=self._own,
                partner=self._partner,
                facts=opening.facts,
                labels=opening.labels,
                phase=opening.phase,
            )
            return await self._carry_out(change, entry, request)

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
        async with self._turn:
            request = _repeatable(key, f"{case_id} {entry.act}", digest)
            done = await self._done(request, entry)
            if done is not None:
                return done
            case = await self._kept.get(case_id)
            if case is None:
                return None
            if version is not None and version != case.version:
                raise CaseVersionError(f"{case_id}: changed meanwhile; read it again")
            return await self._carry_out(act(case), entry, request)

    async def entries(self, case_id: CaseId) -> tuple[RecordedEntry, ...]:
        return await self._kept.entries(case_id)

    async def sendings(self, case_id: CaseId) -> tuple[Sending, ...]:
        return await self._kept.sendings(case_id)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        return self._bell.heard()

    async def deliver(self, courier: Courier) -> None:
        """Tell the coordination centre what waits, in order, until cancelled."""
        while True:
            await self.deliver_once(courier)
            await self._clock.sleep(DELIVER_EVERY)

    async def deliver_once(self, courier: Courier) -> None:
        """One round: stops at the first that nobody takes, so that order stays."""
        waiting = await self._kept.waiting(limit=100)
        WAITING.set(len(waiting))
        for notification in waiting:
            try:
                receipt = await courier.deliver(notification)
            except OSError as error:
                log.warning("rcc_not_told", key=notification.key, reason=str(error))
                TOLD.labels("failed").inc()
                await self._kept.failed(notification.key)
                return
            now = self._clock.now()
            await self._kept.delivered(notification.key, at=now, receipt=receipt)
            TOLD.labels("delivered").inc()

    async def remind(self, by: AuditActor) -> None:
        """Tell people of offers that nobody took or answered, until cancelled."""
        while True:
            await self.remind_once(by)
            await self._clock.sleep(REMIND_EVERY)

    async def remind_once(self, by: AuditActor) -> tuple[Notice, ...]:
        """One round; each notice is committed before it is said, and said once."""
        said: list[Notice] = []
        async with self._turn:
            for case in await self._kept.list(closed=False, limit=1_000):
                change, due = acts.remind(case, self._clock.now())
                if not due:
                    continue
                await self._carry_out(change, _reminder(by, change, self._clock), None)
                for notice in due:
                    REMINDED.labels(notice.kind.value).inc()
                    log.warning(
                        notice.kind.value, case_id=case.case_id, contact=notice.nth
                    )
                said += due
        return tuple(said)

    async def _new_name(self, entry: AuditEntry) -> CaseId:
        prefix = f"{self._own}-{entry.at.year}-"
        number = await self._kept.count(prefix) + 1
        return CaseId(f"{prefix}{number:04d}")

    async def _done(self, request: Repeatable | None, entry: AuditEntry) -> Case | None:
        if request is None:
            return None
        return await self._kept.repeated(request, entry.actor.person_id)

    async def _carry_out(
        self, change: Change, entry: AuditEntry, request: Repeatable | None
    ) -> Case:
        named = _about(entry, change)
        by = entry.actor.person_id
        await self._kept.commit(change, (named,), at=entry.at, by=by, request=request)
        self._bell.ring()
        return change.case


def _reminder(by: AuditActor, change: Change, clock: Clock) -> AuditEntry:
    return AuditEntry(
        entry_id=secrets.token_hex(8),
        at=clock.now(),
        actor=by,
        action=AuditAction.ALTERATION,
        act=change.act,
        object=AuditObject(kind="case", id=change.case.case_id),
    )


def _about(entry: AuditEntry, change: Change) -> AuditEntry:
    """The audit names the case, which has its name only now, and the very act."""
    thing = AuditObject(kind="case", id=change.case.case_id)
    return replace(entry, object=thing, act=change.act)


def _repeatable(key: str | None, what: str, asked: str) -> Repeatable | None:
    if key is None:
        return None
    text = f"{what}\n{asked}"
    return Repeatable(key=key, digest=hashlib.sha256(text.encode()).hexdigest())
