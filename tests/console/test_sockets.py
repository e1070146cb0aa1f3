"""The sockets, through the whole application and once over a real port."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
import uvicorn
import websockets

from almenara.console import sockets
from almenara.console.accounts import IDLE, hash_token
from almenara.console.app import create_app
from almenara.console.live_queue import HEADER
from almenara.core.ids import StationId
from almenara.evidence.access import Role
from almenara.node.clock import SystemClock
from tests.console.browser import COOKIE, application, signed_in
from tests.console.fakes import INIT, Centre, alarm, fragment, track
from tests.console.socket_peer import connected

pytestmark = pytest.mark.anyio
PICTURE, LIVE = "/api/v1/picture", "/api/v1/live/cam-1"


class QuickClock(SystemClock):
    """Real time, a hundred times faster for those who wait."""

    def __init__(self) -> None:
        self.skipped = timedelta()

    def now(self):
        return super().now() + self.skipped

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds() / 100)


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
def app(centre, clock):
    return application(centre, clock)


async def next_of(peer: Any, kind: str) -> Any:
    while True:
        told = await peer.heard()
        if isinstance(told, int) or told.get("type") == kind:
            return told


async def test_a_snapshot_comes_first_and_deltas_without_a_hole(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, PICTURE, token) as peer:
        first = await peer.heard()
        assert first["type"] == "snapshot"
        assert [t["track_id"] for t in first["tracks"]] == ["track-1"]
        assert [a["alarm_id"] for a in first["alarms"]] == ["alarm-1"]
        assert {"seq", "at", "rays", "health", "node"} < set(first)

        picture = centre.picture.latest()
        centre.picture.publish(replace(picture, tracks=(track("track-2"),)))
        moved = await next_of(peer, "delta")
        centre.desk.put(alarm("alarm-9"))
        rang = await next_of(peer, "delta")

    assert [t["track_id"] for t in moved["tracks"]["changed"]] == ["track-2"]
    assert moved["tracks"]["gone"] == ["track-1"]
    assert moved["health"] is None
    assert [a["alarm_id"] for a in rang["alarms"]["changed"]] == ["alarm-9"]
    assert [first["seq"], moved["seq"], rang["seq"]] == [1, 2, 3]


async def test_the_heart_beats_with_the_number_of_the_last_message(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, PICTURE, token) as peer:
        first = await peer.heard()
        beats = [await next_of(peer, "heartbeat") for _ in range(3)]

    assert {beat["seq"] for beat in beats} == {first["seq"]}


async def test_each_subscriber_gets_what_is_theirs(centre, clock, app):
    limited = signed_in(
        centre,
        Role.OPERATOR,
        at=clock.now(),
        stations=frozenset({StationId("s1")}),
    )
    free = signed_in(centre, Role.WATCH_OFFICER, at=clock.now())
    async with (
        connected(app, PICTURE, limited) as here,
        connected(app, PICTURE, free) as there,
    ):
        few, all_ = await here.heard(), await there.heard()

    assert [ray["camera_id"] for ray in few["rays"]] == ["cam-1"]
    assert [ray["camera_id"] for ray in all_["rays"]] == ["cam-1", "cam-2"]
    assert [c["camera_id"] for c in few["health"]["cameras"]] == ["cam-1"]


async def test_a_session_that_ended_is_cut_off(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with (
        connected(app, PICTURE, token) as picture,
        connected(app, LIVE, token) as live,
    ):
        await picture.heard()
        centre.accounts.sessions.clear()
        assert await next_of(picture, "never") == sockets.SESSION_ENDED
        code = await live.heard()
        while not isinstance(code, int):
            code = await live.heard()

    assert code == sockets.SESSION_ENDED
    assert timedelta(seconds=5) >= sockets.SESSION_CHECK


async def test_a_right_that_was_taken_away_is_gone(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    person = next(iter(centre.accounts.accounts))
    async with connected(app, PICTURE, token) as peer:
        await peer.heard()
        account = centre.accounts.accounts[person]
        roles = frozenset({Role.AUDITOR})
        centre.accounts.accounts[person] = replace(account, roles=roles)

        assert await next_of(peer, "never") == sockets.FORBIDDEN


async def test_an_idle_console_keeps_watching_but_its_pictures_are_veiled(
    centre, clock, app
):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with (
        connected(app, PICTURE, token) as picture,
        connected(app, LIVE, token) as live,
    ):
        await picture.heard()
        clock.skipped = IDLE
        code = await live.heard()
        while not isinstance(code, int):
            code = await live.heard()
        centre.desk.put(alarm("alarm-9"))
        rang = await next_of(picture, "delta")

    assert code == sockets.SESSION_ENDED
    assert rang["alarms"]["changed"][0]["alarm_id"] == "alarm-9"


async def test_somebody_at_the_keys_keeps_the_session_awake(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    began = centre.accounts.sessions[hash_token(token)].seen_at
    async with connected(app, PICTURE, token) as peer:
        await peer.heard()
        clock.skipped = timedelta(minutes=10)
        await peer.say('{"type":"here"}')
        await next_of(peer, "heartbeat")
        await next_of(peer, "heartbeat")

    kept = centre.accounts.sessions[hash_token(token)]
    assert kept.seen_at - began >= timedelta(minutes=10)


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_a_socket_from_another_page_gets_no_handshake(centre, clock, app, origin):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, PICTURE, token, origin=origin) as peer:
        assert await peer.heard() == 403


async def test_too_many_sockets_of_one_session_are_turned_away(
    centre, clock, app, monkeypatch
):
    monkeypatch.setattr(sockets, "MOST_PER_SESSION", 1)
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, PICTURE, token) as first:
        await first.heard()
        async with connected(app, PICTURE, token) as second:
            assert await second.heard() == sockets.TOO_MANY
    async with connected(app, PICTURE, token) as third:
        assert (await third.heard())["type"] == "snapshot"


async def test_live_pictures_come_framed_and_leave_two_lines(centre, clock, app):
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, LIVE, token) as peer:
        opening = await peer.heard()
        kinds = [HEADER.unpack((await peer.heard())[:16])[2] for _ in range(3)]
        assert centre.live.watching == 1

    assert opening == {
        "type": "open",
        "codec": "avc1.64001f",
        "width_px": 1280,
        "height_px": 720,
    }
    assert kinds == [0, 1, 2]
    assert centre.live.watching == 0
    assert [entry.act for entry in centre.audit.entries] == [
        "video.live.start",
        "video.live.end",
    ]


async def test_what_browsers_cannot_play_is_shown_in_stills(centre, clock, app):
    centre.live.messages = [
        replace(INIT, codec="hvc1.1.6.L93.B0"),
        fragment(0, key=True),
    ]
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, LIVE, token) as peer:
        assert await peer.heard() == {"type": "stills"}


async def test_without_an_audit_nobody_watches_live(centre, clock, app):
    centre.audit.fails = True
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    async with connected(app, LIVE, token) as peer:
        assert await peer.heard() == 1011

    assert centre.live.watching == 0


@pytest.mark.slow
async def test_a_real_browsers_socket_over_a_real_port(centre):
    clock = SystemClock()
    token = signed_in(centre, Role.OPERATOR, at=clock.now())
    config = uvicorn.Config(
        create_app(centre.ports(), clock),
        host="127.0.0.1",
        port=0,
        proxy_headers=False,
        log_config=None,
        ws="websockets-sansio",
    )
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await anyio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        cookie = {"Cookie": f"{COOKIE}={token}"}
        own = websockets.Origin(f"http://127.0.0.1:{port}")
        async with websockets.connect(
            url + PICTURE, origin=own, additional_headers=cookie
        ) as picture:
            assert '"snapshot"' in await picture.recv()
        async with websockets.connect(url + PICTURE, origin=own) as stranger:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await stranger.recv()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(
                url + PICTURE,
                origin=websockets.Origin("http://evil"),
                additional_headers=cookie,
            )
        server.should_exit = True

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == sockets.SESSION_ENDED
    assert refused.value.response.status_code == 403
