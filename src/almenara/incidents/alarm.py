"""Alerts and alarms: what a rule found, and what a person has to deal with.

An *alert* is a rule's find, immutable, with reasons in keys and numbers. An *alarm* is
the entry in the queue to which alerts attach: one situation, one alarm.

Source: IMO MSC.302(87), IEC 62923-1 for states and priorities;
docs/design/first-light.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from almenara.core.ids import AlarmId, PersonId
from almenara.core.labels import Labels
from almenara.core.values import Position


class Priority(IntEnum):
    """Order of the operator's queue; the words are those of IMO MSC.302(87)."""

    CAUTION = 1
    WARNING = 2
    ALARM = 3
    EMERGENCY = 4


class AlarmState(StrEnum):
    """The letters of the ALF sentence (IEC 62923-2)."""

    NORMAL = "N"
    UNACKNOWLEDGED = "V"
    SILENCED = "S"
    ACKNOWLEDGED = "A"
    TRANSFERRED = "O"
    RECTIFIED = "U"
    """The condition ended before anybody acknowledged."""


class SubjectKind(StrEnum):
    """What an alarm is about; one alarm per subject."""

    CONTACT = "contact"
    CAMERA = "camera"
    RECEIVER = "receiver"
    STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The thing an alarm is about."""

    kind: SubjectKind
    id: str
    """Track id, camera id, receiver id…"""


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact: a key that the console translates, and the values to put into it."""

    key: str
    values: Mapping[str, float | str] = field(default_factory=dict[str, float | str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule's opinion, with the facts that led to it, so that a person can judge."""

    rule: str
    rule_version: int
    subject: Subject
    priority: Priority
    is_rescue: bool
    because: tuple[Reason, ...]
    unknown: tuple[str, ...] = ()
    """Keys of the facts that were not known; each is shown, none counts as safe."""

    suggested: str
    """Key of the act to consider first; assistance stands before everything else."""

    position: Position | None = None
    position_std_m: float | None = None
    sensors: tuple[str, ...] = ()
    confidence: float | None = None
    observed_at: datetime | None = None
    """Capture time of the newest measurement that led to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person must look at, and who has."""

    alarm_id: AlarmId
    subject: Subject
    state: AlarmState
    priority: Priority
    is_rescue: bool
    version: int
    """Counts announcements: an acknowledgement is good for the version it saw."""

    alerts: tuple[Alert, ...]
    """The newest alert of each rule, gravest first."""

    raised_at: datetime
    changed_at: datetime
    acknowledged_by: PersonId | None = None
    acknowledged_at: datetime | None = None
    labels: Labels = field(default_factory=Labels)

    @property
    def is_active(self) -> bool:
        """Whether the condition still holds."""
        return self.state not in (AlarmState.NORMAL, AlarmState.RECTIFIED)

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether it still rings or flashes for somebody."""
        return self.state in (
            AlarmState.UNACKNOWLEDGED,
            AlarmState.SILENCED,
            AlarmState.RECTIFIED,
        )
