"""Which log an envelope belongs to: from whom, to whom, in which lane."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from almenara.core.ids import CentreId

CENTRE = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_NAME = re.compile(rf"({CENTRE})>({CENTRE})/(urgent|bulk)")


class Lane(StrEnum):
    """Two logs per direction, so that nothing large ever stands before a rescue."""

    URGENT = "urgent"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeStream:
    """One direction and lane of a link."""

    sender: CentreId
    receiver: CentreId
    lane: Lane

    @property
    def name(self) -> str:
        """As on the wire: ``es>ma/urgent``."""
        return f"{self.sender}>{self.receiver}/{self.lane}"

    @classmethod
    def named(cls, name: str) -> Self:
        """The stream of a name.

        Raises:
            ValueError: No stream is called so.

        >>> ExchangeStream.named("es>ma/urgent").receiver
        'ma'
        """
        found = _NAME.fullmatch(name)
        if found is None or len(name) > 100:
            raise ValueError(f"no stream is called {name[:100]!r}")
        return cls(
            sender=CentreId(found[1]), receiver=CentreId(found[2]), lane=Lane(found[3])
        )
