"""``almenara case``: list, show and close rescue cases beside a running node.

Closing asks first: nothing is closed until a second person, at the console and by
name, agrees to exactly what was asked.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.core.ids import CaseId
    from almenara.node.case_desk import CaseDesk
    from almenara.rescue.case import Case

T = TypeVar("T")

app = typer.Typer(help="Rescue cases.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="As the list names it.")]


@app.command("list")
def show_all(
    config: ConfigFile = None,
    *,
    closed: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the open cases, gravest and oldest first."""

    async def act(desk: "CaseDesk") -> "tuple[Case, ...]":
        return await desk.cases(closed=closed, limit=1000)

    rows = [_row(case) for case in _with_desk(config, act)]
    tell(rows, as_json=as_json, empty="No open case.")


@app.command()
def show(
    case_name: CaseName, config: ConfigFile = None, *, as_json: AsJson = False
) -> None:
    """Show one case; the look is written into the audit."""
    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock

    look = entry(
        "case.read",
        "case",
        case_name,
        at=SystemClock().now(),
        action=AuditAction.CONSULTATION,
    )

    async def act(desk: "CaseDesk") -> "Case | None":
        return await desk.looked(_name(case_name), entry=look)

    case = _with_desk(config, act)
    if case is None:
        raise _unknown(case_name)
    if as_json:
        from almenara.console.case_wire import row_of

        typer.echo(row_of(case).model_dump_json(indent=2))
        return
    from almenara.console.sitrep_text import parts_text
    from almenara.rescue.case import known
    from almenara.rescue.sitrep import Order, compose

    typer.echo(
        parts_text(compose(known(case), Order(to=(), full=True)), "en"), nl=False
    )


@app.command()
def close(
    case_name: CaseName,
    reason: Annotated[str, typer.Option("--reason", help="In your own words.")],
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask to close a case; a second person then agrees at the console."""
    from functools import partial

    from almenara.evidence.audit import AuditAction
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock
    from almenara.rescue import case as acts
    from almenara.rescue.phases import Phase

    now = SystemClock().now()
    asked = entry(
        "case.ask_lower", "case", case_name, at=now, action=AuditAction.ALTERATION
    )
    ask = partial(
        acts.ask_lower,
        phase=Phase.NONE,
        closes=True,
        reason=reason,
        at=now,
        by=asked.actor.person_id,
    )

    async def act(desk: "CaseDesk") -> "Case | None":
        return await desk.act(_name(case_name), ask, version=None, entry=asked)

    case = _with_desk(config, act)
    if case is None:
        raise _unknown(case_name)
    digest = case.requests[-1].digest
    if as_json:
        tell([{"case": case.case_id, "digest": digest}], as_json=True, empty="")
    else:
        say(f"{case.case_id}: asked; open until a second person agrees at the console")
        typer.echo(digest)


def _row(case: "Case") -> dict[str, object]:
    from almenara.console.case_wire import head_of

    head = head_of(case)
    marks = [word for word in ("exercise", "simulated") if getattr(head, word)]
    return {
        "case": head.case_id,
        "phase": head.phase,
        "opened": head.opened_at.isoformat(timespec="seconds"),
        "coordinator": head.coordinator or "-",
        "state": "open" if case.is_open else "closed",
        "marks": " ".join(marks) or "-",
    }


def _with_desk(config: Path | None, act: "Callable[[CaseDesk], Awaitable[T]]") -> T:
    """Open the store beside a node that may be running, act, and close it."""
    import anyio

    from almenara.core.ids import CentreId
    from almenara.node.case_desk import CaseDesk
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.node.store.cases import SqlCases
    from almenara.node.store.database import open_store

    settings = load(config)
    with open_store(settings.store_place) as store:

        async def within() -> T:
            desk = CaseDesk(
                SqlCases(store),
                own=CentreId(settings.centre.id),
                partner=CentreId(settings.rescue.partner),
                clock=SystemClock(),
            )
            return await act(desk)

        return anyio.run(within)


def _name(text: str) -> "CaseId":
    from almenara.core.ids import CaseId

    return CaseId(text)


def _unknown(name: str) -> typer.Exit:
    say(f"{name}: no such case; see: almenara case list --all")
    return typer.Exit(1)
