import numpy as np
import pytest

from almenara.detection.kernels import (
    BLOCKS,
    local_maxima,
    measure_extents,
    row_block_medians,
    row_block_spread,
    strongest_apart,
    subtract_level,
)
from almenara.detection.land import foreground
from tests.detection import twins

SHAPE = (24, 397)


@pytest.fixture
def noise():
    return np.random.default_rng(5)


@pytest.fixture
def watched(noise):
    mask = (noise.random(SHAPE) > 0.1).astype(np.uint8)
    mask[3, :200] = 0
    return mask


def test_medians_agree_with_plain_numpy_and_say_where_there_are_too_few(noise, watched):
    picture = noise.integers(0, 256, SHAPE).astype(np.uint8)
    out = np.zeros((SHAPE[0], BLOCKS), np.float32)
    row_block_medians(picture, watched, 2, out)
    expected = twins.medians(picture, watched, 2)
    assert np.isnan(expected[3, 0])
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    np.testing.assert_allclose(out, expected, atol=0.5)


def test_spread_agrees_with_plain_numpy_to_a_bin(noise, watched):
    response = noise.normal(0, 4, SHAPE).astype(np.float32)
    out = np.zeros((2, SHAPE[0], BLOCKS), np.float32)
    row_block_spread(response, watched, 1, 1 / 16, out)
    np.testing.assert_allclose(out, twins.spread(response, watched, 1), atol=1 / 16)


def test_the_level_is_taken_off_along_straight_lines(noise):
    picture = noise.integers(0, 256, SHAPE).astype(np.uint8)
    level = noise.uniform(50, 150, (SHAPE[0], BLOCKS)).astype(np.float32)
    out = np.zeros(SHAPE, np.float32)
    subtract_level(picture, level, out)
    np.testing.assert_allclose(out, twins.levelled(picture, level), atol=0.02)


def test_maxima_are_where_plain_numpy_finds_them(noise, watched):
    response = noise.normal(0, 1, SHAPE).astype(np.float32)
    gain = noise.uniform(0.5, 2, (SHAPE[0], BLOCKS)).astype(np.float32)
    floor = np.full(SHAPE[0], 1.2, np.float32)
    floor[10] = np.inf
    ys, xs = np.zeros(9000, np.int32), np.zeros(9000, np.int32)
    scores = np.zeros(9000, np.float32)
    n = local_maxima(response, gain, floor, watched, ys, xs, scores)
    expected = twins.maxima(response, gain, floor, watched)
    assert n > 50
    assert list(zip(ys[:n], xs[:n], strict=True)) == [(y, x) for y, x, _ in expected]
    np.testing.assert_allclose(scores[:n], [s for *_, s in expected], rtol=1e-5)


def test_a_full_list_of_maxima_ends_the_search():
    response = np.zeros((9, 64), np.float32)
    response[1::2, 1::2] = 5.0
    gain, floor = np.ones((9, BLOCKS), np.float32), np.ones(9, np.float32)
    ys, xs, scores = (
        np.zeros(7, np.int32),
        np.zeros(7, np.int32),
        np.zeros(7, np.float32),
    )
    watched = np.ones((9, 64), np.uint8)
    assert local_maxima(response, gain, floor, watched, ys, xs, scores) == 7


def test_of_two_places_near_each_other_the_stronger_stays():
    ys = np.array([40, 42, 80], np.int32)
    xs = np.array([40, 44, 44], np.int32)
    reach = np.full(3, 8, np.int32)
    kept = np.zeros(3, np.uint8)
    strongest_apart(ys, xs, reach, reach, np.zeros((40, 40), np.uint8), kept)
    assert kept.tolist() == [1, 0, 1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_box_is_measured_to_the_pixel(sign):
    picture = np.zeros((60, 200), np.float32)
    picture[20:26, 100:114] = sign * 20.0
    out = np.zeros((1, 6), np.float32)
    place = np.array([23], np.int32), np.array([106], np.int32)
    measure_extents(
        picture, *place, np.array([sign], np.float32), np.array([2.2], np.float32), out
    )
    np.testing.assert_allclose(out[0], [100, 20, 114, 26, sign * 20, 107], atol=0.51)


def test_a_waterline_between_two_rows_is_found_between_them():
    picture = np.zeros((60, 200), np.float32)
    picture[20:26, 100:114] = 20.0
    picture[26, 100:114] = 15.0
    out = np.zeros((1, 6), np.float32)
    one = np.ones(1, np.float32)
    measure_extents(
        picture,
        np.array([23], np.int32),
        np.array([106], np.int32),
        one,
        2.2 * one,
        out,
    )
    assert 26.4 < out[0, 3] < 27.2


def test_background_is_learnt_as_plain_numpy_learns_it(noise):
    picture = noise.integers(80, 120, SHAPE).astype(np.uint8)
    picture[5:9, 50:60] = 200
    mean = np.full(SHAPE, 100, np.float32)
    variance = np.full(SHAPE, 60, np.float32)
    marked, new_mean, new_variance = twins.foreground(
        picture, mean, variance, 0.001, 0.01
    )
    out = np.zeros(SHAPE, np.uint8)
    found = foreground(picture, mean, variance, 0.001, 0.01, out)
    assert found == np.count_nonzero(marked) == 40
    np.testing.assert_array_equal(out, marked)
    np.testing.assert_allclose(mean, new_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, new_variance, rtol=1e-4)
