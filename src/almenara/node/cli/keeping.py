"""``almenara store``, ``backup``, ``restore``: whether all is there, and copies of it.

Asking is the rule before anything changes; ``--yes`` is for programs.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from almenara.node.cli.talk import say

if TYPE_CHECKING:
    from almenara.node.keeping import Keeping
    from almenara.recording.check import Flaw, Level

app = typer.Typer(help="The store and its recordings.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
LEVELS = ("identity", "presence", "size", "hash")
COULD_NOT_RUN = 2


@app.command()
def check(
    level: Annotated[
        str, typer.Option(help="identity, presence, size or hash.")
    ] = "presence",
    config: ConfigFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    mend: Annotated[
        bool, typer.Option("--repair", help="Mend what loses nothing; asks.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Compare rows with files; exit 0 good, 1 flaws found, 2 could not look.

    Works beside a running node. Each level holds those before it: identity, presence,
    size, hash.
    """
    if level not in LEVELS:
        raise typer.BadParameter(", ".join(LEVELS), param_hint="--level")
    from almenara.core.errors import AlmenaraError
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.node.keeping import kept
    from almenara.recording.check import Level

    try:
        with kept(load(config), SystemClock()) as keeping:
            found = _found(keeping, Level(level), as_json=as_json)
            if mend and found:
                found = _mended(keeping, found, yes=yes)
    except (AlmenaraError, OSError) as error:
        say(str(error))
        raise typer.Exit(COULD_NOT_RUN) from error
    if found:
        raise typer.Exit(1)
    say(f"{level}: good")


@app.command()
def adopt(
    folder: Annotated[Path, typer.Argument(file_okay=False, exists=True)],
    config: ConfigFile = None,
    *,
    yes: Yes = False,
) -> None:
    """Take a foreign media folder into this store; the node must be stopped.

    Its files' rows are rebuilt from what they say of themselves.
    """
    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.node.keeping import take_in

    settings = load(config)
    if not yes:
        say(f"{folder}: its recordings become this store's, and are kept and deleted")
        say("by its rules from then on. Deletions on record stay deletions.")
        typer.confirm("Take it in?", abort=True, err=True)
    clock = SystemClock()
    act = entry(
        "media.adopt",
        "media",
        str(folder.absolute()),
        at=clock.now(),
        action=AuditAction.ALTERATION,
    )
    with _bar("files") as shown:
        done = take_in(settings, folder, clock, act, lambda n, of: shown(n / of))
    for path, reason in done.refused:
        typer.echo(f"{path}: not taken in: {reason}")
    say(f"{done.adopted} files taken in, {done.known} known, {len(done.refused)} not")
    if done.refused:
        raise typer.Exit(1)


def backup(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where to.")],
    config: ConfigFile = None,
    *,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Private keys and password, too.")
    ] = False,
) -> None:
    """Copy database and configuration into a new folder below FOLDER, while it runs.

    Recordings are not copied. Prints the new folder.
    """
    from almenara.node.backup import back_up
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.node.config.loading import DEFAULT_PATH

    with _bar("database") as shown:
        made = back_up(
            load(config),
            folder,
            SystemClock(),
            settings=config or DEFAULT_PATH,
            with_keys=with_keys,
            progress=shown,
        )
    typer.echo(made)


def restore(
    folder: Annotated[Path, typer.Argument(file_okay=False, exists=True)],
    config: ConfigFile = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the store that is there aside.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Put a backup in the store's place; the node must be stopped.

    What was recorded after the backup is foreign at the next start, until
    almenara store adopt takes it in.
    """
    from almenara.evidence.audit import AuditAction
    from almenara.node.backup import foreign_after, read_backup
    from almenara.node.backup import restore as put_back
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.recording.targets import MEANINGS

    settings = load(config)
    manifest = read_backup(folder)
    say(f"{folder}: of {manifest.taken_at}, by Almenara {manifest.almenara}")
    for each in foreign_after(settings, manifest):
        say(f"{each.path}: {MEANINGS[each.why]}")
        say(f"  after the restore: almenara store adopt {each.path}")
    if not yes:
        typer.confirm("Put it in the store's place?", abort=True, err=True)
    clock, action = SystemClock(), AuditAction.ALTERATION
    act = entry("store.restore", "store", str(folder), at=clock.now(), action=action)
    with _bar("database") as shown:
        aside = put_back(settings, folder, act, replace=replace, progress=shown)
    if aside is not None:
        say(f"The store that was there: {aside}")
    say("Restored; everybody has to sign in again. Members are those of that time.")


def _found(keeping: "Keeping", level: "Level", *, as_json: bool) -> "list[Flaw]":
    flaws: list[Flaw] = []
    with _bars() as shown:
        for flaw in keeping.flaws(level, shown):
            flaws.append(flaw)
            if not as_json:
                typer.echo(str(flaw))
    if as_json:
        rows = [_row(flaw) for flaw in flaws]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    return flaws


def _row(flaw: "Flaw") -> dict[str, object]:
    return {
        "kind": flaw.kind.value,
        "file": str(flaw.file) if flaw.file else None,
        "stream": flaw.stream_id,
        "segment": flaw.segment_id,
        "fragment": flaw.fragment,
        "start": flaw.start.isoformat() if flaw.start else None,
        "end": flaw.end.isoformat() if flaw.end else None,
        "detail": flaw.detail,
    }


def _mended(keeping: "Keeping", found: "list[Flaw]", *, yes: bool) -> "list[Flaw]":
    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry

    if not yes:
        say(f"{len(found)} flaws. Files without rows are taken in or set aside, rows")
        say("without files become tombstones; damaged bytes stay as they are.")
        typer.confirm("Mend?", abort=True, err=True)
    now = keeping.clock.now()
    action = AuditAction.ALTERATION
    act = entry("store.repair", "store", keeping.store.name, at=now, action=action)
    done = keeping.repair(found, act)
    say(
        f"{done.adopted} taken in, {done.set_aside} set aside, {done.unlinked} "
        f"unlinked, {done.buried} noted as lost, {len(done.left)} left"
    )
    return done.left


@contextmanager
def _bars() -> Iterator[Callable[[str, float], None]]:
    """A bar per level, for a person at a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def shown(level: str, share: float) -> None:
            if level not in bars:
                bars[level] = progress.add_task(level, total=1.0)
            progress.update(bars[level], completed=share)

        yield shown


@contextmanager
def _bar(name: str) -> Iterator[Callable[[float], None]]:
    with _bars() as shown:
        yield lambda share: shown(name, share)
