"""How well, and how fast, the picture is kept: times, distances, honesty, landfall.

    python benches/picture.py speed       ms per scan at 20, 200 and 1 000 tracks; OSPA
    python benches/picture.py honesty     NEES of 10 000 fixes, two bearings at 10 km
    python benches/picture.py landfall [RUNS]   what the 80 % intervals hold; 2 000 runs

Seeds are fixed and printed. Times are the median of the scans after the first ten, with
the machine as it is; compare them with each other before you compare them with another
machine's.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).parents[1]))

from almenara.core.ids import LocalTrackId, ReceiverId
from almenara.geo.geodesy import LocalPlane
from almenara.incidents.situation import Chronicle
from almenara.tracking.fusion import Fusion
from almenara.tracking.observations import RadarObservation
from tests.incidents.sea import NOON, ORIGIN, SHORE
from tests.incidents.test_landfall import one_run
from tests.tracking.coast import camera
from tests.tracking.test_consistency import nees_of_fixes

SEED = 20260301
PERIOD_S = 4.0
CUT_OFF_M = 200.0
PLANE = LocalPlane.at(ORIGIN)


def fleet(count: int, rng: np.random.Generator) -> np.ndarray:
    """States (n, 4): 30 by 30 km, up to 10 m/s."""
    place = rng.uniform(-15_000, 15_000, (count, 2))
    return np.hstack([place, rng.uniform(-7, 7, (count, 2))])


def scan(
    state: np.ndarray, t_s: float, rng: np.random.Generator, *, numbered: bool
) -> list[RadarObservation]:
    """What a radar in the middle hears at one turn, 0.2 degrees and 20 m off."""
    at = NOON + timedelta(seconds=t_s)
    places = state[:, :2] + t_s * state[:, 2:]
    range_m = np.hypot(*places.T) + rng.normal(0, 20.0, len(places))
    azimuth = np.degrees(np.arctan2(places[:, 0], places[:, 1]))
    azimuth += rng.normal(0, 0.2, len(places))
    return [
        RadarObservation(
            radar_id=ReceiverId("radar"),
            local_track_id=LocalTrackId(
                f"radar/{n}" if numbered else f"radar/{n}-{int(t_s / 40)}"
            ),
            observed_at=at,
            origin=ORIGIN,
            azimuth_deg=float(azimuth[n]) % 360.0,
            azimuth_std_deg=0.2,
            range_m=float(max(range_m[n], 20.0)),
            range_std_m=20.0,
            existence=0.95,
        )
        for n in range(len(places))
    ]


def ospa(found: np.ndarray, truth: np.ndarray) -> float:
    """Optimal sub-pattern assignment distance, order 1, metres."""
    if not len(found) or not len(truth):
        return CUT_OFF_M if len(found) or len(truth) else 0.0
    apart = np.linalg.norm(found[:, None] - truth[None], axis=2)
    cost = np.minimum(apart, CUT_OFF_M)
    rows, columns = linear_sum_assignment(cost)
    most = max(len(found), len(truth))
    missing = abs(len(found) - len(truth)) * CUT_OFF_M
    return float((cost[rows, columns].sum() + missing) / most)


def speed() -> None:
    print(f"seed {SEED}; a scan every {PERIOD_S} s, 40 scans")
    print("tracks  numbers  ms fuse  ms picture  ms facts  OSPA m  contacts")
    for count in (20, 200, 1000):
        for numbered in (True, False):
            rng = np.random.default_rng(SEED)
            state, fusion, chronicle = fleet(count, rng), Fusion([]), Chronicle()
            fuse, show, read, far = [], [], [], []
            for turn in range(40):
                t_s = turn * PERIOD_S
                now = NOON + timedelta(seconds=t_s)
                heard = scan(state, t_s, rng, numbered=numbered)
                begin = time.perf_counter()
                fusion.observe(heard, now)
                fused = time.perf_counter()
                picture = fusion.picture(now)
                shown = time.perf_counter()
                if turn >= 36:
                    chronicle, _ = chronicle.read(picture, [], SHORE)
                    read.append(time.perf_counter() - shown)
                fuse.append(fused - begin)
                show.append(shown - fused)
                if turn >= 10:
                    found = PLANE.to_plane(
                        [t.position.latitude_deg for t in picture.tracks],
                        [t.position.longitude_deg for t in picture.tracks],
                    )
                    far.append(ospa(found, state[:, :2] + t_s * state[:, 2:]))
            print(
                f"{count:6d}  {'kept' if numbered else 'change':7s}"
                f"  {1000 * median(fuse[10:]):7.2f}  {1000 * median(show[10:]):10.2f}"
                f"  {1000 * median(read):8.1f}  {np.mean(far):6.1f}"
                f"  {len(picture.tracks):8d}"
            )


def honesty() -> None:
    print("mean NEES of 10 000 fixes, pose, sea and air drawn anew for each")
    for seed in (SEED, SEED + 1, SEED + 2):
        found = nees_of_fixes(camera(), seed, 10_000)
        verdict = "inside" if 1.961 <= found <= 2.039 else "OUTSIDE"
        print(f"seed {seed}: {found:.4f}  {verdict} 1.961 to 2.039")


def landfall() -> None:
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    runs = [one_run(1000 + n) for n in range(count)]
    times = [held for _, held, _ in runs if held is not None]
    shores = [held for _, _, held in runs if held is not None]
    print(f"seeds from 1000, {count} runs; {len(times)} landed within six hours")
    print(f"the span of time held {100 * np.mean(times):.1f} %")
    print(f"the stretch of shore held {100 * np.mean(shores):.1f} % of {len(shores)}")
    landed = len(times) / len(runs)
    told = np.mean([p for p, _, _ in runs])
    print(f"P(landfall) told {told:.3f}, true {landed:.3f}")


if __name__ == "__main__":
    {"speed": speed, "honesty": honesty, "landfall": landfall}[sys.argv[1]]()
