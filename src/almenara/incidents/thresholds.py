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

    version: int = 3

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

    line_sure: float = 0.8
    """P(on one side) that counts as there: a needle across the line crosses nothing."""

    line_told: timedelta = timedelta(minutes=10)
    """A crossing is an instant; a watch that blinks must still find it."""

    fast_from_mps: float = 25 * KNOT_MPS
    """Faster than ferries on most coasts, and than any laden open boat."""

    fast_sure: float = 0.8
    """P(faster): one look's leap is no speed."""

    fast_clear: float = 0.3
    """Far below ``fast_sure``, so that a speed at the edge is one situation."""

    fast_looks: float = 3.0
    """So many looks in a row must say so."""

    rendezvous_within_m: float = 200.0
    """Within a rope, a shout and the error of two fixes."""

    rendezvous_slowest_mps: float = 2 * KNOT_MPS
    """Difference of velocity: those who pass each other are faster."""

    rendezvous_sustained: timedelta = timedelta(minutes=5)
    """Longer than any passing."""

    rendezvous_clear_of_haven_m: float = 1852.0
    """In and off a harbour everybody meets."""

    loiter_window: timedelta = timedelta(minutes=20)
    """Long enough for a haul of nets to end, short enough to be worth a look."""

    loiter_progress: float = 0.3
    """Net way as part of the way gone; straight courses have nearly one."""

    loiter_least_m: float = 600.0
    """Of way gone: below it is anchored or adrift, and other rules' business."""

    convoy_members: int = 3
    """Two are company by chance."""

    convoy_within_deg: float = 10.0
    """Of course, between neighbours."""

    convoy_speed_mps: float = 2 * KNOT_MPS
    """Of speed, between neighbours."""

    convoy_spacing_m: float = 500.0
    """Between neighbours, so a long row counts as one."""

    convoy_slowest_mps: float = 2 * KNOT_MPS
    """What lies still is no convoy."""

    convoy_sustained: timedelta = timedelta(minutes=5)
    """Longer than a fairway makes strangers go alike."""

    landing_within_m: float = 100.0
    """Of the shore line as it is charted."""

    landing_from_m: float = 1000.0
    """It must have come from at least so far out: what fishes by the rocks did not."""

    landing_told: timedelta = timedelta(minutes=15)
    """Whoever landed may need help for longer than that."""

    launch_beyond_m: float = 500.0
    """So far out a start is one, and no bather's swim."""

    launch_told: timedelta = timedelta(minutes=10)
    """The first minutes are when a watch can still ask who went, and how many."""

    landfall_horizon: timedelta = timedelta(hours=6)
    """Beyond it no course is kept."""

    landfall_sure: float = 0.8
    """P(landfall within the horizon) from which it is told."""

    landfall_noise: float = 2e-4
    """m²/s³: what boats stray from their course over hours; 0.8 m/s after one hour."""

    landfall_every: timedelta = timedelta(seconds=60)
    """A thousand samples need no newer state than that."""

    vanished_known_for: timedelta = timedelta(minutes=2)
    """What was seen for seconds may have been a wave."""

    vanished_existence: float = 0.9
    """How sure it was that there was something."""

    vanished_look_every: timedelta = timedelta(seconds=5)
    """A camera that works looks at least so often; three looks must have missed."""

    vanished_clear_of_shore_m: float = 300.0
    """Nearer it may have landed."""

    overdue_grace: timedelta = timedelta(minutes=15)
    """After the latest time that was predicted or declared."""

    overdue_told: timedelta = timedelta(minutes=60)
    """By then a person has taken it on, or the search has."""

    degraded_after: timedelta = timedelta(minutes=10)
    """Low sun and showers pass; a watch that sees half for longer should know."""

    silent_after: timedelta = timedelta(seconds=10)
    """A watch gone blind is itself an alarm."""

    blind_after: timedelta = timedelta(seconds=60)
    """A bow wave or a passing cloud is no blindness."""

    sound_returns_after: timedelta = timedelta(seconds=30)
    """IMO MSC.302(87) 7.3.5."""

    escalate_emergency_to_all: timedelta = timedelta(seconds=30)
    """Unacknowledged: every console of the centre rings."""

    escalate_emergency_outside: timedelta = timedelta(seconds=60)
    """Then the watch officer and the outside channel: nobody may be in the room."""

    escalate_alarm_to_all: timedelta = timedelta(minutes=2)
    """An alarm asks for immediate attention; two minutes are a cup of tea."""

    shelve_longest: timedelta = timedelta(hours=8)
    """One watch: the next one decides anew."""

    flood_above: int = 10
    """New alarms in ``flood_window``; more than that nobody reads one by one."""

    flood_window: timedelta = timedelta(minutes=10)
    """The window in which ISA-18.2 counts."""

    distress_ends_after: timedelta = timedelta(minutes=30)
    """Devices in the sea are heard now and then: that is still one activation."""

    same_situation_within: timedelta = timedelta(minutes=10)
    """What a person has acknowledged stays quiet when it comes back so soon."""


DEFAULT = Thresholds()
