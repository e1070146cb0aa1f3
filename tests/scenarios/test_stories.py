"""Whole stories, from the truth of a simulated sea to what a person is told."""

from datetime import timedelta

import pytest

from almenara.core.values import Position
from almenara.incidents.alarm import AlarmState, Priority, SubjectKind
from almenara.simulation.geometry import range_and_azimuth
from almenara.simulation.scenario import ActorKind, Ais
from tests.scenarios.coast import DAY, THERMAL, sailing, told

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FERRY = Ais(mmsi=224402000, name="CIUDAD", ship_type=60)
SMALL = Ais(mmsi=224011220, name="NUEVO", ship_type=30, class_b=True)
CROSSING = sailing(35.983, (0, 0.0, 5.0))
"""At 10 kn and therefore no case of ``closing_on_coast``; in the zone after 55 s."""


def rules(alarm) -> set[str]:
    return {alert.rule for alert in alarm.alerts}


async def test_a_boat_that_enters_a_watch_zone_is_one_alarm_with_its_reasons(tmp_path):
    with told(tmp_path, CROSSING) as story:
        await story.go(50)
        assert await story.alarms() == ()
        await story.go(60)

        (alarm,) = await story.alarms()
        (alert,) = alarm.alerts
        assert (alarm.state, alarm.version) == (AlarmState.UNACKNOWLEDGED, 1)
        assert (alarm.priority, alarm.is_rescue) == (Priority.WARNING, False)
        assert (alert.rule, alert.suggested) == ("zone_entered", "look.camera")
        assert alert.because[0].key == "zone.inside"
        assert alert.because[0].values["zone"] == "Playa"
        assert {"people", "ais"} <= set(alert.unknown)
        assert alert.sensors == (DAY,)
        truth = CROSSING.start
        off_m = range_and_azimuth(alert.position or truth, truth)[0]
        assert off_m == pytest.approx(280, abs=150)


async def test_what_follows_from_a_simulated_station_says_so(tmp_path):
    with told(tmp_path, CROSSING) as story:
        await story.go(110)

        (alarm,) = await story.alarms()
        assert alarm.labels.simulated
        assert all(track.simulated for track in story.judge.picture.latest().tracks)


async def test_a_made_boat_stays_made_when_its_camera_is_taken_away(tmp_path):
    """The track coasts into the zone without anybody who sees it."""
    with told(tmp_path, CROSSING) as story:
        await story.go(50)
        assert await story.alarms() == ()
        story.judge.watch(())
        await story.go(40)

        (alarm,) = await story.alarms()
        assert rules(alarm) == {"zone_entered"}
        assert alarm.labels.simulated


async def test_an_acknowledged_alarm_stays_quiet(tmp_path):
    with told(tmp_path, CROSSING) as story:
        await story.go(90)
        (alarm,) = await story.alarms()
        await story.acknowledge(alarm)
        await story.go(100)

        (still,) = await story.alarms()
        assert still.alarm_id == alarm.alarm_id
        assert still.state is AlarmState.ACKNOWLEDGED
        assert len(await story.rang(alarm)) == 1


async def test_a_slow_small_boat_closing_on_the_coast_joins_its_own_alarm(tmp_path):
    """First the zone, then five minutes on the same course: one situation."""
    boat = sailing(35.9835, (0, 0.0, 2.6))
    with told(tmp_path, boat) as story:
        await story.go(200)
        (first,) = await story.alarms()
        assert rules(first) == {"zone_entered"}
        await story.go(200)

        (alarm,) = await story.alarms()
        assert alarm.alarm_id == first.alarm_id
        assert rules(alarm) == {
            "zone_entered",
            "closing_on_coast",
            "predicted_landfall",
        }
        assert len(await story.rang(alarm)) == 1
        closing = next(a for a in alarm.alerts if a.rule == "closing_on_coast")
        said = {reason.key: reason.values for reason in closing.because}
        speed, std = map(float, said["closing.speed"].values())
        assert speed == pytest.approx(2.6, abs=min(3 * std, 0.6))
        assert "closing.no_ais" in said
        assert closing.observed_at is not None
        assert story.clock.now() - closing.observed_at < timedelta(minutes=5)


async def test_a_drifting_boat_is_a_rescue_and_rings_again(tmp_path):
    """Its engine stops inside the zone, after somebody acknowledged it."""
    boat = sailing(35.983, (0, 0.0, 5.0), (150, 180.0, 0.5))
    with told(tmp_path, boat) as story:
        await story.go(120)
        (first,) = await story.alarms()
        await story.acknowledge(first)
        await story.go(700)

        (alarm,) = await story.alarms()
        assert alarm.alarm_id == first.alarm_id
        assert rules(alarm) == {"zone_entered", "adrift"}
        assert alarm.is_rescue
        assert alarm.state is AlarmState.UNACKNOWLEDGED
        assert (alarm.version, alarm.acknowledged_by) == (2, None)
        assert alarm.alerts[0].suggested == "assist.look"
        assert len(await story.rang(alarm)) == 2


