"""What stands on the shore, with a real registry, a real camera, and real refusals."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from almenara.console.api.stations import CameraExistsError, NewCamera
from almenara.console.app import create_app
from almenara.console.passwords import Passwords
from almenara.core.coast import Pose, Scene, SensorKind, Station
from almenara.core.errors import AddressRefusedError, StationUnreachableError
from almenara.core.ids import CameraId, StationId
from almenara.evidence.access import Role
from almenara.node.clock import SystemClock
from almenara.node.shore import Shore
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.stations import SqlStationRegistry
from almenara.simulation.rtsp_server import Fault, RtspServer
from almenara.stations.addresses import AddressPolicy
from tests.conftest import NOON
from tests.console.browser import CHEAP, browser, signed_in
from tests.console.fakes import HERE, Centre, station
from tests.contracts.console_stores import entry
from tests.stations.pictures import clip

pytestmark = pytest.mark.anyio
MAST = StationId("mast")
OPENED = ipaddress.ip_network("192.0.2.0/24")
REFUSED = [
    *("file:/etc/passwd", "file:///etc/shadow", "concat:a|b", "subfile,,start,0,:x"),
    *("http://192.0.2.1/", "data:,x", "pipe:0", "tcp://192.0.2.1:22"),
    *("rtsp://169.254.169.254/latest", "rtsp://[fd00:ec2::254]/", "rtsp://[::1]/"),
    *("rtsp://100.100.100.200/", "rtsp://10.0.0.1/x", "rtsp://0.0.0.0/"),
    *("rtsp://u:p@192.0.2.1/", "rtsp://[::ffff:169.254.169.254]/"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


def shore_of(store: Store, *ports: int, files: tuple[Path, ...] = ()) -> Shore:
    return Shore(
        registry=SqlStationRegistry(store),
        zones=(),
        policy=AddressPolicy(
            networks=(OPENED,), loopback_ports=frozenset(ports), files_under=files
        ),
        clock=SystemClock(),
        formats=dict,
    )


async def settled(store: Store, *stations: Station) -> None:
    await SqlStationRegistry(store).save(stations, reason="set up", entry=entry())


@asynccontextmanager
async def camera(fault: Fault | None = None) -> AsyncIterator[int]:
    server = RtspServer(SystemClock())
    server.add("cam", clip(), fault)
    async with server.listening() as port:
        yield port


@pytest.fixture
def trap() -> Iterator[tuple[int, socket.socket]]:
    """A port of this machine on which nobody may knock."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener.getsockname()[1], listener


def new(url: str, **changes: object) -> NewCamera:
    made = NewCamera(
        camera_id=CameraId("new"),
        sensor=SensorKind.THERMAL,
        scene=Scene.SEA,
        pose=Pose(position=HERE, height_m=50.0, azimuth_deg=90.0),
        hfov_deg=20.0,
        url=url,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("url", REFUSED)
async def test_what_may_not_be_opened_is_refused(store, url):
    with pytest.raises(AddressRefusedError) as refusal:
        await shore_of(store).probe(url, entry=entry())

    assert url not in str(refusal.value)


async def test_a_refused_address_is_not_knocked_on(store, trap):
    port, listener = trap
    url = f"rtsp://127.0.0.1:{port}/x"
    shore = shore_of(store)
    await settled(store, station(MAST))
    await shore.reload()
    for given in (new(url), new("rtsp://192.0.2.7/x", analysis_url=url)):
        with pytest.raises(AddressRefusedError):
            await shore.add_camera(MAST, given, entry=entry())
    with pytest.raises(AddressRefusedError):
        await shore.probe(url, entry=entry())

    with pytest.raises(BlockingIOError):
        listener.accept()
    assert shore.stations() == (station(MAST),)


async def test_a_name_that_leads_to_the_metadata_service_is_refused(store, monkeypatch):
    async def answer(*_: object, **__: object):
        return [(socket.AF_INET, 1, 6, "", ("169.254.169.254", 554))]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", answer)

    with pytest.raises(AddressRefusedError, match="metadata"):
        await shore_of(store).probe("rtsp://metadata.example/x", entry=entry())


async def test_a_file_outside_the_allowed_folders_is_refused(store, tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "out").symlink_to("/etc")
    shore = shore_of(store, files=(tmp_path / "films",))

    with pytest.raises(AddressRefusedError):
        await shore.probe(f"file:{tmp_path}/films/out/passwd", entry=entry())


@pytest.mark.parametrize("url", REFUSED)
async def test_the_console_answers_422_to_a_refused_address(store, clock, url):
    centre = Centre()
    token = signed_in(centre, *Role, at=NOON)
    ports = replace(centre.ports(), stations=shore_of(store))
    app = create_app(ports, clock, None, passwords=Passwords(CHEAP))
    async with browser(app, token) as page:
        answer = await page.post("/stations/probe", json={"url": url})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert url not in answer.text
    assert centre.audit.entries[-1].act


@pytest.mark.slow
async def test_a_probe_says_what_a_camera_sends(store):
    async with camera() as port:
        found = await shore_of(store, port).probe(
            f"rtsp://127.0.0.1:{port}/cam", entry=entry()
        )

    assert (found.width_px, found.height_px) == (192, 128)
    assert found.fps == pytest.approx(25, rel=0.3)


@pytest.mark.slow
async def test_a_camera_that_sends_no_picture_cannot_be_reached(store, monkeypatch):
    monkeypatch.setattr("almenara.node.shore.PROBE_PATIENCE_S", 1.0)
    async with camera(Fault(silent_after=0)) as port:
        with pytest.raises(StationUnreachableError):
            await shore_of(store, port).probe(
                f"rtsp://127.0.0.1:{port}/cam", entry=entry()
            )


@pytest.mark.slow
async def test_adding_and_removing_a_camera_each_commit_a_version_with_audit(store):
    told: list[tuple[Station, ...]] = []
    await settled(store, station(MAST, "old"))
    async with camera() as port:
        url = f"rtsp://127.0.0.1:{port}/cam"
        shore = shore_of(store, port)
        await shore.follow(told.append)
        added = await shore.add_camera(MAST, new(url), entry=entry("camera.add"))
        with pytest.raises(CameraExistsError):
            await shore.add_camera(MAST, new(url), entry=entry("camera.add"))
        await shore.remove_camera(CameraId("old"), entry=entry("camera.remove"))
        await shore.reload()

    assert (added.lens.width_px, added.lens.height_px) == (192, 128)
    assert added.sensor is SensorKind.THERMAL
    named = [[c.camera_id for c in stations[0].cameras] for stations in told]
    assert named == [["old"], ["old", "new"], ["new"]]
    registry = SqlStationRegistry(store)
    assert await registry.load() == shore.stations() == told[-1]
    reasons = [version.reason for version in await registry.history()]
    assert reasons == ["camera removed", "camera added", "set up"]
    written = await SqlAuditLog(store).read(limit=10, before_seq=None)
    assert [r.entry.act for r in written] == ["camera.remove", "camera.add", "test.act"]


async def test_what_a_command_writes_is_followed_and_told_once(store):
    told: list[tuple[Station, ...]] = []
    shore = shore_of(store)
    await shore.follow(told.append)
    await settled(store, station(MAST, "one"))
    await shore.reload()
    await shore.reload()

    assert told == [(station(MAST, "one"),)]
