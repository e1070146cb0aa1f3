"""What a centre may connect to: decided here, before anything is opened.

Three steps, apart on purpose. ``parse_station_url`` is pure and knows the only grammar
allowed; ``resolve`` asks for the host's numbers once; ``check_number`` is pure again
and says whether such a number may be used. A driver connects to the checked number and
never to the name, so that a name that changes its mind between check and use changes
nothing. Refusals carry a reason and the place in the address, never the address: what
somebody typed there may hold a password.

Source: RFC 3986 3.2 (authority), RFC 6890 (special-purpose addresses).
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from almenara.core.errors import AddressRefusedError, StationUnreachableError
from almenara.core.ids import StationId

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

VIDEO_SCHEMES: Final = frozenset({"rtsp", "rtsps"})
AIS_SCHEMES: Final = frozenset({"tcp"})
RADAR_SCHEMES: Final = frozenset({"tcp", "udp"})
FILE_SCHEMES: Final = frozenset({"file"})
DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322}
MAX_URL_CHARS: Final = 1024

_SCHEME = re.compile(r"[a-z]+\Z")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.IGNORECASE)
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_PATH = re.compile(r"(?:[A-Za-z0-9/._~!$&()*+,;=:?-]|%[0-9A-Fa-f]{2})*\Z")
_FILE_PATH = re.compile(r"/[^\x00-\x1f\x7f|]*\Z")
_BAD_ESCAPE = re.compile(r"%(?:[01][0-9a-f]|7f|25)", re.IGNORECASE)
_SECRET_KEYS = frozenset(
    {"user", "usr", "username", "password", "passwd", "pwd", "pass", "token", "auth"}
)
_TRANSLATED = tuple(
    ipaddress.IPv6Network(net)
    for net in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)
"""IPv6 that means an IPv4 address: another notation for what is refused as IPv4."""

_METADATA = frozenset(
    {
        ipaddress.ip_address("169.254.169.254"),
        ipaddress.ip_address("100.100.100.200"),
        ipaddress.ip_address("192.0.0.192"),
        ipaddress.ip_address("fd00:ec2::254"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """Where stations may be: nothing by default."""

    networks: tuple[Network, ...] = ()
    loopback_ports: frozenset[int] = frozenset()
    """Ports of simulated stations on this machine; empty outside demo and tests."""

    files_under: tuple[Path, ...] = ()
    """Folders whose files may play a camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationUrl:
    """An address that obeys the grammar; its host is not looked up yet."""

    scheme: str
    host: str
    port: int
    path: str
    """With its leading slash and query; for ``file`` the path in the file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAddress:
    """An address somebody may connect to, by number."""

    scheme: str
    host_number: str
    """Canonical IPv4 or IPv6 text, without brackets; empty for a file."""

    port: int
    path: str


def parse_station_url(
    url: str,
    *,
    station_id: StationId,
    schemes: frozenset[str] = VIDEO_SCHEMES,
) -> StationUrl:
    """Take an address apart, or refuse it. Opens nothing, resolves nothing.

    Args:
        url: ``rtsp://host[:port]/path``, ``tcp://host:port``, ``udp://host:port`` or
            ``file:/path``.
        station_id: Named in the refusal.
        schemes: Those that make sense here.

    Raises:
        AddressRefusedError: With ``reason`` and ``place``.
    """

    def refuse(reason: str, place: str) -> AddressRefusedError:
        return AddressRefusedError(station_id, reason, place=place)

    if not url or len(url) > MAX_URL_CHARS:
        raise refuse("length", "url")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise refuse("characters", "url")
    scheme, colon, rest = url.partition(":")
    if not colon or not _SCHEME.match(scheme) or scheme not in schemes:
        raise refuse("scheme", "scheme")
    if scheme == "file":
        return _parse_file(rest, refuse("path", "path"))
    if not rest.startswith("//"):
        raise refuse("grammar", "scheme")
    authority, slash, path = rest[2:].partition("/")
    host, port = _parse_authority(authority, scheme, station_id)
    path = slash + path
    if scheme in RADAR_SCHEMES and path:
        raise refuse("path", "path")
    if not _PATH.match(path) or _BAD_ESCAPE.search(path):
        raise refuse("characters", "path")
    keys = re.findall(r"[?&;]([^=&;]*)=", path.lower())
    if not _SECRET_KEYS.isdisjoint(keys):
        raise refuse("credentials", "path")
    return StationUrl(scheme=scheme, host=host, port=port, path=path)


def _parse_file(rest: str, refusal: AddressRefusedError) -> StationUrl:
    path = rest.removeprefix("//")
    if not _FILE_PATH.match(path) or path.startswith("//") or ".." in path.split("/"):
        raise refusal
    return StationUrl(scheme="file", host="", port=0, path=path)


def _parse_authority(
    authority: str, scheme: str, station_id: StationId
) -> tuple[str, int]:
    def refuse(reason: str, place: str) -> AddressRefusedError:
        return AddressRefusedError(station_id, reason, place=place)

    if "@" in authority:
        raise refuse("credentials", "userinfo")
    if authority.startswith("["):
        host, bracket, after = authority[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise refuse("grammar", "host")
        port_text = after[1:] if after else None
        if not _is_number(host) or ":" not in host:
            raise refuse("host", "host")
    else:
        host, colon, tail = authority.partition(":")
        port_text = tail if colon else None
        if not _is_host(host):
            raise refuse("host", "host")
    if port_text is None and scheme in DEFAULT_PORTS:
        return host.lower(), DEFAULT_PORTS[scheme]
    if not _PORT.match(port_text or "") or int(port_text or 0) > 65535:
        raise refuse("port", "port")
    return host.lower(), int(port_text or 0)


def _is_number(host: str) -> bool:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return getattr(number, "scope_id", None) is None


def _is_host(host: str) -> bool:
    """A dotted quad or a name; ``2130706433``, ``0x7f.1`` and ``127.1`` are neither."""
    if ":" not in host and _is_number(host):
        return True
    labels = host.split(".")
    last = labels[-1]
    named = len(host) <= 253 and all(_LABEL.match(label) for label in labels)
    return named and last[:1].isalpha()


def check_number(  # noqa: C901 -- a list of refusals, in the order they are told
    number: Address, port: int, *, policy: AddressPolicy, station_id: StationId
) -> None:
    """Refuse a number that no station can have.

    Raises:
        AddressRefusedError: ``place`` is ``host``; the reason says which kind.
    """

    def refuse(reason: str) -> AddressRefusedError:
        return AddressRefusedError(station_id, reason, place="host")

    if number.is_unspecified:
        raise refuse("unspecified")
    if number.is_loopback:
        if port in policy.loopback_ports:
            return
        raise refuse("loopback")
    if number.version == 6 and any(number in net for net in _TRANSLATED):
        raise refuse("translated")
    if number in _METADATA:
        raise refuse("metadata")
    if number.is_link_local:
        raise refuse("link_local")
    if number.is_multicast:
        raise refuse("multicast")
    if not any(number in net for net in policy.networks):
        raise refuse("network")
    if _is_own(number):
        raise refuse("own")


def _is_own(number: Address) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET if number.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(number), 0))
    except OSError:
        return False
    return True


async def resolve(
    url: StationUrl,
    *,
    policy: AddressPolicy,
    station_id: StationId,
) -> CheckedAddress:
    """Look the host up once and check every number it has.

    Raises:
        AddressRefusedError: One of the numbers is not allowed: then none is used.
        StationUnreachableError: The name is not known now.
    """
    if url.scheme == "file":
        return _check_file(url, policy, station_id)
    numbers = await _numbers(url, station_id)
    for number in numbers:
        check_number(number, url.port, policy=policy, station_id=station_id)
    return CheckedAddress(
        scheme=url.scheme,
        host_number=str(numbers[0]),
        port=url.port,
        path=url.path,
    )


async def _numbers(url: StationUrl, station_id: StationId) -> list[Address]:
    if _is_number(url.host):
        return [ipaddress.ip_address(url.host)]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StationUnreachableError(station_id, "name not known") from error
    names = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    if not names:
        raise StationUnreachableError(station_id, "name not known")
    return [ipaddress.ip_address(name) for name in names]


def _check_file(
    url: StationUrl, policy: AddressPolicy, station_id: StationId
) -> CheckedAddress:
    path = Path(url.path).resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in policy.files_under):
        raise AddressRefusedError(station_id, "folder", place="path")
    return CheckedAddress(scheme="file", host_number="", port=0, path=str(path))
