"""One line of the audit: who did what, when, with which thing, why and with what end.

The classes of acts are the six of Directive (EU) 2016/680, article 25, and security
events. An entry is made where the act is decided and written in the transaction of the
act, so that neither exists without the other. Nothing here names a watched person: an
object of an entry is a station, a span of recording, an alarm.

Source: Directive (EU) 2016/680, article 25(1).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import PersonId


class AuditAction(StrEnum):
    """The class of an act."""

    COLLECTION = "collection"
    ALTERATION = "alteration"
    CONSULTATION = "consultation"
    DISCLOSURE = "disclosure"
    COMBINATION = "combination"
    ERASURE = "erasure"
    SECURITY = "security"
    """Sign-in, sign-out, refusals, keys, accounts: not of article 25, as important."""


class AuditResult(StrEnum):
    """How it ended."""

    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditActor:
    """Who acted; nobody acts as *the system* without a name."""

    person_id: PersonId
    """A person, or a service such as ``service/node``."""

    name: str
    roles: tuple[str, ...] = ()
    purpose: str | None = None
    session: str | None = None
    """A short print of the session; never its token."""

    address: str | None = None
    """The peer's address as the socket gave it; forwarding headers are not believed."""


ANONYMOUS = AuditActor(person_id=PersonId("anonymous"), name="anonymous")
"""Somebody who tried before anybody was known: a failed sign-in still has an actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditObject:
    """What was acted upon."""

    kind: str
    """Such as ``alarm``, ``camera``, ``account``, ``audit``."""

    id: str
    start: datetime | None = None
    """With ``end``: the span of recording, [start, end)."""

    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"ends before it starts: {self!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act; immutable, and only ever appended."""

    entry_id: str
    """Random; also the request's id, so that log and audit meet."""

    at: datetime
    actor: AuditActor
    action: AuditAction
    act: str
    """What exactly, as a stable key: ``alarm.acknowledge``."""

    object: AuditObject
    result: AuditResult = AuditResult.ALLOW
    justification: str | None = None
    """In the person's own words; required where recorded video is consulted."""

    size_bytes: int | None = None
    """How much left the house, where bytes were handed out."""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an act has a time zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEntry:
    """An entry with its place in the audit."""

    seq: int
    """From 1, without a hole."""

    entry: AuditEntry
