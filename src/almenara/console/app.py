"""The console's application: every resource bound to its port, in one place.

:func:`create_app` opens nothing and starts nothing by itself. Whoever serves it must
not let the server believe forwarding headers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from almenara.console import pages, problems, sockets
from almenara.console.accounts import Accounts
from almenara.console.api import (
    alarms,
    audit,
    cases,
    health,
    node,
    session,
    stations,
    video,
)
from almenara.console.api.picture import PictureFeed
from almenara.console.boundary import Border, Boundary
from almenara.console.gate import AuditLog, Caller, Gate, Needs, anybody
from almenara.console.passwords import Passwords
from almenara.console.scene import snapshot
from almenara.console.sight import Sight, SightPorts
from almenara.console.signin import SignIn
from almenara.console.viewings import Viewings
from almenara.core.ids import StationId
from almenara.core.time import Clock
from almenara.evidence.access import Action

API = "/api/v1"
STATIC = Path(__file__).parent / "static"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePorts:
    """Everything the console needs from the rest of Almenara."""

    accounts: Accounts
    audit: AuditLog
    alarms: alarms.AlarmDesk
    cases: cases.CaseDesk
    picture: PictureFeed
    stations: stations.StationDesk
    health: health.HealthBoard
    live: video.LiveVideo
    playback: video.Playback
    stills: video.Stills
    node: node.NodeBoard


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """How it is reached."""

    hosts: frozenset[str] = LOOPBACK
    """Names of this centre in ``Host``, without port, lower case."""

    secure: bool = False
    """Served behind TLS; only then is the cookie a ``__Host-`` one."""

    static: Path = STATIC
    coast: Path | None = None
    """The coastline as GeoJSON."""


class UndeclaredRouteError(Exception):
    """A route says nothing about who may use it."""


def create_app(
    ports: ConsolePorts,
    clock: Clock,
    settings: ConsoleSettings | None = None,
    *,
    passwords: Passwords | None = None,
) -> ASGIApp:
    """Build the application.

    Raises:
        UndeclaredRouteError: A route declares no policy: nothing is served then.
    """
    settings = settings or ConsoleSettings()
    app = build(ports, clock, settings, passwords=passwords)
    border = Border(hosts=settings.hosts, secure=settings.secure)
    return Boundary(app, border)


def build(
    ports: ConsolePorts,
    clock: Clock,
    settings: ConsoleSettings,
    *,
    passwords: Passwords | None = None,
) -> FastAPI:
    """The application inside its boundary; for what has to read its routes."""
    # The interactive viewers load scripts from elsewhere; a centre has no elsewhere.
    app = FastAPI(
        title="Almenara", version="1", docs_url=None, redoc_url=None, openapi_url=None
    )
    problems.install(app)
    gate = Gate(
        ports.accounts,
        ports.audit,
        clock,
        centre_id=ports.node.state().centre_id,
        cookie="__Host-almenara" if settings.secure else "almenara_session",
    )
    sight = _sight(ports)
    sign_in = SignIn(ports.accounts, ports.audit, passwords or Passwords(), clock)
    for prefix, api in (
        (API, node.router(ports.node, ports.accounts, gate)),
        (API, session.router(sign_in, gate, secure=settings.secure)),
        (API, alarms.router(ports.alarms, gate)),
        (API, cases.router(_cases(ports), gate)),
        (API, stations.router(ports.stations, ports.audit, gate)),
        (API, video.router(_video(ports), Viewings(clock), gate)),
        (API, health.router(ports.health, _station_of(ports), gate)),
        (API, audit.router(ports.audit, gate)),
        (API, _picture_router(sight, gate)),
        (API, sockets.router(_sockets(ports, sight), gate, clock)),
        (API, pages.reference_router(app, gate)),
        ("", pages.reference_router(app, gate)),
        # Last, because it takes every path that is left.
        ("", pages.static_router(settings.static, settings.coast)),
    ):
        mount(app, prefix, api)
    return app


def mount(app: FastAPI, prefix: str, api: APIRouter) -> None:
    """Add a resource, after seeing that each of its routes says who may use it.

    Raises:
        UndeclaredRouteError: One does not.
    """
    for route in api.routes:
        policy = policy_of(route)
        if policy is None:
            raise UndeclaredRouteError(getattr(route, "path", repr(route)))
    app.include_router(api, prefix=prefix)
    app.state.mounted = (*getattr(app.state, "mounted", ()), (prefix, api))


def policy_of(route: BaseRoute) -> str | None:
    """The action that a route names, ``anybody``, or None if it names nothing."""
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return None
    for dependency in route.dependant.dependencies:
        call = dependency.call
        if call is anybody:
            return "anybody"
        if isinstance(call, Needs | sockets.Admits):
            return call.action.value
    return None


def _picture_router(sight: Sight, gate: Gate) -> APIRouter:
    api = APIRouter(prefix="/picture", tags=["picture"])
    reads = Needs(gate, Action.PICTURE_READ, passive=True)

    @api.get("", response_class=JSONResponse)
    async def picture(caller: Annotated[Caller, Depends(reads)]) -> Response:
        return JSONResponse(snapshot(await sight.scene(caller), 1))

    return api


def _sight(ports: ConsolePorts) -> Sight:
    return Sight(
        SightPorts(
            picture=ports.picture,
            alarms=ports.alarms,
            health=ports.health,
            stations=ports.stations,
            node=ports.node,
            accounts=ports.accounts,
        )
    )


def _cases(ports: ConsolePorts) -> cases.CasePorts:
    return cases.CasePorts(
        desk=ports.cases,
        picture=ports.picture,
        alarms=ports.alarms,
        audit=ports.audit,
    )


def _video(ports: ConsolePorts) -> video.VideoPorts:
    return video.VideoPorts(
        stations=ports.stations,
        playback=ports.playback,
        stills=ports.stills,
        audit=ports.audit,
    )


def _sockets(ports: ConsolePorts, sight: Sight) -> sockets.SocketPorts:
    return sockets.SocketPorts(
        sight=sight,
        picture=ports.picture,
        alarms=ports.alarms,
        stations=ports.stations,
        live=ports.live,
        audit=ports.audit,
    )


def _station_of(ports: ConsolePorts) -> health.StationOf:
    def find(sensor_id: str) -> StationId | None:
        return stations.station_of(ports.stations, sensor_id)

    return find
