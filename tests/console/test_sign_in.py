"""Coming in and going out: passwords, links, cookies, patience."""

from datetime import timedelta

import anyio
import pytest
from argon2 import PasswordHasher

from almenara.console.accounts import ABSOLUTE, IDLE, LINK_LIFE
from almenara.console.app import ConsoleSettings
from almenara.console.passwords import AT_ONCE, IN_WAITING, Passwords
from almenara.console.problems import Problem
from almenara.console.signin import invite
from almenara.console.throttle import FREE, MOST_KEYS, Throttle
from almenara.core.ids import PersonId
from almenara.evidence.access import Role
from almenara.evidence.audit import AuditActor
from tests.conftest import NOON
from tests.console.browser import COOKIE, PASSWORD, application, browser, signed_in
from tests.console.fakes import Centre

pytestmark = pytest.mark.anyio
CLI = AuditActor(person_id=PersonId("service/cli"), name="almenara")


@pytest.fixture
def centre() -> Centre:
    return Centre()


async def link(centre: Centre, clock, name: str = "Ana") -> str:
    roles = frozenset({Role.OPERATOR})
    return await invite(centre.accounts, clock, name=name, roles=roles, by=CLI)


async def test_nobody_can_sign_in_before_somebody_was_invited(centre, clock):
    async with browser(application(centre, clock)) as page:
        assert (await page.get("/node")).json()["needs_setup"] is True
        for name in ("admin", "root", "almenara"):
            body = {"name": name, "password": name}
            assert (await page.post("/session", json=body)).status_code == 401


async def test_a_link_lets_in_once_and_leads_to_a_password(centre, clock):
    token = await link(centre, clock)
    app = application(centre, clock)

    async with browser(app) as page:
        entered = await page.post("/session/enter", json={"token": token})
        assert entered.status_code == 200
        assert entered.json()["has_password"] is False
        chosen = await page.post("/session/password", json={"password": PASSWORD})
        assert chosen.json()["has_password"] is True
        assert (await page.get("/session")).status_code == 200
    async with browser(app) as stranger:
        again = await stranger.post("/session/enter", json={"token": token})
        assert again.status_code == 410
        body = {"name": "ANA", "password": PASSWORD}
        assert (await stranger.post("/session", json=body)).status_code == 200


async def test_a_link_is_gone_after_a_quarter_of_an_hour(centre, clock):
    token = await link(centre, clock)
    clock.advance(LINK_LIFE)

    async with browser(application(centre, clock)) as page:
        late = await page.post("/session/enter", json={"token": token})

    assert late.status_code == 410


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(centre, clock):
    signed_in(centre, Role.OPERATOR, at=NOON)
    name = next(iter(centre.accounts.accounts.values())).name

    async with browser(application(centre, clock)) as page:
        known = await page.post("/session", json={"name": name, "password": "x"})
        unknown = await page.post("/session", json={"name": "Nobody", "password": "x"})

    assert known.status_code == unknown.status_code == 401
    assert known.content == unknown.content


async def test_guessing_gets_slower_and_never_locks_for_good(centre, clock):
    signed_in(centre, Role.OPERATOR, at=NOON)
    name = next(iter(centre.accounts.accounts.values())).name
    wrong = {"name": name, "password": "wrong"}

    async with browser(application(centre, clock)) as page:
        tries = [await page.post("/session", json=wrong) for _ in range(100)]
        codes = [sent.status_code for sent in tries]
        assert codes == [401] * FREE + [429] * (100 - FREE)
        assert int(tries[-1].headers["retry-after"]) >= 1
        clock.advance(timedelta(seconds=int(tries[-1].headers["retry-after"])))
        right = await page.post("/session", json={"name": name, "password": PASSWORD})

    assert right.status_code == 200


def test_a_stranger_elsewhere_does_not_slow_the_watch_down(clock):
    throttle = Throttle(clock)
    for _ in range(1000):
        throttle.tried("ana", "10.9.9.9")

    assert throttle.wait_s("ana", "10.9.9.9") > 60
    assert throttle.wait_s("ana", "127.0.0.1") == 0


def test_one_address_cannot_try_every_name_and_memory_stays_bounded(clock):
    throttle = Throttle(clock)
    for number in range(2 * MOST_KEYS):
        throttle.tried(f"name-{number}", "10.9.9.9")

    assert throttle.wait_s("another", "10.9.9.9") > 0
    assert len(throttle._tries) <= MOST_KEYS  # noqa: SLF001 - the bound itself