async def test_a_ferry_that_says_who_she_is_never_closes_on_the_coast(tmp_path):
    ferry = sailing(35.97, (0, 0.0, 3.5), kind=ActorKind.FERRY, ais=FERRY, name="ferry")
    with told(tmp_path, ferry) as story:
        await story.go(600)

        (track,) = story.judge.picture.latest().tracks
        assert (track.mmsi, track.ship_name) == (FERRY.mmsi, FERRY.name)
        (alarm,) = await story.alarms()
        assert rules(alarm) == {"zone_entered"}
        assert "ais" not in alarm.alerts[0].unknown


async def test_a_boat_that_two_cameras_and_ais_see_is_one_track(tmp_path):
    boat = sailing(35.985, (0, 10.0, 3.0), ais=SMALL)
    with told(tmp_path, boat, cameras=(DAY, THERMAL)) as story:
        await story.go(60)

        (track,) = story.judge.picture.latest().tracks
        assert {look.sensor_id for look in track.looks} == {DAY, THERMAL, "faro-ais"}
        assert track.mmsi == SMALL.mmsi


async def test_two_boats_are_two_tracks_and_two_alarms(tmp_path):
    boats = (
        sailing(35.983, (0, 0.0, 5.0), longitude_deg=-5.6108, name="one"),
        sailing(35.983, (0, 0.0, 5.0), longitude_deg=-5.6093, name="two"),
    )
    with told(tmp_path, *boats, cameras=(DAY, THERMAL)) as story:
        await story.go(120)

        assert len(story.judge.picture.latest().tracks) == 2
        subjects = {alarm.subject.id for alarm in await story.alarms()}
        assert len(subjects) == 2


async def test_half_an_hour_of_empty_sea_with_glints_raises_nothing(tmp_path):
    with told(tmp_path, cameras=(DAY, THERMAL)) as story:
        story.false_every_s = 30
        await story.go(30 * 60)

        assert await story.alarms() == ()


async def test_a_silent_camera_is_an_alarm_within_ten_seconds_and_ends(tmp_path):
    with told(tmp_path, cameras=(DAY, THERMAL)) as story:
        await story.go(20)
        story.eyes[DAY].sends = False
        await story.go(9)
        assert await story.alarms() == ()
        await story.go(1)

        (alarm,) = await story.alarms()
        assert (alarm.subject.kind, alarm.subject.id) == (SubjectKind.CAMERA, DAY)
        assert rules(alarm) == {"camera_silent"}
        assert alarm.alerts[0].suggested == "check.station"
        assert alarm.labels.simulated

        story.eyes[DAY].sends = True
        await story.go(2)
        (ended,) = await story.alarms()
        assert ended.state is AlarmState.RECTIFIED
        await story.acknowledge(ended)
        assert await story.alarms() == ()


async def test_a_restart_keeps_what_was_listed(tmp_path):
    with told(tmp_path, CROSSING) as story:
        await story.go(110)
        before = await story.alarms()
        story.reopen()
        await story.desk.reload()

        assert await story.alarms() == before


async def test_a_rescue_outlives_a_restart_and_the_loss_of_its_track(tmp_path):
    boat = sailing(35.988, (0, 180.0, 0.5))
    with told(tmp_path, boat) as story:
        await story.go(620)
        (rescue,) = [a for a in await story.alarms() if a.is_rescue]
        await story.acknowledge(rescue)
        story.reopen()
        await story.desk.reload()
        story.eyes[DAY].sends = False
        await story.go(300)

        kept = {a.alarm_id: a for a in await story.alarms()}
        assert kept[rescue.alarm_id].state is AlarmState.ACKNOWLEDGED


async def test_a_device_in_distress_is_an_emergency_before_any_camera_sees_it(tmp_path):
    beacon = sailing(
        35.99, (0, 0.0, 0.0), ais=Ais(mmsi=972345678, name="MOB", ship_type=0)
    )
    with told(tmp_path, beacon, cameras=()) as story:
        await story.go(11)

        (alarm,) = await story.alarms()
        assert (alarm.priority, alarm.is_rescue) == (Priority.EMERGENCY, True)
        assert alarm.alerts[0].suggested == "assist.look"
        assert isinstance(alarm.alerts[0].position, Position)
