"""Around the application: what every request and every answer goes through.

Refuses foreign hosts, foreign origins, oversized and over-nested bodies before a route
sees them; gives each request an id; puts the security headers on every answer; turns a
bug into a problem document that tells nobody anything.

Source: W3C Content Security Policy 3; Fetch metadata; RFC 9110, 15.5.
"""

import json
import re
import secrets
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from almenara.console.problems import Problem

log = structlog.get_logger()

LARGEST_BODY = 2**20
DEEPEST = 32
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-almenara"
REQUEST_ID = "almenara.request_id"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "trusted-types default svelte-trusted-html; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "X-Frame-Options": "DENY",
}
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Who may speak to the application, and how."""

    hosts: frozenset[str]
    """Names in ``Host`` that are this centre; others are somebody else's page."""

    secure: bool
    """Behind encrypted connections."""


class Boundary:
    """Wraps the application; the outermost layer."""

    def __init__(self, app: ASGIApp, border: Border) -> None:
        self._app, self._border = app, border

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = secrets.token_hex(8)
        answer = _Answer(send, scope, secure=self._border.secure)
        try:
            refuse_foreign(scope, self._border)
            if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
                receive = _replayed(await _whole_body(scope, receive), receive)
            await self._app(scope, receive, answer.send)
        except Problem as problem:
            await _refuse(problem, scope, receive, answer.send)
        except Exception:  # one of three places that may: a bug costs one request
            log.exception("request_failed", request_id=scope[REQUEST_ID])
            if not answer.started:
                bug = Problem(500, "internal", scope[REQUEST_ID])
                await _refuse(bug, scope, receive, answer.send)
            elif scope["type"] == "websocket":
                with suppress(RuntimeError, OSError):  # closed already
                    await answer.send({"type": "websocket.close", "code": 1011})


def refuse_foreign(scope: Scope, border: Border) -> None:
    """Refuse what comes by another name or from another page.

    Raises:
        Problem: 421 for a foreign host, 403 for a foreign origin or a missing header.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if _name_of(host) not in border.hosts:
        raise Problem(421, "host.foreign", "not a name of this centre")
    is_socket = scope["type"] == "websocket"
    if not is_socket and scope["method"] in SAFE_METHODS:
        return
    origin = headers.get("origin")
    if origin is None:
        # Browsers always send one here; what sends none is no browser and carries no
        # borrowed cookie, or says with Sec-Fetch-Site that it is our own page.
        same = not is_socket and headers.get("sec-fetch-site") == "same-origin"
        if not same:
            raise Problem(403, "origin.missing", "wants an Origin")
    elif not _is_own(origin, host, secure=border.secure):
        raise Problem(403, "origin.foreign", "asked from another page")
    if not is_socket and headers.get(CSRF_HEADER) != "1":
        raise Problem(403, "csrf.header", "wants the header X-Almenara: 1")


def refuse_deep(body: bytes) -> None:
    """Refuse brackets within brackets beyond :data:`DEEPEST`, without parsing.

    Raises:
        Problem: 422.
    """
    depth = 0
    for byte in _STRINGS.sub(b"", body):
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > DEEPEST:
            raise Problem(422, "request.depth", "nested too deep")


def _is_own(origin: str, host: str, *, secure: bool) -> bool:
    parts = urlsplit(origin)
    scheme = "https" if secure else "http"
    return parts.scheme == scheme and parts.netloc.lower() == host.lower()


def _name_of(host: str) -> str:
    """The host without its port; brackets of an IPv6 address stay."""
    return re.sub(r":\d+$", "", host).lower()


async def _whole_body(scope: Scope, receive: Receive) -> bytes:
    """The body, never more than a mebibyte of it."""
    size = Headers(scope=scope).get("content-length", "0")
    if size.isdigit() and int(size[:12]) > LARGEST_BODY:
        raise Problem(413, "request.size", "body too large")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise Problem(413, "request.size", "body too large")
        if not message.get("more_body", False):
            refuse_deep(bytes(body))
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then what the peer really says."""
    waiting: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


class _Answer:
    """Puts the headers on an answer and knows whether it has begun."""

    def __init__(self, send: Send, scope: Scope, *, secure: bool) -> None:
        self._send, self._scope, self._secure = send, scope, secure
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"].endswith("response.start"):
            self.started = True
            self._add_headers(message)
        elif message["type"].startswith("websocket."):
            self.started = True
        await self._send(message)

    def _add_headers(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in SECURITY_HEADERS.items():
            headers[name] = value
        headers["X-Request-Id"] = self._scope[REQUEST_ID]
        headers.setdefault("Cache-Control", "no-store")
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """A refusal before any route: over HTTP a document, to a socket no handshake."""
    answer = problem.answer()
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await answer(scope, receive, send)


def json_text(value: Any) -> str:
    """A message as text; a NaN that got this far is a bug, not an answer."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
