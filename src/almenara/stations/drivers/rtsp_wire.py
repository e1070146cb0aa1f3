"""RTSP as bytes: responses and interleaved packets out of a stream, requests into one.

No socket here. Feed it bytes cut anywhere; what it returns is whole and bounded: a
response has at most 200 header lines and a body of at most 64 KiB, whatever the other
side announces, and a line without end is refused long before it fills memory.

Source: RFC 2326 (RTSP 1.0), sections 4, 6, 7 and 10.12 (interleaved data).
"""

import re
from dataclasses import dataclass, field

from almenara.core.errors import MediaError

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADER_LINES = 200
MAX_BODY_BYTES = 64 * 1024

_STATUS = re.compile(rb"RTSP/1\.\d (\d{3})(?: |\Z)")
_REQUEST = re.compile(rb"[A-Z_]{3,20} \S+ RTSP/1\.\d\Z")
_DOLLAR = 0x24


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer; status 0 marks a request of the other side, which nobody answers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order received."""

    body: bytes = b""

    def header(self, name: str) -> str:
        """The first header of this name, or nothing."""
        return next((value for key, value in self.headers if key == name), "")

    def headers_named(self, name: str) -> list[str]:
        """Every header of this name."""
        return [value for key, value in self.headers if key == name]


Interleaved = tuple[int, bytes]
"""Channel and packet; a plain pair, because there are thousands a second."""


@dataclass(slots=True)
class RtspReader:
    """Takes a stream of bytes apart."""

    _rest: bytes = field(default=b"", repr=False)

    def feed(self, data: bytes) -> list[Interleaved | Response]:
        """What ``data`` completed.

        Raises:
            MediaError: The stream is not RTSP, or larger than anybody needs.
        """
        buffer = self._rest + data if self._rest else data
        found: list[Interleaved | Response] = []
        at, end = 0, len(buffer)
        while end - at >= 4:
            if buffer[at] == _DOLLAR:
                stop = at + 4 + (buffer[at + 2] << 8 | buffer[at + 3])
                if stop > end:
                    break
                found.append((buffer[at + 1], buffer[at + 4 : stop]))
                at = stop
            elif buffer[at] in b"\r\n":
                at += 1
            else:
                response, stop = _read_response(buffer, at)
                if response is None:
                    break
                found.append(response)
                at = stop
        self._rest = buffer[at:]
        return found


def _read_response(buffer: bytes, at: int) -> tuple[Response | None, int]:
    """One response at ``at``, or None while it is incomplete."""
    head_end = buffer.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES + 4)
    if head_end < 0:
        _check_unfinished(buffer, at)
        return None, at
    first, *lines = buffer[at:head_end].split(b"\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise MediaError("too many RTSP header lines")
    status = _STATUS.match(first)
    if not status and not _REQUEST.match(first):
        raise MediaError("no RTSP")
    headers = tuple(_read_header(line) for line in lines)
    announced = next((v for k, v in headers if k == "content-length"), "0")
    if not (announced.isascii() and announced.isdigit() and len(announced) <= 9):
        raise MediaError("RTSP content length is no number")
    if int(announced) > MAX_BODY_BYTES:
        raise MediaError("RTSP body is too long")
    begin = head_end + 4
    stop = begin + int(announced)
    if stop > len(buffer):
        return None, at
    return (
        Response(
            status=int(status[1]) if status else 0,
            headers=headers,
            body=buffer[begin:stop],
        ),
        stop,
    )


def _check_unfinished(buffer: bytes, at: int) -> None:
    head = buffer[at:]
    if len(head) > MAX_HEAD_BYTES or head.count(b"\n") > MAX_HEADER_LINES:
        raise MediaError("RTSP header is too long")
    if len(head) >= 16 and b"RTSP/" not in head and b"\n" in head:
        raise MediaError("no RTSP")


def _read_header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def write_request(method: str, uri: str, headers: dict[str, str]) -> bytes:
    """A request without a body.

    Raises:
        ValueError: A value holds a line end: somebody tries to smuggle a header.
    """
    lines = [f"{method} {uri} RTSP/1.0", *(f"{k}: {v}" for k, v in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line end in an RTSP header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
