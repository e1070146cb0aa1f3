import asyncio
import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.errors import AddressRefusedError, StationUnreachableError
from almenara.core.ids import StationId
from almenara.stations.addresses import (
    AIS_SCHEMES,
    FILE_SCHEMES,
    AddressPolicy,
    CheckedAddress,
    parse_station_url,
    resolve,
)

MAST = StationId("mast")
STATIONS = AddressPolicy(
    networks=(
        ipaddress.ip_network("10.20.0.0/16"),
        ipaddress.ip_network("fd12:3456::/32"),
    )
)
WIDE_OPEN = AddressPolicy(
    networks=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
)


def check(url: str, policy: AddressPolicy = STATIONS) -> CheckedAddress:
    parsed = parse_station_url(url, station_id=MAST)
    return asyncio.run(resolve(parsed, policy=policy, station_id=MAST))


@pytest.mark.parametrize(
    ("url", "number", "port", "path"),
    [
        ("rtsp://10.20.3.4/main", "10.20.3.4", 554, "/main"),
        ("rtsp://10.20.3.4:8554/a/b?channel=1&subtype=0", "10.20.3.4", 8554, None),
        ("rtsps://10.20.3.4/x", "10.20.3.4", 322, "/x"),
        ("rtsp://[fd12:3456::7]:554/s", "fd12:3456::7", 554, "/s"),
        ("rtsp://10.20.3.4", "10.20.3.4", 554, ""),
    ],
)
def test_a_camera_in_the_station_network_is_allowed(
    url: str, number: str, port: int, path: str | None
):
    address = check(url)

    assert (address.host_number, address.port) == (number, port)
    assert path is None or address.path == path


TRICKS = [
    "file:///etc/passwd",
    "concat:/etc/passwd|/etc/shadow",
    "subfile,,start,0,end,9,,:/etc/passwd",
    "data:text/plain;base64,QQ==",
    "pipe:0",
    "crypto:/etc/passwd",
    "http://10.20.3.4/",
    "https://10.20.3.4/",
    "gopher://10.20.3.4/",
    "tcp://10.20.3.4:80",
    "udp://10.20.3.4:80",
    "unix:/run/x.sock",
    "exec:/bin/sh",
    "echo:x",
    "expr:1",
    "@/etc/passwd",
    "-i",
    "-rtsp://10.20.3.4/",
    "|sh",
    "",
    "rtsp:",
    "rtsp:/10.20.3.4/",
    "rtsp://",
    "rtsp:///main",
    "RTSP://10.20.3.4/",
    "rTsP://10.20.3.4/",
    " rtsp://10.20.3.4/",
    "rtsp://10.20.3.4/a b",
    "rtsp://10.20.3.4/a\nb",
    "rtsp://10.20.3.4/a\r\nX: y",
    "rtsp://10.20.3.4/a\x00b",
    "rtsp://10.20.3.4/%00",
    "rtsp://10.20.3.4/%0d%0aX",
    "rtsp://10.20.3.4/%252e",
    "rtsp://10.20.3.4/%zz",
    "rtsp://10.20.3.4/a|b",
    "rtsp://10.20.3.4/a#b",
    "rtsp://10.20.3.4/@file",
    "rtsp://10.20.3.4/a\\b",
    "rtsp://10%2e20.3.4/",
    "rtsp://%31%30.20.3.4/",
    "rtsp://user:secret@10.20.3.4/",
    "rtsp://user@10.20.3.4/",
    "rtsp://a@b@10.20.3.4/",
    "rtsp://10.20.3.4/?user=admin&password=secret",
    "rtsp://10.20.3.4/x?a=1&PWD=secret",
    "rtsp://10.20.3.4:0/",
    "rtsp://10.20.3.4:65536/",
    "rtsp://10.20.3.4:/",
    "rtsp://10.20.3.4:+554/",
    "rtsp://10.20.3.4:0554/",
    "rtsp://10.20.3.4:５５４/",  # noqa: RUF001 -- that is the trick
    "rtsp://10。20。3。4/",
    "rtsp://10．20．3．4/",  # noqa: RUF001 -- that is the trick
    "rtsp://①0.20.3.4/",
    "rtsp://10.20.3.4./",
    "rtsp://-host/",
    "rtsp://ho_st/",
    "rtsp://host..name/",
    "rtsp://[fd12:3456::7%25eth0]/",
    "rtsp://[fd12:3456::7/",
    "rtsp://[10.20.3.4]/",
    "rtsp://fd12:3456::7/",
    "rtsp://10.20.3.4/" + "a" * 2000,
]


