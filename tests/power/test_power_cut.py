"""The power goes, and everything that was acknowledged is there when it returns.

The controls run beside it: the same programs without the one call that matters must
lose something on this file system, or it would prove nothing.
"""

import random
from pathlib import Path

import pytest

from tests.power.cuts import Verdict, cut_off, judged, why_not

REASON = why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(REASON is not None, reason=REASON or ""),
]
SEED = 20261124


def after_cuts(kind: str, folder: Path, *, cuts: int, most: int) -> Verdict:
    """One store through some cuts, at moments from a seed."""
    chance = random.Random(f"{SEED} {kind}")
    total = Verdict()
    for _ in range(cuts):
        said = cut_off(kind, folder, after=chance.randint(1, most))
        total += judged(said, folder)
    return total


def test_nothing_that_the_recorder_acknowledged_is_lost(tmp_path: Path):
    found = after_cuts("recorder", tmp_path, cuts=10, most=90)

    assert found.fragments > 60
    assert found.audit > 10
    assert found.lost == 0


def test_nothing_that_the_store_acknowledged_is_lost(tmp_path: Path):
    found = after_cuts("full", tmp_path, cuts=2, most=300)

    assert found.rows > 20
    assert found.lost == 0


@pytest.mark.parametrize("kind", ["unsynced", "nameless", "normal"])
def test_without_the_one_call_that_matters_something_is_lost(tmp_path: Path, kind: str):
    """Without this, the tests above would mean nothing."""
    found = after_cuts(kind, tmp_path, cuts=2, most=40)

    assert found.lost > 0
