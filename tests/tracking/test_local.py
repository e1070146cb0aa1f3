from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from almenara.core.coast import Camera, Lens, Pose, Profile, Scene, SensorKind, Stream
from almenara.core.ids import CameraId, StationId, StreamId
from almenara.core.values import Position
from almenara.detection import Condition, Detections, ObjectClass
from almenara.geo.camera_model import CameraModel
from almenara.geo.range_map import RangeMap
from almenara.tracking.local import LocalTracker
from almenara.tracking.observations import CameraObservation

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT = 1280, 400
CAMERA = Camera(
    camera_id=CameraId("pier/day"),
    station_id=StationId("pier"),
    sensor=SensorKind.DAY,
    scene=Scene.SEA,
    pose=Pose(
        position=Position(latitude_deg=28.0, longitude_deg=-14.0),
        height_m=50.0,
        azimuth_deg=90.0,
        tilt_deg=-1.5,
    ),
    lens=Lens(width_px=WIDTH, height_px=HEIGHT, hfov_deg=12.0),
    streams=(Stream(stream_id=StreamId("1"), profile=Profile.MAIN, url="file:/none"),),
)


class Clutter:
    """Candidates of waves: born anywhere, alive for an exponential while, drifting."""

    def __init__(self, *, seed, per_look=10.0, lifetime_s=0.6):
        self._noise = np.random.default_rng(seed)
        self._per_look, self._lifetime_s = per_look, lifetime_s
        self._alive = np.zeros((0, 4))
        self._at_s = 0.0

    def look(self, at_s):
        """Rows of x, y, score."""
        noise, elapsed_s = self._noise, at_s - self._at_s
        self._at_s = at_s
        survive = noise.random(len(self._alive)) < np.exp(-elapsed_s / self._lifetime_s)
        alive = self._alive[survive]
        alive[:, 0] += alive[:, 3] * elapsed_s
        births = noise.poisson(max(self._per_look - len(alive), 0.0))
        born = np.column_stack(
            [
                noise.uniform(5, WIDTH - 5, births),
                noise.uniform(80, HEIGHT - 5, births),
                5.0 + noise.exponential(1.0, births),
                noise.normal(0, 5, births),
            ]
        )
        self._alive = np.concatenate([alive, born])
        seen = self._alive[:, :3].copy()
        seen[:, :2] += noise.normal(0, 0.7, (len(seen), 2))
        return seen


def detections(rows, condition=Condition.GOOD, clutter=10.0):
    """Candidates of 12 x 4 pixels whose waterlines are at the rows' x, y."""
    rows = np.asarray(rows, np.float32).reshape(-1, 3)
    x, y, score = rows.T
    return Detections(
        boxes=np.column_stack([x - 6, y - 4, x + 6, y]).astype(np.float32),
        waterlines=rows[:, :2].copy(),
        scores=score.copy(),
        contrasts=score.copy(),
        classes=(ObjectClass.SMALL_CRAFT,) * len(rows),
        condition=condition,
        clutter_per_px=clutter / (WIDTH * 320),
    )


def at(seconds):
    return NOON + timedelta(seconds=float(seconds))


def follow(tracker, times, boat, *, clutter=None, seed=0, sigma=0.7):
    """Step through ``times``; ``boat(t)`` is its place or None. Answers by look."""
    noise = np.random.default_rng(seed + 99)
    answers = []
    for t in times:
        rows = [] if clutter is None else list(clutter.look(t))
        place = boat(t)
        if place is not None:
            x, y = np.array(place) + noise.normal(0, sigma, 2)
            rows.append((x, y, 8.0))
        answers.append((t, tracker.step(detections(rows), at(t))))
    return answers


def ways_of(tracker):
    """Which way each track goes: true for right."""
    return {str(t.local_track_id): t.velocity_px_s[0] > 0 for t in tracker.tracks}


def ids_of(answers):
    return {o.local_track_id for _, observed in answers for o in observed}


