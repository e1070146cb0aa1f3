"""What every detector keeps, whatever it looks for."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from almenara.detection import Condition, Detections, Detector, ObjectClass
from almenara.detection.land import LandDetector
from almenara.detection.sea import SeaDetector
from tests.detection.seas import NoisySea, frame_of

WIDTH, HEIGHT = 322, 130
BOAT = (150.0, 90.0, 12, 5, 40.0)

Make = Callable[[], Detector]


def sea() -> Detector:
    return SeaDetector(width_px=WIDTH, height_px=HEIGHT, range_map=None)


def land() -> Detector:
    return LandDetector(width_px=WIDTH, height_px=HEIGHT)


@pytest.fixture(params=[sea, land])
def make(request) -> Make:
    chosen: Make = request.param
    return chosen


def pictures():
    water = NoisySea(WIDTH, HEIGHT, seed=2)
    return [water.frame(0.2 * i, [BOAT] if i > 12 else ()) for i in range(20)]


def test_the_same_frames_give_the_same_answers(make):
    frames, one, other = pictures(), make(), make()
    for frame in frames:
        a, b = one.detect(frame), other.detect(frame)
        assert a.condition is b.condition
        assert a.classes == b.classes
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_what_appears_is_found_inside_the_picture(make):
    detector = make()
    found = [detector.detect(frame) for frame in pictures()][-1]
    assert len(found) > 0
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2] <= WIDTH).all()
    assert (found.boxes[:, 3] <= HEIGHT).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (found.scores >= 0).all()
    middle = (found.boxes[:, 0] < 150) & (found.boxes[:, 2] > 150)
    assert (middle & (np.abs(found.waterlines[:, 1] - 90) < 3)).any()


def test_pixels_are_neither_altered_nor_kept(make):
    detector = make()
    for frame in pictures():
        padded = np.zeros((HEIGHT, WIDTH + 30), np.uint8)
        padded[:, :WIDTH] = frame.luma
        before = padded.copy()
        view = padded[:, :WIDTH]
        found = detector.detect(frame_of(view, (frame.captured_at.microsecond) / 1e6))
        np.testing.assert_array_equal(padded, before)
        assert not np.shares_memory(found.boxes, padded)


@pytest.mark.parametrize(
    "shape", [(HEIGHT, WIDTH - 1), (1, 1), (0, 0), (HEIGHT * 2, WIDTH * 2)]
)
def test_a_picture_of_another_size_is_blind_and_no_error(make, shape):
    found = make().detect(frame_of(np.zeros(shape, np.uint8)))
    assert found.condition is Condition.BLIND


def test_odd_pictures_raise_nothing(make):
    detector = make()
    checks = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 255
    wedge = np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1))
    split = np.where(np.arange(HEIGHT)[:, None] < 60, 0, 255) + np.zeros((1, WIDTH))
    for i in range(30):
        odd = (checks, wedge, split, np.full((HEIGHT, WIDTH), 255))[i % 4]
        found = detector.detect(frame_of(odd.astype(np.uint8), 0.2 * i))
        assert np.isfinite(found.boxes).all()
        assert found.clutter_per_px > 0


def test_a_clock_that_steps_back_raises_nothing(make):
    detector = make()
    for frame, at_s in zip(pictures(), [0, 5, 4, 4, 4, 3, 9, 2], strict=False):
        detector.detect(frame_of(frame.luma.copy(), at_s))


def test_the_schema_holds_no_attribute_of_a_person():
    assert {f.name for f in fields(Detections)} == {
        "boxes",
        "waterlines",
        "scores",
        "contrasts",
        "classes",
        "condition",
        "clutter_per_px",
    }
    assert {str(c) for c in ObjectClass} == {
        "small_craft",
        "vessel",
        "vehicle",
        "person",
        "unknown",
    }
