"""Nothing open is left unsaid, and two people sign."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import PersonId
from almenara.operations.handover import (
    Fate,
    ItemKind,
    OpenItem,
    Sheet,
    decide,
    refresh,
    sign,
    write,
)
from tests.conftest import NOON

LEAVES, TAKES = PersonId("leaves"), PersonId("takes")
CASE = OpenItem(kind=ItemKind.CASE, id="case-1", since=NOON, is_rescue=True)
CAMERA = OpenItem(kind=ItemKind.CAMERA, id="tarifa-day", since=NOON)
ALARM = OpenItem(kind=ItemKind.ALARM, id="a-1", since=NOON - timedelta(hours=1))


def sheet(*items: OpenItem) -> Sheet:
    return write("s-1", LEAVES, items, NOON)


def carried(of: Sheet) -> Sheet:
    for row in of.undecided:
        of = decide(of, row.item.kind, row.item.id, Fate.CARRIED, "")
    return of


def test_rescue_stands_first_then_kind_and_age():
    order = [row.item.id for row in sheet(CAMERA, ALARM, CASE).items]

    assert order == ["case-1", "a-1", "tarifa-day"]


def test_it_is_signed_when_everything_is_carried_or_closed():
    of = sheet(CASE, CAMERA)
    with pytest.raises(ValueError, match="2 items undecided"):
        sign(of, LEAVES)

    of = decide(of, ItemKind.CAMERA, "tarifa-day", Fate.CLOSED, "repaired")
    of = sign(sign(carried(of), LEAVES), TAKES)
    assert of.is_complete
    assert of.taking == TAKES


def test_a_handover_closes_no_rescue_and_nothing_without_a_word():
    of = sheet(CASE, CAMERA)
    with pytest.raises(ValueError, match="its own page"):
        decide(of, ItemKind.CASE, "case-1", Fate.CLOSED, "over")
    with pytest.raises(ValueError, match="with a reason"):
        decide(of, ItemKind.CAMERA, "tarifa-day", Fate.CLOSED, "")
    with pytest.raises(ValueError, match="not on it"):
        decide(of, ItemKind.CAMERA, "nowhere", Fate.CARRIED, "")


def test_two_different_people_sign_in_their_order_and_once():
    of = carried(sheet(CAMERA))
    with pytest.raises(ValueError, match="signs first"):
        sign(of, TAKES)
    once = sign(of, LEAVES)
    with pytest.raises(ValueError, match="two people"):
        sign(once, LEAVES)
    with pytest.raises(ValueError, match="two people"):
        sign(sign(once, TAKES), PersonId("third"))


def test_nothing_changes_once_somebody_has_signed():
    signed = sign(carried(sheet(CAMERA)), LEAVES)
    with pytest.raises(ValueError, match="signed already"):
        decide(signed, ItemKind.CAMERA, "tarifa-day", Fate.CARRIED, "")
    with pytest.raises(ValueError, match="signed already"):
        refresh(signed, [ALARM])


def test_what_comes_up_meanwhile_joins_undecided_and_decisions_stay():
    of = carried(sheet(CAMERA, ALARM))

    after = refresh(of, [CAMERA, CASE])

    fates = {row.item.id: row.fate for row in after.items}
    assert fates == {"case-1": Fate.OPEN, "tarifa-day": Fate.CARRIED}


def test_a_quiet_watch_is_handed_over_too():
    of = sign(sign(sheet(), LEAVES), TAKES)

    assert of.is_complete


@given(
    st.lists(
        st.builds(
            OpenItem,
            kind=st.sampled_from(ItemKind),
            id=st.text("ab", min_size=1, max_size=3),
            since=st.just(NOON),
            is_rescue=st.booleans(),
        ),
        unique_by=lambda item: (item.kind, item.id),
        max_size=12,
    )
)
def test_every_open_item_is_on_the_sheet_once(items: list[OpenItem]):
    of = sheet(*items)

    assert sorted((r.item.kind, r.item.id) for r in of.items) == sorted(
        (item.kind, item.id) for item in items
    )
    rescue = [row.item.is_rescue for row in of.items]
    assert rescue == sorted(rescue, reverse=True)
