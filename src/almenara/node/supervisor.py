"""Runs a node until somebody ends it: the console first, then everything at once.

``assembly`` puts the parts together; here are the tasks that keep them going, what is
said on the terminal, and the one way out. In safe mode the same node runs with the
sound part of its configuration and shows what is wrong with the rest.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import webbrowser
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from importlib.metadata import version

import structlog
import uvicorn

from almenara.console.signin import invite
from almenara.core.errors import AlmenaraError, Fault, StoreError
from almenara.evidence.access import Role
from almenara.node.assembly import SERVICE, Node, assembled
from almenara.node.config import Config, Mode
from almenara.node.health import HealthBook
from almenara.node.log_keeper import LOOK_EVERY, Anchoring
from almenara.node.simulated import Rendering, SimulatedCoast
from almenara.node.time_stamps import Stamper

log = structlog.get_logger()

FIRST_PERSON = "watch"
FIRST_ROLES = frozenset(
    {Role.WATCH_OFFICER, Role.ADMINISTRATOR, Role.MAINTENANCE, Role.AUDITOR}
)
REGISTRY_EVERY = timedelta(seconds=2)
SHEET_EVERY = timedelta(milliseconds=500)
ROOM_EVERY = timedelta(seconds=2)
COAST_AGAIN_AFTER = timedelta(seconds=3)
STAMP_LOOK_EVERY = timedelta(seconds=30)


async def run(
    config: Config,
    faults: tuple[Fault, ...],
    *,
    listener: socket.socket,
    scenario: str | None = None,
    open_browser: bool = False,
) -> None:
    """Run a node until SIGTERM or SIGINT.

    Args:
        config: What to run; in safe mode the sound part of it.
        faults: Everything wrong with the configuration; any means safe mode.
        listener: The console's socket, bound by the caller, so that a port in use is
            said before anything else starts.
        scenario: The simulated coast to run beside the node.
        open_browser: Whether to open the console in a browser.

    Raises:
        StoreError: The store cannot be used; nothing was started.
        ConfigError: The simulated coast did not start.
    """
    async with assembled(config, faults, scenario=scenario) as node:
        await _greet(node, listener, open_browser=open_browser)
        await _until_told(_serve(node, listener))


async def _greet(node: Node, listener: socket.socket, *, open_browser: bool) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    link = address
    _say(f"Almenara {version('almenara')} watches at {address}")
    if node.config.mode is not Mode.LIVE or await node.accounts.need_setup():
        token = await invite(
            node.accounts,
            node.clock,
            name=FIRST_PERSON,
            roles=FIRST_ROLES,
            by=SERVICE,
        )
        link = f"{address}/#enter={token}"
        _say(
            f"Sign in with this link; it works once, for a quarter of an hour:\n{link}"
        )
    for fault in node.faults:
        about = "media" if fault in node.media.faults else "safe mode"
        _say(f"{about}: {fault}")
    if open_browser:
        webbrowser.open(link)


async def _until_told(work: Coroutine[None, None, None]) -> None:
    """Run ``work`` until it ends, or until the process is asked to end."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, task.cancel)


async def _serve(node: Node, listener: socket.socket) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_answer(node, listener))
        tasks.create_task(node.pipeline.run())
        tasks.create_task(_draw_health(node))
        tasks.create_task(_follow_registry(node))
        tasks.create_task(_keep_room(node))
        tasks.create_task(_sign_log(node))
        if node.stamper is not None:
            tasks.create_task(_stamp_log(node, node.stamper))
        tasks.create_task(node.partners.run())
        tasks.create_task(node.cases.deliver(node.courier))
        tasks.create_task(node.cases.remind(SERVICE))
        if node.coast is not None:
            tasks.create_task(_keep_coast(node, node.coast))


class _Server(uvicorn.Server):
    """Leaves signals to the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
        yield


async def _answer(node: Node, listener: socket.socket) -> None:
    settings = uvicorn.Config(
        node.app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        lifespan="off",
    )
    server = _Server(settings)
    try:
        await server.serve(sockets=[listener])
    finally:
        server.should_exit = True


async def _draw_health(node: Node) -> None:
    while True:
        node.health.draw()
        await node.clock.sleep(SHEET_EVERY)


async def _follow_registry(node: Node) -> None:
    """Commands may change the registry beside the running node."""
    while True:
        try:
            await node.shore.reload()
        except StoreError as error:
            log.error("registry_unreadable", reason=str(error))
        await node.clock.sleep(REGISTRY_EVERY)


async def _keep_room(node: Node) -> None:
    """Ask the disks, delete what is too old, and make room where it is needed."""
    while True:
        await asyncio.to_thread(node.storage.look)
        await asyncio.to_thread(node.media.look)
        await node.clock.sleep(ROOM_EVERY)


async def _sign_log(node: Node) -> None:
    """Sign what the evidence log says; the watch goes on if that fails."""
    said = ""
    while True:
        try:
            await node.keeper.look()
            said = ""
        except AlmenaraError as error:
            if str(error) != said:
                said = str(error)
                _say(f"the evidence log is not signed: {said}")
                log.error("log_not_signed", reason=said)
        await node.clock.sleep(LOOK_EVERY)


async def _stamp_log(node: Node, stamper: Stamper) -> None:
    """Have the log's head stamped; say aloud when nobody vouches for it any more."""
    said = Anchoring.ANCHORED
    while True:
        try:
            await stamper.look()
        except AlmenaraError as error:
            log.warning("log_not_stamped", reason=str(error))
        state = await node.keeper.anchoring(
            notice_after=timedelta(seconds=node.config.evidence.notice_after_s),
            lost_after=timedelta(seconds=node.config.evidence.not_anchored_after_s),
        )
        if state is not said:
            log.warning("log_anchoring", state=str(state))
            said = state
        await node.clock.sleep(STAMP_LOOK_EVERY)


async def _keep_coast(node: Node, coast: SimulatedCoast) -> None:
    """Follow the simulated coast; begin it anew on the same ports if it ends."""
    while True:
        try:
            await coast.follow(partial(_progress, node.health), node.judge.begin_anew)
        except AlmenaraError as error:
            log.error("simulated_coast_ended", reason=str(error))
        await node.clock.sleep(COAST_AGAIN_AFTER)
        # A coast that cannot begin yet costs its pictures, and never the node.
        with contextlib.suppress(AlmenaraError):
            await coast.open()


def _progress(health: HealthBook, rendering: Rendering) -> None:
    health.ready(rendering.camera_id)
    if not sys.stderr.isatty():
        return
    share = rendering.done / max(rendering.total, 1)
    end = "\n" if share >= 1.0 else ""
    bar = "#" * round(30 * share)
    sys.stderr.write(f"\rrendering the coast [{bar:<30}] {share:4.0%}{end}")
    sys.stderr.flush()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
