"""Every route by every role against a table written by hand; no route without a row."""

import csv
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute

from almenara.console.app import (
    ConsoleSettings,
    UndeclaredRouteError,
    build,
    mount,
    policy_of,
)
from almenara.console.gate import anybody
from almenara.core.ids import StationId
from almenara.evidence.access import Action, Role
from almenara.evidence.audit import AuditResult
from almenara.node.clock import SystemClock
from tests.conftest import NOON
from tests.console.browser import API, PASSWORD, URL, application, browser, signed_in
from tests.console.fakes import Centre, rescue
from tests.console.socket_peer import connected

pytestmark = pytest.mark.anyio
TEXT = Path(__file__).with_name("expected.csv").read_text("utf-8")
TABLE = list(csv.DictReader(TEXT.splitlines()))
ROLES = [None, *Role]
SPAN = {"start": "2026-03-01T11:00:00Z", "end": "2026-03-01T11:30:00Z"}
CAMERA = {"url": "rtsp://10.0.0.9/a", "height_m": 9, "azimuth_deg": 1, "hfov_deg": 40}
RESCUE = rescue()
BODIES: dict[str, Any] = {
    "/api/v1/session/enter": {"token": "none"},
    "/api/v1/session": {"name": "x", "password": "y"},
    "/api/v1/session/password": {
        "password": "n3w-and-long-enough",
        "current": PASSWORD,
    },
    "/api/v1/alarms/{alarm_id}/acknowledge": {"version": 1},
    "/api/v1/cases": {"origin": {"kind": "track", "id": "track-1"}},
    "/api/v1/cases/{case_id}/facts": {"version": RESCUE.version, "facts": {}},
    "/api/v1/cases/{case_id}/assessment": {
        "version": RESCUE.version,
        "judgements": [
            {
                "factor": "load",
                "finding": "observed_adverse",
                "source": "seen",
                "source_time": "2026-03-01T11:59:00Z",
            }
        ],
    },
    "/api/v1/cases/{case_id}/phase": {"phase": "distress"},
    "/api/v1/cases/{case_id}/lowering": {
        "version": RESCUE.version,
        "closes": True,
        "reason": "all safe",
    },
    "/api/v1/cases/{case_id}/custody": {"version": RESCUE.version, "act": "offer"},
    "/api/v1/cases/{case_id}/sitreps": {"to": ["mrcc"]},
    "/api/v1/cases/{case_id}/drifts": {
        "until": "2026-03-01T13:00:00Z",
        "particles": 100,
    },
    "/api/v1/cases/{case_id}/searches": {
        "units": [
            {
                "name": "boat",
                "speed_mps": 8,
                "endurance_s": 7200,
                "sweep_width_m": 900,
                "sweep_source": "crew",
            }
        ]
    },
    "/api/v1/stations/probe": {"url": "rtsp://10.0.0.9/a"},
    "/api/v1/stations/{station_id}/cameras": CAMERA,
    "/api/v1/cameras/{camera_id}/viewings": {**SPAN, "reason": "case 7"},
}


def routes(app: FastAPI) -> dict[str, str | None]:
    found = {}
    for prefix, api in app.state.mounted:
        for route in api.routes:
            if isinstance(route, APIWebSocketRoute):
                found[f"WS {prefix}{route.path}"] = policy_of(route)
            elif isinstance(route, APIRoute):
                for method in route.methods or ():
                    found[f"{method} {prefix}{route.path}"] = policy_of(route)
    return found


def test_every_route_has_a_row_and_every_row_a_route(clock):
    app = build(Centre().ports(), clock, ConsoleSettings(static=Path("/nowhere")))

    assert sorted(routes(app)) == sorted(row["route"] for row in TABLE)


def test_only_a_few_routes_answer_strangers(clock):
    app = build(Centre().ports(), clock, ConsoleSettings(static=Path("/nowhere")))

    open_ones = {route for route, policy in routes(app).items() if policy == "anybody"}

    assert open_ones == {
        "GET /api/v1/node",
        "POST /api/v1/session/enter",
        "POST /api/v1/session",
        "GET /coast/strait.geojson",
        "GET /{path:path}",
    }


def test_a_route_without_a_policy_stops_the_start():
    api = APIRouter()

    @api.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(UndeclaredRouteError, match="/forgotten"):
        mount(FastAPI(), "", api)


def test_every_action_of_the_table_of_roles_exists_once():
    assert anybody.__name__ not in set(Action)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["route"])
async def test_the_gate_answers_as_the_table_says(row, role: Role | None, clock):
    centre = Centre()
    method, route = row["route"].split()
    live_clock = SystemClock() if method == "WS" else clock
    settings = ConsoleSettings(static=Path("/nowhere"))
    app = application(centre, live_clock, settings)
    at = live_clock.now()
    token = signed_in(centre, role, at=at) if role else None

    if method == "WS":
        status = await first_word(app, place(route), token)
    else:
        status = await answer(centre, app, method, route, token)

    expected = int(row[role or "anonymous"])
    assert status == expected
    assert written(centre) == entries(row, expected, role)


