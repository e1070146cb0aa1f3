"""The figures of the rules: data with a version, and why each is what it is.

Whoever changes a figure raises the version: every alert says by which it was made.

Source: docs/design/alarms.md, "Rules".
"""

from dataclasses import dataclass
from datetime import timedelta

KNOT_MPS = 1852.0 / 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Defaults of the first release; a centre may tune them with its own data."""

    version: int = 2

    zone_raise: float = 0.8
    """A needle that touches a zone is no reason yet."""

    zone_clear: float = 0.3
    """Far below ``zone_raise``: what flaps stays one situation."""

    zone_sustained: timedelta = timedelta(seconds=2)
    """The posterior's, not the needle's first guess: a place settles within looks."""

    closing_slowest_mps: float = 2 * KNOT_MPS
    """Slower is drift."""

    closing_fastest_mps: float = 8 * KNOT_MPS
    """A laden open boat with one outboard; 10 km/h and more has been missed before."""

    closing_within_deg: float = 30.0
    """Of the bearing to the nearest shore."""

    closing_sustained: timedelta = timedelta(minutes=5)
    """Longer than a turn, shorter than the way from 5 km."""

    closing_farthest_m: float = 44_000.0
    """Twice the range at which small boats are seen: beyond it every course meets a
    coast."""

    small_below_m: float = 20.0
    """AIS is demanded of larger ones; an unknown length counts as small."""

    adrift_slowest_mps: float = 0.2 * KNOT_MPS
    """Net, over the whole time. Below it is moored, or our own error."""

    adrift_fastest_mps: float = 2 * KNOT_MPS
    """Wind and current together hardly move an open boat faster."""

    adrift_sustained: timedelta = timedelta(minutes=10)
    """Fishing stops are shorter, or come with AIS or a longer hull."""

    sustained_gap: timedelta = timedelta(seconds=45)
    """One look out of line does not begin the count anew; a sustained change does."""

    adrift_worst_std_mps: float = 1.0
    """A speed known worse than this says nothing about drift."""

    silent_after: timedelta = timedelta(seconds=10)
    """A watch gone blind is itself an alarm."""

    blind_after: timedelta = timedelta(seconds=60)
    """A bow wave or a passing cloud is no blindness."""

    sound_returns_after: timedelta = timedelta(seconds=30)
    """IMO MSC.302(87) 7.3.5."""

    distress_ends_after: timedelta = timedelta(minutes=30)
    """Devices in the sea are heard now and then: that is still one activation."""

    same_situation_within: timedelta = timedelta(minutes=10)
    """What a person has acknowledged stays quiet when it comes back so soon."""


DEFAULT = Thresholds()
