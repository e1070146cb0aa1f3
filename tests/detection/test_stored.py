import cv2
import numpy as np
import pytest

from almenara.detection.finds import Finds
from almenara.detection.registration import Registrar
from almenara.detection.stored import Scenery, SequenceFinder, StillFinder
from tests.detection.seas import NoisySea

SHAPE = (160, 320)
EVERYWHERE = np.ones(SHAPE, bool)


def spot(picture, x, y, contrast, sigma=1.2):
    ys, xs = np.mgrid[: picture.shape[0], : picture.shape[1]]
    bump = contrast * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2))
    return np.clip(picture + bump, 0, 255)


def sky(seed=0, shape=SHAPE):
    noise = np.random.default_rng(seed)
    ys = np.arange(shape[0])[:, None]
    return 90 + 0.2 * ys + noise.normal(0, 1.5, shape)


def still(scenery=Scenery.SKY, *, thermal=True, watched=EVERYWHERE):
    return StillFinder(scenery, thermal=thermal, watched=watched)


def nearest(found: Finds, x, y):
    off = np.hypot(found.centers[:, 0] - x, found.centers[:, 1] - y)
    return int(np.argmin(off)), float(off.min())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_spot_in_the_sky_is_the_strongest_find_and_its_centre_is_exact(kind):
    scale = 1 if kind is np.uint8 else 20
    picture = (spot(sky(), 100.3, 60.7, 20) * scale).astype(kind)
    found = still().find(picture)

    assert nearest(found, 100.3, 60.7)[0] == 0
    assert found.centers[0] == pytest.approx([100.3, 60.7], abs=0.6)
    left, top, right, bottom = found.boxes[0]
    assert left <= 100 < right
    assert top <= 60 < bottom
    assert (right - left) * (bottom - top) < 64


def test_an_edge_is_worth_less_than_a_spot_of_a_third_of_its_contrast():
    picture = sky()
    picture[:, 200:] += 45
    found = still().find(spot(picture, 60, 80, 15).astype(np.uint8))

    assert nearest(found, 60, 80)[0] == 0


def test_dark_spots_are_found_too():
    found = still(thermal=False).find(spot(sky(), 100, 60, -20).astype(np.uint8))

    assert found.contrasts[0] < 0
    assert nearest(found, 100, 60) == (0, pytest.approx(0, abs=0.6))


@pytest.mark.parametrize("scenery", list(Scenery))
def test_nothing_outside_the_zone_is_told(scenery):
    watched = np.zeros(SHAPE, bool)
    watched[40:120, 100:300] = True
    picture = spot(spot(sky(), 50, 80, 60), 200, 80, 60).astype(np.uint8)
    found = still(scenery, watched=watched).find(picture)

    assert nearest(found, 200, 80)[1] < 2
    assert (found.centers[:, 0] > 95).all()


@pytest.mark.slow
def test_a_boat_on_the_sea_is_found_in_a_single_picture():
    sea = NoisySea(320, 160, seed=3)
    ranks = []
    for i in range(10):
        frame = sea.frame(float(i), [(100.0, 100.0, 12, 4, 30.0)])
        found = still(Scenery.SEA).find(frame.luma)
        rank, off = nearest(found, 99.5, 97.5)
        ranks.append(rank if off < 3 else 99)

    assert np.median(ranks) == 0


@pytest.mark.slow
def test_what_moves_against_the_scene_outshines_what_belongs_to_it():
    noise = np.random.default_rng(5)
    scene = sky(seed=9, shape=(260, 420))
    for x, y in noise.uniform((60, 60), (360, 200), (40, 2)):
        scene = spot(scene, x, y, 25)
    finder = SequenceFinder(Scenery.SKY, thermal=True, watched=EVERYWHERE, fps=25.0)
    alone, ranks = still(), []
    for t in range(40):
        left, top = 20 + t, 30 + t // 2  # the camera turns
        picture = scene[top : top + 160, left : left + 320]
        picture = picture + noise.normal(0, 1.0, SHAPE)
        x, y = 60 + 2.3 * t, 80 + 0.8 * t
        picture = spot(picture, x, y, 12).astype(np.uint8)
        ranks.append((nearest(finder.find(picture), x, y)[0],
                      nearest(alone.find(picture), x, y)[0]))  # fmt: skip

    sequence, single = np.median(ranks[10:], axis=0)
    assert sequence == 0
    assert single > 5


def test_a_shift_of_the_scene_is_measured_to_a_fifth_of_a_pixel():
    noise = np.random.default_rng(2)
    scene = cv2.GaussianBlur(noise.normal(100, 60, (300, 400)), (0, 0), 2.0)
    registrar = Registrar()
    registrar.shift(scene[20:276, 20:276].astype(np.float32))
    move = np.array([[1, 0, 3.4], [0, 1, -1.7]])
    moved = cv2.warpAffine(scene, move, (400, 300))
    shift = registrar.shift(moved[20:276, 20:276].astype(np.float32))

    assert shift.registered
    assert (shift.dx, shift.dy) == pytest.approx((3.4, -1.7), abs=0.2)


def test_waves_do_not_register():
    noise = np.random.default_rng(2)
    registrar = Registrar()
    registrar.shift(noise.normal(0, 9, (256, 256)).astype(np.float32))

    assert not registrar.shift(
        noise.normal(0, 9, (256, 256)).astype(np.float32)
    ).registered


@pytest.mark.parametrize("scenery", list(Scenery))
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_odd_picture_is_answered_with_nothing(scenery, value):
    picture = np.full(SHAPE, value, np.uint8)

    assert len(still(scenery).find(picture)) == 0
    assert len(still(scenery).find(picture[:8, :8])) == 0
