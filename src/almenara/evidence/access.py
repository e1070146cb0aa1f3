"""The gate: who may do what with which thing, and under which obligation.

One pure function, :func:`decide`, is the only place that knows roles. It asks in this
order: is anybody there, does a role allow the act at all, does the thing lie within the
person's centre, stations, mission and purpose. No rule matched means denied. What lies
outside somebody's scope is *not found*, so that an answer never tells that it exists.

Source: docs/design/first-light.md for the routes; the roles are a choice of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import CentreId, PersonId, StationId
from almenara.core.labels import Labels, Purpose
from almenara.evidence.audit import AuditAction


class Role(StrEnum):
    """What somebody is trusted with; a person may hold several."""

    OPERATOR = "operator"
    WATCH_OFFICER = "watch_officer"
    EVIDENCE_OFFICER = "evidence_officer"
    MAINTENANCE = "maintenance"
    AUDITOR = "auditor"
    DATA_PROTECTION_OFFICER = "data_protection_officer"
    ADMINISTRATOR = "administrator"
    LIAISON = "liaison"
    """Of a joint operation: sees the objects of its missions until they end."""


class Action(StrEnum):
    """Everything that can be asked for; every route names one."""

    SESSION_SELF = "session.self"
    ALARM_READ = "alarm.read"
    ALARM_ACKNOWLEDGE = "alarm.acknowledge"
    ALARM_SILENCE = "alarm.silence"
    CASE_READ = "case.read"
    CASE_OPEN = "case.open"
    CASE_WORK = "case.work"
    """Facts, assessment, raising the phase, reports, drift, search, asking to lower."""

    CASE_COORDINATE = "case.coordinate"
    """Offer, accept, refuse, withdraw."""

    CASE_AGREE = "case.agree"
    """Be the second person who lowers a phase or closes a case."""

    CASE_KNEW_WHEN = "case.knew_when"
    """Everything that was known, seen and done, in one line of time."""

    PICTURE_READ = "picture.read"
    STATION_READ = "station.read"
    STATION_CHANGE = "station.change"
    STATION_PROBE = "station.probe"
    VIDEO_LIVE = "video.live"
    VIDEO_STILL = "video.still"
    VIDEO_PLAYBACK = "video.playback"
    EXPORT_CREATE = "export.create"
    EXPORT_APPROVE = "export.approve"
    HEALTH_READ = "health.read"
    AUDIT_READ = "audit.read"
    METRICS_READ = "metrics.read"
    DOCS_READ = "docs.read"
    ACCOUNT_READ = "account.read"
    ACCOUNT_CHANGE = "account.change"


class Verdict(StrEnum):
    """How the gate answers."""

    ALLOW = "allow"
    FORBIDDEN = "forbidden"
    """The thing may be known of; the act is not theirs."""

    NOT_FOUND = "not_found"
    """Answered exactly as if the thing did not exist."""

    UNAUTHENTICATED = "unauthenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who asks, with everything the gate needs to know of them."""

    person_id: PersonId
    name: str
    centre_id: CentreId
    roles: frozenset[Role]
    purpose: Purpose
    """Why they are here; stated once for the session."""

    stations: frozenset[StationId] | None = None
    """The stations they are limited to; None means all of their centre."""

    missions: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Mission to the end of its grant; only a liaison is limited by it."""

    session: str | None = None
    """A short print of the session, for the audit; never the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the gate needs to know of a thing."""

    kind: str
    id: str
    centre_id: CentreId | None = None
    """None: this centre's own."""

    station_id: StationId | None = None
    """None: belongs to no single station."""

    mission: str | None = None
    labels: Labels | None = None
    """None for what carries no purpose, such as a station or a figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's answer; an allowed act owes what ``audit`` says."""

    verdict: Verdict
    audit: AuditAction | None = None
    """The class of the entry the act must leave; None where it leaves none."""

    @property
    def allowed(self) -> bool:
        """Whether the act may go on."""
        return self.verdict is Verdict.ALLOW


_OWN = frozenset({Action.SESSION_SELF})
_WATCH = _OWN | {
    Action.ALARM_READ,
    Action.ALARM_ACKNOWLEDGE,
    Action.ALARM_SILENCE,
    Action.PICTURE_READ,
    Action.STATION_READ,
    Action.VIDEO_LIVE,
    Action.VIDEO_STILL,
    Action.VIDEO_PLAYBACK,
    Action.HEALTH_READ,
    Action.CASE_READ,
    Action.CASE_OPEN,
    Action.CASE_WORK,
    # An offer of coordination must never wait for an officer to come.
    Action.CASE_COORDINATE,
}

ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.OPERATOR: _WATCH,
    Role.WATCH_OFFICER: _WATCH
    | {
        Action.CASE_AGREE,
        Action.CASE_KNEW_WHEN,
        # The second person of a disclosure; never the first.
        Action.EXPORT_APPROVE,
    },
    # Prepares evidence; never watches live.
    Role.EVIDENCE_OFFICER: _OWN
    | {
        Action.ALARM_READ,
        Action.STATION_READ,
        Action.VIDEO_PLAYBACK,
        Action.CASE_READ,
        Action.CASE_KNEW_WHEN,
        Action.EXPORT_CREATE,
        Action.EXPORT_APPROVE,
    },
    # Keeps sensors working; sees no video by default.
    Role.MAINTENANCE: _OWN
    | {
        Action.STATION_READ,
        Action.STATION_PROBE,
        Action.HEALTH_READ,
        Action.METRICS_READ,
        Action.DOCS_READ,
    },
    Role.AUDITOR: _OWN | {Action.AUDIT_READ, Action.METRICS_READ},
    Role.DATA_PROTECTION_OFFICER: _OWN | {Action.AUDIT_READ, Action.STATION_READ},
    # Runs the centre; sees neither video nor the audit.
    Role.ADMINISTRATOR: _OWN
    | {
        Action.STATION_READ,
        Action.STATION_CHANGE,
        Action.STATION_PROBE,
        Action.HEALTH_READ,
        Action.METRICS_READ,
        Action.DOCS_READ,
        Action.ACCOUNT_READ,
        Action.ACCOUNT_CHANGE,
    },
    Role.LIAISON: _OWN
    | {
        Action.ALARM_READ,
        Action.CASE_READ,
        Action.PICTURE_READ,
        Action.STATION_READ,
        Action.VIDEO_LIVE,
        Action.VIDEO_STILL,
        Action.VIDEO_PLAYBACK,
    },
}
"""Hand-checked against tests/authz/expected.csv; a role not here may nothing."""

