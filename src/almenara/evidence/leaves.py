"""What the evidence log says: one leaf for each act, as bytes that never vary.

A leaf is one byte for its kind and then JSON: ASCII, keys sorted, no spaces, numbers
whole, hashes in hexadecimal, times in microseconds since 1970 UTC under a key that ends
in ``_us``. Anybody who can read JSON and compute SHA-256 can check one, in any
language. Free text that may name a person is not in a leaf: a leaf holds SHA-256 of a
salt and the text, and both can be destroyed without harm to any proof.

Source: docs/design/evidence-log.md, "Leaves".
"""

import hashlib
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from almenara.core.time import from_micros, to_micros

SALT_BYTES = 16
MOST_BYTES = 1_048_576
"""A longer leaf is refused unread; a segment of a minute has some 3 kB."""


class Kind(IntEnum):
    """The first byte of a leaf; a number once given keeps its meaning for ever."""

    OPENING = 0
    """The first leaf of a log, and only that."""

    SEGMENT = 1
    AUDIT = 2
    ALARM = 3
    HOLD = 4
    DELETION = 5
    CONFIGURATION = 6
    EXCHANGE = 7
    KEY = 8
    CLOCK = 9
    GAP = 10
    APPROVAL = 11
    RELEASE = 12


class HoldStep(StrEnum):
    """What became of a hold."""

    PLACED = "placed"
    RELEASED = "released"


class GapStep(StrEnum):
    """What became of a gap."""

    OPENED = "opened"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    """It turned out to have no length."""


class Deleted(StrEnum):
    """What was deleted."""

    SEGMENT = "segment"
    TEXT = "text"
    """A personal text and its salt."""


