"""The gate at every route: who is asking, whether they may, and what they leave behind.

Each route depends on a :class:`Needs` or on :func:`anybody`; the application refuses to
start with a route that does neither (``app.refuse_the_undeclared``). The judgement
itself is ``evidence.access.decide``; this module finds the principal, asks, turns the
verdict into an answer, and writes refusals into the audit.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from almenara.console.accounts import Account, Accounts, Session, hash_token
from almenara.console.problems import Problem, not_found
from almenara.core.ids import CentreId
from almenara.core.time import Clock
from almenara.evidence.access import (
    OWES,
    Action,
    Header,
    Principal,
    Verdict,
    decide,
)
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    AuditResult,
    RecordedEntry,
)


class AuditLog(Protocol):
    """Where acts that change nothing else are written, and where they are read."""

    async def record(self, entry: AuditEntry) -> None:
        """Append durably; raises rather than lose an entry."""
        ...

    async def read(
        self, *, limit: int, before_seq: int | None
    ) -> tuple[RecordedEntry, ...]:
        """Newest first, those with a smaller number than ``before_seq``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody signed in, in one request."""

    principal: Principal
    session: Session
    account: Account
    address: str
    request_id: str
    now: datetime
    gate: "Gate"

    def entry(
        self,
        action: Action,
        thing: AuditObject,
        *,
        justification: str | None = None,
        act: str | None = None,
    ) -> AuditEntry:
        """The audit entry of an allowed act, ready to be written with it."""
        return AuditEntry(
            entry_id=self.request_id,
            at=self.now,
            actor=actor_of(self.principal, self.address),
            action=OWES.get(action, AuditAction.SECURITY),
            act=act or action.value,
            object=thing,
            justification=justification,
        )

    def sees(self, action: Action, header: Header) -> bool:
        """Whether a thing is theirs to see; for filtering what many share."""
        return decide(self.principal, action, header, self.now).allowed

    async def must(self, action: Action, header: Header) -> None:
        """Let the act pass or refuse it, and note the refusal.

        Raises:
            Problem: 404 outside their scope, 403 where the act is not theirs.
        """
        await self.gate.judge(self, action, header)


def actor_of(principal: Principal, address: str) -> AuditActor:
    """A principal as the audit names them."""
    return AuditActor(
        person_id=principal.person_id,
        name=principal.name,
        roles=tuple(sorted(principal.roles)),
        purpose=principal.purpose.value,
        session=principal.session,
        address=address,
    )


class Gate:
    """Finds who is asking; one per application."""

    def __init__(
        self,
        accounts: Accounts,
        audit: AuditLog,
        clock: Clock,
        *,
        centre_id: CentreId,
        cookie: str,
    ) -> None:
        self.cookie = cookie
        self._accounts, self._audit, self._clock = accounts, audit, clock
        self._centre_id = centre_id

    async def caller(
        self, connection: HTTPConnection, *, acting: bool = True
    ) -> Caller | None:
        """Who asks; None if nobody is signed in or the session is over."""
        token = connection.cookies.get(self.cookie)
        kept = await self._accounts.session(hash_token(token)) if token else None
        if kept is None:
            return None
        session, account = kept
        now = self._clock.now()
        if account.disabled_at is not None or not session.is_alive(now, acting=acting):
            return None
        return Caller(
            principal=self._principal(session, account),
            session=session,
            account=account,
            address=peer_of(connection),
            request_id=connection.scope.get("almenara.request_id", ""),
            now=now,
            gate=self,
        )

    async def still(self, caller: Caller, *, acting: bool) -> Caller | None:
        """The same person as of now; None once the session is over."""
        kept = await self._accounts.session(caller.session.token_hash)
        if kept is None:
            return None
        session, account = kept
        now = self._clock.now()
        if account.disabled_at is not None or not session.is_alive(now, acting=acting):
            return None
        return replace(
            caller,
            principal=self._principal(session, account),
            session=session,
            account=account,
            now=now,
        )

    async def touch(self, session: Session) -> None:
        """Note that somebody is acting; writes at most twice a minute."""
        now = self._clock.now()
        if (now - session.seen_at).total_seconds() >= 30:
            await self._accounts.touch(session.token_hash, at=now)

    async def judge(
        self, caller: Caller, action: Action, header: Header | None
    ) -> None:
        """Refuse what ``decide`` refuses, and note it."""
        verdict = decide(caller.principal, action, header, caller.now).verdict
        if verdict is Verdict.ALLOW:
            return
        thing = AuditObject(
            kind=header.kind if header else "route", id=header.id if header else "-"
        )
        await self._audit.record(
            replace(caller.entry(action, thing), result=AuditResult.DENY)
        )
        if verdict is Verdict.FORBIDDEN:
            raise Problem(403, "permission.missing", action.value)
        raise not_found()

    def _principal(self, session: Session, account: Account) -> Principal:
        return Principal(
            person_id=account.person_id,
            name=account.name,
            centre_id=self._centre_id,
            roles=account.roles,
            purpose=session.purpose,
            stations=account.stations,
            missions=account.missions,
            session=session.short,
        )


class Needs(SecurityBase):
    """A dependency that lets only those pass whom a role allows ``action``.

    Args:
        gate: Finds and judges the caller.
        action: What the route is.
        passive: Asked by the page by itself, so it does not keep a session awake.
    """

    def __init__(self, gate: Gate, action: Action, *, passive: bool = False) -> None:
        self.model = APIKey.model_validate({"in": APIKeyIn.cookie, "name": gate.cookie})
        self.scheme_name = "session"
        self.action = action
        self._gate, self._passive = gate, passive

    async def __call__(self, connection: HTTPConnection) -> Caller:
        caller = await self._gate.caller(connection)
        if caller is None:
            raise Problem(401, "session.missing", "sign in first")
        await self._gate.judge(caller, self.action, None)
        if not self._passive:
            await self._gate.touch(caller.session)
        return caller


async def anybody() -> None:
    """Declares a route that answers strangers; there are few, each for a reason."""


def peer_of(connection: HTTPConnection) -> str:
    """The address at the other end; forwarding headers are not believed."""
    return connection.client.host if connection.client else "local"