SERVES: Mapping[Purpose, frozenset[Purpose]] = {
    # Rescue is never held up: who comes for it sees what any watch of the coast sees.
    Purpose.SAR: frozenset({Purpose.SAR, Purpose.SAFETY, Purpose.BORDER}),
    Purpose.SAFETY: frozenset({Purpose.SAR, Purpose.SAFETY}),
    Purpose.BORDER: frozenset({Purpose.SAR, Purpose.SAFETY, Purpose.BORDER}),
    Purpose.LAW_ENFORCEMENT: frozenset({Purpose.BORDER, Purpose.LAW_ENFORCEMENT}),
    Purpose.MAINTENANCE: frozenset({Purpose.MAINTENANCE}),
    Purpose.AUDIT: frozenset({Purpose.AUDIT}),
}
"""Which records a stated purpose may read."""

OWES: Mapping[Action, AuditAction] = {
    Action.ALARM_ACKNOWLEDGE: AuditAction.ALTERATION,
    Action.ALARM_SILENCE: AuditAction.ALTERATION,
    Action.CASE_READ: AuditAction.CONSULTATION,
    Action.CASE_OPEN: AuditAction.COLLECTION,
    Action.CASE_WORK: AuditAction.ALTERATION,
    Action.CASE_COORDINATE: AuditAction.ALTERATION,
    Action.CASE_AGREE: AuditAction.ALTERATION,
    Action.CASE_KNEW_WHEN: AuditAction.DISCLOSURE,
    Action.STATION_CHANGE: AuditAction.ALTERATION,
    Action.STATION_PROBE: AuditAction.CONSULTATION,
    Action.VIDEO_LIVE: AuditAction.CONSULTATION,
    Action.VIDEO_STILL: AuditAction.CONSULTATION,
    Action.VIDEO_PLAYBACK: AuditAction.CONSULTATION,
    Action.EXPORT_CREATE: AuditAction.DISCLOSURE,
    Action.EXPORT_APPROVE: AuditAction.DISCLOSURE,
    Action.AUDIT_READ: AuditAction.CONSULTATION,
    Action.ACCOUNT_CHANGE: AuditAction.SECURITY,
}
"""What an act leaves in the audit."""


def decide(
    principal: Principal | None, action: Action, header: Header | None, now: datetime
) -> Decision:
    """Judge one act.

    Args:
        principal: Who asks; None if nobody is signed in.
        action: What they want to do.
        header: With what; None asks whether the act is theirs at all, and every thing
            it then touches has to be asked for again.
        now: Ends missions.
    """
    if principal is None:
        return Decision(verdict=Verdict.UNAUTHENTICATED)
    holding = [role for role in principal.roles if action in ALLOWED.get(role, ())]
    if not holding:
        return Decision(verdict=Verdict.FORBIDDEN)
    if header is not None and not _within(principal, holding, header, now):
        return Decision(verdict=Verdict.NOT_FOUND)
    return Decision(verdict=Verdict.ALLOW, audit=OWES.get(action))


def permissions(roles: frozenset[Role]) -> tuple[Action, ...]:
    """Everything these roles allow, by name; what the interface offers to do."""
    allowed = frozenset[Action]().union(*(ALLOWED.get(role, ()) for role in roles))
    return tuple(sorted(allowed))


def _within(
    principal: Principal, holding: list[Role], header: Header, now: datetime
) -> bool:
    """Whether the thing lies in somebody's centre, stations, mission and purpose."""
    return (
        _of_their_centre(principal, header)
        and _of_their_stations(principal, header)
        and any(_of_the_mission(role, principal, header, now) for role in holding)
        and _serves_their_purpose(principal, header)
    )


def _of_their_centre(principal: Principal, header: Header) -> bool:
    if header.centre_id is None or header.centre_id == principal.centre_id:
        return True
    labels = header.labels
    return labels is not None and principal.centre_id in labels.releasable_to


def _of_their_stations(principal: Principal, header: Header) -> bool:
    if principal.stations is None or header.station_id is None:
        return True
    return header.station_id in principal.stations


def _of_the_mission(
    role: Role, principal: Principal, header: Header, now: datetime
) -> bool:
    if role is not Role.LIAISON:
        return True
    ends_at = principal.missions.get(header.mission or "")
    return ends_at is not None and now < ends_at


def _serves_their_purpose(principal: Principal, header: Header) -> bool:
    if header.labels is None:
        return True
    return header.labels.purpose in SERVES.get(principal.purpose, ())