class KeyStep(StrEnum):
    """What became of a key."""

    ENTERED = "entered"
    """The first of a log: signed by itself."""

    SUCCEEDED = "succeeded"
    """Signed by the key before it and by itself."""

    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Rows that are older than the log: named once, in its first leaf."""

    table: str
    rows: int
    last: int | None
    """The newest row's number, where rows are numbered and never change."""

    sha256: bytes | None
    """Of all of them, where they never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpening:
    """Where a log begins, and what it follows."""

    kind: ClassVar[Kind] = Kind.OPENING

    log: int
    at: datetime
    reason: str
    """``installed``, ``migrated``, or why the log before was left."""

    by: str
    """The service or person."""

    continues: str | None
    """The last checkpoint of the log before that a witness signed, as a note."""

    earlier: tuple[Earlier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFragment:
    """A span of a segment's file and its hash."""

    offset_bytes: int
    length_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSealed:
    """A file of video that nobody writes to any more."""

    kind: ClassVar[Kind] = Kind.SEGMENT

    segment_id: str
    stream_id: str
    run: int
    origin: str
    started_at: datetime
    ended_at: datetime
    size_bytes: int
    init_size_bytes: int
    init_sha256: bytes
    fragments: tuple[SealedFragment, ...]
    table_sha256: bytes
    """Of the packed table of fragments, which holds their times too."""

    labels: str
    software: str
    previous: bytes | None
    """The leaf hash of the same stream's segment before; None for the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAct:
    """A line of the audit."""

    kind: ClassVar[Kind] = Kind.AUDIT

    seq: int
    entry_id: str
    at: datetime
    person_id: str
    roles: tuple[str, ...]
    purpose: str | None
    action: str
    act: str
    object_kind: str
    object_id: str
    object_from: datetime | None
    object_to: datetime | None
    result: str
    size_bytes: int | None
    personal: bytes
    """Commits to the person's name, session and address, and their own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmStep:
    """A step in the life of an alarm."""

    kind: ClassVar[Kind] = Kind.ALARM

    step_id: int
    alarm_id: str
    at: datetime
    event: str
    state_before: str | None
    state_after: str
    version: int
    announces: bool
    person_id: str | None
    alarm_sha256: bytes
    """Of the alarm's whole row after this step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChange:
    """Footage was frozen for a case, or given back."""

    kind: ClassVar[Kind] = Kind.HOLD

    step: HoldStep
    hold_id: str
    at: datetime
    stream_id: str | None
    started_at: datetime
    ended_at: datetime
    ground: bytes
    """Commits to the legal ground, which may name a case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Something was deleted; its hash and times stay."""

    kind: ClassVar[Kind] = Kind.DELETION

    what: Deleted
    id: str
    at: datetime
    reason: str
    stream_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    size_bytes: int | None
    sha256: bytes
    """Of the segment's table of fragments; of a text, what its leaf commits to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationVersion:
    """A new version of the stations, a calibration, a mask, or the settings."""

    kind: ClassVar[Kind] = Kind.CONFIGURATION

    what: str
    version: int
    at: datetime
    author: str
    reason: bytes
    """Commits to the author's words."""

    sha256: bytes
    """Of the version's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRecord:
    """An envelope went to a partner or came from one, or was receipted."""

    kind: ClassVar[Kind] = Kind.EXCHANGE

    envelope_id: str
    partner: str
    direction: str
    at: datetime
    sha256: bytes
    receipt_sha256: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """A key of this log came or went."""

    kind: ClassVar[Kind] = Kind.KEY

    step: KeyStep
    name: str
    """The origin it signs for."""

    public_key: bytes
    at: datetime
    by: str
    reason: str
    before: bytes | None
    """The public key it follows."""

    signatures: tuple[bytes, ...]
    """Over :func:`key_statement`: its own, then that of the key before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvent:
    """The wall clock was set, or lost or found its source."""

    kind: ClassVar[Kind] = Kind.CLOCK

    at: datetime
    monotonic_us: int
    step_us: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapChange:
    """Nothing was recorded from here on, or is again."""

    kind: ClassVar[Kind] = Kind.GAP

    step: GapStep
    stream_id: str
    started_at: datetime
    ended_at: datetime | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A second person agreed to exactly these parameters."""

    kind: ClassVar[Kind] = Kind.APPROVAL

    request_id: str
    act: str
    sha256: bytes
    """Of the frozen parameters."""

    requested_by: str
    approved_by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareRelease:
    """From here on another version of the program writes."""

    kind: ClassVar[Kind] = Kind.RELEASE

    version: str
    at: datetime


Leaf = (
    LogOpening
    | SegmentSealed
    | AuditAct
    | AlarmStep
    | HoldChange
    | Deletion
    | ConfigurationVersion
    | ExchangeRecord
    | KeyEvent
    | ClockEvent
    | GapChange
    | Approval
    | SoftwareRelease
)
KINDS: Mapping[Kind, type[Any]] = {each.kind: each for each in get_args(Leaf)}


_ENCODER = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_NAMED = {
    Kind.OPENING: "log",
    Kind.SEGMENT: "segment_id",
    Kind.AUDIT: "seq",
    Kind.ALARM: "step_id",
    Kind.HOLD: "hold_id",
    Kind.DELETION: "id",
    Kind.EXCHANGE: "envelope_id",
    Kind.APPROVAL: "request_id",
    Kind.RELEASE: "version",
}


def subject(leaf: Leaf) -> str:
    """What a leaf speaks of, as a store finds it again; unique only with its kind."""
    if isinstance(leaf, GapChange):
        return f"{leaf.stream_id}/{to_micros(leaf.started_at)}"
    if isinstance(leaf, ConfigurationVersion):
        return f"{leaf.what}/{leaf.version}"
    named = _NAMED.get(leaf.kind)
    return str(getattr(leaf, named)) if named else ""


def encode(leaf: Leaf) -> bytes:
    """The bytes that are hashed: the same for the same leaf, for ever."""
    return bytes([leaf.kind]) + _ENCODER.encode(_plain(leaf)).encode("ascii")


def decode(data: bytes) -> Leaf:
    """Inverse of :func:`encode`.

    Raises:
        ValueError: It is no leaf, or another spelling of one.
    """
    if not 2 <= len(data) <= MOST_BYTES:
        raise ValueError(f"a leaf has 2 to {MOST_BYTES} bytes, not {len(data)}")
    try:
        leaf: Leaf = _read(KINDS[Kind(data[0])], json.loads(data[1:].decode("ascii")))
        again = encode(leaf)
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a leaf: {data[:60]!r}") from error
    if again != data:
        raise ValueError(f"not the one spelling of this leaf: {data[:60]!r}")
    return leaf


def canonical(value: object) -> bytes:
    """JSON in the one spelling that is hashed.

    Raises:
        TypeError: There is a fraction in it, or something that is not JSON.
    """
    _refuse_fractions(value)
    return _ENCODER.encode(value).encode("ascii")


def commitment(salt: bytes, text: str) -> bytes:
    """What a leaf holds in place of a text: nobody finds the text from it."""
    return hashlib.sha256(salt + text.encode()).digest()


def key_statement(event: KeyEvent) -> bytes:
    """What the keys of a change sign."""
    plain = {key: value for key, value in _plain(event).items() if key != "signatures"}
    return b"almenara/key/v1\n" + canonical(plain)


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON has it."""
    kind: Any = type(value)
    return {key: _json(getattr(value, name)) for name, key in _keys(kind).items()}


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, SealedFragment):  # thirty in a leaf: a list is half as long
        return [value.offset_bytes, value.length_bytes, value.sha256.hex()]
    if isinstance(value, datetime):
        return to_micros(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return _plain(value)  # not a dataclass: a fraction, or worse, and refused there


def _read(kind: Any, plain: Any) -> Any:
    hints, keys = _hints(kind), _keys(kind)
    if not isinstance(plain, dict) or set(plain) != set(keys.values()):
        raise ValueError(f"not the keys of {kind.__name__}")
    return kind(**{name: _value(hints[name], plain[keys[name]]) for name in hints})


def _value(hint: Any, plain: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        first = next(h for h in get_args(hint) if h is not type(None))
        return None if plain is None else _value(first, plain)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], each) for each in _of(list, plain))
    if hint in _READERS:
        return _READERS[hint](plain)
    if is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, plain)
    return hint(_of(str, plain)) if issubclass(hint, StrEnum) else _of(hint, plain)


