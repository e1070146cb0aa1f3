from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.core.ais import AisReport
from almenara.core.ids import CameraId, ReceiverId, ZoneId
from almenara.core.values import CountRange
from almenara.detection import Condition, ObjectClass
from almenara.incidents.alarm import Priority, SubjectKind
from almenara.incidents.distress import DistressWatch
from almenara.incidents.doubts import CameraFacts
from almenara.incidents.rules import (
    adrift,
    camera_blind,
    camera_silent,
    closing_on_coast,
    distress_device,
    distress_text,
    judge,
    zone_entered,
)
from almenara.incidents.situation import ZoneFact
from almenara.incidents.thresholds import DEFAULT
from tests.incidents.sea import NOON, ORIGIN, situation

FIVE, TEN = timedelta(minutes=5), timedelta(minutes=10)
MOMENT = timedelta(seconds=1)
INSIDE = ZoneFact(
    zone_id=ZoneId("z1"),
    name="Bolonia",
    probability=0.93,
    since=NOON - DEFAULT.zone_sustained,
)
CLOSING = situation(closing_for=FIVE)
ADRIFT = situation(speed_mps=0.5, adrift_for=TEN, adrift_distance_m=300.0)


def keys(alert) -> list[str]:
    return [reason.key for reason in alert.because]


def test_a_contact_inside_a_zone_is_told_with_zone_probability_and_since():
    alert = zone_entered(situation(zones=(INSIDE,)))

    assert alert is not None
    assert keys(alert) == ["zone.inside", "seen.by"]
    assert alert.because[0].values == {
        "zone": "Bolonia",
        "probability": 0.93,
        "since": "2026-03-01T11:59:58.000000Z",
    }
    assert alert.priority is Priority.WARNING


def test_a_contact_that_never_counted_as_inside_is_not_told():
    near = replace(INSIDE, probability=0.79, since=None)

    assert zone_entered(situation(zones=(near,))) is None
    assert zone_entered(situation()) is None


def test_a_place_that_jumps_into_a_zone_for_a_moment_is_not_told():
    just = replace(INSIDE, since=NOON - DEFAULT.zone_sustained + MOMENT)

    assert zone_entered(situation(zones=(just,))) is None


def test_slow_small_and_closing_on_the_coast_says_all_its_reasons():
    alert = closing_on_coast(CLOSING)

    assert alert is not None
    assert keys(alert) == [
        "closing.speed",
        "closing.course",
        "closing.no_ais",
        "closing.small",
        "closing.minutes",
        "closing.landfall",
        "seen.by",
    ]
    landfall = alert.because[5].values
    assert float(landfall["minutes_low"]) < 8000 / 2.5 / 60
    assert float(landfall["minutes_high"]) > 8000 / 2.5 / 60
    assert "people" in alert.unknown
    assert "ais" in alert.unknown


@pytest.mark.parametrize(
    "miss",
    [
        replace(CLOSING, closing_for=FIVE - MOMENT),
        replace(CLOSING, has_ais=True),
        replace(CLOSING, length_m=25.0),
        replace(CLOSING, length_m=None, object_class=ObjectClass.VESSEL),
        replace(CLOSING, shore=None),
    ],
)
def test_a_near_miss_of_closing_on_the_coast_is_not_told(miss):
    assert closing_on_coast(miss) is None


def test_what_nobody_can_measure_counts_as_small():
    blurred = replace(CLOSING, length_m=None, object_class=ObjectClass.UNKNOWN)
    alert = closing_on_coast(blurred)

    assert alert is not None
    assert set(alert.unknown) == {"people", "length", "ais", "class"}
    assert "closing.small" not in keys(alert)


def test_a_boat_adrift_is_a_rescue_and_help_is_considered_first():
    alert = adrift(ADRIFT)

    assert alert is not None
    assert alert.is_rescue
    assert alert.priority is Priority.ALARM
    assert alert.suggested == "assist.look"
    assert keys(alert) == [
        "adrift.speed",
        "adrift.minutes",
        "adrift.distance",
        "seen.by",
    ]


@pytest.mark.parametrize(
    "miss",
    [
        replace(ADRIFT, adrift_for=TEN - MOMENT),
        replace(ADRIFT, has_ais=True, length_m=180.0),
    ],
)
def test_a_near_miss_of_adrift_is_not_told(miss):
    assert adrift(miss) is None


def test_not_knowing_load_length_class_or_ship_never_lowers_a_rescue():
    known = replace(ADRIFT, people=CountRange(at_least=2, at_most=2), has_ais=True)
    least = adrift(known)
    assert least is not None
    for doubt in (
        {"people": None},
        {"length_m": None},
        {"object_class": ObjectClass.UNKNOWN},
        {"has_ais": False},
        {"length_m": None, "object_class": ObjectClass.UNKNOWN, "people": None},
    ):
        alert = adrift(replace(known, **doubt))
        assert alert is not None, doubt
        assert alert.priority >= least.priority, doubt
        assert alert.is_rescue, doubt


CAMERA = CameraFacts(camera_id=CameraId("tarifa-day"))


