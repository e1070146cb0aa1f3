"""Runs the exchange over a bad network, thousands of times, each from its seed.

    python benches/exchange.py [--runs 10000] [--first-seed 0] [--processes 2]

Each run is six hours of virtual time between two centres that lose, double and delay
what they send, are cut off from each other, and die at any step. Prints one JSON
object; docs/figures/exchange.md holds the table and its date.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.exchange.simulation import Simulation


def one(seed: int) -> tuple[int, list[str], int, int, int, int]:
    """A run: its seed, its faults, and how bad the world was."""
    run = Simulation(seed)
    run.run()
    told = sum(len(t) for c in run.centres.values() for t in c.told.values())
    return seed, run.faults(), told, run.crashes, run.losses, run.doubles


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    said = parser.parse_args()
    began = time.monotonic()
    seeds = range(said.first_seed, said.first_seed + said.runs)
    with get_context("spawn").Pool(said.processes) as pool:
        rows = list(pool.imap_unordered(one, seeds, chunksize=20))
    bad = {seed: faults for seed, faults, *_ in rows if faults}
    totals = [sum(column) for column in list(zip(*rows, strict=True))[2:]]
    print(
        json.dumps(
            {
                "bench": "exchange",
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "python": platform.python_version(),
                "runs": said.runs,
                "first_seed": said.first_seed,
                "faulty_runs": bad,
                "told": totals[0],
                "crashes": totals[1],
                "lost_on_the_way": totals[2],
                "doubled_on_the_way": totals[3],
                "seconds": round(time.monotonic() - began, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
