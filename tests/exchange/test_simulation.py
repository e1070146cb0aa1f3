"""Exactly once and in order over a bad network, and three mistakes that it finds."""

import pytest

from almenara.exchange import link as link_module
from almenara.exchange.judgement import Verdict, judge
from tests.exchange.memory import LateLedger, SplitLedger
from tests.exchange.simulation import Simulation

pytestmark = pytest.mark.slow

RUNS = 200
CONTROLS = 40
"""Runs within which each mistake has to show."""


def test_all_that_is_told_is_applied_once_and_in_order():
    told = crashes = 0
    for seed in range(RUNS):
        run = Simulation(seed)
        run.run()
        assert run.faults() == [], f"seed {seed}"
        told += sum(len(t) for c in run.centres.values() for t in c.told.values())
        crashes += run.crashes
    assert told > 100 * RUNS
    assert crashes > RUNS


def some_run_fails(**how) -> bool:
    for seed in range(CONTROLS):
        run = Simulation(seed, **how)
        run.run()
        if run.faults():
            return True
    return False


def test_a_receiver_that_forgets_repeats_is_found_out(monkeypatch):
    def careless(cursor, **what):
        verdict = judge(cursor, **what)
        return Verdict.APPLY if verdict is Verdict.REPEAT else verdict

    monkeypatch.setattr(link_module, "judge", careless)
    assert some_run_fails()


def test_a_cursor_in_a_transaction_of_its_own_is_found_out():
    assert some_run_fails(
        make_ledger=lambda me, partner: SplitLedger(me=me, partner=partner)
    )


def test_sealing_that_is_not_kept_before_it_is_sent_is_found_out():
    assert some_run_fails(
        make_ledger=lambda me, partner: LateLedger(me=me, partner=partner)
    )
