"""Small values that belong to no single stage.

Field names carry the unit (``bearing_deg``, ``speed_mps``). Angles are degrees true,
clockwise from north, in [0, 360). Positions are WGS 84, latitude before longitude.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRange:
    """How many, at least and at most: the only thing ever said about people."""

    at_least: int
    at_most: int | None = None
    """None when nobody can tell."""

    def __post_init__(self) -> None:
        top = self.at_least if self.at_most is None else self.at_most
        if not 0 <= self.at_least <= top:
            raise ValueError(f"not a range: {self!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place on the WGS 84 ellipsoid, degrees."""

    latitude_deg: float
    longitude_deg: float

    def __post_init__(self) -> None:
        if not -90.0 <= self.latitude_deg <= 90.0:
            raise ValueError(f"no such latitude: {self.latitude_deg}")
        if not -180.0 <= self.longitude_deg <= 180.0:
            raise ValueError(f"no such longitude: {self.longitude_deg}")
