"""Figures of rescue: drift, custody, assessment; each a table with its bar.

    PYTHONPATH=. python benches/rescue.py drift [--particles 5000] [--hours 24]
    PYTHONPATH=. python benches/rescue.py custody [--runs 10000] [--first 0]
    PYTHONPATH=. python benches/rescue.py assessment
    PYTHONPATH=. python benches/rescue.py sitrep

Times are of one core; seeds are printed.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from importlib.resources import files

import numpy as np

from almenara.console.sitrep_text import sitrep_text
from almenara.core.time import EPOCH
from almenara.core.values import Position
from almenara.incidents.shore import Shore
from almenara.rescue import case as acts
from almenara.rescue.assessment import phases_of
from almenara.rescue.drift import DriftRequest, LastKnown, current_to, drift, wind_from
from almenara.rescue.land import within_reach
from almenara.rescue.leeway import INFLATABLE, OPEN_BOAT, PERSONS, Hypothesis
from almenara.rescue.sitrep import Order
from tests.rescue.cases import ANA, SOON, case
from tests.rescue.two_centres import BrokenInvariantError, Coast

AT = EPOCH + timedelta(days=20_000)
STRAIT = Position(latitude_deg=35.95, longitude_deg=-5.45)
SEED = 20_261_124


def timed(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the median of some runs."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[times // 2]


def shore() -> Shore:
    text = files("almenara.node.coast").joinpath("strait.geojson").read_text("utf-8")
    rings = []
    for feature in json.loads(text)["features"]:
        shape = feature["geometry"]
        many = shape["coordinates"]
        for polygon in many if shape["type"] == "MultiPolygon" else [many]:
            ring = [Position(latitude_deg=y, longitude_deg=x) for x, y in polygon[0]]
            rings.append(ring)
    return Shore.of(rings)


def show_drift(particles: int, hours: float) -> None:
    land = shore()
    print(f"seed {SEED}, {particles} particles each, {hours:g} h, step 300 s")
    for name, hypotheses in (
        ("one hypothesis", PERSONS),
        ("open boat, 3", OPEN_BOAT),
        ("inflatable, 4", INFLATABLE),
    ):
        for coast in (False, True):

            def work(
                *, coast: bool = coast, hypotheses: tuple[Hypothesis, ...] = hypotheses
            ) -> object:
                near = within_reach(land, STRAIT, 120_000.0) if coast else None
                return drift(
                    DriftRequest(
                        start=LastKnown(position=STRAIT, cov_m2=(4e4, 4e4, 0.0), at=AT),
                        until=AT + timedelta(hours=hours),
                        hypotheses=hypotheses,
                        wind=wind_from(250.0, 8.0, at=AT),
                        current=current_to(80.0, 0.6, at=AT),
                        seed=SEED,
                        particles=particles,
                        is_land=near,
                    )
                )

            where = "with the Strait's shore" if coast else "open sea"
            print(f"{name:16} {where:24} {timed(work):6.2f} s")


def show_custody(runs: int, first: int) -> None:
    found: Counter[str] = Counter()
    begin = time.perf_counter()
    for seed in range(first, first + runs):
        try:
            run = Coast(seed).run()
        except BrokenInvariantError as error:
            found[f"broken: {error}, first at seed {seed}"] += 1
            continue
        found["held"] += 1
        found["hand-overs"] += run.moves
        found["restores"] += run.restores
        found["changes"] += run.changes
    seconds = time.perf_counter() - begin
    print(f"seeds {first} to {first + runs - 1}, three days each, {seconds:.0f} s")
    for key, many in sorted(found.items()):
        print(f"{key:12} {many}")


def show_assessment() -> None:
    every = np.indices((4,) * 10, dtype=np.int8).reshape(10, -1).T
    print(f"{len(every)} vectors: {timed(lambda: phases_of(every)):.2f} s")


def show_sitrep() -> None:
    made = acts.report(case(), Order(to=("mrcc",)), at=SOON, by=ANA).case.reports[0]
    for language in ("ar", "en", "es", "fr"):
        took = timed(lambda language=language: sitrep_text(made, language))
        print(f"{language}: {1000 * took:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["drift", "custody", "assessment", "sitrep"])
    parser.add_argument("--particles", type=int, default=5_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "drift":
        show_drift(asked.particles, asked.hours)
    elif asked.what == "custody":
        show_custody(asked.runs, asked.first)
    elif asked.what == "assessment":
        show_assessment()
    else:
        show_sitrep()


if __name__ == "__main__":
    main()
