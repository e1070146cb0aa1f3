"""What things on the water look like from the side, in metres: parts with a tone.

Sides only: a thing seen at an angle is the same side made shorter. People are columns
that are a little brighter by day and warm by night: how many, never who.
"""

from dataclasses import dataclass

from almenara.core.values import CountRange
from almenara.simulation.scenario import Actor, ActorKind

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A polygon: (metres towards the bow, metres above the water)."""

    points: tuple[Point, ...]
    day_grey: float
    warmth_k: float
    """Above the sea's temperature."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Parts from back to front, and the beam."""

    parts: tuple[Part, ...]
    beam_m: float
    length_m: float


def _box(  # noqa: PLR0917  # a table of boxes reads best in columns
    x0: float, x1: float, y0: float, y1: float, day: float, warm: float
) -> Part:
    return Part(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), day, warm)


def _hull(length: float, stern: float, bow: float, day: float, warm: float) -> Part:
    half = length / 2
    points = ((-half, 0.0), (half * 0.9, 0.0), (half, bow), (-half, stern))
    return Part(points, day, warm)


_SHAPES = {
    ActorKind.INFLATABLE_4M: Shape(
        (_hull(4.0, 0.42, 0.55, 58, 1.2), _box(-2.2, -1.9, 0.2, 0.8, 40, 8.0)), 1.8, 4.0
    ),
    ActorKind.OPEN_BOAT_7M: Shape(
        (_hull(7.0, 0.60, 0.85, 52, 1.5), _box(-3.9, -3.4, 0.2, 1.0, 38, 9.0)), 2.0, 7.0
    ),
    ActorKind.RIB: Shape(
        (
            _hull(8.5, 0.7, 1.0, 45, 1.5),
            _box(-0.8, 0.4, 0.7, 1.7, 60, 2.5),
            _box(-4.7, -4.1, 0.2, 1.3, 35, 11.0),
        ),
        2.8,
        8.5,
    ),
    ActorKind.WOODEN_14M: Shape(
        (
            _hull(14.0, 1.4, 2.2, 62, 2.0),
            _box(-5.0, -1.5, 1.3, 3.4, 205, 3.0),
            _box(-4.2, -3.6, 3.4, 4.2, 70, 9.0),
        ),
        4.2,
        14.0,
    ),
    ActorKind.FERRY: Shape(
        (
            _hull(100.0, 9.0, 11.0, 62, 2.0),
            _box(-46, 40, 9.0, 20.0, 222, 3.0),
            _box(-20, -10, 20.0, 26.0, 120, 9.0),
        ),
        18.0,
        100.0,
    ),
    ActorKind.CARGO: Shape(
        (
            _hull(180.0, 10.0, 13.0, 66, 1.5),
            _box(-84, -66, 10.0, 32.0, 214, 3.5),
            _box(-80, -73, 32.0, 38.0, 90, 9.0),
            _box(-60, 76, 10.0, 15.0, 120, 1.0),
        ),
        28.0,
        180.0,
    ),
    ActorKind.BUOY: Shape(
        (_box(-0.9, 0.9, 0.0, 0.8, 60, 0.8), _box(-0.35, 0.35, 0.8, 2.6, 75, 0.8)),
        1.8,
        1.8,
    ),
    ActorKind.FLOAT: Shape((_box(-0.3, 0.3, 0.0, 0.35, 205, 0.4),), 0.6, 0.6),
    ActorKind.GULLS: Shape((_box(-0.6, 0.6, 0.0, 0.22, 228, 3.5),), 0.8, 1.2),
}


def shape_of(actor: Actor) -> Shape:
    """The actor's side, with whom it carries."""
    shape = _SHAPES[actor.kind]
    if actor.persons is None or shape.length_m > 20:
        return shape
    return Shape(
        (*shape.parts, *_people(actor.persons, shape.length_m)),
        shape.beam_m,
        shape.length_m,
    )


def _people(count: CountRange, length_m: float) -> list[Part]:
    """Columns along the gunwale: no more than find room side by side."""
    columns = min(count.at_most or count.at_least, int(length_m * 1.3))
    room = 0.84 * length_m
    parts = []
    for i in range(columns):
        x = -room / 2 + room * (i + 0.5) / columns - 0.03 * length_m
        top = 1.15 + 0.12 * ((i * 7) % 3 - 1)
        parts.append(_box(x - 0.25, x + 0.25, 0.5, top, 40 + 45 * (i % 3), 6.0))
    return parts
