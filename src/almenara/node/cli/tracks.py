"""``almenara track``: locate looks, fuse observations; from files, without a node."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from almenara.core.coast import Camera

app = typer.Typer(help="Positions and tracks of observations.", no_args_is_help=True)

Lines = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="JSON Lines; - reads standard input."),
]
Stations = Annotated[
    Path | None,
    typer.Option("--stations", dir_okay=False, help="TOML that holds the cameras."),
]


@app.command()
def locate(lines: Lines, stations: Stations = None) -> None:
    """Turn pixels or directions into positions with an ellipse, or bearings alone."""
    from almenara.node import track_lines

    with _opened(lines) as opened:
        _print(track_lines.locate(str(lines), opened, _cameras(stations)))


@app.command()
def fuse(
    lines: Lines,
    stations: Stations = None,
    every_s: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Tell the tracks so often.")
    ] = 1.0,
) -> None:
    """Fuse observations of cameras, AIS and radars into tracks; always the same way."""
    from almenara.node import track_lines

    with _opened(lines) as opened:
        found = track_lines.fuse(
            str(lines), opened, _cameras(stations), every=timedelta(seconds=every_s)
        )
        _print(found)


@app.command()
def schema() -> None:
    """Print the JSON schemas of the lines that these commands read."""
    import json

    from almenara.node.track_lines import schemas

    typer.echo(json.dumps(schemas(), indent=2))


def _print(found: Iterable[Mapping[str, Any]]) -> None:
    from almenara.node.track_lines import written

    for line in found:
        typer.echo(written(line))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield typer.get_text_stream("stdin", encoding="utf-8")
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield file


def _cameras(stations: Path | None) -> "tuple[Camera, ...]":
    from almenara.node.registry import read_stations

    if stations is None:
        return ()
    return tuple(c for s in read_stations(stations) for c in s.cameras)
