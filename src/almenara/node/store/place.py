"""Where the store is: one file of this machine, or a database on a server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A PostgreSQL database; the address holds no password."""

    url: str
    """``postgresql://user@host/database``, as checked by the configuration."""

    password_file: Path | None = None
    """Read anew at each connection, so that a password may be changed meanwhile."""


Place = Path | Server
"""A path is an SQLite file."""
