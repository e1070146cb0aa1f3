"""The sheet one watch leaves to the next: nothing open is left unsaid.

The sheet is written from what stands open, the two people talk, and both sign. Every
item is carried to the next watch or closed with a word why; while one is neither, it
cannot be signed. A sheet without any item says so: it is never an empty page.

Source: docs/design/operations.md, "Handover".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum

from almenara.core.ids import PersonId


class ItemKind(IntEnum):
    """What an open item is about; in the order the sheet lists them."""

    CASE = 1
    ALARM = 2
    SHELVED = 3
    TASK = 4
    MESSAGE = 5
    """Of a partner, unanswered."""

    CAMERA = 6
    """Blind, silent or masked."""

    EXPECTED = 7
    """What the next watch should look for."""

    NOTE = 8


class Fate(StrEnum):
    """What becomes of an item."""

    OPEN = "open"
    CARRIED = "carried"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """One thing that stands open."""

    kind: ItemKind
    id: str
    since: datetime
    is_rescue: bool = False
    values: Mapping[str, str | float] = field(default_factory=dict[str, str | float])
    """What the console renders: a coordinator, a priority, an end time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetItem:
    """An item on the sheet, and what the two people decided."""

    item: OpenItem
    fate: Fate = Fate.OPEN
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A handover in the making, or signed."""

    sheet_id: str
    written_at: datetime
    leaving: PersonId
    items: tuple[SheetItem, ...]
    taking: PersonId | None = None
    signed_by: tuple[PersonId, ...] = ()

    @property
    def undecided(self) -> tuple[SheetItem, ...]:
        """What still has to be carried or closed."""
        return tuple(row for row in self.items if row.fate is Fate.OPEN)

    @property
    def is_complete(self) -> bool:
        """Whether both have signed: from here on the next watch holds it."""
        return len(self.signed_by) == 2


def write(
    sheet_id: str, leaving: PersonId, items: Iterable[OpenItem], now: datetime
) -> Sheet:
    """The sheet of everything that stands open: rescue first, then by kind and age."""
    ordered = sorted(items, key=lambda i: (not i.is_rescue, i.kind, i.since, i.id))
    return Sheet(
        sheet_id=sheet_id,
        written_at=now,
        leaving=leaving,
        items=tuple(SheetItem(item=item) for item in ordered),
    )


def decide(sheet: Sheet, kind: ItemKind, item_id: str, fate: Fate, why: str) -> Sheet:
    """Carry an item to the next watch, or close it.

    Raises:
        ValueError: It is not on the sheet, nothing may change any more, or it is a
            rescue that a handover cannot close.
    """
    if sheet.signed_by:
        raise ValueError(f"{sheet.sheet_id}: signed already; nothing changes any more")
    row = next(
        (r for r in sheet.items if (r.item.kind, r.item.id) == (kind, item_id)), None
    )
    if row is None:
        raise ValueError(f"{sheet.sheet_id}: {item_id} is not on it")
    if fate is Fate.CLOSED and (row.item.is_rescue or not why):
        raise ValueError(
            f"{sheet.sheet_id}: {item_id} is closed by its own page, with a reason"
        )
    decided = replace(row, fate=fate, why=why or None)
    return replace(sheet, items=tuple(decided if r is row else r for r in sheet.items))


def refresh(sheet: Sheet, items: Iterable[OpenItem]) -> Sheet:
    """What came up while the two were talking joins; what ended by itself leaves.

    Raises:
        ValueError: It is signed.
    """
    if sheet.signed_by:
        raise ValueError(f"{sheet.sheet_id}: signed already; nothing changes any more")
    decided = {(r.item.kind, r.item.id): r for r in sheet.items}
    fresh = write(sheet.sheet_id, sheet.leaving, items, sheet.written_at)
    return replace(
        sheet,
        items=tuple(
            replace(decided[key], item=row.item) if key in decided else row
            for row in fresh.items
            for key in [(row.item.kind, row.item.id)]
        ),
    )


def sign(sheet: Sheet, person: PersonId) -> Sheet:
    """One of the two signs: who leaves first, then who takes over.

    Raises:
        ValueError: Something is undecided, or it is not theirs to sign.
    """
    if sheet.undecided:
        raise ValueError(f"{sheet.sheet_id}: {len(sheet.undecided)} items undecided")
    if not sheet.signed_by:
        if person != sheet.leaving:
            raise ValueError(f"{sheet.sheet_id}: who leaves signs first")
        return replace(sheet, signed_by=(person,))
    if sheet.is_complete or person == sheet.leaving:
        raise ValueError(f"{sheet.sheet_id}: two people sign, once each")
    return replace(sheet, taking=person, signed_by=(*sheet.signed_by, person))
