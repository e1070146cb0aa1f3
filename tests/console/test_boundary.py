"""What every request passes first, whatever it asks for."""

from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.console.app import ConsoleSettings
from almenara.console.boundary import (
    CSP,
    DEEPEST,
    LARGEST_BODY,
    SECURITY_HEADERS,
    refuse_deep,
)
from almenara.console.problems import Problem
from almenara.evidence.access import Role
from tests.conftest import NOON
from tests.console.browser import API, OWN_PAGE, URL, application, browser, signed_in
from tests.console.fakes import Centre

pytestmark = pytest.mark.anyio
ACKNOWLEDGE = "/alarms/alarm-1/acknowledge"


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
def token(centre: Centre) -> str:
    return signed_in(centre, *Role, at=NOON)


@pytest.mark.parametrize(
    "path", ["/node", "/alarms", "/nothing", "/cameras/x/still.jpg"]
)
async def test_every_answer_carries_the_security_headers(centre, clock, path):
    async with browser(application(centre, clock)) as page:
        sent = await page.get(path)

    for name, value in SECURITY_HEADERS.items():
        assert sent.headers[name] == value
    assert "unsafe" not in CSP
    assert sent.headers["cache-control"] == "no-store"
    assert sent.headers["x-request-id"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Origin": "https://evil.example"}, "origin.foreign"),
        ({"Origin": "null"}, "origin.foreign"),
        ({"Origin": "http://127.0.0.1:9999"}, "origin.foreign"),
        ({"Origin": "https://127.0.0.1:8080"}, "origin.foreign"),
        ({"X-Almenara": "0"}, "csrf.header"),
    ],
)
async def test_another_page_cannot_act_for_somebody(
    centre, clock, token, changed: dict[str, str], code: str
):
    async with browser(application(centre, clock), token, **changed) as page:
        sent = await page.post(ACKNOWLEDGE, json={"version": 1})

    assert (sent.status_code, sent.json()["code"]) == (403, code)
    assert centre.audit.entries == []


async def test_a_form_without_origin_is_refused_and_our_own_page_is_not(
    centre, clock, token
):
    transport = httpx.ASGITransport(application(centre, clock))
    cookies = {"almenara_session": token}
    async with httpx.AsyncClient(
        transport=transport, base_url=API, cookies=cookies
    ) as page:
        csrf = {"X-Almenara": "1"}
        bare = await page.post(ACKNOWLEDGE, json={"version": 1}, headers=csrf)
        own = {**csrf, "Sec-Fetch-Site": "same-origin"}
        ours = await page.post(ACKNOWLEDGE, json={"version": 1}, headers=own)

    assert (bare.status_code, ours.status_code) == (403, 200)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", ""])
async def test_a_name_that_is_not_ours_is_not_answered(centre, clock, token, host):
    async with browser(application(centre, clock), token, Host=host) as page:
        assert (await page.get("/alarms")).status_code == 421


async def test_a_body_beyond_a_mebibyte_is_not_read_to_the_end(centre, clock, token):
    async def endless():
        while True:
            yield b"x" * 2**16

    async with browser(application(centre, clock), token) as page:
        sized = await page.post(ACKNOWLEDGE, content=b"x" * (LARGEST_BODY + 1))
        chunked = await page.post(ACKNOWLEDGE, content=endless())

    assert sized.status_code == chunked.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000,
        b'{"version":' * 40 + b"1" + b"}" * 40,
        b'{"version": NaN}',
        b'{"version": 1e999}',
        b'{"version": 1, "role": "administrator"}',
        b'{"version": -1}',
        b"\xff\xfe",
        b"",
    ],
)
async def test_odd_bodies_are_faults_of_the_caller(centre, clock, token, body: bytes):
    json = {"Content-Type": "application/json"}
    async with browser(application(centre, clock), token) as page:
        sent = await page.post(ACKNOWLEDGE, content=body, headers=json)

    assert sent.status_code in (400, 422)
    assert sent.headers["content-type"] == "application/problem+json"


