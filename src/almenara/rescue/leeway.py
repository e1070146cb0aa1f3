"""How things at sea drift with the wind: one row of figures per kind of thing.

Each row has three lines (downwind, crosswind to the right, crosswind to the left), and
each line a slope in percent of the wind, an offset and a spread in centimetres per
second. The lines of right and left are not mirror images: who jibes changes the row.
The figures include the Stokes drift of the waves, which is therefore never added.

Source: A. A. Allen and J. V. Plourde, *Review of Leeway*, USCG R&D Center, CG-D-08-99
(1999); A. A. Allen, *Leeway Divergence*, CG-D-05-05 (2005); both US government works.
Read in a secondary copy of the tables: each row is to be verified against the reports
by a second person before it is relied on (``verified`` says so).
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Speed along one direction as a linear function of the wind at 10 m."""

    slope_percent: float
    offset_cmps: float
    spread_cmps: float
    """Standard deviation of what one thing of the kind differs from the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeewayRow:
    """One kind of thing."""

    key: str
    """The name in the reports' tables."""

    down: Line
    right: Line
    left: Line
    source: str
    analogue_of: str = ""
    """What it stands in for although it was never measured as that; empty if it was."""

    verified: bool = False
    """Whether a second person compared it with the report."""


def _row(
    key: str,
    down: tuple[float, float, float],
    right: tuple[float, float, float],
    left: tuple[float, float, float],
    *,
    source: str,
    analogue_of: str = "",
) -> LeewayRow:
    lines = [
        Line(slope_percent=a, offset_cmps=b, spread_cmps=s)
        for a, b, s in (down, right, left)
    ]
    return LeewayRow(
        key=key,
        down=lines[0],
        right=lines[1],
        left=lines[2],
        source=source,
        analogue_of=analogue_of,
    )


_TABLE = "USCG leeway table, secondary copy; report and table number to be verified"

LEEWAY = MappingProxyType(
    {
        row.key: row
        for row in (
            # A person in the water, mean of all states: unknown which one it is.
            _row(
                "PIW-1",
                (0.96, 0.0, 12.0),
                (0.54, 0.0, 9.4),
                (-0.54, 0.0, 9.4),
                source=_TABLE,
            ),
            # A shallow life raft without ballast; an inflatable hull comes close.
            _row(
                "LIFE-RAFT-NB-1",
                (3.70, 0.0, 12.0),
                (1.98, 0.0, 9.4),
                (-1.98, 0.0, 9.4),
                source=_TABLE,
                analogue_of="inflatable boat, lightly loaded",
            ),
            _row(
                "SKIFF-2",
                (2.87, 3.98, 3.33),
                (0.32, -2.93, 2.53),
                (-0.62, 1.03, 3.05),
                source=_TABLE,
            ),
            _row(
                "SKIFF-3",
                (1.65, 0.0, 3.1),
                (0.39, 0.0, 2.9),
                (-0.39, 0.0, 2.9),
                source=_TABLE,
            ),
            # Nobody has measured an overloaded inflatable; this is the nearest.
            _row(
                "REFUGEE-RAFT-1",
                (1.56, 8.30, 1.53),
                (0.078, 2.70, 1.52),
                (-0.078, -2.70, 1.52),
                source=_TABLE,
                analogue_of="inflatable boat, overloaded",
            ),
        )
    }
)
"""By name in the reports' tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One thing that may have become of a boat."""

    key: str
    """``loaded``, ``swamped``, ``persons_in_water``: what the console translates."""

    row: LeewayRow


OPEN_BOAT = (
    Hypothesis(key="loaded", row=LEEWAY["SKIFF-2"]),
    Hypothesis(key="swamped", row=LEEWAY["SKIFF-3"]),
    Hypothesis(key="persons_in_water", row=LEEWAY["PIW-1"]),
)
"""An open boat with too many aboard. A 5.8 m skiff drifts at 7.71 % of the wind with
one person and 4.40 % with thirteen; swamped, a 5.5 m one falls from 3.65 to 1.73 %
(DTIC ADA338829): no single row will do, and the area is the union of all."""

INFLATABLE = (
    Hypothesis(key="loaded", row=LEEWAY["REFUGEE-RAFT-1"]),
    Hypothesis(key="light", row=LEEWAY["LIFE-RAFT-NB-1"]),
    Hypothesis(key="swamped", row=LEEWAY["SKIFF-3"]),
    Hypothesis(key="persons_in_water", row=LEEWAY["PIW-1"]),
)
"""An inflatable: the first two rows are analogues, and the result says so."""

PERSONS = (Hypothesis(key="persons_in_water", row=LEEWAY["PIW-1"]),)

HYPOTHESES = MappingProxyType(
    {"open_boat": OPEN_BOAT, "inflatable": INFLATABLE, "persons_in_water": PERSONS}
)
"""What is asked about: the case's craft, and what may have become of it."""
