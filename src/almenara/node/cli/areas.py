"""``almenara area``: the folders of recordings, and taking one back after a repair."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.node.config import Config
    from almenara.recording.areas import Areas

app = typer.Typer(help="Folders of recordings and their disks.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
MIB = 1024**2


@app.command("list")
def show(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List the areas, how much is free in each, and which are failing."""
    settings = _settings(config)
    rows = [
        {
            "area": state.area.title,
            "folder": str(state.area.directory),
            "state": state.state,
            "free_mib": None if state.free_bytes is None else state.free_bytes // MIB,
            "detail": state.detail,
        }
        for state in _areas(settings).states()
    ]
    tell(rows, as_json=as_json, empty="")


@app.command("take-back")
def take_back(
    area: Annotated[str, typer.Argument(help="Its name, such as main.")],
    config: ConfigFile = None,
) -> None:
    """Record into a failing area again, if its disk passes a test."""
    from functools import partial

    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.node.store.audit import append
    from almenara.node.store.database import open_store

    settings = _settings(config)
    asked = entry(
        "area.take_back",
        "area",
        area,
        at=SystemClock().now(),
        action=AuditAction.ALTERATION,
    )
    with open_store(settings.store_place) as store:
        store.submit(partial(append, entries=(asked,))).result()
    _areas(settings).take_back(area)
    say(f"{area}: written, read back and found good; it is recorded into again")


def _areas(settings: "Config") -> "Areas":
    from almenara.core.errors import StoreError
    from almenara.node.media import areas_beside
    from almenara.node.storage import areas_of
    from almenara.node.store.database import open_as_it_is

    recording, folder = settings.recording, settings.store.directory
    try:
        store = open_as_it_is(settings.store_place)
    except StoreError:  # nothing was started yet, or the store is what is broken
        return areas_of(recording, folder)
    with store:
        return areas_beside(recording, store, folder)


def _settings(config: Path | None) -> "Config":
    from almenara.node.config import load

    return load(config)
