"""``almenara partner``: who we are, whom we exchange with, and how that stands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.core.ids import CentreId
    from almenara.evidence.audit import AuditEntry
    from almenara.node.config import Config
    from almenara.node.partners import Identity
    from almenara.node.store.database import Store

app = typer.Typer(help="Partner centres and what is exchanged.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Partner = Annotated[str, typer.Argument(help="Its centre id.")]


@app.command("identity")
def show_identity(config: ConfigFile = None) -> None:
    """Print what a partner writes into its pairing file about this centre."""
    from almenara.exchange.pairing import read_aloud
    from almenara.node.partners import identity_text

    own = _identity(_settings(config))
    typer.echo(identity_text(own.public), nl=False)
    print_ = read_aloud(bytes.fromhex(own.public.public_hex))
    say(f"read aloud to the partner: {print_}")


@app.command()
def pair(
    path: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)],
    config: ConfigFile = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="The fingerprints were compared.")
    ] = False,
) -> None:
    """Take up a partner as FILE describes it, or its new keys and agreement."""
    from almenara.exchange.pairing import read_aloud
    from almenara.node.pairing_file import read_pairing
    from almenara.node.store.exchange import SqlPartners

    settings = _settings(config)
    own = _identity(settings)
    pairing = read_pairing(path, own.public)
    theirs = next(k for k in pairing.keys if k.centre_id == pairing.partner)
    print_ = read_aloud(bytes.fromhex(theirs.public_hex))
    say(f"{pairing.partner}: {print_}")
    say(f"both of you: {read_aloud(bytes.fromhex(pairing.genesis))}")
    if not yes:
        typer.confirm("Did the partner read the same aloud?", abort=True, err=True)
    with _store(settings) as store:
        entry = _entry("partner.pair", pairing.partner)
        SqlPartners(store).pair(pairing, own.public.centre_id, entry)
    say(f"{pairing.partner}: paired; the running node takes it up within seconds")


@app.command("list")
def show(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List the partners."""
    from almenara.node.store.exchange import SqlPartners

    with _store(_settings(config)) as store:
        partners = SqlPartners(store)
        rows = [
            {
                "partner": p.partner,
                "name": p.name,
                "url": p.url,
                "telephone": p.telephone,
                "agreement_until": f"{p.agreement.valid_until:%Y-%m-%d}",
                "suspended": partners.suspended(p.partner) or "no",
            }
            for p in partners.all()
        ]
    tell(rows, as_json=as_json, empty="No partners yet: almenara partner pair FILE")


@app.command()
def status(
    partner: Partner, config: ConfigFile = None, *, as_json: AsJson = False
) -> None:
    """Say how the four streams of a link stand."""
    from almenara.node.clock import SystemClock
    from almenara.node.store.exchange import SqlLedger

    settings = _settings(config)
    with _store(settings) as store:
        known = _known(store, partner)
        me = _me(settings)
        rows = [
            {
                "stream": s.name,
                "queued": s.queued,
                "sealed": s.sealed_seq,
                "acknowledged": s.receipted_seq,
                "applied": s.applied_seq,
                "state": s.frozen or ("in doubt" if s.doubtful else "good"),
            }
            for s in SqlLedger(store, me, known, SystemClock()).states()
        ]
    tell(rows, as_json=as_json, empty="")


@app.command()
def suspend(
    partner: Partner,
    why: Annotated[str, typer.Option("--why", help="Kept in the audit.")],
    config: ConfigFile = None,
) -> None:
    """Stop a link at once: nothing is sealed, sent or applied until it is resumed."""
    _suspend(partner, why, config)
    say(f"{partner}: suspended; what is queued stays queued")


@app.command()
def resume(partner: Partner, config: ConfigFile = None) -> None:
    """Let a suspended link go on."""
    _suspend(partner, None, config)
    say(f"{partner}: goes on")


def _suspend(partner: str, why: str | None, config: Path | None) -> None:
    from almenara.node.store.exchange import SqlPartners

    act = "partner.resume" if why is None else "partner.suspend"
    with _store(_settings(config)) as store:
        known = _known(store, partner)
        entry = _entry(act, known, why)
        SqlPartners(store).suspend(known, why=why, entry=entry)


def _known(store: "Store", partner: str) -> "CentreId":
    from almenara.node.store.exchange import SqlPartners

    names = [p.partner for p in SqlPartners(store).all()]
    for name in names:
        if name == partner:
            return name
    say(f"{partner}: not a partner; known are: {', '.join(names) or 'none'}")
    raise typer.Exit(1)


def _entry(act: str, partner: str, why: str | None = None) -> "AuditEntry":
    from dataclasses import replace

    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock

    return replace(
        entry(act, "partner", partner, at=SystemClock().now()), justification=why
    )


def _settings(config: Path | None) -> "Config":
    from almenara.node.config import load

    return load(config)


def _store(settings: "Config") -> "Store":
    from almenara.node.store.database import open_store

    return open_store(settings.store_place)


def _me(settings: "Config") -> "CentreId":
    from almenara.core.ids import CentreId

    return CentreId(settings.centre.id)


def _identity(settings: "Config") -> "Identity":
    from almenara.node.clock import SystemClock
    from almenara.node.partners import identity

    return identity(settings.key_folder, _me(settings), SystemClock())