def test_a_boat_is_confirmed_within_ten_seconds_where_it_is():
    tracker = LocalTracker(CAMERA)
    times = np.arange(0, 30, 0.2)
    seen = follow(tracker, times, lambda t: (300 + 4 * t, 200), clutter=Clutter(seed=1))
    assert len(ids_of(seen)) == 1
    first = next(t for t, observed in seen if observed)
    assert first <= 10.0
    (last,) = seen[-1][1]
    azimuth, elevation = CameraModel.of(CAMERA).to_angles([(300 + 4 * times[-1], 200)])
    assert abs(last.azimuth_deg - azimuth[0]) < 4 * last.azimuth_std_deg
    assert abs(last.elevation_deg - elevation[0]) < 4 * last.elevation_std_deg
    assert last.local_track_id.startswith("pier/day/")
    assert last.existence > 0.9
    assert last.object_class is ObjectClass.SMALL_CRAFT
    across = RangeMap.of(CAMERA).across_m_per_px[200]
    assert last.width_m == pytest.approx(12 * across, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("lifetime_s", [0.3, 0.8, 1.5])
def test_waves_make_few_false_tracks_in_a_quarter_of_an_hour(lifetime_s):
    tracker = LocalTracker(CAMERA)
    clutter = Clutter(seed=2, lifetime_s=lifetime_s)
    seen = follow(tracker, np.arange(0, 900, 0.2), lambda _: None, clutter=clutter)
    assert len(ids_of(seen)) <= 1


@pytest.mark.slow
def test_a_boat_that_stands_still_for_two_hours_keeps_its_track():
    tracker = LocalTracker(CAMERA)
    times = np.concatenate([np.arange(0, 20, 0.2), np.arange(20, 7200, 2.0)])
    seen = follow(tracker, times, lambda _: (640, 180), clutter=Clutter(seed=3))
    assert len(ids_of(seen[:100])) == 1
    assert ids_of(seen[:100]) <= ids_of(seen[-5:])


def test_a_trough_of_ten_seconds_keeps_the_identity():
    tracker = LocalTracker(CAMERA)

    def boat(t):
        return None if 30 <= t < 40 else (300 + 3 * t, 200)

    times = np.arange(0, 60, 0.2)
    seen = follow(tracker, times, boat, clutter=Clutter(seed=4))
    assert ids_of(seen[:150]) == ids_of(seen[-25:])
    assert len(ids_of(seen)) == 1


@pytest.mark.slow
def test_swells_that_hide_a_boat_half_of_the_time_do_not_hide_it_for_good():
    tracker = LocalTracker(CAMERA)

    def boat(t):
        return None if t % 8.0 < 4.0 else (300 + 3 * t, 200)

    times = np.arange(0, 120, 0.2)
    seen = follow(tracker, times, boat, clutter=Clutter(seed=5))
    assert len(ids_of(seen[150:])) == 1
    assert next(t for t, observed in seen if observed) < 40


def test_looks_in_bursts_serve_like_steady_ones():
    tracker = LocalTracker(CAMERA)
    times = np.concatenate([second + np.arange(5) / 25 for second in range(40)])
    seen = follow(tracker, times, lambda t: (900 - 6 * t, 240), clutter=Clutter(seed=6))
    assert len(ids_of(seen)) == 1
    assert next(t for t, observed in seen if observed) <= 15.0


@pytest.mark.parametrize(
    "condition", [Condition.FROZEN, Condition.BLIND, Condition.LEARNING]
)
def test_a_picture_that_shows_nothing_lets_tracks_coast(condition):
    tracker = LocalTracker(CAMERA)
    before = follow(tracker, np.arange(0, 20, 0.2), lambda _: (500, 200))
    for t in np.arange(20, 50, 0.2):
        assert tracker.step(detections([], condition), at(t)) == ()
    after = follow(tracker, np.arange(50, 52, 0.2), lambda _: (500, 200))
    assert ids_of(before) == ids_of(after) != set()


def test_a_boat_that_is_gone_is_forgotten():
    tracker = LocalTracker(CAMERA)
    follow(tracker, np.arange(0, 20, 0.2), lambda _: (500, 200))
    assert [t.confirmed for t in tracker.tracks] == [True]
    follow(tracker, np.arange(20, 60, 0.2), lambda _: None)
    assert tracker.tracks == ()


def test_a_second_candidate_on_one_hull_is_no_second_track():
    tracker = LocalTracker(CAMERA)
    observed: tuple[CameraObservation, ...] = ()
    for t in np.arange(0, 20, 0.2):
        x = 300 + 3 * t
        observed = tracker.step(detections([(x, 200, 9), (x + 7, 198, 6)]), at(t))
    assert len(observed) == 1
    assert len(tracker.tracks) == 1


def test_boats_that_cross_keep_their_numbers():
    tracker = LocalTracker(CAMERA)
    noise = np.random.default_rng(8)
    before: dict[str, bool] = {}
    for t in np.arange(0, 60, 0.2):
        places = [(300 + 8 * t, 200.0), (780 - 8 * t, 204.0)]
        rows = [(x + noise.normal(0, 0.5), y, 8.0) for x, y in places]
        tracker.step(detections(rows), at(t))
        if t < 20:
            before = {
                str(k.local_track_id): k.velocity_px_s[0] > 0 for k in tracker.tracks
            }
    after = ways_of(tracker)
    assert len(before) == 2
    assert after == before


def test_nothing_moves_faster_than_a_fast_boat_can():
    tracker = LocalTracker(CAMERA)
    across = RangeMap.of(CAMERA).across_m_per_px[200]
    for i, t in enumerate(np.arange(0, 20, 0.2)):
        x = (100 + 90.0 / across * t) % WIDTH  # three times what 60 knots allow
        observed = tracker.step(detections([(x, 200, 9)]), at(t))
        assert observed == (), i


def test_a_look_that_is_not_newer_changes_nothing():
    tracker = LocalTracker(CAMERA)
    follow(tracker, np.arange(0, 20, 0.2), lambda _: (500, 200))
    before = tracker.tracks
    assert tracker.step(detections([(500, 200, 9)]), at(10)) == ()
    assert tracker.tracks == before


def test_a_thing_above_the_horizon_has_a_direction_and_no_width():
    tracker = LocalTracker(CAMERA)
    y = RangeMap.of(CAMERA).horizon_row_px - 3
    seen = follow(tracker, np.arange(0, 20, 0.2), lambda _: (500, y), sigma=0.3)
    assert seen[-1][1][0].width_m is None


def test_the_same_looks_give_the_same_tracks():
    runs = []
    for _ in range(2):
        tracker = LocalTracker(CAMERA)
        times = np.arange(0, 15, 0.2)
        follow(tracker, times, lambda t: (300 + 4 * t, 200), clutter=Clutter(seed=9))
        runs.append(tracker.tracks)
    assert runs[0] == runs[1]


def things(*rows):
    """Candidates from rows of left, top, right, bottom, score."""
    columns = np.array(rows, np.float32)
    middle = (columns[:, 0] + columns[:, 2]) / 2
    return Detections(
        boxes=columns[:, :4].copy(),
        waterlines=np.column_stack([middle, columns[:, 3]]),
        scores=columns[:, 4].copy(),
        contrasts=columns[:, 4].copy(),
        classes=(ObjectClass.SMALL_CRAFT,) * len(rows),
        clutter_per_px=10.0 / (WIDTH * 320),
    )


def test_a_wheelhouse_seen_before_its_hull_gives_its_name_to_it():
    tracker = LocalTracker(CAMERA)
    seen: dict[str, float] = {}
    last: tuple[CameraObservation, ...] = ()
    for t in np.arange(0, 40, 0.2):
        x = 300 + 3 * t
        rows = [(x + 2, 184, x + 9, 190, 9)]
        if t > 15:
            rows.append((x, 189, x + 26, 200, 9))
        last = tracker.step(things(*rows), at(t))
        for o in last:
            assert o.box_px is not None
            seen[str(o.local_track_id)] = o.box_px[3]
    assert len(last) == 1
    assert len(seen) <= 2
    assert seen["pier/day/1"] == 200.0


def test_boats_in_file_towards_the_camera_stay_two():
    tracker = LocalTracker(CAMERA)
    observed: tuple[CameraObservation, ...] = ()
    for t in np.arange(0, 60, 0.2):
        y = 180 + 0.2 * t
        observed = tracker.step(
            things((500, y, 512, y + 4, 9), (500, y + 16, 513, y + 20, 9)), at(t)
        )
    assert len(observed) == 2


def test_what_stands_off_its_hull_is_a_thing_of_its_own_again():
    tracker = LocalTracker(CAMERA)
    counts = []
    for t in np.arange(0, 60, 0.2):
        off = max(t - 30, 0) * 4.0
        hull, boat = (400, 190, 440, 200, 9), (410 + off, 186, 422 + off, 192, 9)
        counts.append(len(tracker.step(things(hull, boat), at(t))))
    assert counts[140] == 1
    assert counts[-1] == 2


def test_a_gull_low_over_the_water_is_no_craft():
    tracker = LocalTracker(CAMERA)
    across = RangeMap.of(CAMERA).across_m_per_px[300]
    for i, t in enumerate(np.arange(0, 60, 0.2)):
        x = 640 + 500 * np.sin(9.0 / across * t / 500)  # 9 m/s, to and fro
        observed = tracker.step(things((x, 299, x + 3, 300, 9)), at(t))
        assert observed == (), i


def test_something_tiny_that_stays_is_a_contact_and_only_later():
    tracker = LocalTracker(CAMERA)
    first = None
    for t in np.arange(0, 30, 0.2):
        x = 500 + 0.5 * t  # a swimmer in the current
        if tracker.step(things((x, 299, x + 3, 300, 9)), at(t)) and first is None:
            first = float(t)
    assert first is not None
    assert 15.0 <= first <= 20.0


def test_a_track_does_not_jump_to_something_of_another_size():
    tracker = LocalTracker(CAMERA)
    for t in np.arange(0, 20, 0.2):
        tracker.step(things((500, 196, 506, 200, 9)), at(t))
    observed = tracker.step(things((400, 160, 700, 200, 9)), at(20.0))
    assert observed == ()


def test_what_is_higher_than_wide_says_that_its_waterline_is_a_guess():
    stds = []
    for box in ((500, 190, 520, 200, 9), (500, 180, 506, 200, 9)):
        tracker = LocalTracker(CAMERA)
        looks = [tracker.step(things(box), at(t)) for t in np.arange(0, 20, 0.2)]
        stds.append(looks[-1][0].elevation_std_deg)
    assert stds[1] > 3.0 * stds[0]


def test_doubts_stay_possible_through_long_gaps():
    tracker = LocalTracker(CAMERA)
    times = np.concatenate([np.arange(0, 20, 0.2), [35.0, 35.2, 60.0, 60.2, 90.0]])
    follow(tracker, times, lambda _: (500, 200))
    follow(tracker, times + 100.0, lambda t: (500 + 2 * t, 350))
