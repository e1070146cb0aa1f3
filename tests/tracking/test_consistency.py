"""Errors as large as they say, and identities that last: the figures of the design.

Longer runs of the same things, with times, are in benches/picture.py.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.core.coast import Camera
from almenara.core.values import Position
from almenara.geo.fix import (
    elevation_bias_std_deg,
    fix_from_angles,
    sight,
)
from almenara.geo.geodesy import LocalPlane, destination, inverse
from almenara.tracking.filters import Belief, carry, carry_many, update, update_many
from almenara.tracking.fusion import GATE_4, Fusion, _near_pairs
from tests.tracking.coast import NOON, TARIFA, Boat, Watcher, broadcast, camera

PIXEL_DEG = 0.003


def nees_of_fixes(model: Camera, seed: int, runs: int) -> float:
    """Mean squared error in its own covariance; pose, sea and air drawn per run."""
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(runs):
        there = destination(TARIFA, rng.uniform(150, 210), rng.uniform(2500, 6500))
        azimuth, elevation, range_m = sight(model, there)
        bias = float(elevation_bias_std_deg(model, range_m))
        fix = fix_from_angles(
            model,
            azimuth + rng.normal(0, np.hypot(PIXEL_DEG, model.pose.azimuth_std_deg)),
            elevation + rng.normal(0, np.hypot(PIXEL_DEG, bias)),
            azimuth_std_deg=PIXEL_DEG,
            elevation_std_deg=PIXEL_DEG,
        )
        assert fix.position is not None
        assert fix.cov_m2 is not None
        off = LocalPlane.at(there).to_plane(
            fix.position.latitude_deg, fix.position.longitude_deg
        )[0]
        e, n, en = fix.cov_m2
        total += float(off @ np.linalg.solve(np.array([[e, en], [en, n]]), off))
    return total / runs


@pytest.mark.slow
def test_ten_thousand_fixes_err_as_much_as_they_say():
    """2 ± 1.96·2/√10 000: inside 1.961 to 2.039."""
    assert 1.961 <= nees_of_fixes(camera(), 20260301, 10_000) <= 2.039


def middle_east(metres: float) -> Position:
    return destination(TARIFA, 90.0 if metres >= 0 else 270.0, abs(metres))


def test_two_bearings_from_ten_kilometres_apart_place_a_boat_within_twelve_metres():
    """10 km off, 0.5 mrad a bearing, no range; the root mean square over runs."""
    std_deg = float(np.rad2deg(0.5e-3))
    boat = Boat(east_m=0, north_m=-10_000)
    errors = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        models = [
            camera(f"s{i}-day", at=middle_east(x), height_m=8.0)
            for i, x in enumerate((-5000.0, 5000.0))
        ]
        models = [
            replace(m, pose=replace(m.pose, azimuth_std_deg=1e-4)) for m in models
        ]
        eyes = [Watcher(camera=m, rng=rng, std_deg=std_deg) for m in models]
        fusion = Fusion(models)
        for t in range(0, 20, 2):
            now = NOON + timedelta(seconds=t)
            fusion.observe([w.see(boat.place(t), "1", t) for w in eyes], now)
        (track,) = fusion.picture(NOON + timedelta(seconds=18)).tracks
        errors.append(inverse(boat.place(18), track.position)[0])

    assert np.sqrt(np.mean(np.square(errors))) <= 12.0


def test_boats_that_part_keep_their_names():
    """Side by side for two minutes, then each its own way."""
    model = camera()
    watch = Watcher(camera=model, rng=np.random.default_rng(3))
    fusion = Fusion([model])
    near, names = 120.0, {}
    for t in range(0, 300, 2):
        spread = near + max(0, t - 120) * 2.0
        places = {
            "a": Boat(east_m=-spread, north_m=-7000).place(0),
            "b": Boat(east_m=spread, north_m=-7000).place(0),
        }
        looks = [watch.see(place, key, t) for key, place in places.items()]
        fusion.observe(looks, NOON + timedelta(seconds=t))
        tracks = fusion.picture(NOON + timedelta(seconds=t)).tracks
        if t in (60, 298):
            names[t] = [
                min((inverse(s.position, p)[0], s.track_id) for s in tracks)[1]
                for p in places.values()
            ]

    assert names[60] == names[298]
    assert len(set(names[60])) == 2


def test_ships_that_cross_in_half_an_hour_of_silence_keep_their_names():
    ships = {
        224000001: Boat(east_m=-6000, north_m=-9000, east_mps=6.0),
        224000002: Boat(east_m=6000, north_m=-9300, east_mps=-6.0),
    }
    fusion = Fusion([])
    names: dict[int, dict[int, str]] = {}
    for t in [*range(0, 120, 10), *range(1920, 2040, 10)]:
        now = NOON + timedelta(seconds=t)
        fusion.observe(
            [
                broadcast(
                    ship.place(t),
                    t,
                    mmsi=mmsi,
                    speed_mps=6.0,
                    course_deg=90.0 if ship.east_mps > 0 else 270.0,
                )
                for mmsi, ship in ships.items()
            ],
            now,
        )
        names[t] = {
            s.mmsi: s.track_id
            for s in fusion.picture(now).tracks
            if s.mmsi and s.last_seen_at == now
        }
        for s in range(0, 1800, 60) if t == 110 else ():
            fusion.observe([], now + timedelta(seconds=s))

    assert names[110] == names[2030]
    assert len(set(names[2030].values())) == 2


def test_many_updates_at_once_are_many_single_ones():
    rng = np.random.default_rng(4)
    n, m = 5, 6
    x = rng.normal(size=(n, 4))
    root = rng.normal(size=(n, 4, 4))
    cov = root @ root.transpose(0, 2, 1) + np.eye(4)
    cross, h = rng.normal(size=(n, 4, m)), rng.normal(size=(n, 2, 2))
    off, r = rng.normal(size=(n, 2)), np.diag([0.5, 2.0])
    s = h @ cov[:, :2, :2] @ h.transpose(0, 2, 1) + r
    together = update_many((x, cov, cross), off, h, s)
    for i in range(n):
        one = update(
            Belief(x=x[i], cov=cov[i], cross=cross[i]),
            off[i],
            np.hstack([h[i], np.zeros((2, 2))]),
            r,
        )
        assert together[0][i] == pytest.approx(one.x)
        assert together[1][i] == pytest.approx(one.cov)
        assert together[2][i] == pytest.approx(one.cross)


def test_many_carried_at_once_are_many_carried_singly():
    cross = np.random.default_rng(5).normal(size=(3, 4, 4))
    dt = np.array([0.0, 2.0, 100.0])

    for i, carried in enumerate(carry_many(cross, dt)):
        assert carried == pytest.approx(carry(cross[i], float(dt[i])))


@settings(deadline=None)
@given(
    places=st.lists(
        st.tuples(st.floats(-2e4, 2e4), st.floats(-2e4, 2e4), st.floats(1.0, 2000.0)),
        min_size=2,
        max_size=40,
    )
)
def test_no_pair_that_is_near_enough_is_overlooked(places):
    rows = np.array(places)
    where, spread = rows[:, :2], rows[:, 2] ** 2
    off2 = ((where[:, None] - where[None]) ** 2).sum(axis=2)
    near = off2 <= 2.0 * GATE_4 * (spread[:, None] + spread[None])
    wanted = set(zip(*np.nonzero(np.triu(near, 1)), strict=True))
    found = list(zip(*_near_pairs(where, spread), strict=True))

    assert wanted <= set(found)
    assert len(found) == len(set(found))
    assert all(i < j for i, j in found)
