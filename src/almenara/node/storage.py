"""Looks after the room that recordings and the store have, and says when it gets short.

Every two seconds it asks the disks; a round of the janitor follows each minute, and at
once where room is needed. What it knows becomes facts for the rules: an area that is
full or failing, the hours until nothing more can be recorded, the store's own reserve.

**Source**: docs/design/recording.md, "Full disk".
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from almenara.core.errors import AlmenaraError
from almenara.core.time import Clock
from almenara.incidents.stores import StoreFacts
from almenara.node.config.sections import RecordingConfig
from almenara.recording.areas import MAIN, Area, Areas, AreaState, is_same_disk
from almenara.recording.index import Hold, SegmentIndex
from almenara.recording.janitor import Cleaning, Janitor, Reserve
from almenara.recording.purge import Ballast, PurgeJournal, PurgePlan
from almenara.recording.targets import ForeignTarget, Target

log = structlog.get_logger()

TIDY_EVERY_S = 60.0
AGAIN_AFTER_S = 2.0
IN_VAIN_AFTER_S = 20.0
"""A round that made no room is not repeated at once: only held footage is left."""

RATE_WINDOW_S = 600.0
RATE_FROM_S = 30.0
FAILING = "failing-areas"
STORE = "store"


def areas_of(
    config: RecordingConfig,
    store: Path,
    *,
    ours: Sequence[Target] = (),
    foreign: Sequence[ForeignTarget] = (),
) -> Areas:
    """The configured areas, and every folder that took the place of the first.

    Args:
        config: What is configured.
        store: The folder of the database.
        ours: Media folders of ours; the first is recorded into. Without any, the
            configured one, under its plain name.
        foreign: Media folders that are only read, as far as rows name them.
    """
    main = ours[0] if ours else Target(target_id=MAIN, path=config.directory)
    areas = [
        Area(
            area_id=main.target_id,
            name=MAIN,
            directory=main.path,
            keep_free_percent=config.keep_free_percent,
            shares_store=is_same_disk(main.path, store),
        )
    ]
    areas += [
        Area(
            area_id=name,
            directory=area.directory,
            is_hot=area.tier == "hot",
            keep_free_percent=area.keep_free_percent,
            shares_store=is_same_disk(area.directory, store),
        )
        for name, area in config.areas.items()
    ]
    areas += [
        Area(
            area_id=target.target_id,
            directory=target.path,
            is_recorded=False,
            keep_free_percent=config.keep_free_percent,
            shares_store=is_same_disk(target.path, store),
        )
        for target in ours[1:]
    ]
    known = {area.area_id for area in areas}
    for each in foreign:
        if each.target_id is not None and each.target_id not in known:
            known.add(each.target_id)
            areas.append(
                Area(
                    area_id=each.target_id,
                    directory=each.path,
                    is_recorded=False,
                    is_ours=False,
                )
            )
    return Areas.of(areas, memory=store / FAILING)


def reserve_in(store: Path) -> Reserve:
    """The store's reserve, in the folder of the database."""
    return Reserve(
        plan=PurgePlan(),
        journal=PurgeJournal(store / "purge.journal"),
        ballast=Ballast(store / "ballast"),
    )


class Storage:
    """Keeps room; ``look`` blocks, so call it in a thread of its own."""

    def __init__(
        self,
        areas: Areas,
        index: SegmentIndex,
        clock: Clock,
        *,
        reserve: Reserve,
        keep_for: timedelta,
        written_bytes: Callable[[], int],
    ) -> None:
        self._areas = areas
        self._clock = clock
        self._reserve = reserve
        self._keep_for = keep_for
        self._written_bytes = written_bytes
        self._janitor = Janitor(areas, index, clock, reserve=reserve)
        self._written: deque[tuple[float, int]] = deque()
        self._done = Cleaning()
        self._next_s = clock.monotonic_s()
        self._states: list[AreaState] = []
        self._is_store_tight = False

    def protect(self, hold: Hold) -> None:
        """A hold is about to be placed: nothing in it may be purged from here on."""
        self._reserve.plan.protect(hold)

    def look(self) -> None:
        """Ask the disks, and make room where it is time; never raises for a disk."""
        self._areas.look_again()
        now_s = self._clock.monotonic_s()
        self._note_rate(now_s)
        self._states = self._areas.states()
        self._is_store_tight = not self._reserve.ballast.is_whole
        urgent = self._reserve.is_needed() or bool(self._areas.needs())
        if now_s >= self._next_s or (urgent and now_s >= self._soon_s()):
            self._tidy(now_s)

    def facts(self) -> tuple[StoreFacts, ...]:
        """For the rules, as of the last look."""
        hours = self.hours_left()
        areas = tuple(
            StoreFacts(
                store_id=state.area.title, state=state.state, detail=state.detail
            )
            for state in self._told()
        )
        store = StoreFacts(
            store_id=STORE,
            state="full" if self._is_store_tight else "working",
            hours_left=hours,
        )
        return (*areas, store)

    def free_bytes(self) -> int | None:
        """Where recordings go; None before the first look."""
        recorded = [s for s in self._states if s.area.is_recorded]
        known = [s.free_bytes for s in recorded if s.free_bytes is not None]
        return sum(known) if known else None

    def notes(self) -> list[str]:
        """What an engineer should read beside the recorder's state."""
        notes = [
            f"area {s.area.title} {s.state} {s.detail}".rstrip()
            for s in self._told()
            if s.state != "working"
        ]
        return [*notes, "store without reserve"] if self._is_store_tight else notes

    def hours_left(self) -> float | None:
        """Until nothing more can be recorded; None where there is no rate yet.

        What may be deleted counts as room.
        """
        rate = self._bytes_per_s()
        if not rate or not self._states:
            return None
        above_bytes = sum(
            max(0, (s.free_bytes or 0) - s.floor_bytes)
            for s in self._states
            if s.area.is_recorded and s.state != "failing"
        )
        return (above_bytes + self._done.deletable_bytes) / rate / 3_600.0

    def _told(self) -> list[AreaState]:
        """What people hear of: a folder that only empties may be full."""
        return [s for s in self._states if s.area.is_recorded or s.state == "failing"]

    def _soon_s(self) -> float:
        wait_s = AGAIN_AFTER_S if self._done.deleted else IN_VAIN_AFTER_S
        return self._next_s - TIDY_EVERY_S + wait_s

    def _tidy(self, now_s: float) -> None:
        self._next_s = now_s + TIDY_EVERY_S
        try:
            self._done = self._janitor.tidy(keep_for=self._keep_for)
        except (AlmenaraError, OSError, TimeoutError) as error:
            self._done = Cleaning()
            log.error("janitor_failed", reason=str(error))
        self._states = self._areas.states()
        self._is_store_tight = not self._reserve.ballast.is_whole

    def _note_rate(self, now_s: float) -> None:
        self._written.append((now_s, self._written_bytes()))
        while now_s - self._written[0][0] > RATE_WINDOW_S:
            self._written.popleft()
        rate = self._bytes_per_s()
        if rate is not None:
            self._areas.rate_floor_bytes = round(rate * RATE_WINDOW_S)

    def _bytes_per_s(self) -> float | None:
        if not self._written:  # asked before the first look
            return None
        (start_s, before), (now_s, after) = self._written[0], self._written[-1]
        span_s = now_s - start_s
        return (after - before) / span_s if span_s >= RATE_FROM_S else None
