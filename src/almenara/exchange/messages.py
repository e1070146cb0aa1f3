"""What may be said: one strict model for every type of message and its version.

An unknown type, an unknown member or a value out of range never stops a stream: the
envelope is set aside and a code goes back. There is no model that could hold a person,
a picture or a likeness; people are a range of numbers.

Codes and values travel, never sentences: each centre renders its own language.

Source: docs/design/exchange.md, "What is exchanged"; Regulation (EU) 656/2014,
article 9; Commission Implementing Regulation (EU) 2021/581, articles 16 and 17.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError, model_validator

from almenara.exchange.envelope import Claims, Digest, Strict, Uuid, Whole
from almenara.exchange.ledger import Outcome

Key = Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,60}$")]
Alias = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.-]{1,60}$")]
Words = Annotated[str, Field(max_length=2000)]
"""Free text: a second person has approved it, and it says its language."""

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
Metres = Annotated[float, Field(ge=0.0, le=1e7)]
Degrees = Annotated[float, Field(ge=0.0, lt=360.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Mmsi = Annotated[int, Field(ge=1, le=999_999_999)]
Class = Literal["ship", "small_craft", "inflatable", "unknown"]


class Place(Strict):
    """WGS 84, latitude first, with the half axes of its 95 % ellipse."""

    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude_deg: Annotated[float, Field(ge=-180.0, le=180.0)]
    major_m: Metres
    minor_m: Metres
    orientation_deg: Degrees
    at_ms: Whole
    """Of the measurement, not of the message."""


class People(Strict):
    """How many, at least and at most: all that is ever said of people."""

    at_least: Annotated[int, Field(ge=0, le=100_000)]
    at_most: Annotated[int, Field(ge=0, le=100_000)] | None

    @model_validator(mode="after")
    def _is_a_range(self) -> "People":
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError("ends before it begins")
        return self


class Reason(Strict):
    """A key that each centre renders, and its values."""

    key: Key
    values: dict[Key, float | str] = Field(default_factory=dict, max_length=20)


class Factor(Strict):
    """One of the ten of article 9; nine only as a human source reported it."""

    number: Annotated[int, Field(ge=1, le=10)]
    state: Literal["observed_adverse", "likely_adverse", "observed_good", "unknown"]
    at_ms: Whole | None = None


class RescueCase(Strict):
    """A case as it stands: complete in itself, so that nothing has to be asked for."""

    case: Alias
    version: Annotated[int, Field(ge=1)]
    phase: Literal["uncertainty", "alert", "distress", "ended"]
    coordinator: Alias
    position: Place | None
    people: People | None
    factors: tuple[Factor, ...] = Field(max_length=10, strict=False)
    craft: Class
    length_m: Metres | None = None
    reasons: tuple[Reason, ...] = Field(default=(), max_length=20, strict=False)
    contact: Annotated[str, Field(max_length=200)] | None = None
    """Of the rescue coordination centre: an office, with its telephone."""


class CustodyEntry(Strict):
    """One line of the ledger of who coordinates."""

    case: Alias
    epoch: Whole
    entry: Literal[
        "opened",
        "offer",
        "accept",
        "refuse",
        "withdraw_request",
        "withdrawn",
        "closed",
    ]
    number: Whole
    at_ms: Whole
    reason: Key | None = None


class AlarmShared(Strict):
    """An alarm that one of our rules raised, with its reasons."""

    alarm: Alias
    version: Annotated[int, Field(ge=1)]
    priority: Literal["emergency", "alarm", "warning", "caution"]
    rescue: bool
    rule: Key
    reasons: tuple[Reason, ...] = Field(max_length=20, strict=False)
    unknown: tuple[Key, ...] = Field(default=(), max_length=20, strict=False)
    position: Place | None


class Incident(Strict):
    """What happened, where and when, and how sure that is."""

    incident: Alias
    version: Annotated[int, Field(ge=1)]
    what: Key
    where: Place | None
    at_ms: Whole
    certainty: Literal["observed", "likely", "possible", "unlikely", "unknown"]
    impact: Literal["low", "medium", "high", "very_high"] | None = None
    credibility: Annotated[int, Field(ge=1, le=6)] | None = None
    reliability: Literal["A", "B", "C", "D", "E", "F"] | None = None
    mmsi: Mmsi | None = None


class TrackSummary(Strict):
    """A system track, thinned; its makers are named, so that nobody counts it twice."""

    track: Alias
    position: Place
    east_mps: Annotated[float, Field(ge=-100.0, le=100.0)]
    north_mps: Annotated[float, Field(ge=-100.0, le=100.0)]
    speed_std_mps: Annotated[float, Field(ge=0.0, le=100.0)]
    existence: Share
    craft: Class
    mmsi: Mmsi | None = None
    origins: tuple[Alias, ...] = Field(min_length=1, max_length=40, strict=False)


class Bearing(Strict):
    """A direction from a station: no picture leaves, and both gain a place."""

    station: Alias
    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude_deg: Annotated[float, Field(ge=-180.0, le=180.0)]
    height_m: Annotated[float, Field(ge=0.0, le=9000.0)]
    position_std_m: Metres
    at_ms: Whole
    clock_error_ms: Whole
    azimuth_deg: Degrees
    noise_std_deg: Annotated[float, Field(gt=0.0, le=45.0)]
    bias_std_deg: Annotated[float, Field(ge=0.0, le=45.0)]
    elevation_deg: Annotated[float, Field(ge=-90.0, le=90.0)] | None = None
    elevation_std_deg: Annotated[float, Field(gt=0.0, le=45.0)] | None = None
    sensor: Literal["day", "thermal", "radar"]
    contact: Alias
    existence: Share
    craft: Class
    origin: Alias


class TaskRequest(Strict):
    """A request, never a command: its receiver accepts or declines."""

    task: Alias
    definition: Annotated[int, Field(ge=1)]
    what: Literal["assist", "search", "look", "escort", "relay", "other"]
    life_at_risk: bool
    position: Place | None
    until_ms: Whole | None = None
    note: Words | None = None
    note_language: Language | None = None


class TaskStatus(Strict):
    """What became of a request."""

    task: Alias
    definition: Annotated[int, Field(ge=1)]
    status: Annotated[int, Field(ge=1)]
    state: Literal[
        "seen",
        "wilco",
        "declined",
        "counter",
        "executing",
        "done",
        "not_done",
        "cancelled",
        "too_late",
        "expired",
    ]
    reason: Key | None = None


class EvidencePointer(Strict):
    """That a recording exists, by its hash; no bytes of it."""

    sha256: Digest
    camera: Alias
    start_ms: Whole
    end_ms: Whole
    log_index: Whole
    checkpoint: Annotated[str, Field(max_length=2000)]


class Annotation(Strict):
    """A remark on the partner's record; it never changes it."""

    of: Uuid
    remark: Key
    note: Words | None = None
    note_language: Language | None = None