def written(centre: Centre) -> tuple[int, int]:
    denied = [e for e in centre.audit.entries if e.result is AuditResult.DENY]
    assert all(entry.actor.person_id for entry in centre.audit.entries)
    return len(centre.audit.entries) - len(denied), len(denied)


def entries(row: dict[str, str], status: int, role: Role | None) -> tuple[int, int]:
    """How many acts and how many refusals the audit must hold."""
    if row["route"].startswith("POST /api/v1/session") and status in (401, 410):
        return 0, 1 if "password" not in row["route"] else 0
    if status in (403, 404, 4403, 4404):
        public = role is None or "{path" in row["route"] or "coast" in row["route"]
        unknown = "viewing_id" in row["route"] and status == 404
        return 0, 0 if public or unknown else 1
    return (int(row["entries"]), 0) if status < 300 else (0, 0)


async def answer(centre, app, method: str, route: str, token: str | None) -> int:
    async with browser(app, token) as page:
        if "viewing_id" in route:
            granted = await page.post(
                f"{API}/cameras/cam-1/viewings", json={**SPAN, "reason": "case 7"}
            )
            centre.audit.entries.clear()
            route = granted.json().get("url", route)
        params = SPAN if route.endswith("timeline") else None
        body = BODIES.get(route) if method == "POST" else None
        sent = await page.request(method, URL + place(route), json=body, params=params)
    return sent.status_code


async def first_word(app, path: str, token: str | None) -> int:
    async with connected(app, path, token) as peer:
        word = await peer.heard()
    return word if isinstance(word, int) else 200


def place(route: str) -> str:
    for name, value in {
        "{alarm_id}": "alarm-1",
        "{case_id}": "case-1",
        "{digest}": RESCUE.requests[0].digest,
        "{number}": "1",
        "{unit}": "1",
        "{form}": "gpx",
        "{station_id}": "s1",
        "{camera_id}": "cam-1",
        "{viewing_id}": "unknown",
        "{path:path}": "unknown.js",
    }.items():
        route = route.replace(name, value)
    return route


@pytest.mark.parametrize("path", ["cameras/{}/still.jpg", "alarms/{}"])
async def test_what_is_out_of_scope_looks_like_what_is_not_there(path: str, clock):
    centre = Centre()
    token = signed_in(
        centre,
        Role.OPERATOR,
        at=NOON,
        stations=frozenset({StationId("s1")}),
    )
    hidden = "cam-2" if "cameras" in path else "alarm-hidden"

    async with browser(application(centre, clock), token) as page:
        there = await page.get(f"{API}/{path.format(hidden)}")
        nowhere = await page.get(f"{API}/{path.format('x' * len(hidden))}")

    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content
    assert set(there.headers) == set(nowhere.headers)


async def test_who_is_limited_to_a_station_sees_that_station_on_every_path(clock):
    centre = Centre()
    token = signed_in(
        centre,
        Role.WATCH_OFFICER,
        at=NOON,
        stations=frozenset({StationId("s1")}),
    )

    async with browser(application(centre, clock), token) as page:
        paths = ["stations", "health", "picture", "alarms"]
        said = {path: (await page.get(f"{API}/{path}")).text for path in paths}

    for path, text in said.items():
        assert "cam-2" not in text, path
        assert "alarm-hidden" not in text, path
    assert "cam-1" in said["stations"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "alarms/alarm-hidden", None),
        ("POST", "alarms/alarm-hidden/acknowledge", {"version": 1}),
        ("POST", "alarms/alarm-hidden/silence", None),
        ("POST", "stations/s2/cameras", CAMERA),
        ("GET", "cases/case-hidden", None),
        ("GET", "cases/case-hidden/knew-when", None),
        ("GET", "cases/case-hidden/sitreps/1", None),
        ("GET", "cases/case-hidden/searches/1/1/rtz", None),
        ("POST", "cases/case-hidden/phase", {"phase": "distress"}),
        ("POST", "cases/case-hidden/custody", {"version": 5, "act": "offer"}),
        (
            "POST",
            f"cases/case-hidden/lowering/{RESCUE.requests[0].digest}/agree",
            None,
        ),
        ("POST", "cases", {"origin": {"kind": "alarm", "id": "alarm-hidden"}}),
        ("DELETE", "cameras/cam-2", None),
        ("GET", "cameras/cam-2/still.jpg", None),
        ("GET", "cameras/cam-2/timeline", None),
        ("POST", "cameras/cam-2/viewings", {**SPAN, "reason": "case 7"}),
        ("WS", "live/cam-2", None),
    ],
)
async def test_no_path_leads_out_of_somebodys_scope(method, path, body, clock):
    centre = Centre()
    live_clock = SystemClock() if method == "WS" else clock
    app = application(centre, live_clock)
    s1 = frozenset({StationId("s1")})
    token = signed_in(centre, *Role, at=live_clock.now(), stations=s1)

    if method == "WS":
        assert await first_word(app, f"/api/v1/{path}", token) == 4404
    else:
        async with browser(app, token) as page:
            params = SPAN if path.endswith("timeline") else None
            url = f"{API}/{path}"
            sent = await page.request(method, url, json=body, params=params)
        assert sent.status_code == 404
    assert [entry.result for entry in centre.audit.entries] == [AuditResult.DENY]
