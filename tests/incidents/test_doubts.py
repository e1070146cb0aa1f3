"""What the watch itself is worth: AIS findings, dim pictures, who looks where."""

from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.core.ids import CameraId, ReceiverId
from almenara.detection import Condition
from almenara.geo.geodesy import destination
from almenara.incidents.alarm import Priority, SubjectKind
from almenara.incidents.doubts import CameraFacts, ais_anomaly, camera_degraded
from almenara.incidents.lookout import lookout
from almenara.incidents.rules import judge
from almenara.incidents.thresholds import DEFAULT
from almenara.tracking.integrity import Anomaly, AnomalyKind
from tests.incidents.sea import NOON, ORIGIN, place
from tests.tracking.coast import camera

CAMERA = camera()
GOOD = CameraFacts(camera_id=CAMERA.camera_id, camera=CAMERA)
DIM = replace(GOOD, condition=Condition.DEGRADED, condition_for=DEFAULT.degraded_after)
FOUND = Anomaly(
    kind=AnomalyKind.DUPLICATE,
    receiver_id=ReceiverId("ais-1"),
    mmsi=224000001,
    since=NOON,
    last_at=NOON,
    place=ORIGIN,
    other_place=place(40_000, 0),
)


@pytest.mark.parametrize("kind", AnomalyKind)
def test_every_finding_is_told_with_both_facts_and_accuses_nobody(kind):
    alert = ais_anomaly(replace(FOUND, kind=kind))

    assert alert.rule == f"ais_{kind}"
    assert alert.because[0].key == f"ais.{kind}"
    assert float(alert.because[0].values["apart_m"]) == pytest.approx(40_000, rel=1e-3)
    assert "cause" in alert.unknown
    assert not alert.is_rescue
    assert alert.priority <= Priority.WARNING


def test_a_jammed_area_is_about_its_receiver():
    alert = ais_anomaly(replace(FOUND, kind=AnomalyKind.JAMMED, mmsi=None, ships=9))

    assert alert.subject.kind is SubjectKind.RECEIVER
    assert alert.because[0].values["ships"] == 9.0
    assert "mmsi" not in alert.because[0].values


def test_findings_are_judged_with_the_rest():
    assert [a.rule for a in judge([], anomalies=[FOUND])] == ["ais_duplicate"]


def test_a_dim_picture_is_told_after_ten_minutes_and_who_covers_it():
    alone = camera_degraded(DIM)
    covered = camera_degraded(replace(DIM, covered_by=(CameraId("ceuta-day"),)))

    assert alone is not None
    assert covered is not None
    assert "other_cover" in alone.unknown
    assert covered.unknown == ()
    assert covered.because[1].values["cameras"] == "ceuta-day"


@pytest.mark.parametrize(
    "miss",
    [
        GOOD,
        replace(DIM, condition_for=DEFAULT.degraded_after - timedelta(seconds=1)),
        replace(DIM, condition=Condition.BLIND),
    ],
)
def test_a_near_miss_of_a_dim_picture_is_not_told(miss):
    assert camera_degraded(miss) is None


def test_a_working_camera_looks_where_it_points_and_nowhere_else():
    watched_by = lookout([GOOD])
    here = CAMERA.pose.position

    assert watched_by(destination(here, 180.0, 9000.0)) == ("tarifa-day",)
    assert watched_by(destination(here, 90.0, 9000.0)) == ()
    assert watched_by(destination(here, 189.9, 9000.0)) == ()  # at the picture's edge
    assert watched_by(destination(here, 180.0, 60_000.0)) == ()  # below the horizon


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, silent_for=DEFAULT.silent_after),
        replace(GOOD, condition=Condition.BLIND),
        replace(GOOD, condition=Condition.DEGRADED),
        replace(GOOD, camera=None),
    ],
)
def test_a_camera_that_does_not_work_says_nothing_of_what_is_missing(bad):
    assert lookout([bad])(destination(CAMERA.pose.position, 180.0, 9000.0)) == ()
