import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.tracking.boxes import BoxTracker


def box(x, y, width=80.0, height=30.0):
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def watch(looks, tracker=None, step_s=1.0):
    """Numbers of the tracks, look by look: mapping row to number."""
    tracker = tracker or BoxTracker()
    return [
        {
            t.row: t.number
            for t in tracker.step(
                np.array(boxes, np.float64).reshape(-1, 4),
                np.full(len(boxes), 0.9),
                i * step_s,
            )
        }
        for i, boxes in enumerate(looks)
    ]


def test_a_vessel_that_moves_by_more_than_its_overlap_keeps_its_number():
    looks = [[box(100 + 90 * i, 300)] for i in range(12)]

    assert {n[0] for n in watch(looks)[3:]} == {1}


def test_vessels_that_cross_keep_their_numbers():
    looks = [
        [box(200 + 25 * i, 300), box(1000 - 25 * i, 312, 100, 36)] for i in range(32)
    ]
    numbers = watch(looks)

    assert numbers[0] == numbers[-1] == {0: 1, 1: 2}


@pytest.mark.parametrize("hidden_s", [3, 6, 10])
def test_a_vessel_hidden_for_seconds_keeps_its_number(hidden_s):
    looks = [[box(100 + 12 * i, 300), box(900, 500)] for i in range(40)]
    for i in range(20, 20 + hidden_s):
        looks[i] = looks[i][1:]
    numbers = watch(looks)

    assert numbers[19][0] == numbers[20 + hidden_s][0] == numbers[-1][0]


def test_a_vessel_that_stopped_while_hidden_is_the_same():
    looks = [[box(100 + 12 * min(i, 22), 300)] for i in range(40)]
    for i in range(20, 28):
        looks[i] = []

    assert watch(looks)[19][0] == watch(looks)[-1][0]


def test_what_comes_long_after_is_somebody_else():
    looks = [[box(100, 300)]] * 5 + [[]] * 30 + [[box(100, 300)]] * 5
    numbers = watch(looks)

    assert numbers[4][0] != numbers[-1][0]


def test_a_doubtful_box_keeps_a_track_and_begins_none():
    tracker = BoxTracker(sure=0.4)
    seen = []
    for i in range(10):
        boxes = np.array([box(100 + 5 * i, 300), box(700, 300)])
        scores = np.array([0.9 if i < 5 else 0.2, 0.2])
        seen.append({t.row: t.number for t in tracker.step(boxes, scores, float(i))})

    assert seen[-1] == {0: 1}


def test_a_flash_is_not_believed_once_the_watch_has_begun():
    looks = [[box(100, 300)]] * 10
    tracker = BoxTracker(sure=0.4)
    for i, boxes in enumerate(looks):
        both = [*boxes, box(600, 100, 10, 10)] if i == 5 else boxes
        scores = np.array([0.9, 0.5][: len(both)])
        last = tracker.step(np.array(both), scores, float(i))
        assert [t.number for t in last] == [1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_number_is_given_twice_in_one_look_and_boxes_are_as_measured(seed):
    random = np.random.default_rng(seed)
    tracker = BoxTracker()
    for i in range(15):
        n = int(random.integers(0, 12))
        low = random.uniform(0, 400, (n, 2))
        boxes = np.hstack([low, low + random.uniform(2, 90, (n, 2))])
        scores = random.uniform(0, 1, n)
        followed = tracker.step(boxes, scores, float(i))
        assert len({t.number for t in followed}) == len(followed)
        assert len({t.row for t in followed}) == len(followed)
        for track in followed:
            assert track.box == pytest.approx(tuple(boxes[track.row]))
            assert 0.0 <= track.existence <= 1.0


def test_a_look_that_is_not_later_changes_nothing():
    tracker = BoxTracker()
    one = np.array([box(100, 300)]), np.array([0.9])
    tracker.step(*one, 1.0)

    assert tracker.step(*one, 1.0) == ()
    assert tracker.step(*one, 0.5) == ()
    assert [t.number for t in tracker.step(*one, 2.0)] == [1]
