"""``almenara config``: check it, explain a key, print its schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from almenara.node.cli.talk import say

app = typer.Typer(help="The configuration file.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", dir_okay=False, help="almenara.toml unless given."),
]


@app.command()
def check(
    path: File = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Faults as JSON.")] = False,
) -> None:
    """Say whether FILE is good, and if not, all that is wrong with it."""
    from dataclasses import asdict

    from almenara.core.errors import ConfigError, Fault
    from almenara.node.config import load

    faults: tuple[Fault, ...] = ()
    try:
        load(path)
    except ConfigError as error:
        faults = error.faults
    if as_json:
        typer.echo(
            json.dumps([asdict(f) for f in faults], ensure_ascii=False, indent=2)
        )
    for fault in () if as_json else faults:
        say(str(fault))
    if faults:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{path or 'almenara.toml'}: good")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the file."""
    from almenara.node.config import reference

    typer.echo(json.dumps(reference.schema(), indent=2, ensure_ascii=False))


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="Such as recording.keep_days.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", dir_okay=False)
    ] = None,
) -> None:
    """Say the value of KEY, where it comes from and what it means."""
    from almenara.node.config import load_or_safe, reference
    from almenara.node.config.loading import read_draft

    settings, faults = load_or_safe(config)
    text = reference.explain(key, read_draft(config), settings)
    if text is None:
        say(f"{key}: no such key; see almenara.example.toml")
        raise typer.Exit(1)
    typer.echo(text)
    if faults:
        say("the file has faults: almenara config check")
