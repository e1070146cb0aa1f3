"""Grants to see recorded video, and what of live watching was noted already.

A grant is bound to the session that asked, one camera and one span, and lives ten
minutes; in another session it does not exist. Grants live in memory: after a restart a
person states the reason again.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from almenara.core.ids import CameraId
from almenara.core.time import Clock

GRANT_LIFE = timedelta(minutes=10)
STILLS_NOTED_FOR = timedelta(minutes=15)
"""A tile fetches a still every ten seconds: that is one consultation, not ninety."""

MOST = 4096
"""Of either kind at once; the oldest goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """A grant."""

    viewing_id: str
    token_hash: str
    camera_id: CameraId
    start: datetime
    end: datetime
    expires_at: datetime


class Viewings:
    """The grants that are out; one per application."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grants: OrderedDict[str, Viewing] = OrderedDict()
        self._stills: OrderedDict[tuple[str, CameraId], datetime] = OrderedDict()

    def grant(
        self, token_hash: str, camera_id: CameraId, start: datetime, end: datetime
    ) -> Viewing:
        """Hand one out."""
        viewing = Viewing(
            viewing_id=secrets.token_urlsafe(16),
            token_hash=token_hash,
            camera_id=camera_id,
            start=start,
            end=end,
            expires_at=self._clock.now() + GRANT_LIFE,
        )
        self._grants[viewing.viewing_id] = viewing
        if len(self._grants) > MOST:
            self._grants.popitem(last=False)
        return viewing

    def find(self, viewing_id: str, token_hash: str) -> Viewing | None:
        """The grant, if it is this session's and still good."""
        viewing = self._grants.get(viewing_id)
        if viewing is None or viewing.token_hash != token_hash:
            return None
        return viewing if self._clock.now() < viewing.expires_at else None

    def is_news(self, token_hash: str, camera_id: CameraId) -> bool:
        """Whether this session's looking at stills of a camera was not noted yet."""
        noted = self._stills.get((token_hash, camera_id))
        return noted is None or self._clock.now() - noted >= STILLS_NOTED_FOR

    def noted(self, token_hash: str, camera_id: CameraId) -> None:
        """The audit has it."""
        key = (token_hash, camera_id)
        self._stills[key] = self._clock.now()
        self._stills.move_to_end(key)
        if len(self._stills) > MOST:
            self._stills.popitem(last=False)
