"""Coming in and going out: by password, by a link that works once.

A session is new at every sign-in, so that a token somebody planted is worth nothing.
Each way in or out is one entry of the audit, refusals included.
"""

import secrets
from dataclasses import dataclass

from almenara.console.accounts import (
    LINK_LIFE,
    Account,
    Accounts,
    Link,
    Session,
    SignedInBy,
    hash_token,
    new_token,
)
from almenara.console.gate import AuditLog, Caller
from almenara.console.passwords import Passwords, faults_of
from almenara.console.problems import Problem
from almenara.console.throttle import Throttle
from almenara.core.ids import PersonId
from almenara.core.time import Clock
from almenara.evidence.access import Action, Role
from almenara.evidence.audit import (
    ANONYMOUS,
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    AuditResult,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Where a request to come in is from."""

    address: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A fresh session; the token is told once and kept nowhere."""

    token: str
    session: Session
    account: Account


class SignIn:
    """Opens and ends sessions; one per application."""

    def __init__(
        self, accounts: Accounts, audit: AuditLog, passwords: Passwords, clock: Clock
    ) -> None:
        self._accounts, self._audit = accounts, audit
        self._passwords, self._clock = passwords, clock
        self._throttle = Throttle(clock)

    async def by_password(self, name: str, password: str, visit: Visit) -> SignedIn:
        """Sign in.

        Raises:
            Problem: 401 in the same words for a wrong name and a wrong password, 429
                while this name has to wait here.
        """
        wait_s = self._throttle.wait_s(name, visit.address)
        if wait_s > 0:
            retry = {"Retry-After": str(int(wait_s) + 1)}
            raise Problem(429, "session.wait", "too many attempts", headers=retry)
        self._throttle.tried(name, visit.address)
        account = await self._accounts.find(name)
        usable = account if account and account.disabled_at is None else None
        kept = usable.password_hash if usable else None
        right = await self._passwords.matches(kept, password)
        if usable is None or not right:
            await self._refused("session.open", account, visit)
            raise Problem(401, "session.refused", "name or password is wrong")
        self._throttle.succeeded(name, visit.address)
        signed_in = self._fresh(usable, "password")
        entry = self._entry("session.open", usable, visit, signed_in.session)
        await self._accounts.open_session(signed_in.session, entry=entry)
        return signed_in

    async def by_link(self, token: str, visit: Visit) -> SignedIn:
        """Come in by a link.

        Raises:
            Problem: 410 for a link that was used, is too old or never was.
        """
        gone = Problem(410, "link.gone", "this link does not work any more")
        found = await self._accounts.link(hash_token(token))
        if found is None or found[1].disabled_at is not None:
            await self._refused("session.enter", None, visit)
            raise gone
        link, account = found
        if self._clock.now() >= link.expires_at:
            await self._refused("session.enter", account, visit)
            raise gone
        signed_in = self._fresh(account, "link")
        entry = self._entry("session.enter", account, visit, signed_in.session)
        if not await self._accounts.redeem_link(
            link.token_hash, signed_in.session, entry=entry
        ):
            await self._refused("session.enter", account, visit)
            raise gone
        return signed_in

    async def out(self, caller: Caller) -> None:
        """Sign out."""
        thing = AuditObject(kind="session", id=caller.session.short)
        entry = caller.entry(Action.SESSION_SELF, thing, act="session.end")
        await self._accounts.end_session(caller.session.token_hash, entry=entry)

    async def change_password(
        self, caller: Caller, password: str, current: str | None
    ) -> SignedIn:
        """Choose a password; every session of this person ends and a new one opens.

        Who came by a link need not know the old one: that is what the link was for.

        Raises:
            Problem: 403 if the old one is wrong, 422 if the new one is too weak.
        """
        account = caller.account
        visit = Visit(address=caller.address, request_id=caller.request_id)
        if faults := faults_of(password, account.name):
            raise Problem(422, "password.weak", "see faults", *faults)
        if account.password_hash and caller.session.by != "link":
            wait_s = self._throttle.wait_s(account.name, caller.address)
            self._throttle.tried(account.name, caller.address)
            if wait_s > 0 or not await self._passwords.matches(
                account.password_hash, current or ""
            ):
                await self._refused("account.password", account, visit)
                raise Problem(403, "password.wrong", "the old password is wrong")
            self._throttle.succeeded(account.name, caller.address)
        kept = await self._passwords.hash(password)
        signed_in = self._fresh(account, "password")
        thing = AuditObject(kind="account", id=account.person_id)
        entry = caller.entry(Action.SESSION_SELF, thing, act="account.password")
        await self._accounts.set_password(
            account.person_id, kept, session=signed_in.session, entry=entry
        )
        return signed_in

    def _fresh(self, account: Account, by: SignedInBy) -> SignedIn:
        token, now = new_token(), self._clock.now()
        session = Session(
            token_hash=hash_token(token),
            person_id=account.person_id,
            purpose=account.purpose,
            by=by,
            opened_at=now,
            seen_at=now,
        )
        return SignedIn(token=token, session=session, account=account)

    async def _refused(self, act: str, account: Account | None, visit: Visit) -> None:
        entry = self._entry(act, account, visit, None, AuditResult.DENY)
        await self._audit.record(entry)

    def _entry(
        self,
        act: str,
        account: Account | None,
        visit: Visit,
        session: Session | None,
        result: AuditResult = AuditResult.ALLOW,
    ) -> AuditEntry:
        actor = AuditActor(
            person_id=account.person_id if account else ANONYMOUS.person_id,
            name=account.name if account else ANONYMOUS.name,
            roles=tuple(sorted(account.roles)) if account else (),
            session=session.short if session else None,
            address=visit.address,
        )
        return AuditEntry(
            entry_id=visit.request_id,
            at=self._clock.now(),
            actor=actor,
            action=AuditAction.SECURITY,
            act=act,
            object=AuditObject(kind="account", id=actor.person_id),
            result=result,
        )


async def invite(
    accounts: Accounts,
    clock: Clock,
    *,
    name: str,
    roles: frozenset[Role],
    by: AuditActor,
) -> str:
    """Let somebody in once, entering them first if they are new.

    Returns:
        The token of a link that works once, within a quarter of an hour. Whoever prints
        it puts it behind a ``#`` of an address, so that it is never sent or logged.
    """
    now = clock.now()

    def entry(act: str, person_id: PersonId) -> AuditEntry:
        return AuditEntry(
            entry_id=secrets.token_hex(8),
            at=now,
            actor=by,
            action=AuditAction.SECURITY,
            act=act,
            object=AuditObject(kind="account", id=person_id),
        )

    account = await accounts.find(name)
    if account is None:
        person_id = PersonId(f"person-{secrets.token_hex(6)}")
        account = Account(person_id=person_id, name=name, roles=roles)
        await accounts.add(account, entry=entry("account.add", person_id))
    token = new_token()
    link = Link(
        token_hash=hash_token(token),
        person_id=account.person_id,
        expires_at=now + LINK_LIFE,
    )
    await accounts.issue_link(link, entry=entry("link.issue", account.person_id))
    return token