class Recall(Strict):
    """Please erase what we told you under this id, and say what became of it."""

    of: Uuid
    reason: Key


class RecallAnswer(Strict):
    """What became of it."""

    of: Uuid
    answer: Literal["erased", "kept", "onward"]
    ground: Key | None = None
    to: tuple[Alias, ...] = Field(default=(), max_length=20, strict=False)


class LinkNotice(Strict):
    """A planned outage, or keys that will change."""

    notice: Literal["outage", "key_change", "clock"]
    start_ms: Whole
    end_ms: Whole | None = None


class LiveDigest(Strict):
    """That so many live messages went out: proof of what was released."""

    count: Whole
    first: Whole
    last: Whole
    sha256: Digest


MESSAGES: Mapping[tuple[str, int], type[Strict]] = MappingProxyType(
    {
        ("rescue.case", 1): RescueCase,
        ("rescue.custody", 1): CustodyEntry,
        ("alarm.shared", 1): AlarmShared,
        ("incident", 1): Incident,
        ("track.summary", 1): TrackSummary,
        ("bearing", 1): Bearing,
        ("task.request", 1): TaskRequest,
        ("task.status", 1): TaskStatus,
        ("evidence.pointer", 1): EvidencePointer,
        ("annotation", 1): Annotation,
        ("recall", 1): Recall,
        ("recall.answer", 1): RecallAnswer,
        ("link.notice", 1): LinkNotice,
        ("live.digest", 1): LiveDigest,
    }
)
"""Types and versions that this centre understands; told to the partner as such."""


def understand(claims: Claims) -> Outcome:
    """Whether a message is one of ours in form; fulfils ``link.Content``."""
    model = MESSAGES.get((claims.type, claims.ver))
    if model is None:
        return Outcome(accepted=False, code="EntityTypeNotAccepted")
    try:
        model.model_validate(claims.body)
    except ValidationError:
        return Outcome(accepted=False, code="BadRequest")
    return Outcome(accepted=True)


def fields_of(kind: str, version: int = 1) -> frozenset[str]:
    """What an allow-list for a type may name; nothing for a type nobody knows."""
    model = MESSAGES.get((kind, version))
    return frozenset() if model is None else frozenset(model.model_fields)


def body_of(message: Strict) -> dict[str, JsonValue]:
    """A message as the body of a record."""
    plain: dict[str, JsonValue] = message.model_dump(mode="json")
    return plain
