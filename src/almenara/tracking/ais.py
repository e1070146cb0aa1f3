"""From what ships broadcast to observations, believing only what a hull could do.

An MMSI is a claim. Two places that one hull cannot reach are two hulls until somebody
knows better: a single jump is set aside, a jump that lasts becomes a second hull, and
nothing is merged or dropped. Distress devices are never doubted.

Source: docs/design/tracking.md, "AIS".
"""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from almenara.core.ais import AisReport
from almenara.core.ids import ReceiverId
from almenara.core.values import Position
from almenara.geo.geodesy import inverse
from almenara.tracking.observations import AisObservation

ACCURATE_STD_M = 5.0
COARSE_STD_M = 30.0
LONG_RANGE_STD_M = 53.0
"""Quantisation of message 27, which counts in tenths of a minute."""

FASTEST_MPS = 30.87
"""60 kn: no hull goes faster; search aircraft are exempt."""

SLACK_M = 500.0
JUMPS_TO_BELIEVE = 3
LONG_RANGE_MESSAGE = 27
AIRCRAFT_MESSAGE = 9
BASE_STATION_MESSAGE = 4
FORGET_AFTER = timedelta(minutes=30)
MAX_SHIPS = 100_000
"""Some forty times the Strait's busiest day; a flood of numbers costs the oldest."""

MAX_JUMPS = 1_000
MAX_HULLS = 8
"""Of one number; who jumps about without end is no fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A place that no known hull with this number could have reached."""

    mmsi: int
    receiver_id: ReceiverId
    at: datetime
    before_at: datetime
    before: Position
    """The last place that was believed."""

    after: Position

    @property
    def speed_mps(self) -> float:
        """What it would have taken; infinite at one instant."""
        seconds = abs((self.at - self.before_at).total_seconds())
        metres = inverse(self.before, self.after)[0]
        return metres / seconds if seconds else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hull:
    """Where somebody with this MMSI last was, and how often that made sense."""

    at: datetime
    position: Position
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voyage:
    """What was last said of a ship in messages without a position."""

    ship_name: str | None = None
    length_m: float | None = None


class AisSense:
    """Judges reports one by one; keeps the last place of every hull."""

    def __init__(self) -> None:
        self._hulls: dict[int, list[_Hull]] = {}
        self._voyages: dict[int, _Voyage] = {}
        self._jumps: deque[Jump] = deque(maxlen=MAX_JUMPS)
        self.set_aside = 0
        """Positions that no known hull could have reached, so far."""

    def duplicates(self) -> frozenset[int]:
        """MMSIs that more than one hull lives by."""
        return frozenset(
            mmsi
            for mmsi, hulls in self._hulls.items()
            if sum(hull.reports >= JUMPS_TO_BELIEVE for hull in hulls) > 1
        )

    def places_of(self, mmsi: int) -> tuple[tuple[datetime, Position], ...]:
        """When and where each hull that lives by a number was last heard."""
        return tuple(
            (hull.at, hull.position)
            for hull in self._hulls.get(mmsi, ())
            if hull.reports >= JUMPS_TO_BELIEVE
        )

    def take_jumps(self) -> tuple[Jump, ...]:
        """The jumps since this was asked last."""
        taken = tuple(self._jumps)
        self._jumps.clear()
        return taken

    def forget(self, mmsis: Collection[int | None]) -> None:
        """Believe the next place of each of these ships, wherever it is."""
        self._hulls = {m: h for m, h in self._hulls.items() if m not in mmsis}

    def observe(self, report: AisReport) -> AisObservation | None:
        """The observation a report makes; None without a place, or set aside."""
        known = self._voyages.get(report.mmsi, _Voyage())
        voyage = _Voyage(
            ship_name=report.ship_name or known.ship_name,
            length_m=report.length_m or known.length_m,
        )
        self._voyages[report.mmsi] = voyage
        _bound(self._voyages)
        if report.position is None or report.message_type == BASE_STATION_MESSAGE:
            return None  # a base station stands on land
        if not self._is_believable(report, report.position):
            self.set_aside += 1
            return None
        long_range = report.message_type == LONG_RANGE_MESSAGE
        std_m = ACCURATE_STD_M if report.accurate else COARSE_STD_M
        return AisObservation(
            receiver_id=report.receiver_id,
            mmsi=report.mmsi,
            observed_at=report.received_at,
            position=report.position,
            position_std_m=std_m + LONG_RANGE_STD_M * long_range,
            speed_mps=None if long_range else report.speed_mps,
            course_deg=None if long_range else report.course_deg,
            ship_name=voyage.ship_name,
            length_m=voyage.length_m,
        )

    def _is_believable(self, report: AisReport, position: Position) -> bool:
        if report.is_distress_device or report.message_type == AIRCRAFT_MESSAGE:
            return True
        now = report.received_at
        hulls = [
            hull
            for hull in self._hulls.get(report.mmsi, [])
            if now - hull.at < FORGET_AFTER
        ]
        self._hulls[report.mmsi] = hulls
        _bound(self._hulls)
        for index, hull in enumerate(hulls):
            within_m = SLACK_M + FASTEST_MPS * abs((now - hull.at).total_seconds())
            if inverse(hull.position, position)[0] <= within_m:
                hulls[index] = replace(
                    hull, at=now, position=position, reports=hull.reports + 1
                )
                return hulls[index].reports >= JUMPS_TO_BELIEVE or index == 0
        hulls.append(_Hull(at=now, position=position, reports=1))
        if len(hulls) > 1:
            last = hulls[-2]
            self._jumps.append(
                Jump(
                    mmsi=report.mmsi,
                    receiver_id=report.receiver_id,
                    at=now,
                    before_at=last.at,
                    before=last.position,
                    after=position,
                )
            )
            del hulls[1:-MAX_HULLS]
        return len(hulls) == 1


def _bound(kept: dict[int, Any]) -> None:
    """Give up the numbers first heard, beyond what any coast has."""
    while len(kept) > MAX_SHIPS:
        del kept[next(iter(kept))]
