"""The caller's own session: come in, look at it, choose a password, go out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field
from starlette.requests import HTTPConnection

from almenara.console.accounts import ABSOLUTE, Account, Session
from almenara.console.gate import Caller, Gate, Needs, anybody, peer_of
from almenara.console.signin import SignedIn, SignIn, Visit
from almenara.console.wire import Body, Instant, Name, Wire
from almenara.evidence.access import Action, permissions


class EnterBody(Body):
    """A one-time link's token."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class SignInBody(Body):
    """A name and a password."""

    name: Name
    password: Annotated[str, Field(min_length=1, max_length=256)]


class PasswordBody(Body):
    """A new password, and the old one where there is one."""

    password: Annotated[str, Field(max_length=256)]
    current: Annotated[str, Field(max_length=256)] | None = None


class SessionRow(Wire):
    """A session on the wire."""

    name: str
    roles: list[str]
    permissions: list[str]
    purpose: str
    expires_at: Instant
    has_password: bool


def session_row(
    session: Session, account: Account, *, has_password: bool
) -> SessionRow:
    """A session as the wire shows it."""
    return SessionRow(
        name=account.name,
        roles=sorted(account.roles),
        permissions=[action.value for action in permissions(account.roles)],
        purpose=session.purpose,
        expires_at=session.expires_at,
        has_password=has_password,
    )


def router(sign_in: SignIn, gate: Gate, *, secure: bool) -> APIRouter:
    """Bind the handlers; ``secure`` marks the cookie for encrypted connections only."""
    api = APIRouter(prefix="/session", tags=["session"])
    own = Needs(gate, Action.SESSION_SELF)

    def give(response: Response, fresh: SignedIn, *, has_password: bool) -> SessionRow:
        response.set_cookie(
            gate.cookie,
            fresh.token,
            max_age=int(ABSOLUTE.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return session_row(fresh.session, fresh.account, has_password=has_password)

    @api.post("/enter", dependencies=[Depends(anybody)])
    async def enter(
        body: EnterBody, connection: HTTPConnection, response: Response
    ) -> SessionRow:
        fresh = await sign_in.by_link(body.token, visit_of(connection))
        known = fresh.account.password_hash is not None
        return give(response, fresh, has_password=known)

    @api.post("", dependencies=[Depends(anybody)])
    async def open_session(
        body: SignInBody, connection: HTTPConnection, response: Response
    ) -> SessionRow:
        fresh = await sign_in.by_password(
            body.name, body.password, visit_of(connection)
        )
        return give(response, fresh, has_password=True)

    @api.get("")
    async def mine(caller: Annotated[Caller, Depends(own)]) -> SessionRow:
        known = caller.account.password_hash is not None
        return session_row(caller.session, caller.account, has_password=known)

    @api.delete("", status_code=204)
    async def leave(
        caller: Annotated[Caller, Depends(own)], response: Response
    ) -> None:
        await sign_in.out(caller)
        response.delete_cookie(gate.cookie, path="/", secure=secure, httponly=True)

    @api.post("/password")
    async def choose(
        body: PasswordBody,
        caller: Annotated[Caller, Depends(own)],
        response: Response,
    ) -> SessionRow:
        fresh = await sign_in.change_password(caller, body.password, body.current)
        return give(response, fresh, has_password=True)

    return api


def visit_of(connection: HTTPConnection) -> Visit:
    """Where a request is from."""
    return Visit(
        address=peer_of(connection),
        request_id=connection.scope.get("almenara.request_id", ""),
    )
