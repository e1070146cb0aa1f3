"""Rules about ways: each fires, stays silent, just misses, and does not flap.

Stories are told by tracks and a clock; situations made to order try the edges.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from almenara.core.coast import Direction, Haven, WatchLine
from almenara.core.ids import TrackId, ZoneId
from almenara.core.time import ManualClock
from almenara.detection import ObjectClass
from almenara.incidents.alarm import Alarm, Alert, Priority, Subject
from almenara.incidents.company import ConvoyFact, MeetingFact
from almenara.incidents.facts import (
    ExpectedFact,
    LineFact,
    LoiterFact,
    ShoreFact,
    VanishedFact,
)
from almenara.incidents.landfall import Landfall
from almenara.incidents.queue import decide
from almenara.incidents.rules import judge
from almenara.incidents.situation import Chronicle, Situation
from almenara.incidents.thresholds import DEFAULT, KNOT_MPS
from almenara.incidents.together import convoy, rendezvous
from almenara.incidents.ways import (
    fast_boat,
    landing,
    launch,
    line_crossed,
    loitering,
    overdue,
    predicted_landfall,
    vanished,
)
from almenara.tracking.picture import Picture, SystemTrack, TrackState
from tests.incidents.sea import NOON, SHORE, numbered, place, situation, track

MOMENT = timedelta(seconds=1)
LINE = WatchLine(
    line_id=ZoneId("l1"),
    name="Median",
    start=place(-5000, -10_000),
    end=place(5000, -10_000),
)
PORT = Haven(haven_id=ZoneId("h1"), name="Tarifa", position=place(0, 0), radius_m=800.0)
Boats = Callable[[float], list[SystemTrack]]


class Watch:
    """From picture to queue, one judgement every five seconds."""

    def __init__(self, **around: Any) -> None:
        self.clock = ManualClock(NOON)
        self.alarms: dict[Subject, Alarm] = {}
        self.rang: list[str] = []
        self.alerts: list[Alert] = []
        self.seen: Sequence[Situation] = ()
        self._around = around
        self._chronicle = Chronicle()
        self._names = numbered()

    def keep(self, boats: Boats, minutes: float) -> "Watch":
        end = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < end:
            tracks = tuple(boats(self.clock.monotonic_s()))
            picture = Picture(at=self.clock.now(), tracks=tracks)
            self._chronicle, self.seen = self._chronicle.read(
                picture, [], SHORE, **self._around
            )
            self.alerts = judge(self.seen)
            for step in decide(self.alarms, self.alerts, self.clock.now(), self._names):
                self.alarms[step.after.subject] = step.after
                if step.announces:
                    self.rang.append(step.after.alerts[0].rule)
            self.clock.advance(timedelta(seconds=5))
        return self

    @property
    def rules(self) -> set[str]:
        return {a.rule for alarm in self.alarms.values() for a in alarm.alerts}


def keys(alert: Alert | None) -> list[str]:
    assert alert is not None
    return [reason.key for reason in alert.because]


# -- line --------------------------------------------------------------------------


def test_a_line_that_is_crossed_is_told_with_direction_and_time():
    watch = Watch(lines=[LINE])
    watch.keep(lambda t: [track(t, north_m=-10_600, velocity=(0.0, 4.0))], 4)
    (alert,) = [a for a in watch.alerts if a.rule == "line_crossed"]

    assert alert.because[0].values["line"] == "Median"
    assert alert.because[0].values["direction"] == "leftward"
    assert str(alert.because[0].values["at"]).startswith("2026-03-01T12:02")


@pytest.mark.parametrize(
    "boat",
    [
        {"north_m": -9000, "velocity": (4.0, 0.0)},  # along it
        {"north_m": -10_600, "velocity": (0.0, 2.4)},  # turns back just short of it
        {"north_m": -10_600, "east_m": 6000, "velocity": (0.0, 4.0)},  # round its end
    ],
)
def test_what_does_not_cross_a_line_is_not_told(boat):
    watch = Watch(lines=[LINE]).keep(lambda t: [track(t, **boat)], 4)

    assert "line_crossed" not in watch.rules


def test_a_line_of_one_direction_tells_only_that():
    seaward = replace(LINE, direction=Direction.RIGHTWARD)
    watch = Watch(lines=[seaward])
    watch.keep(lambda t: [track(t, north_m=-10_600, velocity=(0.0, 4.0))], 4)

    assert "line_crossed" not in watch.rules


def test_a_needle_that_sways_over_a_line_crosses_nothing():
    """It lies 60 m to either side of it, and errs by 100 m."""

    def swaying(t: float) -> list[SystemTrack]:
        north = -10_000 + (60 if int(t // 30) % 2 else -60)
        return [track(t, north_m=north, speed_std=2.0, std_m=100.0)]

    assert Watch(lines=[LINE]).keep(swaying, 20).rang == []


def test_twenty_crossings_are_one_alarm():
    def to_and_fro(t: float) -> list[SystemTrack]:
        north = -10_000 + (300 if int(t // 60) % 2 else -300)
        return [track(t, north_m=north, speed_std=2.0)]

    assert Watch(lines=[LINE]).keep(to_and_fro, 21).rang == ["line_crossed"]


def test_a_crossing_is_told_for_ten_minutes():
    fact = LineFact(
        line_id=ZoneId("l1"),
        name="Median",
        direction=Direction.LEFTWARD,
        at=NOON,
        position=place(0, -10_000),
    )
    late = situation(crossed=(fact,), at=NOON + DEFAULT.line_told)

    assert line_crossed(late) is not None
    assert line_crossed(replace(late, at=late.at + MOMENT)) is None


# -- fast --------------------------------------------------------------------------

FAST = situation(
    speed_mps=40 * KNOT_MPS, fast_looks=3, fast_probability=0.99, position_std_m=30.0
)


def test_a_fast_boat_is_told_with_its_time_to_shore():
    alert = fast_boat(FAST)

    assert keys(alert) == ["fast.speed", "fast.to_shore", "seen.by"]
    assert alert is not None
    low = float(alert.because[1].values["minutes_low"])
    assert low < 8000 / (40 * KNOT_MPS) / 60


@pytest.mark.parametrize(
    "miss",
    [
        replace(FAST, fast_looks=2),
        replace(FAST, length_m=90.0),
        replace(FAST, length_m=None, object_class=ObjectClass.VESSEL),
    ],
)
def test_a_near_miss_of_a_fast_boat_is_not_told(miss):
    assert fast_boat(miss) is None


def test_a_story_of_a_fast_boat_and_of_one_just_too_slow():
    fast = Watch().keep(lambda t: [track(t, velocity=(15.0, 0.0))], 1)
    slow = Watch().keep(lambda t: [track(t, velocity=(12.5, 0.0))], 10)
    doubtful = Watch().keep(
        lambda t: [track(t, velocity=(14.0, 0.0), speed_std=3.0)], 10
    )

    assert fast.rang == ["fast_boat"]
    assert "fast_boat" not in slow.rules | doubtful.rules


def test_a_speed_at_the_edge_is_one_alarm():
    def wavering(t: float) -> list[SystemTrack]:
        speed = 13.3 if int(t // 30) % 2 else 12.7
        return [
            track(t, velocity=(speed, 0.0), speed_std=0.4, position=place(0, -8000))
        ]

    assert Watch().keep(wavering, 20).rang.count("fast_boat") <= 1


# -- loitering ---------------------------------------------------------------------

LOITER = situation(
    loiter=LoiterFact(
        path_m=3000.0,
        net_m=500.0,
        lasted=timedelta(minutes=20),
        in_haven=False,
        havens_known=True,
    )
)


def loiter(**changes) -> Situation:
    assert LOITER.loiter is not None
    return replace(LOITER, loiter=replace(LOITER.loiter, **changes))


def test_much_way_and_little_progress_is_a_caution():
    alert = loitering(LOITER)

    assert keys(alert) == ["loiter.path", "loiter.minutes", "seen.by"]
    assert alert is not None
    assert alert.priority is Priority.CAUTION


@pytest.mark.parametrize(
    "miss",
    [
        loiter(net_m=900.0),
        loiter(lasted=timedelta(minutes=20) - MOMENT),
        loiter(in_haven=True),
        loiter(path_m=DEFAULT.loiter_least_m - 1, net_m=0.0),
        replace(LOITER, has_ais=True, length_m=120.0),
        replace(LOITER, loiter=None),
    ],
)
def test_a_near_miss_of_loitering_is_not_told(miss):
    assert loitering(miss) is None


def to_and_fro(t: float) -> list[SystemTrack]:
    """Five minutes up, five minutes down, at 5 kn."""
    phase = t % 600
    north = 2.5 * (phase if phase < 300 else 600 - phase)
    velocity = (0.0, 2.5 if phase < 300 else -2.5)
    return [track(t, velocity=velocity, position=place(15_000, -12_000 + north))]


def test_a_story_of_loitering_rings_once_and_a_straight_course_never():
    assert "loitering" in Watch().keep(to_and_fro, 40).rules
    assert Watch().keep(to_and_fro, 60).rang.count("loitering") <= 1
    straight = Watch().keep(lambda t: [track(t, velocity=(2.5, 0.0))], 40)
    assert "loitering" not in straight.rules


# -- company -----------------------------------------------------------------------


def two(gap_m: float, rush_mps: float = 0.0, std_m: float = 20.0) -> Boats:
    def boats(t: float) -> list[SystemTrack]:
        return [
            track(t, velocity=(0.3, 0.0), east_m=9000, std_m=std_m),
            track(
                t,
                track_id=TrackId("T2"),
                velocity=(0.3 + rush_mps, 0.0),
                east_m=9000 + gap_m,
                std_m=std_m,
                mmsi=224000001,
                length_m=25.0,
            ),
        ]

    return boats


def test_two_that_lie_alongside_for_minutes_ring_once():
    watch = Watch(havens=[PORT]).keep(two(100.0), 8)
    found = [a for a in watch.alerts if a.rule == "rendezvous"]

    assert watch.rang == ["rendezvous"]
    assert [a.because[0].values["contact"] for a in found] == ["T2"]


@pytest.mark.parametrize(
    "boats", [two(260.0), two(100.0, rush_mps=1.5), two(100.0, std_m=300.0)]
)
def test_a_near_miss_of_a_rendezvous_is_not_told(boats):
    assert "rendezvous" not in Watch(havens=[PORT]).keep(boats, 8).rules


def test_off_a_harbour_everybody_meets():
    port = replace(PORT, position=place(9000, -8000))

    assert "rendezvous" not in Watch(havens=[port]).keep(two(100.0), 8).rules


def test_a_meeting_shorter_than_five_minutes_is_a_passing():
    fact = MeetingFact(
        other=TrackId("T2"),
        distance_m=80.0,
        lasted=DEFAULT.rendezvous_sustained - MOMENT,
    )

    assert rendezvous(situation(meetings=(fact,))) is None
    longer = replace(fact, lasted=DEFAULT.rendezvous_sustained)
    assert rendezvous(situation(meetings=(longer,))) is not None


def row(count: int, spacing_m: float = 300.0, veer_mps: float = 0.0) -> Boats:
    def boats(t: float) -> list[SystemTrack]:
        return [
            track(
                t,
                track_id=TrackId(f"T{n}"),
                east_m=n * spacing_m,
                north_m=-15_000,
                velocity=(4.0, n * veer_mps),
            )
            for n in range(count)
        ]

    return boats


def test_three_in_a_row_ring_once_with_their_members():
    watch = Watch().keep(row(3), 8)
    (alert,) = [a for a in watch.alerts if a.rule == "convoy"]

    assert watch.rang == ["convoy"]
    assert alert.because[0].values["contacts"] == "T0, T1, T2"


@pytest.mark.parametrize(
    "boats", [row(2), row(3, spacing_m=550.0), row(3, veer_mps=1.0)]
)
def test_a_near_miss_of_a_convoy_is_not_told(boats):
    assert "convoy" not in Watch().keep(boats, 8).rules


def test_a_row_is_a_convoy_after_five_minutes():
    fact = ConvoyFact(
        members=(TrackId("T1"), TrackId("T2"), TrackId("T3")),
        lasted=DEFAULT.convoy_sustained - MOMENT,
    )

    assert convoy(situation(convoy=fact)) is None
    assert (
        convoy(situation(convoy=replace(fact, lasted=DEFAULT.convoy_sustained)))
        is not None
    )


# -- shore -------------------------------------------------------------------------


def ashore(t: float) -> list[SystemTrack]:
    """From 3 km out to the beach in ten minutes, and then it lies there."""
    north = min(-3000 + 5.0 * t, -40.0)
    moving = north < -40.0
    return [
        track(
            t,
            position=place(9000, north),
            velocity=(0.0, 5.0 if moving else 0.0),
        )
    ]


def test_a_boat_that_meets_the_beach_has_landed_and_rings_once():
    watch = Watch(havens=[PORT]).keep(ashore, 15)

    assert watch.rang.count("landing") == 1
    assert "landing" in {a.rule for a in watch.alerts}


def test_a_boat_that_meets_the_harbour_has_not():
    port = replace(PORT, position=place(9000, 0))

    assert "landing" not in Watch(havens=[port]).keep(ashore, 15).rules


def test_a_boat_that_fished_by_the_rocks_all_day_has_not_landed():
    def near(t: float) -> list[SystemTrack]:
        north = -60.0 - 400.0 * abs((t / 300) % 2 - 1)
        return [track(t, position=place(9000, north), velocity=(0.0, 1.3))]

    assert "landing" not in Watch(havens=[PORT]).keep(near, 30).rules


SHORE_FACT = ShoreFact(at=NOON, distance_m=40.0, farthest_m=3000.0, havens_known=False)


def test_a_landing_is_told_for_a_quarter_of_an_hour_and_says_what_is_not_known():
    late = situation(landed=SHORE_FACT, at=NOON + DEFAULT.landing_told)
    alert = landing(late)

    assert alert is not None
    assert "havens" in alert.unknown
    assert landing(replace(late, at=late.at + MOMENT)) is None
    assert landing(situation()) is None


def leaving(t: float) -> list[SystemTrack]:
    return [track(t, north_m=-60, east_m=9000, velocity=(0.0, -3.0))]


def test_a_boat_that_starts_from_the_beach_is_told_once():
    watch = Watch(havens=[PORT]).keep(leaving, 6)

    assert watch.rang == ["launch"]


@pytest.mark.parametrize(
    ("boats", "havens"),
    [
        (leaving, [replace(PORT, position=place(9000, 0))]),  # from a harbour
        (
            lambda t: [track(t, north_m=-300, east_m=9000, velocity=(0.0, -3.0))],
            [PORT],
        ),  # from just off the beach
        (
            lambda t: [
                track(min(t, 120), north_m=-60, east_m=9000, velocity=(0, -3.0))
            ],
            [PORT],
        ),  # not far enough
    ],
)
def test_a_near_miss_of_a_launch_is_not_told(boats, havens):
    assert "launch" not in Watch(havens=havens).keep(boats, 6).rules


def test_a_launch_of_a_ship_or_long_ago_is_not_told():
    known = situation(launched=SHORE_FACT, at=NOON + MOMENT)

    assert launch(known) is not None
    assert launch(replace(known, has_ais=True)) is None
    assert launch(replace(known, length_m=40.0)) is None
    assert launch(replace(known, at=NOON + DEFAULT.launch_told + MOMENT)) is None


# -- landfall ----------------------------------------------------------------------

LANDFALL = Landfall(
    made_at=NOON,
    probability=0.93,
    horizon=timedelta(hours=6),
    earliest=NOON + timedelta(minutes=50),
    latest=NOON + timedelta(minutes=70),
    stretch_m=2500.0,
    begins=place(-1000, 0),
    ends=place(1500, 0),
)
BOUND = situation(landfall=LANDFALL, closing_for=timedelta(minutes=5))


def test_a_predicted_landfall_says_when_where_and_how_likely():
    alert = predicted_landfall(BOUND)

    assert keys(alert) == [
        "landfall.when",
        "landfall.probability",
        "landfall.stretch",
        "seen.by",
    ]
    assert alert is not None
    assert "course_kept" in alert.unknown


@pytest.mark.parametrize(
    "miss",
    [
        replace(BOUND, landfall=replace(LANDFALL, probability=0.79)),
        replace(BOUND, closing_for=timedelta(minutes=5) - MOMENT),
        replace(BOUND, has_ais=True),
        replace(BOUND, length_m=30.0),
        replace(BOUND, landfall=None),
    ],
)
def test_a_near_miss_of_a_predicted_landfall_is_not_told(miss):
    assert predicted_landfall(miss) is None


# -- gone --------------------------------------------------------------------------


def gone_after(seconds: float, **changes) -> Boats:
    def boats(t: float) -> list[SystemTrack]:
        boat = track(min(t, seconds), north_m=-9000, velocity=(1.5, 0.0), **changes)
        if t <= seconds:
            return [boat]
        lost = t - seconds > 60
        return [
            replace(
                boat,
                at=NOON + timedelta(seconds=t),
                state=TrackState.LOST if lost else TrackState.COASTING,
            )
        ]

    return boats


def eyes(_: object) -> tuple[str, ...]:
    return ("tarifa-day",)


def test_a_boat_that_is_seen_no_more_where_a_camera_looks_is_a_rescue():
    watch = Watch(watched_by=eyes).keep(gone_after(600), 12)
    (alert,) = [a for a in watch.alerts if a.rule == "vanished"]

    assert alert.is_rescue
    assert alert.suggested == "assist.look"
    assert watch.alerts[0] is alert
    assert {"sea_state", "water_temperature", "people"} <= set(alert.unknown)
    assert watch.rang.count("vanished") == 1


@pytest.mark.parametrize(
    ("boats", "watched_by"),
    [
        (gone_after(600), None),  # nobody can say who looks there
        (gone_after(600), lambda _: ()),  # nobody looks there
        (gone_after(600), lambda _: ("ceuta-day",)),  # one that never saw it
        (gone_after(60), eyes),  # it was seen for a minute
        (gone_after(600, existence=0.85), eyes),
        (gone_after(600, mmsi=224000001), eyes),
        (gone_after(600, length_m=40.0), eyes),
    ],
)
def test_a_near_miss_of_vanished_is_not_told(boats, watched_by):
    assert "vanished" not in Watch(watched_by=watched_by).keep(boats, 12).rules


def test_a_boat_that_goes_on_under_another_name_has_not_vanished():
    old = gone_after(600)

    def boats(t: float) -> list[SystemTrack]:
        found = old(t)
        if t > 620:
            found += [
                track(
                    t, track_id=TrackId("T2"), position=place(900, -9000), length_m=7.0
                )
            ]
        return found

    assert "vanished" not in Watch(watched_by=eyes).keep(boats, 12).rules


def test_two_missed_looks_are_not_yet_a_disappearance():
    fact = VanishedFact(
        last_seen_at=NOON,
        known_for=timedelta(minutes=10),
        looks=2,
        watched_by=("tarifa-day",),
    )

    assert vanished(situation(vanished=fact)) is None
    assert vanished(situation(vanished=replace(fact, looks=3))) is not None


def test_an_arrival_that_nobody_saw_is_overdue():
    """Bound for the coast for ten minutes, then gone; due in an hour or so."""

    def boats(t: float) -> list[SystemTrack]:
        if t > 600:
            return []
        return [track(t, north_m=-9000, velocity=(0.0, 2.5))]

    watch = Watch().keep(boats, 120)

    assert watch.rang.count("overdue") == 1
    assert all(a.is_rescue for a in watch.alerts if a.rule == "overdue")


EXPECTED = ExpectedFact(
    latest=NOON, probability=0.9, last_seen_at=NOON - timedelta(hours=1)
)


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (DEFAULT.overdue_grace - MOMENT, False),
        (DEFAULT.overdue_grace, True),
        (DEFAULT.overdue_told, True),
        (DEFAULT.overdue_told + MOMENT, False),
    ],
)
def test_overdue_begins_after_its_grace_and_ends(late, told):
    missing = situation(expected=EXPECTED, at=NOON + late, is_lost=True)

    assert (overdue(missing) is not None) is told
    assert overdue(situation()) is None


def test_a_contact_that_comes_back_is_not_overdue():
    def boats(t: float) -> list[SystemTrack]:
        return [] if 600 < t < 1200 else [track(t, north_m=-9000, velocity=(0.0, 2.5))]

    assert "overdue" not in Watch().keep(boats, 50).rules


def test_a_rescue_comes_before_whatever_else_there_is():
    lost = situation(
        vanished=VanishedFact(
            last_seen_at=NOON,
            known_for=timedelta(minutes=10),
            looks=5,
            watched_by=("tarifa-day",),
        ),
        is_lost=True,
    )
    alerts = judge([replace(FAST, track_id=TrackId("T9")), lost])

    assert [a.rule for a in alerts] == ["vanished", "fast_boat"]
