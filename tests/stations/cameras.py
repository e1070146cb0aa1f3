"""Cameras that misbehave in ways the simulated coast does not."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from almenara.core.ids import StationId, StreamId
from almenara.node.clock import SystemClock
from almenara.stations.addresses import AddressPolicy
from almenara.stations.credentials import Credentials
from almenara.stations.drivers.rtsp import Patience, RtspDriver
from tests.stations.pictures import clip

MAST = StationId("mast")
Answer = Callable[[str, dict[str, str]], bytes]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def driver(
    port: int,
    path: str = "cam/main",
    *,
    credentials: Credentials | None = None,
    handshake_s: float = 5.0,
    silence_s: float = 5.0,
) -> RtspDriver:
    """A driver for a camera on loopback."""
    return RtspDriver(
        stream_id=StreamId(path),
        station_id=MAST,
        url=f"rtsp://127.0.0.1:{port}/{path}",
        policy=AddressPolicy(loopback_ports=frozenset({port})),
        clock=SystemClock(),
        credentials=credentials,
        patience=Patience(handshake_s=handshake_s, silence_s=silence_s),
    )


@asynccontextmanager
async def camera(serve: Serve) -> AsyncIterator[int]:
    """Serve on loopback; yields the port."""

    async def guarded(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(answer: Answer, log: list[str] | None = None) -> Serve:
    """A camera that answers each request with what ``answer`` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if log is not None:
                log.append(head)
            fields = dict(re.findall(r"^([\w-]+): (.*?)\r$", head, re.MULTILINE))
            writer.write(answer(head.split(" ")[0], fields))
            await writer.drain()

    return serve


def reply(
    fields: dict[str, str], status: str = "200 OK", *lines: str, body: bytes = b""
) -> bytes:
    """One RTSP answer."""
    said = [f"RTSP/1.0 {status}", f"CSeq: {fields['CSeq']}", *lines]
    said.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*said, "", ""]).encode() + body


def sdp(*lines: str, encoding: str = "H264") -> bytes:
    """A description of one video stream."""
    sets = ",".join(base64.b64encode(s).decode() for s in clip().parameter_sets)
    given = [
        *("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"),
        *("m=audio 0 RTP/AVP 0", "a=control:sound"),
        *("m=video 0 RTP/AVP 96", f"a=rtpmap:96 {encoding}/90000"),
        *(f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}",),
        *(lines or ("a=control:track0",)),
    ]
    return "\r\n".join([*given, ""]).encode()


def rtp(
    payload: bytes,
    *,
    sequence: int,
    timestamp: int,
    marker: bool = True,
    channel: int = 0,
) -> bytes:
    """One interleaved RTP packet."""
    head = bytes([0x80, 0x60 | marker << 7])
    head += (sequence & 0xFFFF).to_bytes(2, "big")
    head += (timestamp & 0xFFFF_FFFF).to_bytes(4, "big") + b"ssrc"
    packet = head + payload
    return b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet


def playing(stream: bytes = b"") -> Answer:
    """Answers everything well, and sends ``stream`` after PLAY."""

    def answer(method: str, fields: dict[str, str]) -> bytes:
        if method == "DESCRIBE":
            return reply(fields, body=sdp())
        if method == "SETUP":
            return reply(fields, "200 OK", "Session: 7;timeout=60")
        return reply(fields) + (stream if method == "PLAY" else b"")

    return answer


def guarded_by(
    user: str, password: str, *, algorithm: str = "MD5", qop: bool = True
) -> Answer:
    """Asks for digest credentials and checks them by the book (RFC 7616 3.4)."""
    make = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]
    inner = playing()

    def digest(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    def answer(method: str, fields: dict[str, str]) -> bytes:
        given = fields.get("Authorization", "")
        found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', given))
        nonce = found.get("cnonce", "")
        middle = ["n0nce", "00000001", nonce, "auth"] if qop else ["n0nce"]
        secret = digest(user, "Mast, north", password)
        wanted = digest(secret, *middle, digest(method, found.get("uri", "")))
        name = re.sub(r"\\(.)", r"\1", found.get("username", ""))
        if found.get("response") == wanted and name == user:
            return inner(method, fields)
        offer = f'Digest realm="Mast, north", nonce="n0nce", algorithm={algorithm}'
        offer += ', qop="auth,auth-int"' if qop else ""
        return reply(fields, "401 Unauthorized", f"WWW-Authenticate: {offer}")

    return answer