def test_a_silent_camera_is_told_after_ten_seconds():
    silent = replace(CAMERA, silent_for=timedelta(seconds=10))
    alert = camera_silent(silent)

    assert alert is not None
    assert alert.subject.kind is SubjectKind.CAMERA
    assert keys(alert) == ["silent.camera"]
    assert camera_silent(replace(CAMERA, silent_for=timedelta(seconds=9.9))) is None


@pytest.mark.parametrize("condition", [Condition.BLIND, Condition.FROZEN])
def test_a_blind_camera_is_told_after_a_minute(condition: Condition):
    blind = replace(CAMERA, condition=condition, condition_for=timedelta(minutes=1))
    alert = camera_blind(blind)

    assert alert is not None
    assert alert.because[0].values == {"condition": condition.value, "seconds": 60.0}
    assert camera_blind(replace(blind, condition_for=timedelta(seconds=59))) is None


@pytest.mark.parametrize(
    "condition", [Condition.GOOD, Condition.DEGRADED, Condition.LEARNING]
)
def test_a_picture_that_shows_something_is_not_blind(condition: Condition):
    facts = replace(CAMERA, condition=condition, condition_for=timedelta(hours=1))

    assert camera_blind(facts) is None


def device(**changes) -> AisReport:
    return AisReport(
        **{
            "receiver_id": ReceiverId("ais-1"),
            "received_at": NOON,
            "mmsi": 970123456,
            "message_type": 1,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("report", "priority"),
    [
        (device(navigation_status=14, position=ORIGIN), Priority.EMERGENCY),
        (device(navigation_status=14, text="SART TEST"), Priority.EMERGENCY),
        (device(message_type=14, text="SART ACTIVE"), Priority.EMERGENCY),
        (device(mmsi=972000001), Priority.EMERGENCY),
        (device(mmsi=974000001, message_type=14, text="EPIRB TEST"), Priority.CAUTION),
        (device(navigation_status=15), Priority.CAUTION),
        (device(navigation_status=15, text="SART ACTIVE"), Priority.EMERGENCY),
    ],
)
def test_a_distress_device_is_an_emergency_unless_it_says_it_is_a_test(
    report, priority
):
    alert = distress_device(report)

    assert alert is not None
    assert alert.priority is priority
    assert alert.is_rescue is (priority is Priority.EMERGENCY)
    assert keys(alert)[0] == "distress.device"
    assert ("distress.no_position" in keys(alert)) is (report.position is None)


@pytest.mark.parametrize(
    "text", ["MAYDAY MAYDAY", "sos engine dead", "PAN-PAN PAN-PAN", "WE ARE SINKING"]
)
def test_a_ship_that_calls_for_help_is_an_alarm_and_a_rescue(text):
    alert = distress_text(device(mmsi=224000001, message_type=14, text=text))

    assert alert is not None
    assert alert.is_rescue
    assert alert.priority is Priority.ALARM
    assert alert.subject.id == "mmsi:224000001"


@pytest.mark.parametrize(
    "text", [None, "", "GALE WARNING", "PANAMA BOUND", "COMPANY", "SOSA MARIA"]
)
def test_words_that_only_look_like_a_call_are_none(text):
    assert distress_text(device(mmsi=224000001, message_type=14, text=text)) is None


def test_a_drill_is_marked_and_still_heard():
    alert = distress_text(
        device(mmsi=224000001, message_type=14, text="MAYDAY DRILL ONLY")
    )

    assert alert is not None
    assert "distress.says_drill" in keys(alert)
    assert alert.priority is Priority.ALARM


def test_nothing_a_caller_sends_later_takes_the_call_back():
    watch = DistressWatch()
    watch = watch.heard(device(mmsi=224000001, message_type=14, text="MAYDAY"))
    watch = watch.heard(device(mmsi=224000001, message_type=14, text="ALL WELL"))
    watch = watch.heard(device(mmsi=224000001, position=ORIGIN))
    (alert,) = watch.alerts(NOON)

    assert alert.rule == "distress_text"
    assert alert.position == ORIGIN


def test_an_ordinary_ship_is_no_distress_device():
    assert distress_device(device(mmsi=224000001, navigation_status=14)) is None


def test_a_device_heard_now_and_then_is_one_standing_alert():
    watch = DistressWatch()
    watch = watch.heard(device(navigation_status=14, position=ORIGIN))
    watch = watch.heard(device(message_type=14, text="SART ACTIVE"))
    watch = watch.heard(device(mmsi=224000001))

    later = watch.alerts(NOON + timedelta(minutes=20))
    assert len(later) == 1
    assert later[0].position == ORIGIN
    assert watch.alerts(NOON + timedelta(minutes=31)) == ()


def test_a_track_of_a_distress_device_joins_its_alarm():
    track = replace(ADRIFT, mmsi=970123456, has_ais=True)
    one, two = adrift(track), distress_device(device())

    assert one is not None
    assert two is not None
    assert one.subject == two.subject


def test_the_gravest_alert_comes_first_and_silent_is_not_also_blind():
    dead = replace(
        CAMERA,
        silent_for=timedelta(minutes=5),
        condition=Condition.FROZEN,
        condition_for=timedelta(minutes=5),
    )
    alerts = judge([replace(ADRIFT, zones=(INSIDE,))], [dead])

    assert [a.rule for a in alerts] == ["adrift", "zone_entered", "camera_silent"]
    assert {a.rule_version for a in alerts} == {DEFAULT.version}
