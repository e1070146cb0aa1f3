import numpy as np
import pytest

from almenara.detection.horizon import Prior, find_horizon


def coast(left_y, right_y, *, cloud=0.0, seed=0, shape=(288, 384)):
    """A smooth sky over a rough sea, perhaps with the straight edge of a cloud."""
    noise = np.random.default_rng(seed)
    rows = np.arange(shape[0])[:, None]
    line = np.linspace(left_y, right_y, shape[1])
    below = rows > line
    picture = np.where(below, 130.0, 100.0) + noise.normal(0, 1, shape)
    picture += below * noise.normal(0, 8, shape)
    picture[:60] += cloud
    return picture.astype(np.float32)


@pytest.mark.parametrize("ends", [(120, 120), (100, 130), (180, 160)])
def test_the_horizon_is_found_within_a_row_and_a_half(ends):
    found = find_horizon(coast(*ends))

    assert found is not None
    assert (found.left_y, found.right_y) == pytest.approx(ends, abs=1.5)


def test_the_edge_of_a_cloud_is_not_the_horizon():
    found = find_horizon(coast(140, 140, cloud=40.0))

    assert found is not None
    assert found.left_y == pytest.approx(140, abs=1.5)


def test_a_line_far_from_what_is_expected_is_not_looked_at():
    prior = Prior(left_y=60, right_y=60, half_width=14)
    found = find_horizon(coast(140, 140, cloud=40.0), prior)

    assert found is not None
    assert abs(found.left_y - 60) < 24


def test_a_picture_too_small_has_no_horizon():
    assert find_horizon(np.zeros((16, 16), np.float32)) is None
