"""How the command speaks: data on stdout, talk on stderr, errors in one line."""

import errno
import json
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from almenara.core.errors import AddressRefusedError, AlmenaraError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


CURES = {
    "station.unreachable": "check power, network and address, then try again",
    "station.rejected": "check its user, password, path and codec",
}
"""For errors whose own words say what and where, but not what to do."""

REFUSALS = {
    "scheme": "write rtsp://, rtsps:// or file:/",
    "credentials": "take the name and password out: they would end up in lists",
    "network": "add its network to [stations] networks, if it is one of your stations",
    "loopback": "this machine is no station; only the simulated coast lives on it",
    "own": "this machine is no station; write the camera's own address",
    "folder": "add its folder to [stations] file_folders, if it may play a camera",
    "metadata": "no camera has this address; write the camera's own",
    "link_local": "no camera has this address; write the camera's own",
    "multicast": "no camera has this address; write the camera's own",
    "unspecified": "no camera has this address; write the camera's own",
    "translated": "write the camera's own address, in its plain form",
}
"""Why an address is refused, and what to do about it (docs/guide/stations.md)."""

OTHERWISE = "write it as scheme://host:port/path, without spaces"


class SpokenGroup(TyperGroup):
    """Turns what Almenara raises on purpose into a line and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AlmenaraError as error:
            cure = _cure(error)
            say(f"{error}; {cure}" if cure else str(error))
            raise typer.Exit(1) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            say(_of_the_system(error))
            raise typer.Exit(1) from error


def _cure(error: AlmenaraError) -> str | None:
    if isinstance(error, AddressRefusedError):
        return REFUSALS.get(error.reason, OTHERWISE)
    return CURES.get(error.code)


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
