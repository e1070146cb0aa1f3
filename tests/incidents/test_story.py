"""Stories from picture to alarm, told with a clock that moves when told to."""

from collections.abc import Callable
from datetime import timedelta

from almenara.core.ids import TrackId
from almenara.core.time import ManualClock
from almenara.incidents.alarm import Alarm, AlarmState, Subject
from almenara.incidents.queue import decide
from almenara.incidents.rules import judge
from almenara.incidents.situation import Chronicle
from almenara.tracking.picture import Picture, SystemTrack
from tests.incidents.sea import NOON, SHORE, ZONE, numbered, track


class Watch:
    """The inner ring from picture to queue, one judgement every five seconds."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.alarms: dict[Subject, Alarm] = {}
        self.rang: list[tuple[float, str]] = []
        self._chronicle = Chronicle()
        self._names = numbered()

    def keep(self, boats: Callable[[float], list[SystemTrack]], minutes: float) -> None:
        end = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < end:
            t_s = self.clock.monotonic_s()
            picture = Picture(at=self.clock.now(), tracks=tuple(boats(t_s)))
            self._chronicle, found = self._chronicle.read(picture, [ZONE], SHORE)
            for step in decide(
                self.alarms, judge(found), self.clock.now(), self._names
            ):
                self.alarms[step.after.subject] = step.after
                if step.announces:
                    self.rang.append((t_s / 60, step.after.alerts[0].rule))
            self.clock.advance(timedelta(seconds=5))


def test_a_boat_that_crosses_is_one_alarm_with_all_its_reasons():
    """At 5 kn from 6 km: five minutes to be noticed, then through the zone."""
    watch = Watch()
    watch.keep(lambda t: [track(t, north_m=-6000, velocity=(0.0, 2.5))], 30)

    (alarm,) = watch.alarms.values()
    assert [round(at) for at, _ in watch.rang] == [5]
    assert [a.rule for a in alarm.alerts] == [
        "closing_on_coast",
        "predicted_landfall",
        "zone_entered",
    ]
    assert alarm.state is AlarmState.UNACKNOWLEDGED


def test_half_an_hour_of_empty_sea_is_quiet():
    watch = Watch()
    watch.keep(lambda _: [], 30)

    assert watch.rang == []


def test_half_an_hour_of_ordinary_traffic_is_quiet():
    """A ferry, a tanker with AIS, a yacht along the coast, a moored boat."""

    def traffic(t: float) -> list[SystemTrack]:
        return [
            track(
                t,
                track_id=TrackId("ferry"),
                velocity=(0, 15.0),
                north_m=-40_000,
                mmsi=224000002,
                length_m=90.0,
            ),
            track(
                t,
                track_id=TrackId("tanker"),
                velocity=(3.0, 1.0),
                north_m=-15_000,
                mmsi=224000001,
                length_m=250.0,
            ),
            track(t, track_id=TrackId("yacht"), velocity=(3.0, 0), north_m=-5000),
            track(t, track_id=TrackId("moored"), velocity=(0, 0), north_m=-500),
        ]

    watch = Watch()
    watch.keep(traffic, 30)

    assert watch.rang == []


def test_a_boat_whose_engine_stops_rings_again_as_a_rescue():
    def boat(t: float) -> list[SystemTrack]:
        if t < 600:
            return [track(t, north_m=-9000, velocity=(0.0, 2.5))]
        return [
            track(
                t - 600,
                north_m=-7500,
                velocity=(0.4, 0.0),
                at=NOON + timedelta(seconds=t),
            )
        ]

    watch = Watch()
    watch.keep(boat, 30)

    assert [rule for _, rule in watch.rang] == ["closing_on_coast", "adrift"]
    assert 19.5 < watch.rang[1][0] < 21.5
    (alarm,) = watch.alarms.values()
    assert alarm.is_rescue
    assert alarm.version == 2


def test_a_boat_on_the_border_of_a_zone_rings_once():
    """It sways 100 m to and fro across the edge for an hour."""

    def swaying(t: float) -> list[SystemTrack]:
        north = -4000 + (100 if int(t // 90) % 2 else -100)
        return [track(t, north_m=north, speed_std=2.0, std_m=20.0)]

    watch = Watch()
    watch.keep(swaying, 60)

    assert [rule for _, rule in watch.rang] == ["zone_entered"]