@pytest.mark.parametrize("url", TRICKS)
def test_a_trick_is_refused_before_anything_is_opened(url: str):
    with pytest.raises(AddressRefusedError) as refusal:
        parse_station_url(url, station_id=MAST)

    assert refusal.value.reason
    assert refusal.value.place
    assert "secret" not in str(refusal.value)
    assert "secret" not in repr(refusal.value)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "010.20.3.4",
        "10.20.772",
    ],
)
def test_numbers_have_one_notation(host: str):
    with pytest.raises(AddressRefusedError) as refusal:
        parse_station_url(f"rtsp://{host}/", station_id=MAST)

    assert (refusal.value.reason, refusal.value.place) == ("host", "host")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("[::1]", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 -- refused is what it is
        ("[::]", "unspecified"),
        ("169.254.169.254", "metadata"),
        ("[fd00:ec2::254]", "metadata"),
        ("169.254.3.4", "link_local"),
        ("[fe80::1]", "link_local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("[ff02::1]", "multicast"),
        ("[::ffff:127.0.0.1]", "translated"),
        ("[::ffff:10.20.3.4]", "translated"),
        ("[::7f00:1]", "translated"),
        ("[64:ff9b::a14:304]", "translated"),
        ("[2002:7f00:1::]", "translated"),
    ],
)
def test_a_number_no_station_has_is_refused_whatever_the_networks(
    host: str, reason: str
):
    with pytest.raises(AddressRefusedError) as refusal:
        check(f"rtsp://{host}/", WIDE_OPEN)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("host", ["10.21.0.1", "192.168.1.1", "8.8.8.8", "[fd99::1]"])
def test_a_number_outside_the_station_networks_is_refused(host: str):
    with pytest.raises(AddressRefusedError, match="network"):
        check(f"rtsp://{host}/")


def test_nothing_is_allowed_by_default():
    with pytest.raises(AddressRefusedError):
        check("rtsp://10.20.3.4/", AddressPolicy())


def test_loopback_is_for_the_ports_of_simulated_stations():
    policy = AddressPolicy(loopback_ports=frozenset({8554}))

    assert check("rtsp://127.0.0.1:8554/a", policy).host_number == "127.0.0.1"
    with pytest.raises(AddressRefusedError):
        check("rtsp://127.0.0.1:22/a", policy)


def test_a_name_that_means_this_machine_is_refused():
    with pytest.raises(AddressRefusedError):
        check("rtsp://localhost:80/a", WIDE_OPEN)


def test_the_machines_own_address_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    if ipaddress.ip_address(own).is_loopback:
        pytest.skip("this machine has no address but loopback")

    with pytest.raises(AddressRefusedError, match="own"):
        check(f"rtsp://{own}/", WIDE_OPEN)


class Names:
    """A resolver that changes its mind, in place of the loop's own."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, _host: str, port: int, **_: object) -> list[object]:
        numbers = self.answers.pop(0)
        return [(2, 1, 6, "", (number, port)) for number in numbers]


@pytest.mark.anyio
async def test_the_number_checked_is_the_number_used(monkeypatch: pytest.MonkeyPatch):
    names = Names(["10.20.3.4"], ["127.0.0.1"])
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    url = parse_station_url("rtsp://mast.example/a", station_id=MAST)

    address = await resolve(url, policy=STATIONS, station_id=MAST)
    assert address.host_number == "10.20.3.4"

    with pytest.raises(AddressRefusedError, match="loopback"):
        await resolve(url, policy=STATIONS, station_id=MAST)


@pytest.mark.anyio
async def test_one_bad_number_spoils_the_name(monkeypatch: pytest.MonkeyPatch):
    names = Names(["10.20.3.4", "169.254.169.254"], [])
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    url = parse_station_url("rtsp://mast.example/a", station_id=MAST)

    with pytest.raises(AddressRefusedError, match="metadata"):
        await resolve(url, policy=STATIONS, station_id=MAST)
    with pytest.raises(StationUnreachableError):
        await resolve(url, policy=STATIONS, station_id=MAST)


def test_ais_speaks_tcp_with_a_port_and_nothing_else():
    url = parse_station_url(
        "tcp://10.20.3.4:4001", station_id=MAST, schemes=AIS_SCHEMES
    )
    assert (url.host, url.port) == ("10.20.3.4", 4001)

    for bad in ("tcp://10.20.3.4", "tcp://10.20.3.4:4001/x", "rtsp://10.20.3.4:4001"):
        with pytest.raises(AddressRefusedError):
            parse_station_url(bad, station_id=MAST, schemes=AIS_SCHEMES)


def test_files_play_cameras_only_from_folders_named_for_it(tmp_path: Path):
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.mp4").write_bytes(b"")
    (clips / "out").symlink_to("/etc")
    policy = AddressPolicy(files_under=(clips,))

    def file(path: str) -> CheckedAddress:
        url = parse_station_url(f"file:{path}", station_id=MAST, schemes=FILE_SCHEMES)
        return asyncio.run(resolve(url, policy=policy, station_id=MAST))

    assert file(f"{clips}/a.mp4").path == str(clips / "a.mp4")
    for bad in (
        "/etc/passwd",
        f"{clips}/../x",
        f"{clips}/out/passwd",
        "relative",
        f"{clips}/a|b",
    ):
        with pytest.raises(AddressRefusedError):
            file(bad)


@given(text=st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str):
    for url in (text, f"rtsp://{text}", f"rtsp://10.20.3.4/{text}"):
        try:
            parsed = parse_station_url(url, station_id=MAST)
        except AddressRefusedError:
            continue
        assert parsed.scheme in ("rtsp", "rtsps")
        assert (parsed.host + parsed.path).isascii()
        assert "@" not in parsed.host
        assert (parsed.host + parsed.path).isprintable()
