"""People who may sign in, their sessions and one-time links: values and the port.

Only the SHA-256 of a token is ever kept: who reads the store cannot sign in with it.
There is no default account and no default password; the first person comes in by a link
that works once and for a quarter of an hour.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from almenara.core.ids import PersonId, StationId
from almenara.core.labels import Purpose
from almenara.evidence.access import Role
from almenara.evidence.audit import AuditEntry

IDLE = timedelta(minutes=15)
"""Without an act; what watches on goes on watching, acts need a new sign-in."""

ABSOLUTE = timedelta(hours=12)
"""A long watch; after it everybody signs in again."""

LINK_LIFE = timedelta(minutes=15)

SignedInBy = Literal["password", "link"]


def new_token() -> str:
    """256 random bits, fit for a cookie or a link."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who works here."""

    person_id: PersonId
    name: str
    """What they type to sign in; unique without regard to case."""

    roles: frozenset[Role]
    purpose: Purpose = Purpose.BORDER
    """Why they come, unless they say otherwise."""

    password_hash: str | None = field(default=None, repr=False)
    """Argon2id in its own notation; None until they have chosen one."""

    stations: frozenset[StationId] | None = None
    """The stations they are limited to; None means all."""

    missions: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in that has not been ended."""

    token_hash: str = field(repr=False)
    person_id: PersonId
    purpose: Purpose
    by: SignedInBy
    opened_at: datetime
    seen_at: datetime
    """The last act; half a minute coarse, so that reading does not mean writing."""

    @property
    def short(self) -> str:
        """What the audit shows of it."""
        return self.token_hash[:12]

    @property
    def expires_at(self) -> datetime:
        """When it ends if nothing happens."""
        return min(self.opened_at + ABSOLUTE, self.seen_at + IDLE)

    def is_alive(self, now: datetime, *, acting: bool = True) -> bool:
        """Whether it still counts; watching on outlives the idle time, acting does not.

        >>> noon = datetime.fromisoformat("2026-03-01T12:00:00Z")
        >>> session = Session(token_hash="", person_id=PersonId("p"), by="link",
        ...     purpose=Purpose.SAR, opened_at=noon, seen_at=noon)
        >>> session.is_alive(noon + IDLE), session.is_alive(noon + IDLE, acting=False)
        (False, True)
        """
        return now < (self.expires_at if acting else self.opened_at + ABSOLUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way in that works once."""

    token_hash: str = field(repr=False)
    person_id: PersonId
    expires_at: datetime


class Accounts(Protocol):
    """What signing in needs of the store. Every act takes its audit entry with it."""

    async def find(self, name: str) -> Account | None:
        """By name, without regard to case."""
        ...

    async def add(self, account: Account, *, entry: AuditEntry) -> bool:
        """Enter somebody new; False if the name is taken (no entry then)."""
        ...

    async def disable(
        self, person_id: PersonId, *, at: datetime, entry: AuditEntry
    ) -> None:
        """Shut somebody out and end their sessions and links."""
        ...

    async def set_password(
        self,
        person_id: PersonId,
        password_hash: str,
        *,
        session: Session | None,
        entry: AuditEntry,
    ) -> None:
        """Change it, end all their sessions and links, and open ``session``."""
        ...

    async def need_setup(self) -> bool:
        """Whether nobody can sign in with a password yet."""
        ...

    async def open_session(self, session: Session, *, entry: AuditEntry) -> None:
        """Keep a new session."""
        ...

    async def session(self, token_hash: str) -> tuple[Session, Account] | None:
        """A session that was not ended, whatever its age, and whose it is."""
        ...

    async def touch(self, token_hash: str, *, at: datetime) -> None:
        """Note an act; never moves backwards."""
        ...

    async def end_session(self, token_hash: str, *, entry: AuditEntry) -> None:
        """End it; ending twice is no fault."""
        ...

    async def issue_link(self, link: Link, *, entry: AuditEntry) -> None:
        """Keep a link; earlier links of the same person stop working."""
        ...

    async def link(self, token_hash: str) -> tuple[Link, Account] | None:
        """A link that was not used yet, whatever its age, and whose it is."""
        ...

    async def redeem_link(
        self, token_hash: str, session: Session, *, entry: AuditEntry
    ) -> bool:
        """Use it up and open the session in one step; False if somebody was faster."""
        ...