def _fragment(plain: Any) -> SealedFragment:
    offset, length, sha256 = _of(list, plain)
    return SealedFragment(
        offset_bytes=_of(int, offset),
        length_bytes=_of(int, length),
        sha256=bytes.fromhex(_of(str, sha256)),
    )


_READERS: Mapping[Any, Callable[[Any], Any]] = {
    SealedFragment: _fragment,
    datetime: lambda plain: from_micros(_of(int, plain)),
    bytes: lambda plain: bytes.fromhex(_of(str, plain)),
}


def _of(kind: type[Any], plain: Any) -> Any:
    if type(plain) is not kind:
        raise ValueError(f"not a {kind.__name__}: {str(plain)[:60]!r}")
    return plain


@cache
def _keys(kind: Any) -> dict[str, str]:
    """Times say their unit: ``started_at`` is written as ``started_us``."""
    return {
        name: f"{name.removesuffix('_at')}_us"
        if hint is datetime or datetime in get_args(hint)
        else name
        for name, hint in _hints(kind).items()
    }


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """A dataclass's fields and their types."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _refuse_fractions(value: object) -> None:
    if isinstance(value, float):
        raise TypeError(f"a fraction has no one spelling: {value!r}")
    if isinstance(value, dict):
        for each in value.values():
            _refuse_fractions(each)
    if isinstance(value, list | tuple):
        for each in value:
            _refuse_fractions(each)
