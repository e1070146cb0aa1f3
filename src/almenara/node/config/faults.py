"""From a refused value to a fault an operator can act on: place, found, expected, cure.

pydantic says what is wrong in a program's words and knows no lines; this module finds
the line in the TOML text, hides what looks like a secret, and suggests the cure.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

from almenara.core.errors import Fault

Loc = tuple[int | str, ...]
Raw = Mapping[str, Any]

HIDDEN = "•••"
SECRETIVE = re.compile(r"(?i)passw|secret|token|credential(?!s_file)|api_?key")
_USERINFO = re.compile(r"(?<=//)[^/\s\"']*:[^/\s\"']*@")
_HEADER = re.compile(r"^\s*\[(\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')((?:\s*\.\s*[\w"'-]+)*)\s*="""
)
_LINE = re.compile(r"line (\d+)")
_LONGEST = 60
_BOUNDS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "path_type": "a path in quotes",
    "tuple_type": "a list in square brackets",
    "dict_type": "a table of keys",
    "mapping_type": "a table of keys",
    "model_type": "a table of keys",
    "missing": "a value",
}


def wrong(expected: str, cure: str) -> PydanticCustomError:
    """The error a validator raises so that its fault has these words."""
    return PydanticCustomError(
        "almenara", "{expected}", {"expected": expected, "cure": cure}
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each key of a TOML text stands; a scan, so odd layouts may have no line."""

    name: str
    """Of the file, as the operator gave it."""

    of: Mapping[Loc, int] = field(default_factory=dict[Loc, int])
    overrides: Mapping[Loc, str] = field(default_factory=dict[Loc, str])
    """Environment variables that replaced a key."""

    def place(self, loc: Loc) -> str:
        """``file:line: key``; without the line where it is not known."""
        key = ".".join(map(str, loc))
        for depth in range(len(loc), 0, -1):
            if loc[:depth] in self.overrides:
                return f"environment {self.overrides[loc[:depth]]}: {key}"
            if loc[:depth] in self.of:
                return f"{self.name}:{self.of[loc[:depth]]}: {key}"
        return f"{self.name}: {key}" if key else self.name


def scan(name: str, text: str, overrides: Mapping[Loc, str] | None = None) -> Lines:
    """Note the line of every table header and key in ``text``."""
    lines: dict[Loc, int] = {}
    table: Loc = ()
    counts: dict[Loc, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1]:
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            else:
                table = _in_arrays(table, counts)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(table + _parts(key[1] + key[2]), number)
    return Lines(name, lines, overrides or {})


def _parts(dotted: str) -> Loc:
    found = re.findall(r'"[^"]*"|\'[^\']*\'|[^.\s]+', dotted)
    return tuple(part.strip("\"'") for part in found)


def _in_arrays(table: Loc, counts: Mapping[Loc, int]) -> Loc:
    """``[a.b]`` below ``[[a]]`` belongs to the latest ``a``."""
    at: Loc = ()
    for part in table:
        at = (*at, part)
        if at in counts:
            at = (*at, counts[at])
    return at


def shown(value: object, loc: Loc = ()) -> str:
    """A value as it may be repeated: short, and never a secret."""
    if any(SECRETIVE.search(str(part)) for part in loc):
        return HIDDEN
    if isinstance(value, Mapping):
        return f"a table with {', '.join(map(str, value)) or 'nothing'}"
    text = _USERINFO.sub(f"{HIDDEN}@", repr(value))
    if SECRETIVE.search(text):
        return HIDDEN
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def from_syntax(lines: Lines, error: Exception) -> Fault:
    """The fault of a file that is no TOML at all."""
    line = _LINE.search(str(error))
    number = line[1] if line else max(lines.of.values(), default=None)
    return Fault(
        place=f"{lines.name}:{number}" if number else lines.name,
        found=re.sub(r"\s*\(at .*\)$", "", str(error)),
        expected="TOML, one key = value a line",
        cure="Mend this line; compare almenara.example.toml.",
    )


def from_validation(
    lines: Lines, model: type[BaseModel], errors: Sequence[ErrorDetails]
) -> tuple[Fault, ...]:
    """One fault for each refusal, in the order of the file's keys."""
    return tuple(_fault(lines, model, error) for error in errors)


def _fault(lines: Lines, model: type[BaseModel], error: ErrorDetails) -> Fault:
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(lines, model, loc, error["input"])
    if kind == "almenara":
        expected, cure = str(context["expected"]), str(context["cure"])
    else:
        pattern = _BOUNDS.get(kind)
        expected = pattern.format(**context) if pattern else error["msg"]
        cure = "Correct the value, or leave the line out to use the default."
    if kind == "missing":
        cure = f"Add a line for {loc[-1]}."
    found = "nothing" if kind == "missing" else shown(error["input"], loc)
    return Fault(place=lines.place(loc), found=found, expected=expected, cure=cure)


def _unknown(lines: Lines, model: type[BaseModel], loc: Loc, value: object) -> Fault:
    known = sorted(_keys(model, loc[:-1]))
    wanted = str(loc[-1])
    near = difflib.get_close_matches(wanted, known, 1) or [
        key for key in known if key.split("_")[0] == wanted.split("_", maxsplit=1)[0]
    ]
    meant = f"Write {near[0]} instead." if near else "Take the line out."
    return Fault(
        place=lines.place(loc),
        found=f"the unknown key {wanted} = {shown(value, loc)}",
        expected=f"one of {', '.join(known)}" if known else "no key here",
        cure=meant,
    )


def _keys(model: type[BaseModel], loc: Loc) -> set[str]:
    """The keys allowed at ``loc``, walking models, mappings and lists."""
    here: Any = model
    for part in loc:
        here = _within(here, str(part))
    return set(here.model_fields) if _is_model(here) else set()


def _within(annotation: Any, part: str) -> Any:
    """The type one step further in; None where anything goes."""
    if _is_model(annotation):
        known = annotation.model_fields.get(part)
        return known.annotation if known else None
    inner = [_bare(argument) for argument in get_args(annotation)]
    if isinstance(get_origin(annotation), type) and len(inner) == 2:
        return inner[0] if inner[1] is ... else inner[1]
    return None


def _bare(annotation: Any) -> Any:
    return (
        get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    )


def _is_model(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def secrets(lines: Lines, raw: object, loc: Loc = ()) -> tuple[Fault, ...]:
    """Every password written into a URL, anywhere in the file; none is repeated."""
    if isinstance(raw, Mapping):
        inner = [secrets(lines, value, (*loc, key)) for key, value in raw.items()]
        return tuple(fault for faults in inner for fault in faults)
    if isinstance(raw, list):
        inner = [secrets(lines, value, (*loc, i)) for i, value in enumerate(raw)]
        return tuple(fault for faults in inner for fault in faults)
    if not (isinstance(raw, str) and holds_password(raw)):
        return ()
    return (
        Fault(
            place=lines.place(loc),
            found="an address with a password in it",
            expected="the address alone",
            cure="Take user and password out of the address; give them apart "
            "(docs/guide/stations.md).",
        ),
    )


def holds_password(url: str) -> bool:
    """Whether the text is a URL that carries a password."""
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return bool(_USERINFO.search(url))
