"""The picture: contacts with their errors, rays where the range means nothing.

Source: docs/design/first-light.md, "The wire between console and browser".
"""

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from almenara.console.wire import Instant, Number, Place, Wire
from almenara.core.values import CountRange
from almenara.tracking.picture import Picture, Ray, SystemTrack

CHI_SQUARE_95 = 5.991464547
"""Of two degrees of freedom: the ellipse holds the contact 95 times in 100."""


class PictureFeed(Protocol):
    """Where the picture comes from; the node provides it."""

    def latest(self) -> Picture:
        """The newest one; an empty one at the beginning."""
        ...

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Woken when there is a newer one; ``console.feed.Newest`` does all this."""
        ...


class EllipseRow(Wire):
    """Half axes of the 95 % ellipse; orientation of the major one, true, [0, 180)."""

    major_m: Number
    minor_m: Number
    orientation_deg: Number


class PeopleRow(Wire):
    """How many, at least and at most."""

    at_least: int
    at_most: int | None


class LookRow(Wire):
    """When a sensor saw it last."""

    sensor_id: str
    seen_at: Instant


class TrackRow(Wire):
    """A contact on the wire."""

    track_id: str
    state: str
    at: Instant
    first_seen_at: Instant
    last_seen_at: Instant
    position: Place
    ellipse: EllipseRow
    speed_mps: Number
    speed_std_mps: Number
    course_deg: Number
    object_class: str
    existence: Number
    mmsi: int | None
    ship_name: str | None
    length_m: Number
    people: PeopleRow | None
    sensors: list[LookRow]
    simulated: bool


class RayRow(Wire):
    """A bearing without a range, on the wire."""

    camera_id: str
    local_track_id: str
    observed_at: Instant
    origin: Place
    azimuth_deg: float
    azimuth_std_deg: float
    existence: Number


def ellipse(cov_m2: tuple[float, float, float]) -> EllipseRow:
    """The 95 % ellipse of a covariance (east, north, east-north).

    >>> ellipse((100.0, 400.0, 0.0)).orientation_deg
    0.0
    """
    east, north, both = cov_m2
    middle, half = (east + north) / 2, (north - east) / 2
    spread = math.hypot(half, both)
    # The axis is measured from north towards east, so the angle's tangent is swapped.
    orientation_deg = math.degrees(0.5 * math.atan2(both, half)) % 180.0
    return EllipseRow(
        major_m=math.sqrt(CHI_SQUARE_95 * max(middle + spread, 0.0)),
        minor_m=math.sqrt(CHI_SQUARE_95 * max(middle - spread, 0.0)),
        orientation_deg=orientation_deg,
    )


def motion(track: SystemTrack) -> tuple[float, float, float | None]:
    """Speed, its standard deviation, and the course where there is one.

    A course is None while the speed is less than its own standard deviation: nobody
    could tell the direction.
    """
    east, north = track.velocity_mps
    east_var, north_var, both = track.velocity_cov
    speed = math.hypot(east, north)
    if speed < 1e-6:
        return speed, math.sqrt(max((east_var + north_var) / 2, 0.0)), None
    along = east**2 * east_var + north**2 * north_var + 2 * east * north * both
    std = math.sqrt(max(along, 0.0)) / speed
    course = math.degrees(math.atan2(east, north)) % 360.0 if speed > std else None
    return speed, std, course


def track_row(track: SystemTrack) -> TrackRow:
    """A contact as the wire shows it."""
    speed_mps, speed_std_mps, course_deg = motion(track)
    return TrackRow(
        track_id=track.track_id,
        state=track.state,
        at=track.at,
        first_seen_at=track.first_seen_at,
        last_seen_at=track.last_seen_at,
        position=Place.model_validate(track.position),
        ellipse=ellipse(track.position_cov_m2),
        speed_mps=speed_mps,
        speed_std_mps=speed_std_mps,
        course_deg=course_deg,
        object_class=track.object_class,
        existence=track.existence,
        mmsi=track.mmsi,
        ship_name=track.ship_name,
        length_m=track.length_m,
        people=_people(track.people),
        sensors=[LookRow.model_validate(look) for look in track.looks],
        simulated=track.simulated,
    )


def ray_row(ray: Ray) -> RayRow:
    """A ray as the wire shows it."""
    return RayRow.model_validate(ray)


def _people(people: CountRange | None) -> PeopleRow | None:
    return PeopleRow.model_validate(people) if people else None
