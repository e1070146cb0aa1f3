"""The ``almenara`` command: nouns, then verbs; each parses, calls and prints.

Data goes to stdout and talk to stderr. Exit status: 0 good, 1 the answer is no, 2
misuse. What a verb needs is imported inside it, so that ``--help`` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from almenara.node.cli import (
    alarms,
    areas,
    auditing,
    configuration,
    exporting,
    keeping,
    partners,
    people,
    rescue,
    seeing,
    shore,
    tracks,
)
from almenara.node.cli.talk import SpokenGroup, say

app = typer.Typer(
    help="Watch a coast: rescue first; objects, not people.",
    no_args_is_help=True,
    cls=SpokenGroup,
    pretty_exceptions_enable=False,
)
app.add_typer(configuration.app, name="config")
app.add_typer(shore.app, name="station")
app.add_typer(people.app, name="user")
app.add_typer(auditing.app, name="audit")
app.add_typer(partners.app, name="partner")
app.add_typer(keeping.app, name="store")
app.command()(keeping.backup)
app.command()(keeping.restore)
app.add_typer(rescue.app, name="case")
app.add_typer(seeing.trainer, name="train")
app.command()(seeing.detect)
app.add_typer(alarms.app, name="alarm")
app.add_typer(tracks.app, name="track")
tracks.app.command()(seeing.follow)
app.add_typer(exporting.app, name="export")
app.add_typer(areas.app, name="area")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", dir_okay=False, help="Instead of almenara.toml here."
    ),
]
COASTS = {6: "strait", 20: "strait-20"}


@app.command()
def demo(
    stations: Annotated[int, typer.Option(help="6 or 20 stations.")] = 6,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8080,
    directory: Annotated[
        Path, typer.Option(file_okay=False, help="Where the demo keeps its data.")
    ] = Path("data/demo"),
    scenario: Annotated[
        str, typer.Option(help="Another coast: its name, or a .toml file.")
    ] = "",
    *,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the console in a browser.")
    ] = False,
) -> None:
    """Start the simulated coast and the console. Needs no camera and no network."""
    if stations not in COASTS:
        raise typer.BadParameter("6 or 20", param_hint="--stations")
    from almenara.node.cli import start

    start.demo(
        scenario or COASTS[stations],
        port=port,
        directory=directory,
        open_browser=open_browser,
    )


@app.command()
def run(config: ConfigFile = None) -> None:
    """Start the watch. A broken configuration starts it in safe mode."""
    from almenara.node.cli import start
    from almenara.node.config import load_or_safe

    settings, faults = load_or_safe(config)
    if faults:
        say("Safe mode: the configuration is broken; the console shows this too.")
        for fault in faults:
            say(str(fault))
    start.start(settings, faults)


@app.command()
def doctor(
    config: ConfigFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Examine this machine: each line ok, warn or fail, with the remedy."""
    from almenara.node.cli import report
    from almenara.node.doctor import examine

    report.show(examine(config), as_json=as_json)


@app.command()
def simulate(
    scenario: Annotated[str, typer.Argument(help="A packaged coast, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder.")],
    seconds: Annotated[float, typer.Option(min=1, max=86400)] = 60.0,
) -> None:
    """Render a scenario into clips, with the truth beside them."""
    from almenara.node.cli import start

    start.simulate(scenario, out, seconds=seconds)


@app.command()
def replay(
    rule: Annotated[list[str], typer.Option("--rule", help="May be repeated.")],
    start: Annotated[str, typer.Option("--from", help="As 2026-03-01T12:00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="Likewise; not included.")],
    config: ConfigFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Ask rules again about kept tracks: what they would have told. Raises nothing."""
    from almenara.node.cli import replaying

    replaying.replay(rule, start, end, config, as_json=as_json)


@app.command()
def version() -> None:
    """Say which Almenara this is."""
    from importlib.metadata import version as installed

    typer.echo(installed("almenara"))
