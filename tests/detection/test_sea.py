import numpy as np
import pytest

from almenara.core.coast import Camera, Lens, Pose, Profile, Scene, SensorKind, Stream
from almenara.core.ids import CameraId, StationId, StreamId
from almenara.core.values import Position
from almenara.detection import Condition, Detections, ObjectClass
from almenara.detection.sea import SeaDetector
from almenara.geo.range_map import RangeMap
from tests.detection.seas import NoisySea, frame_of

WIDTH, HEIGHT = 640, 160
BOAT = (300.0, 100.0, 12, 4, 25.0)


def detector(range_map=None, zone=None, wanted=10.0):
    return SeaDetector(
        width_px=WIDTH,
        height_px=HEIGHT,
        range_map=range_map,
        zone=zone,
        candidates_per_frame=wanted,
    )


def near(found, x, y):
    return (np.abs(found.waterlines[:, 0] - x) < 4) & (
        np.abs(found.waterlines[:, 1] - y) < 3
    )


def watch(sea, looks, detector, boats=()):
    return [detector.detect(sea.frame(0.2 * i, boats)) for i in range(looks)]


@pytest.mark.slow
def test_a_small_boat_is_found_in_nearly_every_look_at_its_place():
    found = watch(NoisySea(), 60, detector(), [BOAT])[10:]
    hits = [near(f, 300, 100).any() for f in found]
    assert np.mean(hits) > 0.95
    last = found[-1]
    i = int(np.flatnonzero(near(last, 300, 100))[0])
    assert last.boxes[i] == pytest.approx([294, 96, 306, 100], abs=2.5)
    assert last.contrasts[i] == pytest.approx(25, abs=8)


@pytest.mark.slow
def test_an_empty_sea_gives_about_as_many_candidates_as_wanted():
    found = watch(NoisySea(seed=3), 150, detector(wanted=8.0))[50:]
    assert np.mean([len(f) for f in found]) == pytest.approx(8.0, rel=0.3)
    assert found[-1].clutter_per_px == pytest.approx(8.0 / (WIDTH * HEIGHT), rel=0.6)


@pytest.mark.slow
def test_dark_boats_are_found_as_bright_ones_are():
    sea, upright, inverted = NoisySea(seed=4), detector(), detector()
    a = b = Detections.none()
    shared = near(a, 0, 0), near(b, 0, 0)
    for i in range(30):
        frame = sea.frame(0.2 * i, [BOAT])
        a = upright.detect(frame)
        b = inverted.detect(frame_of(255 - frame.luma, 0.2 * i))
        # Median of an even count rounds the other way: a hair on the threshold.
        shared = near(a, 300, 100), near(b, 300, 100)
        assert shared[0].any() == shared[1].any()
    assert abs(len(a) - len(b)) <= 2
    assert a.contrasts[shared[0]] == pytest.approx(-b.contrasts[shared[1]], abs=1.0)


@pytest.mark.slow
def test_a_shift_of_the_picture_shifts_what_is_found():
    sea, still, moved = NoisySea(seed=5), detector(), detector()
    a = b = Detections.none()
    for i in range(30):
        frame = sea.frame(0.2 * i, [BOAT])
        a = still.detect(frame)
        b = moved.detect(frame_of(np.roll(frame.luma, (4, 8), (0, 1)), 0.2 * i))
    here, there = a.waterlines[near(a, 300, 100)], b.waterlines[near(b, 308, 104)]
    assert there - here == pytest.approx(np.array([[8.0, 4.0]]), abs=0.3)


@pytest.mark.slow
def test_a_boat_that_stands_still_is_not_learnt_away():
    sea, watcher = NoisySea(seed=6), detector()
    for i in range(20):
        watcher.detect(sea.frame(0.2 * i, [BOAT]))
    scores = []
    for i in range(120):  # two hours, a look a minute
        found = watcher.detect(sea.frame(10.0 + 60.0 * i, [BOAT]))
        scores.append(found.scores[near(found, 300, 100)].max(initial=0.0))
    assert np.mean(np.array(scores) > 0) > 0.95
    assert np.median(scores[60:]) > 0.8 * np.median(scores[:60])


@pytest.mark.slow
def test_a_fleet_at_anchor_does_not_hide_the_next_boat():
    fleet = [(30.0 + 45 * i, 60.0 + 6 * (i % 9), 12, 5, 35.0) for i in range(13)]
    sea, watcher = NoisySea(seed=7), detector(wanted=8.0)
    hits = []
    for i in range(120):
        found = watcher.detect(
            sea.frame(0.2 * i, [*fleet, (320.0, 140.0, 12, 5, 25.0)])
        )
        hits.append(near(found, 320, 140).any())
    assert np.mean(hits[60:]) > 0.8


