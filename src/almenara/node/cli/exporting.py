"""``almenara export``: evidence leaves the house with two persons, and is verified.

``create`` puts a request down; a second person approves exactly those words; ``create``
with the same words then makes the package. Both say who they are with their password,
which is asked for and never stands on a command line.
"""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from almenara.node.cli.talk import say

if TYPE_CHECKING:
    from almenara.evidence.disclosure import Request
    from almenara.node.export.create import Progress

app = typer.Typer(help="Evidence packages.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
Who = Annotated[str, typer.Option("--as", help="Your name here; asks your password.")]


@app.command()
def create(
    *,
    camera: Annotated[list[str], typer.Option("--camera", help="May be repeated.")],
    start: Annotated[str, typer.Option("--from", help="2026-03-01T12:00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="At most 24 h later.")],
    subject: Annotated[str, typer.Option("--case", help="The case or alarm.")],
    recipient: Annotated[str, typer.Option("--recipient", help="Who gets it.")],
    legal_basis: Annotated[str, typer.Option("--legal-basis", help="Law and article.")],
    reason: Annotated[str, typer.Option("--reason", help="In your own words.")],
    who: Who,
    out: Annotated[Path, typer.Option("--out", help="A new folder, or NAME.zip.")],
    config: ConfigFile = None,
) -> None:
    """Make an evidence package; run it again after the second person approved.

    An interrupted export goes on when it is run again with the same words.
    """
    import anyio

    from almenara.node.cli import exporting_acts as acts

    asked = acts.Asked(
        cameras=tuple(camera),
        start=_instant(start, "--from"),
        end=_instant(end, "--to"),
        subject=subject,
        recipient=recipient,
        legal_basis=legal_basis,
        reason=reason,
    )
    password = _password(who)
    settings = acts.settings(config)
    made = anyio.run(
        partial(
            acts.create,
            settings,
            asked,
            name=who,
            password=password,
            out=out.absolute(),
            progress=_progress(),
        )
    )
    if isinstance(made, acts.Waiting):
        say(f"{made.why}; a second person approves these words with:")
        typer.echo(f"almenara export approve {made.digest} --as NAME")
        raise typer.Exit(1)
    say(f"{made.out}: {made.size_bytes / 1e6:.1f} MB, {made.segments} segments")
    if made.proved < made.segments:
        waiting = made.segments - made.proved
        say(f"{waiting} segments have no proof of the log yet: not-anchored")
    say("hand the trust file over by another way: almenara export trust")
    typer.echo(made.manifest_sha256)


@app.command()
def approve(
    digest: Annotated[str, typer.Argument(help="As the first person was told.")],
    who: Who,
    config: ConfigFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve another person's request, exactly as it stands, for half an hour."""
    import anyio

    from almenara.node.cli import exporting_acts as acts

    settings = acts.settings(config)
    request = anyio.run(acts.find, settings, digest)
    if request is None:
        say(f"{digest}: no request waits under this hash; see what create printed")
        raise typer.Exit(1)
    _show(request)
    if not yes:
        typer.confirm("Approve exactly this?", abort=True, err=True)
    refused = anyio.run(acts.approve, settings, request, who, _password(who))
    if refused is not None:
        say(refused)
        raise typer.Exit(1)
    say(f"{request.digest}: approved for half an hour; now run create again")


@app.command()
def trust(config: ConfigFile = None) -> None:
    """Print this centre's trust file; give it to recipients by another way."""
    import anyio

    from almenara.node.cli import exporting_acts as acts

    typer.echo(anyio.run(acts.trust, acts.settings(config)), nl=False)


@app.command()
def verify(
    package: Annotated[Path, typer.Argument(help="A folder or a stored ZIP.")],
    trusted: Annotated[
        list[Path] | None, typer.Option("--trust", help="Trust file; may be repeated.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Verify a package; the exit status is its word (see VERIFY.txt in it)."""
    from almenara.node.export.verify import main

    words = [word for path in trusted or () for word in ("--trust", str(path))]
    words += ["--json"] if as_json else []
    raise typer.Exit(main([*words, "--", str(package)]))


def _show(request: "Request") -> None:
    """The words behind the hash, as they were frozen."""
    from almenara.evidence.package import text_of
    from almenara.node.export.report import printable

    rows = {
        "hash": request.digest,
        "requested by": request.requested_by,
        "cameras": ", ".join(request.camera_ids),
        "from": text_of(request.start),
        "to": text_of(request.end),
        "case or alarm": request.subject,
        "recipient": request.recipient,
        "legal basis": request.legal_basis,
        "reason": request.reason,
    }
    for key, value in rows.items():
        say(f"{key:<14} {printable(value)}")


def _progress() -> "Progress":
    """Tenths of the way, each said once."""
    said = -1

    def progress(done: int, whole: int) -> None:
        nonlocal said
        tenth = done * 10 // max(whole, 1)
        if tenth > said:
            said = tenth
            say(f"{tenth * 10:3} %  {done / 1e6:.0f} of {whole / 1e6:.0f} MB")

    return progress


def _password(name: str) -> str:
    """Asked at the terminal; from a pipe, its next line."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {name}", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _instant(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "no time; write 2026-03-01T12:00:00Z", param_hint=option
        ) from None
    if at.tzinfo is None:
        raise typer.BadParameter(
            "says no zone; end it with Z for UTC", param_hint=option
        )
    return at.astimezone(UTC)
