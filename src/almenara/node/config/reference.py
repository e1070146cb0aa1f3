"""What is said about the configuration, made from the keys themselves.

``almenara.example.toml``, ``docs/reference/config.md``, ``config schema`` and ``config
explain`` have one source, so they cannot disagree with the program.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from almenara.node.config.loading import Draft
from almenara.node.config.sections import AreaConfig, Config, ZoneConfig

_AREA_EXAMPLE = """\
# [recording.areas.<id>]: another folder for recordings, on a disk of its own.
# [recording.areas.second]
# directory = "/srv/second/recordings"
"""
_ZONE_EXAMPLE = """\
# [zone.<id>]: a polygon in the world that somebody watches. Latitude stands first.
# [zone.anchorage]
# name = "The anchorage"
# vertices = [[36.00, -5.62], [36.00, -5.58], [35.97, -5.58]]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as the manual shows it."""

    name: str
    """Dotted: ``recording.keep_days``."""

    default: Any
    limits: str
    text: str


def keys() -> tuple[Key, ...]:
    """Every key with a fixed name, in the order of the file."""
    return tuple(_keys(Config, ""))


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return Config.model_json_schema()


def example() -> str:
    """The example file: every key at its default, commented out."""
    lines = [
        "# Almenara's configuration. An empty file is a good one: every key below has",
        "# the default shown. Check it with: almenara config check almenara.toml",
        "# Override from the environment: ALMENARA__CONSOLE__PORT=9000",
        "",
    ]
    section = ""
    for key in keys():
        table, _, name = key.name.rpartition(".")
        if table != section:
            about = _value(Config(), tuple(table.split(".")))
            lines += ["", f"# {(about.__doc__ or '').strip()}", f"[{table}]"]
            section = table
        limits = f" ({key.limits})" if key.limits else ""
        lines += [f"# {key.text}{limits}", f"# {name} = {_toml(key.default)}"]
    return "\n".join([*lines, "", _AREA_EXAMPLE, _ZONE_EXAMPLE])


def manual() -> str:
    """``docs/reference/config.md``."""
    lines = [
        "# Configuration",
        "",
        "Generated from the program by `make docs`; do not edit.",
        "",
        "`almenara.toml` is TOML; an empty file is valid. `almenara config check` says",
        "every fault at once, `almenara config explain KEY` says value and origin. Any",
        "key can be overridden by an environment variable such as",
        "`ALMENARA__RECORDING__KEEP_DAYS=14`. Secrets never stand in this file.",
        "",
        "| key | default | limits | meaning |",
        "|---|---|---|---|",
    ]
    for key in keys():
        default = _toml(key.default).replace("|", "\\|")
        lines.append(f"| `{key.name}` | `{default}` | {key.limits} | {key.text} |")
    for name, about in AreaConfig.model_fields.items():
        default = "" if about.is_required() else f"`{_toml(about.default)}`"
        text = _line(about.description)
        lines.append(
            f"| `recording.areas.<id>.{name}` | {default} | {_limits(about)} | {text} |"
        )
    for name, about in ZoneConfig.model_fields.items():
        text = _line(about.description)
        lines.append(f"| `zone.<id>.{name}` | | {_limits(about)} | {text} |")
    return "\n".join(lines) + "\n"


def explain(key: str, draft: Draft, config: Config) -> str | None:
    """Value, origin and meaning of one key or section; None if there is no such key."""
    loc = tuple(key.split("."))
    known = {k.name: k for k in keys()}
    value = _value(config, loc)
    if value is _ABSENT:
        return None
    said = _value(draft.raw, loc)
    origin = "default" if said is _ABSENT else draft.lines.place(loc).rsplit(": ", 1)[0]
    lines = [f"{key} = {_toml(value)}", f"from: {origin}"]
    if about := known.get(key):
        lines += [f"default: {_toml(about.default)}", about.text]
        lines += [f"limits: {about.limits}"] if about.limits else []
    return "\n".join(lines)


_ABSENT = object()


def _value(tree: object, loc: tuple[str, ...]) -> Any:
    for part in loc:
        if isinstance(tree, Mapping):
            tree = tree.get(part, _ABSENT)
        else:
            tree = getattr(tree, part, _ABSENT) if _is_field(tree, part) else _ABSENT
    return tree


def _is_field(tree: object, part: str) -> bool:
    return isinstance(tree, BaseModel) and part in type(tree).model_fields


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, about in model.model_fields.items():
        default = about.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _keys(type(default), f"{prefix}{name}.")
        elif not isinstance(default, Mapping):
            yield Key(
                name=prefix + name,
                default=default,
                limits=_limits(about),
                text=_line(about.description),
            )


def _limits(about: FieldInfo) -> str:
    facts = {
        name: f"{getattr(rule, name):g}"
        for rule in about.metadata
        for name in ("ge", "le")
        if getattr(rule, name, None) is not None
    }
    return f"{facts['ge']} to {facts['le']}" if len(facts) == 2 else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _toml(value: Any) -> str:
    """A value as TOML writes it; JSON's text, numbers and lists are TOML's."""
    plain = TypeAdapter(type(value)).dump_python(value, mode="json")
    return json.dumps(plain, ensure_ascii=False)