def test_nothing_is_reported_while_noise_is_being_learnt():
    found = watch(NoisySea(seed=8), 9, detector(), [BOAT])
    assert [f.condition for f in found[:7]] == [Condition.LEARNING] * 7
    assert not any(len(f) for f in found[:7])
    assert found[-1].condition is Condition.GOOD


def test_the_same_picture_for_two_seconds_is_frozen_and_thaws():
    sea, watcher = NoisySea(seed=9), detector()
    for i in range(10):
        watcher.detect(sea.frame(0.2 * i))
    stuck = sea.frame(2.0).luma
    said = [watcher.detect(frame_of(stuck, 2.0 + 0.2 * i)).condition for i in range(14)]
    assert said[:11] == [Condition.GOOD] * 11
    assert said[-1] is Condition.FROZEN
    assert watcher.detect(sea.frame(5.0)).condition is Condition.GOOD


@pytest.mark.parametrize(
    ("grey", "noise"), [(0, 0.0), (3, 1.0), (128, 0.0), (200, 2.0)]
)
def test_a_covered_or_uniform_picture_is_blind(grey, noise):
    deviates = np.random.default_rng(0)
    for i in range(5):
        luma = np.clip(deviates.normal(grey, noise, (HEIGHT, WIDTH)), 0, 255)
        found = detector().detect(frame_of(luma.astype(np.uint8), 0.2 * i))
        assert found.condition is Condition.BLIND


@pytest.mark.slow
def test_noise_three_times_the_usual_is_degraded():
    sea, watcher, found = NoisySea(seed=10), detector(), Detections.none()
    for i in range(60):
        assert watcher.detect(sea.frame(0.2 * i)).condition is not Condition.DEGRADED
    for i in range(60, 120):
        luma = 115.0 + 6.0 * (sea.frame(0.2 * i).luma - 115.0)
        frame = frame_of(np.clip(luma, 0, 255).astype(np.uint8), 0.2 * i)
        found = watcher.detect(frame)
    assert found.condition is Condition.DEGRADED


def camera():
    return Camera(
        camera_id=CameraId("pier"),
        station_id=StationId("north"),
        sensor=SensorKind.DAY,
        scene=Scene.SEA,
        pose=Pose(
            position=Position(latitude_deg=28.0, longitude_deg=-14.0),
            height_m=50.0,
            azimuth_deg=90.0,
            tilt_deg=-0.8,
        ),
        lens=Lens(width_px=WIDTH, height_px=HEIGHT, hfov_deg=6.0),
        streams=(
            Stream(stream_id=StreamId("1"), profile=Profile.MAIN, url="file:/none"),
        ),
    )


@pytest.mark.slow
def test_only_the_sea_is_searched_and_width_at_range_names_the_class():
    range_map = RangeMap.of(camera())
    horizon = int(range_map.horizon_row_px)
    sea, watcher = NoisySea(seed=11, horizon=horizon), detector(range_map)
    found = Detections.none()
    boats = [
        (200.0, 120.0, 14, 5, 30.0),
        (480.0, 120.0, 50, 12, 30.0),
        (320.0, horizon - 15.0, 10, 4, 40.0),
    ]
    for i in range(20):
        found = watcher.detect(sea.frame(0.2 * i, boats))
    assert (found.boxes[:, 3] > horizon - 12).all()
    small, large = (int(np.flatnonzero(near(found, x, 120))[0]) for x in (200, 480))
    assert found.classes[small] is ObjectClass.SMALL_CRAFT
    assert found.classes[large] is ObjectClass.VESSEL


def test_what_lies_outside_the_zone_is_not_reported():
    zone = np.zeros((HEIGHT, WIDTH), bool)
    zone[60:130, 250:500] = True
    found = watch(
        NoisySea(seed=12), 15, detector(zone=zone), [BOAT, (100, 100, 12, 4, 40)]
    )
    for look in found:
        assert (look.waterlines[:, 0] > 240).all()
    assert near(found[-1], 300, 100).any()


def test_an_empty_zone_sees_nothing_and_says_good():
    found = detector(zone=np.zeros((HEIGHT, WIDTH), bool)).detect(NoisySea().frame(0.0))
    assert len(found) == 0
    assert found.condition is Condition.GOOD
