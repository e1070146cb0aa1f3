import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.stations.looks import LookGate
from tests.conftest import NOON
from tests.stations.pictures import packet


def passed(gate: LookGate, keys: str) -> str:
    """One sign per packet: ``K`` key, ``.`` other, ``x`` a drop before the next."""
    told = ""
    for number, sign in enumerate(keys):
        if sign == "x":
            gate.dropped()
        else:
            told += (
                "+" if gate.passes(packet(number, NOON, is_key=sign == "K")) else "-"
            )
    return told


def test_every_picture_of_an_analysis_profile_is_looked_at():
    assert passed(LookGate.every(), "K....K..") == "++++++++"


def test_a_burst_takes_the_first_of_each_group():
    gate = LookGate.burst(3)

    assert passed(gate, "K.....K.K....") == "+++---+++++--"
    assert (gate.passed, gate.withheld, gate.after_hole) == (8, 5, 0)


def test_nothing_passes_before_the_first_key_picture():
    assert passed(LookGate.every(), "...K..") == "---+++"


@pytest.mark.parametrize("gate", [LookGate.every(), LookGate.burst(4)])
def test_nothing_passes_after_a_hole_until_the_next_key_picture(gate: LookGate):
    assert passed(gate, "K.x..K..") == "++--+++"
    assert gate.after_hole == 2


def test_a_burst_of_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="at least one"):
        LookGate.burst(0)


@given(keys=st.text("K.x", max_size=60), first=st.integers(1, 9))
def test_the_counts_add_up_and_runs_begin_at_keys(keys: str, first: int):
    gate = LookGate.burst(first)
    told = passed(gate, keys)

    assert gate.passed + gate.withheld + gate.after_hole == len(told)
    signs = keys.replace("x", "")
    for before, here, sign in zip("-" + told, told, signs, strict=False):
        assert not (before == "-" and here == "+") or sign == "K"
