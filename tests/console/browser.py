"""A browser as far as the wire is concerned: cookies, origin and the CSRF header."""

from datetime import datetime, timedelta

import httpx
from argon2 import PasswordHasher
from starlette.types import ASGIApp

from almenara.console.accounts import Account, Session, hash_token, new_token
from almenara.console.app import ConsoleSettings, create_app
from almenara.console.passwords import Passwords
from almenara.core.ids import PersonId, StationId
from almenara.core.labels import Purpose
from almenara.core.time import Clock
from almenara.evidence.access import Role
from tests.console.fakes import Centre

URL = "http://127.0.0.1:8080"
API = f"{URL}/api/v1"
OWN_PAGE = {"Origin": URL, "X-Almenara": "1"}
COOKIE = "almenara_session"
PASSWORD = "correct horse battery"  # noqa: S105 - nobody's

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def application(
    centre: Centre, clock: Clock, settings: ConsoleSettings | None = None
) -> ASGIApp:
    return create_app(centre.ports(), clock, settings, passwords=Passwords(CHEAP))


def browser(
    app: ASGIApp, token: str | None = None, **headers: str
) -> httpx.AsyncClient:
    cookies = {COOKIE: token} if token else None
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=API,
        headers={**OWN_PAGE, **headers},
        cookies=cookies,
    )


def signed_in(
    centre: Centre,
    *roles: Role,
    at: datetime,
    stations: frozenset[StationId] | None = None,
    missions: dict[str, datetime] | None = None,
    purpose: Purpose = Purpose.BORDER,
) -> str:
    """A token of a fresh session of somebody with these roles."""
    token = new_token()
    person_id = PersonId(f"person-{len(centre.accounts.accounts)}")
    centre.accounts.accounts[person_id] = Account(
        person_id=person_id,
        name=f"Somebody {person_id}",
        roles=frozenset(roles),
        password_hash=CHEAP.hash(PASSWORD),
        stations=stations,
        missions=missions or {},
    )
    centre.accounts.sessions[hash_token(token)] = Session(
        token_hash=hash_token(token),
        person_id=person_id,
        purpose=purpose,
        by="password",
        opened_at=at,
        seen_at=at,
    )
    return token


LATER = timedelta(minutes=1)
