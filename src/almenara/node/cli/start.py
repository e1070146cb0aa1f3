"""The one door from the command line to a running node.

``start`` claims the console's port, then hands everything to ``node.supervisor.run``.
"""

import asyncio
import sys
from pathlib import Path

from almenara.core.errors import Fault
from almenara.node.config import Config, Mode
from almenara.node.ports import claim


def start(
    config: Config,
    faults: tuple[Fault, ...] = (),
    *,
    scenario: str | None = None,
    open_browser: bool = False,
) -> None:
    """Run a node until it is interrupted.

    Args:
        config: What to run.
        faults: What was wrong with the file; any means safe mode.
        scenario: The simulated coast to start beside it; None for real stations.
        open_browser: Open the console in a browser once it answers.
    """
    listener = claim(config.console.host, config.console.port)
    from almenara.node import logs, supervisor

    if config.mode is Mode.LIVE:
        logs.log_to_stderr()
    else:
        logs.log_to_file(config.store.directory / "almenara.log")

    try:
        asyncio.run(
            supervisor.run(
                config,
                faults,
                listener=listener,
                scenario=scenario,
                open_browser=open_browser,
            )
        )
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        listener.close()


DEMO_RULES = {"closing": {"sustained_s": 40.0}, "adrift": {"sustained_s": 60.0}}
"""The simulated coast begins anew every two minutes, so its rules decide sooner."""


def demo(scenario: str, *, port: int, directory: Path, open_browser: bool) -> None:
    """Run a simulated coast and its console."""
    config = Config.model_validate(
        {
            "mode": "demo",
            "centre": {"id": "demo", "name": "Demo coast"},
            "console": {"port": port},
            "store": {"directory": directory},
            "recording": {"directory": directory / "recordings", "keep_days": 1},
            "stations": {"networks": ["127.0.0.0/8"]},
            "rules": DEMO_RULES,
            "rescue": {"rcc_folder": directory / "rcc"},
        }
    ).beside(Path.cwd())
    start(config, scenario=scenario, open_browser=open_browser)


def simulate(scenario: str, out: Path, *, seconds: float) -> None:
    """Write a scenario's clips and truth into ``out``; a bar per camera."""
    import typer
    from rich.console import Console
    from rich.progress import Progress

    from almenara.core.ids import CameraId
    from almenara.simulation import footage, scenario_file

    coast = scenario_file.load_scenario(scenario)
    with Progress(console=Console(stderr=True)) as shown:
        bars = {
            camera.camera_id: shown.add_task(camera.camera_id, total=1.0)
            for camera in coast.cameras()
        }

        def advance(camera_id: CameraId, done: float) -> None:
            shown.update(bars[camera_id], completed=done)

        clips = footage.write_footage(coast, out, seconds, advance)
    for clip in clips:
        typer.echo(clip)