async def test_an_unknown_field_is_named(centre, clock, token):
    async with browser(application(centre, clock), token) as page:
        sent = await page.post(ACKNOWLEDGE, json={"version": 1, "role": "x"})

    assert any("body.role" in fault for fault in sent.json()["faults"])


@given(depth=st.integers(1, 100), text=st.text())
def test_brackets_count_and_brackets_in_texts_do_not(depth: int, text: str):
    quoted = httpx.Request("POST", URL, json=[text]).content
    refuse_deep(quoted)
    body = b"[" * depth + b"]" * depth

    if depth > DEEPEST:
        with pytest.raises(Problem):
            refuse_deep(body)
    else:
        refuse_deep(body)


async def test_a_bug_is_told_to_the_log_and_to_nobody_else(
    centre, clock, token, capsys
):
    async def broken(**_: object) -> None:
        raise RuntimeError("select secret from /etc/passwd")

    centre.desk.queue = broken
    async with browser(application(centre, clock), token) as page:
        sent = await page.get("/alarms")

    assert sent.status_code == 500
    assert sent.json()["code"] == "internal"
    assert "secret" not in sent.text
    assert sent.headers["content-security-policy"] == CSP
    assert "request_failed" in capsys.readouterr().out


async def test_the_pages_are_served_from_a_list_and_nothing_else(
    centre, clock, tmp_path
):
    bundle = tmp_path / "static"
    (bundle / "assets").mkdir(parents=True)
    (bundle / "index.html").write_text("<!doctype html>")
    (bundle / "assets" / "index-Ab3dEf9h.js").write_text("1")
    (bundle / "ar.json").write_text("{}")
    (tmp_path / "secret.json").write_text("secret")
    (bundle / "link.json").symlink_to(tmp_path / "secret.json")
    coast = tmp_path / "strait.geojson"
    coast.write_text("{}")
    app = application(centre, clock, ConsoleSettings(static=bundle, coast=coast))

    async with browser(app) as page:
        index = await page.get(f"{URL}/")
        deep = await page.get(f"{URL}/enter")
        script = await page.get(f"{URL}/assets/index-Ab3dEf9h.js")
        words = await page.get(f"{URL}/ar.json")
        shore = await page.get(f"{URL}/coast/strait.geojson")
        refused = [
            await page.get(f"{URL}/{path}")
            for path in (
                "../secret.json",
                "..%2fsecret.json",
                "%252e%252e/secret.json",
                "link.json",
                "/etc/passwd",
                "C:\\x.json",
                "index.html%00.js",
                "api/v1/nothing",
                "x" * 5000 + ".js",
            )
        ]

    assert index.headers["cache-control"] == "no-cache"
    assert deep.content == index.content
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert words.headers["cache-control"] == "no-cache"
    assert shore.headers["content-type"] == "application/geo+json"
    for sent in refused:
        assert "secret" not in sent.text
        assert sent.status_code == 404 or sent.content == index.content


async def test_the_reference_has_no_script_and_marks_what_is_secured(
    centre, clock, token
):
    async with browser(application(centre, clock), token) as page:
        document = (await page.get("/openapi.json")).json()
        reference = (await page.get("/docs")).text

    assert "<script" not in reference
    public = {
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not operation.get("security")
    }
    assert public == {
        ("get", "/api/v1/node"),
        ("post", "/api/v1/session"),
        ("post", "/api/v1/session/enter"),
    }


async def test_safe_mode_shows_its_faults_to_those_who_are_in(centre, clock, token):
    centre.board.break_configuration()
    app = application(centre, clock)
    async with browser(app) as stranger, browser(app, token) as page:
        outside = (await stranger.get("/node")).json()
        inside = (await page.get("/node")).json()

    assert (outside["mode"], outside["faults"]) == ("safe", [])
    assert inside["faults"][0]["place"] == "almenara.toml:3"
    assert replace(centre.board.node, faults=()).mode == "normal"
    assert OWN_PAGE
