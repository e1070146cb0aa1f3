import numpy as np
import pytest

from almenara.detection import Condition
from almenara.detection.land import LandDetector
from tests.detection.seas import frame_of

SHAPE = (120, 200)


@pytest.fixture
def scene():
    noise = np.random.default_rng(3)
    ground = np.kron(noise.integers(60, 160, (6, 10)), np.ones((20, 20)))

    def picture(at_s, walker=None, light=1.0):
        luma = ground * light + noise.normal(0, 2, SHAPE)
        if walker is not None:
            x, y = walker
            luma[y - 12 : y, x - 3 : x + 3] = 230
        return frame_of(np.clip(luma, 0, 255).astype(np.uint8), at_s)

    return picture


def test_what_walks_in_is_found_with_its_feet(scene):
    detector = LandDetector(width_px=200, height_px=120)
    for i in range(20):
        assert len(detector.detect(scene(0.2 * i))) == 0
    found = detector.detect(scene(4.0, (100, 80)))
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx([97, 68, 103, 80], abs=2)
    assert found.waterlines[0] == pytest.approx([100, 80], abs=2)
    assert found.contrasts[0] > 30


def test_who_stops_stays_found_for_a_minute(scene):
    detector = LandDetector(width_px=200, height_px=120)
    for i in range(20):
        detector.detect(scene(0.2 * i))
    hits = [len(detector.detect(scene(4 + 0.2 * i, (100, 80)))) for i in range(300)]
    assert np.mean(np.array(hits) > 0) > 0.95


def test_a_change_of_light_is_not_a_crowd(scene):
    detector = LandDetector(width_px=200, height_px=120)
    for i in range(20):
        detector.detect(scene(0.2 * i))
    said = [detector.detect(scene(4.0 + 0.2 * i, light=1.5)) for i in range(20)]
    assert sum(map(len, said)) == 0
    assert said[0].condition is Condition.LEARNING
    assert said[-1].condition is Condition.GOOD


def test_what_moves_outside_the_zone_is_not_reported(scene):
    zone = np.zeros(SHAPE, bool)
    zone[:, :60] = True
    detector = LandDetector(width_px=200, height_px=120, zone=zone)
    for i in range(20):
        detector.detect(scene(0.2 * i))
    assert len(detector.detect(scene(4.0, (100, 80)))) == 0
    assert len(detector.detect(scene(4.2, (40, 80)))) == 1
