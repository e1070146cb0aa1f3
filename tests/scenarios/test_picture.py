"""Radar, AIS words and AIS that does not add up, through the node's own judge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.core.ais import AisReport
from almenara.core.coast import Radar
from almenara.core.ids import ReceiverId
from almenara.core.radar import RadarReport
from almenara.geo.geodesy import destination
from almenara.incidents.alarm import Priority
from tests.scenarios.coast import Story, sailing, told

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
NOTHING = sailing(35.9, (0, 0.0, 0.0))
SHIP = 224000001


def with_radar(story: Story) -> Radar:
    radar = Radar(
        receiver_id=ReceiverId("faro-radar"),
        station_id=story.station.station_id,
        url="udp://192.0.2.9:8600",
        position=story.station.position,
    )
    story.station = replace(story.station, cameras=(), radars=(radar,))
    story.judge.watch((story.station,))
    return radar


async def test_a_boat_that_only_a_radar_hears_enters_a_zone_and_rings(tmp_path):
    with told(tmp_path, NOTHING, cameras=()) as story:
        radar = with_radar(story)
        for n in range(40):
            await story.go(3)
            now = story.clock.now()
            story.judge.sweep(
                RadarReport(
                    radar_id=radar.receiver_id,
                    received_at=now,
                    measured_at=now,
                    track_number=7,
                    azimuth_deg=180.0,
                    range_m=2000.0 - 15.0 * n,
                )
            )
        (track,) = story.judge.picture.latest().tracks

        assert [look.sensor_id for look in track.looks] == ["faro-radar"]
        assert track.velocity_mps[1] == pytest.approx(5.0, abs=1.0)
        (alarm,) = await story.alarms()
        assert [alert.rule for alert in alarm.alerts] == ["zone_entered"]


async def test_a_radar_that_nobody_knows_says_nothing(tmp_path):
    with told(tmp_path, NOTHING, cameras=()) as story:
        for _ in range(10):
            await story.go(3)
            now = story.clock.now()
            story.judge.sweep(
                RadarReport(
                    radar_id=ReceiverId("stranger"),
                    received_at=now,
                    measured_at=now,
                    track_number=7,
                    azimuth_deg=180.0,
                    range_m=2500.0,
                )
            )
        assert story.judge.picture.latest().tracks == ()


def said(story: Story, **fields) -> AisReport:
    return AisReport(
        **{
            "receiver_id": story.station.receivers[0].receiver_id,
            "received_at": story.clock.now(),
            "mmsi": SHIP,
            "message_type": 1,
            **fields,
        }
    )


async def test_a_ship_that_calls_for_help_is_one_alarm_about_her_track(tmp_path):
    """First in words without a place, then her place is heard: one situation."""
    with told(tmp_path, NOTHING, cameras=()) as story:
        await story.go(1)
        story.judge.hear(said(story, message_type=14, text="MAYDAY ENGINE DEAD"))
        await story.go(1)
        (alarm,) = await story.alarms()
        assert alarm.is_rescue
        assert alarm.priority is Priority.ALARM

        for _ in range(5):
            place = destination(story.station.position, 180.0, 9000.0)
            story.judge.hear(said(story, position=place, speed_mps=1.0))
            await story.go(10)
        (same,) = await story.alarms()

        assert same.alarm_id == alarm.alarm_id
        assert same.subject.id == story.judge.picture.latest().tracks[0].track_id


async def test_a_number_used_by_two_hulls_is_told_and_both_stay(tmp_path):
    with told(tmp_path, NOTHING, cameras=()) as story:
        here = destination(story.station.position, 180.0, 9000.0)
        there = destination(story.station.position, 270.0, 60_000.0)
        for _ in range(8):
            for place in (here, there):
                story.judge.hear(said(story, position=place, speed_mps=0.0))
            await story.go(10)
        found = {a.rule for alarm in await story.alarms() for a in alarm.alerts}

        assert "ais_duplicate" in found
        assert len(story.judge.picture.latest().tracks) == 2
        assert story.clock.monotonic_s() < timedelta(minutes=2).total_seconds()