async def test_at_most_two_passwords_are_checked_at_once_and_a_flood_is_turned_away():
    running, most = 0, 0

    class Counting(PasswordHasher):
        def verify(self, hash, password):  # noqa: A002 - the library's name
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return super().verify(hash, password)
            finally:
                running -= 1

    passwords = Passwords(Counting(time_cost=2, memory_cost=4096, parallelism=1))
    kept = await passwords.hash("right")
    turned_away = 0

    async def guess() -> None:
        nonlocal turned_away
        try:
            await passwords.matches(kept, "wrong")
        except Problem as problem:
            turned_away += problem.status == 429

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(guess)

    assert most <= AT_ONCE
    assert turned_away >= 50 - AT_ONCE - IN_WAITING - 5


async def test_a_session_ends_by_idling_by_age_and_by_leaving(centre, clock):
    app = application(centre, clock)
    idle, old, left = (signed_in(centre, Role.OPERATOR, at=NOON) for _ in range(3))
    async with browser(app, left) as page:
        assert (await page.delete("/session")).status_code == 204
    async with browser(app, left) as page:
        assert (await page.get("/session")).status_code == 401
    async with browser(app, old) as page:
        for _ in range(int(ABSOLUTE / timedelta(minutes=10)) - 1):
            clock.advance(timedelta(minutes=10))
            assert (await page.get("/session")).status_code == 200
        clock.advance(timedelta(minutes=10))
        assert (await page.get("/session")).status_code == 401
    assert IDLE < ABSOLUTE
    async with browser(app, idle) as page:
        assert (await page.get("/session")).status_code == 401


async def test_what_a_page_asks_by_itself_keeps_no_session_awake(centre, clock):
    token = signed_in(centre, Role.OPERATOR, at=NOON)
    async with browser(application(centre, clock), token) as page:
        codes = []
        for _ in range(4):
            clock.advance(timedelta(minutes=5))
            codes.append((await page.get("/cameras/cam-1/still.jpg")).status_code)

    assert codes == [200, 200, 401, 401]


async def test_a_new_password_ends_the_other_sessions(centre, clock):
    app = application(centre, clock)
    token = signed_in(centre, Role.OPERATOR, at=NOON)
    async with browser(app, token) as page:
        wrong = {"password": "quite another one", "current": "wrong"}
        assert (await page.post("/session/password", json=wrong)).status_code == 403
        right = {"password": "quite another one", "current": PASSWORD}
        changed = await page.post("/session/password", json=right)
        assert changed.status_code == 200
        fresh = changed.cookies[COOKIE]
    assert fresh != token
    async with browser(app, token) as page:
        assert (await page.get("/session")).status_code == 401
    async with browser(app, fresh) as page:
        assert (await page.get("/session")).status_code == 200


@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaa", "Somebody person-0 !"])
async def test_a_guessable_password_is_refused(centre, clock, weak: str):
    token = signed_in(centre, Role.OPERATOR, at=NOON)
    async with browser(application(centre, clock), token) as page:
        body = {"password": weak, "current": PASSWORD}
        sent = await page.post("/session/password", json=body)

    assert sent.status_code == 422
    assert sent.json()["code"] == "password.weak"


async def test_who_is_disabled_is_out_at_once(centre, clock):
    token = signed_in(centre, Role.OPERATOR, at=NOON)
    person = next(iter(centre.accounts.accounts))
    app = application(centre, clock)
    account = centre.accounts.accounts[person]
    object.__setattr__(account, "disabled_at", NOON)

    async with browser(app, token) as page:
        assert (await page.get("/session")).status_code == 401


@pytest.mark.parametrize("secure", [False, True])
async def test_the_cookie_is_kept_from_scripts_and_strangers(centre, clock, secure):
    token = await link(centre, clock)
    app = application(centre, clock, ConsoleSettings(secure=secure))
    origin = {"Origin": "https://127.0.0.1:8080"} if secure else {}

    async with browser(app, **origin) as page:
        entered = await page.post("/session/enter", json={"token": token})

    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("__Host-almenara=" if secure else f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert ("Secure" in cookie) is secure
    assert ("strict-transport-security" in entered.headers) is secure


async def test_a_planted_session_and_forged_headers_change_nothing(centre, clock):
    token = await link(centre, clock)
    forged = {"X-Forwarded-For": "10.1.1.1", "Remote-User": "admin"}
    async with browser(application(centre, clock), "planted", **forged) as page:
        entered = await page.post("/session/enter", json={"token": token})

    assert entered.cookies[COOKIE] != "planted"
    assert centre.audit.entries[-1].actor.address == "127.0.0.1"


async def test_no_token_is_kept_and_none_is_in_the_audit(centre, clock):
    token = await link(centre, clock)
    async with browser(application(centre, clock)) as page:
        entered = await page.post("/session/enter", json={"token": token})

    kept = repr((centre.accounts.sessions, centre.accounts.links, centre.audit.entries))
    assert token not in kept
    assert entered.cookies[COOKIE] not in kept
