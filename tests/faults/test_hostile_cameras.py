"""A whole node, put together as it is: cameras that attack it beside a good one."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from almenara.console.api.health import CameraHealth
from almenara.core.coast import Camera, Profile, Station, StationKind, Stream
from almenara.core.ids import CameraId, StationId, StreamId
from almenara.node import assembly
from almenara.node.clock import SystemClock
from almenara.node.config import Config
from almenara.node.store.database import open_store
from almenara.node.store.stations import SqlStationRegistry
from almenara.simulation.rtsp_server import Fault, RtspServer
from tests.contracts.console_stores import entry
from tests.node.watch.film import SCENARIO, one_boat, thermal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MAST = StationId("mast")
HOSTILE = {
    "garbage": Fault(garbage_sdp=True),
    "endless": Fault(endless_header=True),
    "cut": Fault(cut_nal_units=True),
    "refusing": Fault(refuse_status=401),
    "resetting": Fault(reset_after=3),
    "jumping": Fault(jump_after=5, jump_90k=-(2**31)),
}
PATIENCE_S = 120
LONG_ENOUGH = timedelta(seconds=8)
GOOD = CameraId("good")


def camera(name: str, port: int) -> Camera:
    url = f"rtsp://127.0.0.1:{port}/{name}"
    main = Stream(stream_id=StreamId(str(uuid.uuid4())), profile=Profile.MAIN, url=url)
    return replace(thermal(name), station_id=MAST, streams=(main,))


@asynccontextmanager
async def composed(
    folder: Path, port: int, *names: str
) -> AsyncIterator[assembly.Node]:
    """A node of its own parts; its addresses are those of the cameras of this test."""
    station = Station(
        station_id=MAST,
        name="Mast",
        kind=StationKind.TOWER,
        position=SCENARIO.stations[0].position,
        cameras=tuple(camera(name, port) for name in names),
        simulated=True,
    )
    config = Config.model_validate(
        {
            "centre": {"id": "test", "name": "Test"},
            "store": {"directory": folder},
            "recording": {"directory": folder / "recordings"},
            "watch": {"workers": 1},
        }
    ).beside(folder)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(open_store(config.store_place, exclusive=True))
        registry = SqlStationRegistry(store)
        await registry.save((station,), reason="set up", entry=entry())
        yield await assembly._built(  # noqa: SLF001 - as ``assembled``, on other ports
            config,
            (),
            clock=SystemClock(),
            store=store,
            registry=registry,
            coast=None,
            simulated=(station,),
            zones=SCENARIO.zones,
            stack=stack,
        )


def sheet(node: assembly.Node) -> dict[CameraId, CameraHealth]:
    return {c.camera_id: c for c in node.health.draw().cameras}


def durable(node: assembly.Node) -> datetime | None:
    """Until when the good camera is on disk."""
    good = sheet(node).get(GOOD)
    return None if good is None else good.recorded_until


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - polled: it happens in other processes
            await asyncio.sleep(0.05)


async def test_hostile_cameras_leave_the_good_one_recorded_and_watched(tmp_path):
    server = RtspServer(SystemClock())
    server.add("good", one_boat())
    for name, fault in HOSTILE.items():
        server.add(name, one_boat(), fault)
    async with (
        server.listening() as port,
        composed(tmp_path, port, "good", *HOSTILE) as node,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(node.pipeline.run())
        await until(lambda: durable(node) is not None)
        await until(lambda: sheet(node)[GOOD].last_look_at is not None)
        dropped, begun = sheet(node)[GOOD].dropped_looks, durable(node)
        assert begun is not None
        # Long enough for those who reset to come back, and for all to be judged.
        await until(lambda: (durable(node) or begun) > begun + LONG_ENOUGH)
        shown = sheet(node)
        restarts = {w.restarts for w in node.health.latest().workers}
        running.cancel()

    good = shown[GOOD]
    assert (good.state, good.recording, good.dropped_looks) == ("live", True, dropped)
    assert good.last_look_at is not None
    assert good.last_look_at > begun
    assert restarts == {0}
    for name in ("garbage", "endless", "refusing"):
        assert shown[CameraId(name)].state != "live"
        assert shown[CameraId(name)].detail
    assert shown[CameraId("refusing")].state == "rejected"
