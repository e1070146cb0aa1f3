"""A disclosure and its two persons: what is asked is frozen before it is approved.

Everything about a request goes into one hash. The approver sees that hash with its
words, is somebody else, holds the right at that moment, and approves for half an hour
and for one package. Whoever changes a word has asked for something else.

Source: docs/design/evidence-export.md, "Two persons".
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from almenara.core.ids import CameraId, CentreId, PersonId
from almenara.core.time import to_micros

APPROVAL_LIFE = timedelta(minutes=30)
LONGEST = timedelta(hours=24)
"""Of one package; more is asked for in parts, each with its reason."""

MOST_WORDS = 2_000
"""Characters in one of the texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants to hand out, to whom, and on which ground."""

    centre_id: CentreId
    camera_ids: tuple[CameraId, ...]
    """In order of their names, each once."""

    start: datetime
    end: datetime
    subject: str
    """The case or alarm it is about."""

    recipient: str
    legal_basis: str
    reason: str
    requested_by: PersonId

    def __post_init__(self) -> None:
        if (
            self.camera_ids != tuple(sorted(set(self.camera_ids)))
            or not self.camera_ids
        ):
            raise ValueError("cameras: at least one, in order, each once")
        if not timedelta() < self.end - self.start <= LONGEST:
            raise ValueError(f"span: wants 0 < end - start <= {LONGEST}")
        texts = (self.subject, self.recipient, self.legal_basis, self.reason)
        if any(not text.strip() or len(text) > MOST_WORDS for text in texts):
            raise ValueError(f"each text: something, at most {MOST_WORDS} characters")

    @property
    def digest(self) -> str:
        """SHA-256 over every word of it, in hexadecimal."""
        words = {
            "centre_id": self.centre_id,
            "camera_ids": list(self.camera_ids),
            "start_us": to_micros(self.start),
            "end_us": to_micros(self.end),
            "subject": self.subject,
            "recipient": self.recipient,
            "legal_basis": self.legal_basis,
            "reason": self.reason,
            "requested_by": self.requested_by,
        }
        text = json.dumps(words, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A second person's word on one request."""

    digest: str
    """Of the request as the approver saw it."""

    approved_by: PersonId
    approved_at: datetime
    used_at: datetime | None = None
    """When the first byte for it was written; None before."""


class Refusal(StrEnum):
    """Why a request does not go on."""

    NOT_APPROVED = "export.not_approved"
    SAME_PERSON = "export.same_person"
    OTHER_REQUEST = "export.other_request"
    EXPIRED = "export.approval_expired"


def refusal(
    request: Request, approval: Approval | None, now: datetime
) -> Refusal | None:
    """Why this request may not be carried out now; None if it may.

    An approval that was used in time goes on counting for its own request, so that an
    interrupted package can be finished; for another one it never counts.
    """
    if approval is None:
        return Refusal.NOT_APPROVED
    if approval.digest != request.digest:
        return Refusal.OTHER_REQUEST
    if approval.approved_by == request.requested_by:
        return Refusal.SAME_PERSON
    used_at = approval.used_at or now
    if not timedelta() <= used_at - approval.approved_at <= APPROVAL_LIFE:
        return Refusal.EXPIRED
    return None
