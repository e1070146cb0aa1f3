"""``almenara audit``: check the evidence log, show it, let a new key enter."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.node.config import Config
    from almenara.node.store.database import Store
    from almenara.node.store.evidence_check import Progress, StampFault, Verdict

app = typer.Typer(help="The evidence log.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def verify(
    config: ConfigFile = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", dir_okay=False, help="A checkpoint that somebody else kept."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check every leaf, row and signature, beside a running node; name the first bad.

    A log that was rewritten or cut short as a whole shows only against a checkpoint
    that somebody else kept: a partner's witness, an export, a paper.
    """
    from almenara.node.store.evidence_check import check

    kept = [_checkpoint(path) for path in against or ()]
    with _store(config) as store, _shown() as progress:
        verdict = store.read_now(
            lambda db: check(
                db, against=kept, stamp_fault=_stamp_fault(config), progress=progress
            )
        )
    _tell_verdict(verdict, as_json=as_json)
    if not verdict.is_good:
        raise typer.Exit(1)


@app.command()
def show(
    config: ConfigFile = None,
    *,
    head: Annotated[
        bool,
        typer.Option("--checkpoint", help="The newest one, to be kept elsewhere."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show each log: its leaves, its newest checkpoint, who vouches for it."""
    from almenara.node.store.vouchers import note_with_cosignatures, summaries

    with _store(config) as store:
        rows = store.read_now(summaries)
        newest = rows[-1].checkpoint if rows else None
        if head and newest is not None:
            kept = store.read_now(lambda db: note_with_cosignatures(db, newest))
            typer.echo(kept, nl=False)
            return
    tell([row.shown() for row in rows], as_json=as_json, empty="No log yet")


@app.command("rotate-key")
def rotate_key(
    reason: Annotated[str, typer.Option(help="Why; it stands in the log for ever.")],
    config: ConfigFile = None,
    *,
    lost: Annotated[
        bool, typer.Option("--lost", help="The old key is gone and cannot sign.")
    ] = False,
) -> None:
    """Let a new key sign the log from now on; the old one vouches for it."""
    import anyio

    from almenara.core.ids import CentreId
    from almenara.evidence import checkpoint
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.node.log_keeper import LogKeeper
    from almenara.node.log_keys import KeyFolder
    from almenara.node.store.audit import SqlAuditLog
    from almenara.node.store.vouchers import SqlEvidenceLog

    settings, clock = _settings(config), SystemClock()
    with _store(config) as store:
        keeper = LogKeeper(
            SqlEvidenceLog(store),
            KeyFolder(settings.key_folder, "log"),
            CentreId(settings.centre.id),
            clock,
        )

        async def act() -> str:
            asked = entry("log_key.rotate", "log_key", "log", at=clock.now())
            await SqlAuditLog(store).record(asked)
            by = asked.actor.person_id
            event = await keeper.rotate(by=by, reason=reason, is_lost=lost)
            return str(checkpoint.key_of(event.name, event.public_key))

        key = anyio.run(act)
    say("From now on this key signs; give it to whoever checks the log:")
    typer.echo(key)


def _settings(config: Path | None) -> "Config":
    from almenara.node.config import load

    return load(config)


@contextmanager
def _store(config: Path | None) -> "Iterator[Store]":
    """The store beside a node that may be running; never a new one."""
    from almenara.core.errors import StoreError
    from almenara.node.store.database import open_store

    place = _settings(config).store_place
    if isinstance(place, Path) and not place.exists():
        raise StoreError(f"{place}: there is no store yet; start the watch first")
    with open_store(place) as store:
        yield store


def _stamp_fault(config: Path | None) -> "StampFault":
    """Checks time stamps where the configuration names whom to believe."""
    from almenara.node.time_stamps import read_roots, stamp_fault

    roots = _settings(config).evidence.stamp_roots
    if not roots:
        return lambda _note, _reply: None
    return stamp_fault(read_roots(*roots))


def _checkpoint(path: Path) -> str:
    """A checkpoint's text from a file.

    Raises:
        typer.BadParameter: It is none.
    """
    from almenara.evidence import checkpoint, note

    try:
        text = path.read_text("utf-8")
        checkpoint.of_origin(checkpoint.parse(note.parse(text).text).origin)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--against") from error
    return text


@contextmanager
def _shown() -> "Iterator[Progress]":
    """A bar on a terminal, silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("leaves", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _tell_verdict(verdict: "Verdict", *, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        plain = {"good": verdict.is_good, **asdict(verdict)}
        typer.echo(json.dumps(plain, ensure_ascii=False, indent=2))
        return
    for finding in verdict.findings:
        typer.echo(str(finding))
    word = "good" if verdict.is_good else "NOT as it was written"
    typer.echo(
        f"{word}: {verdict.leaves} leaves, {verdict.checkpoints} checkpoints; the "
        f"newest covers {verdict.covered}"
    )
    typer.echo(
        f"vouched for from outside: {verdict.cosignatures} cosignatures, "
        f"{verdict.stamps} time stamps"
    )
    if verdict.older_rows:
        say(f"{verdict.older_rows} rows are older than the log")
    if verdict.unvouched_keys:
        say(f"{verdict.unvouched_keys} keys entered without the one before")
    if not verdict.findings and not verdict.cosignatures + verdict.stamps:
        say(
            "nobody outside vouches for it: compare with a checkpoint that somebody "
            "else kept (--against)"
        )
