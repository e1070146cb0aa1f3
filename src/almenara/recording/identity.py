"""Whose media folder this is: a small file in it, compared with the database's row.

Both hold the folder's uuid and a generation that moves on together, the row first. A
restored database, a restored or swapped disk, a folder of another watch: none of them
agrees, and what does not agree is *foreign*: read, never written, never merged by
itself. A wiped database must not take over old footage.

**Source**: docs/design/store.md, "Identity".
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from fcntl import LOCK_EX, flock
from pathlib import Path

NAME = "identity"
MAX_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a media folder says of itself."""

    database_id: str
    target_id: str
    generation: int
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """What the database says of a media folder."""

    target_id: str
    path: Path
    generation: int
    confirmed: int
    """The generation that is known to be in the file."""


class Mismatch(StrEnum):
    """Why a folder is foreign."""

    DAMAGED = "damaged"
    """Its identity file is torn or edited."""

    OTHER_STORE = "other store"
    """It belongs to another database."""

    UNKNOWN = "unknown"
    """This database never had it: restored from before, or begun anew."""

    DATABASE_OLD = "database old"
    """The folder is ahead: the database was restored from a backup."""

    MEDIA_OLD = "media old"
    """The folder is behind: its disk was restored or swapped."""

    MISSING = "missing"
    """The identity file is gone: is the right disk mounted?"""

    COPY = "copy"
    """Another folder has the same uuid."""


class IdentityDamagedError(Exception):
    """The file is there and cannot be believed: for :func:`judge`, a mismatch."""


def read_identity(folder: Path) -> Identity | None:
    """The folder's own words; None if it has none.

    Raises:
        IdentityDamagedError: They are torn or edited.
    """
    try:
        with (folder / NAME).open("rb") as file:
            said = json.loads(file.read(MAX_BYTES))
        checksum = said.pop("sha256")
        identity = Identity(**said)
        whole = checksum == _checksum(identity) and isinstance(identity.generation, int)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IdentityDamagedError(str(folder / NAME)) from error
    if not whole:
        raise IdentityDamagedError(str(folder / NAME))
    return identity


def write_identity(folder: Path, identity: Identity) -> None:
    """Replace the file in one step that a power cut cannot halve."""
    text = json.dumps({**asdict(identity), "sha256": _checksum(identity)}, indent=1)
    fresh = folder / f"{NAME}.new"
    fd = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o640)
    with os.fdopen(fd, "wb") as file:
        file.write(text.encode() + b"\n")
        file.flush()
        os.fdatasync(fd)
    fresh.rename(folder / NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on stable storage."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else changes this folder's identity meanwhile."""
    fd = os.open(folder / f"{NAME}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    try:
        flock(fd, LOCK_EX)
        yield
    finally:
        os.close(fd)


def has_media(folder: Path) -> bool:
    """Whether anything that looks like a recording lies in it."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return next(folder.glob("*/*/*.mp4"), None) is not None
    return False


def judge(
    folder: Path, database_id: str, rows: Mapping[str, TargetRow]
) -> tuple[TargetRow | None, Mismatch | None]:
    """Compare a folder with the database; looks, and changes nothing.

    Args:
        folder: It need not be there.
        database_id: The database's own uuid.
        rows: Every media folder the database knows, by uuid.

    Returns:
        The folder's row and no mismatch: it is ours. Neither: it is new and empty. A
        mismatch: it is foreign; the row, if any, is the one it was once.
    """
    at_path = next((row for row in rows.values() if row.path == folder), None)
    try:
        found = read_identity(folder)
    except IdentityDamagedError:
        return at_path, Mismatch.DAMAGED
    if found is None:
        return _without_identity(folder, at_path)
    row = rows.get(found.target_id)
    if found.database_id != database_id or row is None:
        is_other = found.database_id != database_id
        why = Mismatch.OTHER_STORE if is_other else Mismatch.UNKNOWN
        return at_path if is_other else None, why
    return row, _compared(found, row)


def _compared(found: Identity, row: TargetRow) -> Mismatch | None:
    if found.generation > row.generation:
        return Mismatch.DATABASE_OLD
    return Mismatch.MEDIA_OLD if found.generation < row.confirmed else None


def _without_identity(
    folder: Path, at_path: TargetRow | None
) -> tuple[TargetRow | None, Mismatch | None]:
    if at_path is not None:  # a start that died before it wrote the first one is ours
        return at_path, Mismatch.MISSING if at_path.confirmed else None
    return None, Mismatch.UNKNOWN if has_media(folder) else None


def _checksum(identity: Identity) -> str:
    text = json.dumps(asdict(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
