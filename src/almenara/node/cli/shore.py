"""``almenara station``: list, add, probe, import and export stations."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.core.coast import Station
    from almenara.node.config import Config
    from almenara.node.store.stations import SqlStationRegistry

T = TypeVar("T")

app = typer.Typer(help="Stations and their cameras.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
StationsFile = Annotated[
    Path, typer.Argument(metavar="FILE", dir_okay=False, help="A TOML of stations.")
]


@app.command("list")
def show(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List the stations."""
    rows = [
        {
            "station": station.station_id,
            "name": station.name,
            "kind": station.kind.value,
            "cameras": len(station.cameras),
            "receivers": len(station.receivers),
            "radars": len(station.radars),
            "simulated": "yes" if station.simulated else "no",
        }
        for station in _all(config)
    ]
    tell(rows, as_json=as_json, empty="No stations yet: almenara station import FILE")


@app.command("import")
def take_in(path: StationsFile, config: ConfigFile = None) -> None:
    """Take the stations of FILE into the store; those it names are replaced."""
    stations = _read(path)
    new = {station.station_id for station in stations}

    def beside(kept: "tuple[Station, ...]") -> "tuple[Station, ...]":
        return (*(s for s in kept if s.station_id not in new), *stations)

    _change(config, beside, act="station.import", reason=f"imported {path.name}")
    say(f"{path}: {len(stations)} stations taken in")


@app.command()
def add(path: StationsFile, config: ConfigFile = None) -> None:
    """Add the stations of FILE; refuse if one is there already."""
    stations = _read(path)

    def after(kept: "tuple[Station, ...]") -> "tuple[Station, ...]":
        known = {station.station_id for station in kept}
        again = sorted(s.station_id for s in stations if s.station_id in known)
        if again:
            names = ", ".join(again)
            say(f"{path}: {names}: there already; use: almenara station import")
            raise typer.Exit(1)
        return (*kept, *stations)

    _change(config, after, act="station.add", reason=f"added {path.name}")
    say(f"{path}: {len(stations)} stations added")


@app.command()
def export(config: ConfigFile = None) -> None:
    """Print all stations as TOML; import reads it back."""
    from almenara.node.registry import write_stations

    typer.echo(write_stations(_all(config)), nl=False)


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="rtsp://host:port/path, no password.")],
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask a camera what it sends. A refused address is refused before it is opened."""
    import anyio

    from almenara.node.cli.probing import probe as ask

    found = anyio.run(ask, _settings(config), url)
    row = {
        "codec": found.codec.value,
        "width_px": found.width_px,
        "height_px": found.height_px,
        "fps": None if found.fps is None else round(found.fps, 2),
        "clock": found.clock.value,
    }
    tell([row], as_json=as_json, empty="")


def _settings(config: Path | None) -> "Config":
    from almenara.node.config import load

    return load(config)


def _read(path: Path) -> "tuple[Station, ...]":
    from almenara.node.registry import read_stations

    return read_stations(path)


def _all(config: Path | None) -> "tuple[Station, ...]":
    async def act(registry: "SqlStationRegistry") -> "tuple[Station, ...]":
        return await registry.load()

    return _with_stations(_settings(config), act)


def _change(
    config: Path | None,
    change: "Callable[[tuple[Station, ...]], tuple[Station, ...]]",
    *,
    act: str,
    reason: str,
) -> None:
    """Keep a new version of the registry; nothing is kept if it contradicts itself."""
    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.node.registry import parse_stations, write_stations

    async def save(registry: "SqlStationRegistry") -> None:
        stations = change(await registry.load())
        parse_stations("the stations together", write_stations(stations))
        now = SystemClock().now()
        audit = entry(
            act, "registry", "stations", at=now, action=AuditAction.ALTERATION
        )
        await registry.save(stations, reason=reason, entry=audit)

    _with_stations(_settings(config), save)


def _with_stations(
    settings: "Config", act: "Callable[[SqlStationRegistry], Awaitable[T]]"
) -> T:
    """Open the store beside a node that may be running, act, and close it."""
    import anyio

    from almenara.node.store.database import open_store
    from almenara.node.store.stations import SqlStationRegistry

    with open_store(settings.store_place) as store:

        async def within() -> T:
            return await act(SqlStationRegistry(store))

        return anyio.run(within)
