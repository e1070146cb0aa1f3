"""The simulated coast as a process of its own, started and ended with the node.

The node learns two ports and the scenario's stations from it and nothing else: not the
truth, not the pictures. If the process dies it is started again, as a mast would be
repaired; until then its cameras are silent and the watch says so.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from almenara.core.errors import AlmenaraError, ConfigError
from almenara.core.ids import CameraId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CoastPorts:
    """Where the simulated coast listens on loopback."""

    rtsp_port: int
    ais_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How far the pictures of the coast are made."""

    camera_id: CameraId
    """The one that is there now."""

    done: int
    """Cameras whose clips are there."""

    total: int


class SimulatedCoast:
    """One ``almenara.simulation.serve`` process."""

    def __init__(self, scenario: str, cache: Path) -> None:
        self._scenario = scenario
        self._cache = cache
        self._process: asyncio.subprocess.Process | None = None
        self._ports = CoastPorts(rtsp_port=0, ais_port=0)

    async def open(self) -> CoastPorts:
        """Start the process and wait until it listens; again on the same ports.

        Raises:
            ConfigError: If it ends before it listens; its own words say why.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "almenara.simulation.serve",
            "--scenario",
            self._scenario,
            "--cache",
            str(self._cache),
            "--rtsp-port",
            str(self._ports.rtsp_port),
            "--ais-port",
            str(self._ports.ais_port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        first = await self._line()
        if first is None or first.get("event") != "listening":
            why = "it ended at once" if first is None else first.get("detail")
            raise ConfigError((f"simulated coast {self._scenario}: {why}",))
        self._ports = CoastPorts(
            rtsp_port=int(str(first["rtsp_port"])), ais_port=int(str(first["ais_port"]))
        )
        return self._ports

    async def follow(
        self, progress: Callable[[Rendering], None], again: Callable[[], None]
    ) -> None:
        """Pass on what the process says, until it ends.

        Args:
            progress: Told of every camera whose pictures are there.
            again: Called when the story begins anew: all that moves jumps back.

        Raises:
            AlmenaraError: When the process ends on its own.
        """
        while (said := await self._line()) is not None:
            if said.get("event") == "ready":
                progress(
                    Rendering(
                        camera_id=CameraId(str(said["camera_id"])),
                        done=int(str(said["done"])),
                        total=int(str(said["total"])),
                    )
                )
            elif said.get("event") == "again":
                again()
        raise AlmenaraError("the simulated coast ended")

    async def close(self) -> None:
        """End the process; closing its input is enough, killing makes sure."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _line(self) -> dict[str, object] | None:
        if self._process is None or self._process.stdout is None:
            return None
        while line := await self._process.stdout.readline():
            try:
                said = json.loads(line)
            except ValueError:
                log.warning("simulated_coast_said", line=line.decode(errors="replace"))
                continue
            if isinstance(said, dict):
                return said
        return None
