"""Reads the file: all faults at once, and a usable configuration whatever they are.

``load`` refuses a file with faults. ``load_or_safe`` never refuses: it falls back to
the last good copy kept in the store's folder, else to what is sound in the broken file,
and says what it found. Nothing here touches the network.
"""

import copy
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from almenara.core.errors import ConfigError, Fault
from almenara.node.config.faults import (
    Lines,
    Loc,
    from_syntax,
    from_validation,
    scan,
    secrets,
)
from almenara.node.config.sections import Config

log = structlog.get_logger()

DEFAULT_PATH = Path("almenara.toml")
LAST_GOOD = "last-good.toml"
PREFIX = "ALMENARA__"
SALVAGE_ROUNDS = 64
"""Rounds of taking faulty keys out before giving up on a broken file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A file as read: its tree with overrides applied, before it is checked."""

    raw: Mapping[str, Any]
    lines: Lines
    faults: tuple[Fault, ...] = ()


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration file.

    Args:
        path: The file; None takes ``almenara.toml`` here if there is one, else the
            defaults.
        environ: Where ``ALMENARA__SECTION__KEY`` is looked up; the process's own
            environment unless given.

    Raises:
        ConfigError: With every fault found.
    """
    source = path or DEFAULT_PATH
    draft = _read(source, environ, must_exist=path is not None)
    config, faults = _check(draft)
    if config is None or faults:
        raise ConfigError(faults)
    return config.beside(source.parent.absolute())


def load_or_safe(
    path: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Config, tuple[Fault, ...]]:
    """A configuration to start with, and what is wrong with the file: () if nothing.

    A good file is copied beside the store. With a broken one the last good copy is
    used, at its own console address; without a copy, what is sound in the broken file,
    with the console on loopback alone.
    """
    source = path or DEFAULT_PATH
    folder = source.parent.absolute()
    try:
        config = load(path, environ)
    except ConfigError as error:
        salvaged = _salvage(_read(source, environ, must_exist=False))
        safe = salvaged.beside(folder)
        good = safe.store.directory / LAST_GOOD
        kept, _ = _check(_read(good, environ, must_exist=True))
        if kept is not None:
            return kept.beside(folder), error.faults
        loopback = safe.console.model_copy(update={"host": "127.0.0.1"})
        return safe.model_copy(update={"console": loopback}), error.faults
    _keep_good(source, config)
    return config, ()


def read_draft(path: Path | None, environ: Mapping[str, str] | None = None) -> Draft:
    """The tree behind ``config explain``: what is said, where."""
    return _read(path or DEFAULT_PATH, environ, must_exist=path is not None)


def _keep_good(source: Path, config: Config) -> None:
    """Copy a good file beside the store; a store that is not there yet gets none."""
    keep = config.store.directory / LAST_GOOD
    if not (source.is_file() and keep.parent.is_dir()):
        return
    text = source.read_bytes()
    fresh = keep.with_suffix(".new")
    try:
        if keep.is_file() and keep.read_bytes() == text:
            return
        fresh.write_bytes(text)
        fresh.replace(keep)
    except OSError as error:  # a full disk must not keep the watch from starting
        log.warning("config_copy_failed", reason=error.strerror)


def _read(path: Path, environ: Mapping[str, str] | None, *, must_exist: bool) -> Draft:
    overrides, names = _overrides(os.environ if environ is None else environ)
    try:
        text = path.read_text("utf-8") if must_exist or path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        return Draft(
            raw=overrides,
            lines=scan(str(path), "", names),
            faults=(_unread(path, error),),
        )
    lines = scan(str(path), text, names)
    try:
        return Draft(raw=_merged(tomllib.loads(text), overrides), lines=lines)
    except tomllib.TOMLDecodeError as error:
        raw = _merged(_sound_tables(text), overrides)
        return Draft(raw=raw, lines=lines, faults=(from_syntax(lines, error),))


def _unread(path: Path, error: OSError | UnicodeDecodeError) -> Fault:
    if isinstance(error, UnicodeDecodeError):
        return Fault(
            place=str(path),
            found=f"byte {error.start} is no UTF-8",
            expected="UTF-8 text",
            cure="Save the file as UTF-8.",
        )
    return Fault(
        place=str(path),
        found=error.strerror or type(error).__name__,
        expected="a file that can be read",
        cure="Check the path and its permissions; an empty file is a good one.",
    )


def _sound_tables(text: str) -> dict[str, Any]:
    """What can be read of a text that is no TOML, table by table."""
    chunks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            chunks.append([])
        chunks[-1].append(line)
    sound: dict[str, Any] = {}
    for chunk in chunks:
        with suppress(tomllib.TOMLDecodeError):
            sound = _merged(sound, tomllib.loads("\n".join(chunk)))
    return sound


def _overrides(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Loc, str]]:
    raw: dict[str, Any] = {}
    names: dict[Loc, str] = {}
    for name in sorted(n for n in environ if n.startswith(PREFIX)):
        loc = tuple(name.removeprefix(PREFIX).lower().split("__"))
        tree: dict[str, Any] = {loc[-1]: _value(environ[name])}
        for part in reversed(loc[:-1]):
            tree = {part: tree}
        raw = _merged(raw, tree)
        names[loc] = name
    return raw, names


def _value(text: str) -> Any:
    """``8080`` is a number, ``data`` is text: TOML if it is, the words if not."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(both.get(key), dict):
            both[key] = _merged(both[key], value)
        else:
            both[key] = value
    return both


def _check(draft: Draft) -> tuple[Config | None, tuple[Fault, ...]]:
    faults = draft.faults + secrets(draft.lines, draft.raw)
    try:
        config = Config.model_validate(draft.raw)
    except ValidationError as error:
        return None, faults + from_validation(draft.lines, Config, error.errors())
    return (config if not faults else None), faults


def _salvage(draft: Draft) -> Config:
    """The defaults, with every sound key of a broken file."""
    raw = copy.deepcopy(dict(draft.raw))
    for _ in range(SALVAGE_ROUNDS):
        try:
            return Config.model_validate(raw)
        except ValidationError as error:
            for fault in error.errors():
                _remove(raw, fault["loc"])
    return Config()


def _remove(raw: dict[str, Any], loc: Loc) -> None:
    """Take out the key at ``loc``, or the nearest thing above it that is a key."""
    if not loc:
        raw.pop("stations", None)  # the only contradiction between sections
        return
    here: Any = raw
    path: list[tuple[dict[str, Any], str]] = []
    for part in loc:
        if not isinstance(here, dict) or part not in here:
            break
        path.append((here, str(part)))
        here = here[part]
    if len(path) == len(loc) or not isinstance(here, dict):
        holder, key = path[-1]
    else:  # a key is missing: its whole table cannot be used
        holder, key = path[-1] if path else (raw, str(loc[0]))
    holder.pop(key, None)
