"""``almenara user``: who works here, and how they come in the first time.

No password ever stands on a command line: a new member gets a link that works once and
chooses a password behind it.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.evidence.access import Role
    from almenara.node.config import Config
    from almenara.node.store.accounts import SqlAccounts

T = TypeVar("T")

app = typer.Typer(help="Members of the watch.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(help="What they type to sign in.")]


@app.command()
def add(
    name: Name,
    role: Annotated[list[str], typer.Option("--role", help="May be repeated.")],
    config: ConfigFile = None,
) -> None:
    """Enter a member and print the link that lets them in once."""
    from almenara.evidence.access import Role

    known = {known.value for known in Role}
    if unknown := sorted(set(role) - known):
        raise typer.BadParameter(
            f"{', '.join(unknown)}: not one of {', '.join(sorted(known))}",
            param_hint="--role",
        )
    roles = frozenset(map(Role, role))

    async def act(accounts: "SqlAccounts") -> str | None:
        if await accounts.find(name) is not None:
            return None
        return await _invite(accounts, name, roles)

    settings = _settings(config)
    token = _with_accounts(settings, act)
    if token is None:
        say(f"{name}: is a member already; almenara user link {name} lets them in")
        raise typer.Exit(1)
    _print_link(settings, name, token)


@app.command()
def link(name: Name, config: ConfigFile = None) -> None:
    """Print a new link that lets a member in once; earlier links stop working."""

    async def act(accounts: "SqlAccounts") -> str | None:
        account = await accounts.find(name)
        if account is None or account.disabled_at is not None:
            return None
        return await _invite(accounts, account.name, account.roles)

    settings = _settings(config)
    token = _with_accounts(settings, act)
    if token is None:
        raise _unknown(name)
    _print_link(settings, name, token)


@app.command()
def disable(
    name: Name,
    config: ConfigFile = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Shut a member out and end their sessions and links."""
    if not yes:
        typer.confirm(f"Shut {name} out?", abort=True, err=True)

    async def act(accounts: "SqlAccounts") -> bool:
        from almenara.node.cli.acts import entry
        from almenara.node.clock import SystemClock

        account = await accounts.find(name)
        if account is None:
            return False
        now = SystemClock().now()
        audit = entry("account.disable", "account", account.person_id, at=now)
        await accounts.disable(account.person_id, at=now, entry=audit)
        return True

    if not _with_accounts(_settings(config), act):
        raise _unknown(name)
    say(f"{name}: shut out")


@app.command("list")
def show(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List the members of the watch."""

    async def act(accounts: "SqlAccounts") -> list[dict[str, object]]:
        return [
            {
                "name": account.name,
                "roles": ", ".join(sorted(account.roles)),
                "state": "disabled" if account.disabled_at else "active",
                "password": "set" if account.password_hash else "not yet",
            }
            for account in await accounts.everybody()
        ]

    rows = _with_accounts(_settings(config), act)
    tell(rows, as_json=as_json, empty="Nobody yet: almenara user add NAME --role ROLE")


def _settings(config: Path | None) -> "Config":
    from almenara.node.config import load

    return load(config)


def _with_accounts(
    settings: "Config", act: "Callable[[SqlAccounts], Awaitable[T]]"
) -> T:
    """Open the store beside a node that may be running, act, and close it."""
    import anyio

    from almenara.node.store.accounts import SqlAccounts
    from almenara.node.store.database import open_store

    with open_store(settings.store_place) as store:

        async def within() -> T:
            return await act(SqlAccounts(store))

        return anyio.run(within)


async def _invite(accounts: "SqlAccounts", name: str, roles: "frozenset[Role]") -> str:
    from almenara.console.signin import invite
    from almenara.node.cli.acts import actor
    from almenara.node.clock import SystemClock

    clock = SystemClock()
    return await invite(accounts, clock, name=name, roles=roles, by=actor())


def _print_link(settings: "Config", name: str, token: str) -> None:
    say(f"{name}: this link works once, within a quarter of an hour")
    console = settings.console
    typer.echo(f"http://{console.host}:{console.port}/#enter={token}")


def _unknown(name: str) -> typer.Exit:
    say(f"{name}: nobody of that name works here; see: almenara user list")
    return typer.Exit(1)
