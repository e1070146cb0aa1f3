"""Backups of the must-not-lose store: taken beside a running node, put back by hand.

A backup is a folder: the database as one SQLite file, the configuration, and a manifest
with the hash of each. Recordings are not in it; they are many times larger and have
their own copies. Private keys and the server's password are named in the manifest and
copied only if asked for: a backup is easier to lose than a watch.

Taking a backup moves every media folder one generation on, so that a store that was put
back is told from the one that ran on.

**Source**: docs/design/store.md, "Backup".
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.core.time import Clock
from almenara.evidence.audit import AuditEntry
from almenara.node.config import Config
from almenara.node.store import audit
from almenara.node.store.accounts import link, session
from almenara.node.store.database import open_store
from almenara.node.store.place import Server
from almenara.node.store.schema import heads, known
from almenara.node.store.sqlite import Durability, SqliteEngine
from almenara.node.store.targets import SqlTargets
from almenara.node.store.transfer import export, load
from almenara.recording.identity import (
    IdentityDamagedError,
    TargetRow,
    read_identity,
    sync_folder,
)
from almenara.recording.targets import ForeignTarget, renew, survey

MANIFEST = "manifest.json"
DATABASE = "almenara.db"
CONFIG = "almenara.toml"
FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 20

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTarget:
    """A media folder as it was."""

    target_id: str
    path: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    almenara: str
    taken_at: str
    engine: str
    revision: str
    database_id: str
    targets: tuple[SavedTarget, ...]
    files: dict[str, str]
    """SHA-256 by name."""

    keys: tuple[str, ...] = field(default=())
    """Files with secrets that the watch needs; in the backup only if asked for."""


def back_up(
    config: Config,
    folder: Path,
    clock: Clock,
    *,
    settings: Path | None = None,
    with_keys: bool = False,
    progress: Progress = lambda _: None,
) -> Path:
    """Take a backup into a new folder below ``folder``; returns it.

    Args:
        config: Of the watch.
        folder: Where backups are kept; made if missing.
        clock: For the name.
        settings: The configuration file, if there is one.
        with_keys: Copy private keys and password, too.
        progress: Told how far it is, from 0 to 1.

    Raises:
        StoreError: The store cannot be read, or the backup cannot be written.
        OSError: The disk refused.
    """
    now = clock.now()
    place = folder / f"almenara-{now:%Y%m%dT%H%M%SZ}"
    fresh = folder / f"{place.name}.partial"
    fresh.mkdir(parents=True, mode=0o700)
    try:
        revision = export(config.store_place, fresh / DATABASE, progress=progress)[0]
        if settings is not None and settings.is_file():
            shutil.copyfile(settings, fresh / CONFIG)
        keys = tuple(_keys(config))
        for key in keys if with_keys else ():
            kept = fresh / "keys" / key.name
            kept.parent.mkdir(exist_ok=True, mode=0o700)
            shutil.copy2(key, kept)
        manifest = _manifest(config, fresh, now, revision, keys)
        (fresh / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n")
        _sync_all(fresh)
        fresh.rename(place)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if manifest.database_id:
        _move_on(config, manifest)
    return place


def read_backup(folder: Path) -> Manifest:
    """The manifest of a backup whose files are as they were written.

    Raises:
        StoreError: It is none, damaged, or of a newer Almenara.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            said: dict[str, Any] = json.loads(file.read(MAX_MANIFEST_BYTES))
        said["targets"] = tuple(SavedTarget(**each) for each in said["targets"])
        manifest = Manifest(**{**said, "keys": tuple(said["keys"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{folder}: no backup: {MANIFEST} cannot be read ({error})"
        ) from error
    if manifest.format > FORMAT or manifest.revision not in known():
        raise StoreError(
            f"{folder}: written by Almenara {manifest.almenara}; install that one"
        )
    if DATABASE not in manifest.files:
        raise StoreError(f"{folder}: no backup: it holds no {DATABASE}")
    for name, sha256 in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise StoreError(f"{path}: missing; take another backup")
        if _sha256(path) != sha256:
            raise StoreError(f"{path}: damaged: its hash is another one; take another")
    return manifest


def foreign_after(config: Config, manifest: Manifest) -> list[ForeignTarget]:
    """Which media folders will not agree with this backup, and why; only looks."""
    rows = {
        each.target_id: TargetRow(
            target_id=each.target_id,
            path=Path(each.path),
            generation=each.generation,
            confirmed=each.generation,
        )
        for each in manifest.targets
    }
    _, foreign = survey(
        config.recording.directory.absolute(), manifest.database_id, rows
    )
    return foreign


def restore(
    config: Config,
    folder: Path,
    entry: AuditEntry,
    *,
    replace: bool = False,
    progress: Progress = lambda _: None,
) -> Path | None:
    """Put a backup in the place of the store; the node must be stopped.

    Args:
        config: Of the watch: where the store is.
        folder: The backup.
        entry: Who does it, and when.
        replace: Whether a store that is there may be moved aside.
        progress: Told how far it is, from 0 to 1.

    Returns:
        Where the store that was there lies now, if there was one.

    Raises:
        StoreError: The backup is damaged, a node runs, or there is a store.
    """
    read_backup(folder)
    place = config.store_place
    if isinstance(place, Server):
        load(folder / DATABASE, place, progress=progress)
        _begin_again(config, entry)
        return None
    had = place.exists()
    if had and not replace:
        raise StoreError(f"{place}: there is a store; --replace moves it aside")
    lock = SqliteEngine(place, durability=Durability.FULL, exclusive=True)
    try:
        aside = place.with_name(f"{place.name}.before-{entry.at:%Y%m%dT%H%M%SZ}")
        fresh = place.with_name(f"{place.name}.restoring")
        shutil.copyfile(folder / DATABASE, fresh)
        _sync(fresh)
        if had:
            with closing(sqlite3.connect(place)) as old:  # brings its log into it
                old.execute("pragma wal_checkpoint(truncate)")
            place.rename(aside)
        for suffix in ("-wal", "-shm"):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        fresh.rename(place)
        sync_folder(place.parent)
    except sqlite3.Error as error:
        raise lock.explained(error) from error
    finally:
        lock.close()
    _begin_again(config, entry)
    progress(1.0)
    return aside if had else None


def _begin_again(config: Config, entry: AuditEntry) -> None:
    """Bring the schema to today, and let nobody in by what was ended since."""
    ended = sa.update(session).where(session.c.ended_at.is_(None))
    used = sa.update(link).where(link.c.used_at.is_(None))

    def work(db: sa.Connection) -> None:
        db.execute(ended.values(ended_at=entry.at))
        db.execute(used.values(used_at=entry.at))
        audit.append(db, (entry,))

    with open_store(config.store_place) as store:
        store.submit(work).result()


def _keys(config: Config) -> Iterator[Path]:
    """Files with secrets: the server's password, and the watch's own keys."""
    place = config.store_place
    if isinstance(place, Server) and place.password_file is not None:
        yield place.password_file
    yield from sorted(p for p in config.store.directory.glob("keys/*") if p.is_file())


def _manifest(
    config: Config, fresh: Path, now: datetime, revision: str, keys: tuple[Path, ...]
) -> Manifest:
    rows: list[tuple[str, str, int]]
    with closing(sqlite3.connect(fresh / DATABASE)) as copy:
        if revision not in heads():  # before the next start brings it to today
            found, rows = None, []
        else:
            one = "select database_id from store_identity"
            found = copy.execute(one).fetchone()
            wanted = "select target_id, path, generation from target"
            rows = copy.execute(wanted).fetchall()
        targets = tuple(
            SavedTarget(target_id=name, path=path, generation=generation)
            for name, path, generation in rows
        )
    names = sorted(p for p in fresh.rglob("*") if p.is_file())
    return Manifest(
        format=FORMAT,
        almenara=version("almenara"),
        taken_at=now.isoformat(),
        engine="postgresql" if isinstance(config.store_place, Server) else "sqlite",
        revision=revision,
        database_id=found[0] if found else "",
        targets=targets,
        files={str(p.relative_to(fresh)): _sha256(p) for p in names},
        keys=tuple(map(str, keys)),
    )


def _move_on(config: Config, manifest: Manifest) -> None:
    """One generation on, so that this copy is known as a copy."""
    with open_store(config.store_place) as store:
        book = SqlTargets(store)
        rows = book.targets()
        directory = config.recording.directory.absolute()
        ours, _ = survey(directory, manifest.database_id, rows)
        for target in ours:
            try:
                said = read_identity(target.path)
            except IdentityDamagedError:
                continue
            if said is not None:
                renew(target, manifest.database_id, said.boot_id, book)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _sync(path)
        else:
            sync_folder(path)
    sync_folder(folder)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
