import numpy as np
import pytest

from almenara.detection.kernels import BLOCKS
from almenara.detection.noise import RowBlockNoise, without_holes
from almenara.detection.tail import ParetoTail, PeakTail

ROWS, COLUMNS = 60, 1600


def noise_of(response):
    noise = RowBlockNoise(np.ones(response.shape, np.uint8), scale_px=2.2, level=2)
    noise.refresh(response.astype(np.float32), 0.0)
    return noise.noise


def window_noise_of(response, row, column):
    return response[row - 4 : row + 5, column - 20 : column + 21].std()


def test_a_boat_that_fills_a_third_of_a_row_does_not_raise_the_noise():
    sea = np.random.default_rng(1).normal(0, 4, (ROWS, COLUMNS))
    with_boat = sea.copy()
    # Thirty per cent of the row of one block; a boat is as high as it may be.
    with_boat[28:33, 210:270] += 60.0
    before, after = noise_of(sea), noise_of(with_boat)
    assert np.abs(np.median(after) / np.median(before) - 1) < 0.02
    # The rows of the boat's block have a longer tail, capped at four deviations.
    assert (np.abs(after / before - 1) < 0.02).mean() > 0.8
    assert window_noise_of(with_boat, 30, 240) > 4 * window_noise_of(sea, 30, 240)


def test_a_boat_a_third_of_the_picture_wide_leaves_the_median_row_alone():
    sea = np.random.default_rng(2).normal(0, 4, (ROWS, COLUMNS))
    with_ferry = sea.copy()
    with_ferry[30, 200:680] += 60.0
    change = noise_of(with_ferry) / noise_of(sea)
    assert np.median(np.abs(change - 1)) < 0.02


def test_noise_is_the_deviation_of_what_was_seen():
    sea = np.random.default_rng(3).normal(0, 4, (ROWS, COLUMNS))
    assert np.median(noise_of(sea)) == pytest.approx(4.0 + 0.15 + 0.3 / 2.2, rel=0.05)


def test_noise_is_remembered_over_half_a_minute_and_hurries_after_a_jump():
    quiet = np.random.default_rng(4).normal(0, 4, (ROWS, COLUMNS)).astype(np.float32)
    noise = RowBlockNoise(np.ones(quiet.shape, np.uint8), scale_px=2.2, level=2)
    for i in range(40):
        noise.refresh(quiet, float(i))
    noise.refresh(1.3 * quiet, 40.0)
    assert np.median(noise.noise) < 4.6
    for i in range(10):
        noise.refresh(3.0 * quiet, 41.0 + i)
    assert np.median(noise.noise) > 9.0


def test_cells_without_statistics_borrow_them_from_their_row_or_the_next():
    table = np.full((4, BLOCKS), np.nan, np.float32)
    table[1, :4], table[3, :] = 5.0, 7.0
    filled = without_holes(table)
    assert not np.isnan(filled).any()
    assert (filled[1] == 5.0).all()
    assert not without_holes(np.full((4, BLOCKS), np.nan, np.float32)).any()


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_a_pareto_tail_is_found_again(shape):
    u = np.random.default_rng(6).random(20_000)
    scale = 0.7
    excesses = -scale * np.log(u) if shape == 0 else scale / shape * (u**-shape - 1)
    tail = ParetoTail.fit(excesses, 3.0)
    assert tail.shape == pytest.approx(shape, abs=0.05)
    assert tail.scale == pytest.approx(scale, rel=0.08)
    assert (excesses + 3.0 > tail.threshold(0.01)).mean() == pytest.approx(
        0.01, rel=0.2
    )


def test_the_threshold_lets_through_what_is_wanted():
    noise = np.random.default_rng(7)
    tail = PeakTail(wanted=2.5)
    passed = []
    for i in range(300):
        scores = 2.5 + noise.exponential(0.6, noise.poisson(60)).astype(np.float32)
        if i > 100:
            passed.append((scores > tail.threshold).sum())
        tail.collect(scores[scores > tail.floor])
        tail.fit()
    assert np.mean(passed) == pytest.approx(2.5, rel=0.2)
    assert tail.expected == pytest.approx(2.5, rel=0.05)


def test_too_few_peaks_change_no_threshold():
    tail = PeakTail(wanted=2.5)
    tail.collect(np.full(5, 9.0, np.float32))
    tail.fit()
    assert tail.threshold == 6.0
