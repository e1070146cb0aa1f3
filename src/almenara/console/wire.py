"""What every body on the wire shares: strict going in, complete going out.

Times are RFC 3339 in UTC with ``Z`` and microseconds, positions are objects, and what
is not known is ``null``: never zero, never left out, never NaN.

Source: docs/design/first-light.md, "The wire between console and browser".
"""

import math
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)


def rfc3339(at: datetime) -> str:
    """The one way in which a time is written.

    >>> rfc3339(datetime(2026, 3, 1, 12, tzinfo=UTC))
    '2026-03-01T12:00:00.000000Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def known(number: float | None) -> float | None:
    """NaN and infinities mean that nobody knows; the wire says so with ``null``."""
    return number if number is not None and math.isfinite(number) else None


def _of_our_age(at: datetime) -> datetime:
    # Outside of this no recording exists and arithmetic on dates overflows.
    if not 1970 <= at.year <= 9000:
        raise ValueError("no such time here")
    return at


Instant = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]
"""A time going out."""

When = Annotated[AwareDatetime, AfterValidator(_of_our_age)]
"""A time coming in."""

Number = Annotated[float | None, BeforeValidator(known)]
"""A number going out that may be unknown."""

Name = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
"""One line of text coming in."""

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""A new name of a thing coming in."""


class Body(BaseModel):
    """A request's body: what it does not know is a fault, not a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Wire(BaseModel):
    """An answer's body, read from the value it shows."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Place(Wire):
    """A position, WGS 84."""

    latitude_deg: float
    longitude_deg: float


class PlaceBody(Body):
    """A position coming in."""

    latitude_deg: Annotated[float, Field(ge=-90, le=90)]
    longitude_deg: Annotated[float, Field(ge=-180, le=180)]
