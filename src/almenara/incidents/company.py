"""Contacts together: who meets whom, and who goes in a row.

Both are facts of pairs, found for all contacts at once; what lasts is remembered by the
chronicle.

Source: docs/design/alarms.md, "Contacts together".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
from scipy.sparse.csgraph import connected_components

from almenara.core.ids import TrackId
from almenara.geo.geodesy import LocalPlane
from almenara.geo.sea_surface import FloatArray
from almenara.incidents.shore import BoolArray
from almenara.incidents.thresholds import Thresholds
from almenara.tracking.picture import SystemTrack, TrackState

Pair = tuple[TrackId, TrackId]
_K = TypeVar("_K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Something that has been so since, give or take a short gap."""

    since: datetime
    held_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingFact:
    """Another contact alongside."""

    other: TrackId
    distance_m: float
    lasted: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvoyFact:
    """Contacts that go the same way at the same speed, close together."""

    members: tuple[TrackId, ...]
    """All of them, the longest known first; the fact is told of that one."""

    lasted: timedelta


Meetings = Mapping[TrackId, tuple[MeetingFact, ...]]
Convoys = Mapping[TrackId, ConvoyFact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What is remembered of contacts together; a value, like the chronicle."""

    meetings: Mapping[Pair, Spell]
    rows: Mapping[TrackId, Spell]

    @classmethod
    def nobody(cls) -> "Company":
        """An empty sea."""
        return cls(meetings={}, rows={})

    def read(
        self, tracks: Sequence[SystemTrack], at: datetime, limits: Thresholds
    ) -> tuple["Company", Meetings, Convoys]:
        """Take in the contacts of one picture that are not lost."""
        if len(tracks) < 2:
            return Company.nobody(), {}, {}
        ordered = sorted(tracks, key=lambda t: (t.first_seen_at, t.track_id))
        names = [t.track_id for t in ordered]
        apart_m, rush_mps = _apart(ordered)
        close, together = _pairs(ordered, apart_m, rush_mps, limits)
        meetings = _lasting(
            self.meetings, {(names[i], names[j]) for i, j in close}, at, limits
        )
        place = {name: i for i, name in enumerate(names)}
        met: dict[TrackId, list[MeetingFact]] = {}
        for (older, younger), spell in meetings.items():
            if older in place and younger in place:
                met.setdefault(older, []).append(
                    MeetingFact(
                        other=younger,
                        distance_m=float(apart_m[place[older], place[younger]]),
                        lasted=at - spell.since,
                    )
                )
        rows, convoys = self._rows(names, together, at, limits)
        facts = {name: tuple(found) for name, found in met.items()}
        return replace(self, meetings=meetings, rows=rows), facts, convoys

    def _rows(
        self,
        names: list[TrackId],
        together: BoolArray,
        at: datetime,
        limits: Thresholds,
    ) -> tuple[Mapping[TrackId, Spell], Convoys]:
        least = int(limits.convoy_members)
        _, labels = connected_components(together, directed=False)
        groups = [
            [names[i] for i in np.flatnonzero(labels == label)]
            for label in np.unique(labels)
        ]
        in_row = {n: g for g in groups if len(g) >= least for n in g}
        rows = _lasting(self.rows, set(in_row), at, limits)
        convoys = {}
        for name, group in in_row.items():
            if name == group[0]:
                # As long as its third-longest member: before that it was a pair.
                since = sorted(rows[n].since for n in group)[least - 1]
                convoys[name] = ConvoyFact(members=tuple(group), lasted=at - since)
        return rows, convoys


def _lasting(
    old: Mapping[_K, Spell], holds: set[_K], at: datetime, limits: Thresholds
) -> dict[_K, Spell]:
    kept = {
        key: spell
        for key, spell in old.items()
        if key in holds or at - spell.held_at <= limits.sustained_gap
    }
    for key in holds:
        was = kept.get(key)
        kept[key] = Spell(since=at if was is None else was.since, held_at=at)
    return kept


def _apart(tracks: Sequence[SystemTrack]) -> tuple[FloatArray, FloatArray]:
    """Distances (n, n) in metres and differences of velocity (n, n) in m/s."""
    plane = LocalPlane.at(tracks[0].position)
    places = plane.to_plane(
        [t.position.latitude_deg for t in tracks],
        [t.position.longitude_deg for t in tracks],
    )
    rates = np.array([t.velocity_mps for t in tracks])
    return (
        np.linalg.norm(places[:, None] - places[None], axis=2),
        np.linalg.norm(rates[:, None] - rates[None], axis=2),
    )


def _pairs(
    tracks: Sequence[SystemTrack],
    apart_m: FloatArray,
    rush_mps: FloatArray,
    limits: Thresholds,
) -> tuple[list[tuple[int, int]], BoolArray]:
    """Pairs that meet, and a matrix of those that go together."""
    live = np.array([t.state is TrackState.CONFIRMED for t in tracks])
    both = live[:, None] & live[None]
    doubt_m = np.sqrt([sum(t.position_cov_m2[:2]) for t in tracks])
    sure = doubt_m <= limits.rendezvous_within_m
    near = both & sure[:, None] & sure[None] & (apart_m <= limits.rendezvous_within_m)
    meeting = np.triu(near & (rush_mps <= limits.rendezvous_slowest_mps), 1)
    rates = np.array([t.velocity_mps for t in tracks])
    speed = np.linalg.norm(rates, axis=1)
    course = np.degrees(np.arctan2(rates[:, 0], rates[:, 1]))
    off = np.abs((course[:, None] - course[None] + 180.0) % 360.0 - 180.0)
    moving = speed >= limits.convoy_slowest_mps
    together = (
        (both & moving[:, None] & moving[None])
        & (apart_m <= limits.convoy_spacing_m)
        & (off <= limits.convoy_within_deg)
        & (np.abs(speed[:, None] - speed[None]) <= limits.convoy_speed_mps)
    )
    pairs = [(int(i), int(j)) for i, j in zip(*np.nonzero(meeting), strict=True)]
    return pairs, together
