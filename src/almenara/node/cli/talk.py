"""How the command speaks: data on stdout, talk on stderr, errors in one line."""

import errno
import json
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from almenara.core.errors import AlmenaraError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


CURES = {
    "station.address_refused": "allow its network in [stations] networks, and give no "
    "password in it (docs/guide/stations.md)",
    "station.unreachable": "check power, network and address, then try again",
    "station.rejected": "check its user, password, path and codec",
}
"""For errors whose own words say what and where, but not what to do."""


class SpokenGroup(TyperGroup):
    """Turns what Almenara raises on purpose into a line and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AlmenaraError as error:
            cure = CURES.get(error.code)
            say(f"{error}; {cure}" if cure else str(error))
            raise typer.Exit(1) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            say(_of_the_system(error))
            raise typer.Exit(1) from error


def _of_the_system(error: OSError) -> str:
    where = error.filename or "the system"
    if error.errno in DISK_FULL:
        return (
            f"{where}: the disk is full; free space, then run this again: "
            "nothing that was acknowledged is lost"
        )
    return f"{where}: {error.strerror or error}; check that it exists and your rights"


def say(text: str) -> None:
    """A line for the person at the keyboard, on stderr."""
    typer.echo(text, err=True)


def tell(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Rows for people as columns, for programs as one JSON list."""
    if as_json:
        typer.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return
    if not rows:
        say(empty)
        return
    widths = {
        key: max(len(str(r[key])) for r in [{key: key}, *rows]) for key in rows[0]
    }
    for row in [{key: key for key in widths}, *rows]:
        cells = (str(row[key]).ljust(width) for key, width in widths.items())
        typer.echo("  ".join(cells).rstrip())
