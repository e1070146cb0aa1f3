"""Emergency phases: up in one act of one person, down only with a reason and a second.

A phase is decided by people and by nobody else: no timer, rule, restart or lost link
lowers one. Who wants to lower a phase or to close a case asks for it; the request holds
what was asked in a digest, and another person agrees to exactly that digest, once, in
time, and only while nothing new was learnt since.

Source: SAR Convention (1979), annex, chapters 1 and 4; docs/design/rescue.md, "Phases".
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, PersonId
from almenara.core.time import to_micros

AGREE_WITHIN = timedelta(minutes=30)
"""A request to lower is good for this long."""


class Phase(IntEnum):
    """How grave; the words of the SAR Convention."""

    NONE = 0
    """No emergency phase: watched, not yet or no longer in doubt."""

    UNCERTAINTY = 1
    """Doubt about the safety of a craft or of persons."""

    ALERT = 2
    """Apprehension about their safety."""

    DISTRESS = 3
    """Reasonable certainty of grave and imminent danger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDecision:
    """A person's word on the phase; every one is kept."""

    phase: Phase
    proposed: Phase
    """What the software proposed at that moment; both are kept."""

    at: datetime
    by: PersonId
    reason: str = ""
    """In the person's own words; never empty where the phase goes down."""

    agreed_by: PersonId | None = None
    """The second person, where one was needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringRequest:
    """Somebody wants a lower phase, or the case closed; nothing has happened yet."""

    case_id: CaseId
    phase: Phase
    closes: bool
    reason: str
    decisions_seen: int
    """How many decisions on the phase the asker knew of."""

    assessment_seen: int
    """The version of the assessment that the asker knew."""

    asked_by: PersonId
    asked_at: datetime
    proposed: Phase
    used: bool = False

    @property
    def digest(self) -> str:
        """What the second person agrees to: every parameter, frozen."""
        frozen = {
            "asked_at": to_micros(self.asked_at),
            "asked_by": self.asked_by,
            "assessment": self.assessment_seen,
            "case": self.case_id,
            "closes": self.closes,
            "decisions": self.decisions_seen,
            "phase": int(self.phase),
            "reason": self.reason,
        }
        text = json.dumps(frozen, ensure_ascii=True, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def raised(
    current: Phase, wanted: Phase, *, proposed: Phase, at: datetime, by: PersonId
) -> PhaseDecision:
    """One person's decision to go up, or to stay and say so.

    Raises:
        CaseRefusedError: ``wanted`` is lower; that is asked for, not done.
    """
    if wanted < current:
        raise CaseRefusedError(
            "second_person", "ask to lower it with a reason; another person agrees"
        )
    return PhaseDecision(phase=wanted, proposed=proposed, at=at, by=by)


def agreed(
    request: LoweringRequest,
    *,
    by: PersonId,
    at: datetime,
    decisions: int,
    assessment: int,
) -> PhaseDecision:
    """The decision that a second person's agreement makes of a request.

    Args:
        request: What was asked.
        by: Who agrees; that they hold the right now is the gate's question.
        at: When.
        decisions: How many decisions there are by now.
        assessment: The assessment's version by now.

    Raises:
        CaseRefusedError: The same person, no reason, too late, used already, or
            something was learnt or decided since it was asked.
    """
    if by == request.asked_by:
        raise CaseRefusedError("second_person", "somebody else has to agree")
    if not request.reason.strip():
        raise CaseRefusedError("reason_missing", "say why, in your own words")
    if request.used:
        raise CaseRefusedError("request_used", "ask again")
    if not timedelta() <= at - request.asked_at <= AGREE_WITHIN:
        raise CaseRefusedError("request_expired", "ask again")
    if (decisions, assessment) != (request.decisions_seen, request.assessment_seen):
        raise CaseRefusedError("request_overtaken", "read what is new, then ask again")
    return PhaseDecision(
        phase=request.phase,
        proposed=request.proposed,
        at=at,
        by=request.asked_by,
        reason=request.reason,
        agreed_by=by,
    )
