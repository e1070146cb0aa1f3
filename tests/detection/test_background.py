import cv2
import numpy as np
import pytest

from almenara.detection.background import Background
from almenara.detection.movement import movement

SHAPE = (120, 160)


def road(seed=0):
    noise = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(noise.normal(0, 60, SHAPE), (0, 0), 2.0)
    return 110 + texture


def frames(n, act=lambda _, picture: picture, seed=1):
    noise = np.random.default_rng(seed)
    for i in range(n):
        picture = act(i, road().copy()) + noise.normal(0, 2, SHAPE)
        yield np.clip(picture, 0, 255).astype(np.float32)


def run(pictures, background=None):
    background = background or Background(SHAPE, 25.0)
    return background, [background.moving(p) for p in pictures]


def car(i, picture, start=50):
    left = 10 + 2 * (i - start)
    if left >= 10:
        picture[50:70, left : left + 30] = 200
    return picture


def f_score(mask, truth):
    hits = (mask & truth).sum()
    return 2 * hits / max(mask.sum() + truth.sum(), 1)


@pytest.mark.slow
def test_what_drives_by_is_masked_to_its_outline():
    background, masks = run(frames(90, car))
    truth = np.zeros(SHAPE, bool)
    truth[50:70, 88:118] = True

    assert f_score(masks[89] > 0, truth) > 0.9
    assert masks[45].sum() == 0
    last = list(frames(90, car))[-1]
    found = movement(last, background, masks[89])
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx([88, 50, 118, 70], abs=3)


@pytest.mark.slow
def test_a_shadow_does_not_move():
    def shade(i, picture):
        if i >= 50:
            picture[40:80, 40:100] *= 0.7
        return picture

    _, masks = run(frames(60, shade))
    assert (masks[55] > 0)[42:78, 42:98].mean() < 0.2


@pytest.mark.slow
def test_leaves_that_sway_by_a_pixel_do_not_move():
    def sway(i, picture):
        return np.roll(picture, i % 2, axis=1) if i >= 50 else picture

    _, masks = run(frames(60, sway))
    assert (masks[51] > 0).mean() < 0.02


@pytest.mark.slow
def test_a_change_of_light_moves_nothing():
    def brighten(i, picture):
        return picture * 1.3 if i >= 50 else picture

    _, masks = run(frames(60, brighten))
    assert max((m > 0).mean() for m in masks[50:]) < 0.02


@pytest.mark.slow
def test_a_car_that_stops_stays_for_half_a_minute():
    def park(i, picture):
        return car(min(i, 80), picture)

    _, masks = run(frames(80 + 25 * 15, park))
    assert (masks[-1] > 0)[52:68, 75:95].mean() > 0.8


@pytest.mark.slow
def test_the_hole_left_by_what_stood_there_at_the_start_is_soon_forgotten():
    def leave(i, picture):
        if i < 60:
            picture[50:70, 60:90] = 200
        return picture

    _, masks = run(frames(80, leave))
    assert (masks[-1] > 0).sum() == 0
