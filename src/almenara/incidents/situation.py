"""The facts that rules are asked about, and how they follow from pictures.

A rule has no memory; the :class:`Chronicle` has it. It is a value: fed with a picture
it returns the next one and the situations of this instant.

Source: docs/design/alarms.md, "Facts".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import shapely
from shapely.geometry import Polygon

from almenara.core.coast import Haven, WatchLine, WatchZone
from almenara.core.ids import TrackId, ZoneId
from almenara.core.values import CountRange, Position
from almenara.detection import ObjectClass
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.incidents import facts
from almenara.incidents.company import Company, ConvoyFact, MeetingFact
from almenara.incidents.facts import (
    ExpectedFact,
    LineFact,
    LoiterFact,
    ShoreFact,
    VanishedFact,
    Way,
)
from almenara.incidents.landfall import Landfall, predict_landfall
from almenara.incidents.shore import NearestShore, Shore
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.tracking.picture import Picture, SystemTrack, TrackState

_RING = 32
_GRID = np.array(
    [
        (
            math.sqrt(-2 * math.log(1 - (k + 0.5) / 8)),
            2 * math.pi * (j + k % 2 / 2) / _RING,
        )
        for k in range(8)
        for j in range(_RING)
    ]
)
_NORMAL = np.stack(
    [_GRID[:, 0] * np.cos(_GRID[:, 1]), _GRID[:, 0] * np.sin(_GRID[:, 1])], axis=1
)
"""256 points of equal weight that stand for a two-dimensional normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneFact:
    """Whether a contact is inside a watch zone."""

    zone_id: ZoneId
    name: str
    probability: float
    since: datetime | None
    """Since when it counts as inside, hysteresis applied; None outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of one system track when the rules are asked."""

    track_id: TrackId
    at: datetime
    seen_at: datetime | None = None
    """The last real measurement; None where nobody said."""

    position: Position
    position_std_m: float
    speed_mps: float
    speed_std_mps: float
    course_deg: float
    object_class: ObjectClass
    length_m: float | None
    has_ais: bool
    mmsi: int | None
    people: CountRange | None
    existence: float
    sensors: tuple[str, ...]
    zones: tuple[ZoneFact, ...] = ()
    shore: NearestShore | None = None
    closing_for: timedelta = timedelta()
    """How long slow and headed for the nearest shore."""

    adrift_for: timedelta = timedelta()
    """How long moving as only wind and current move."""

    adrift_distance_m: float = 0.0
    """Net, since it began."""

    crossed: tuple[LineFact, ...] = ()
    fast_probability: float = 0.0
    fast_looks: int = 0
    """Looks in a row that say it is fast."""

    loiter: LoiterFact | None = None
    meetings: tuple[MeetingFact, ...] = ()
    near_haven: bool = False
    """In a harbour or anchorage, or close off one."""

    havens_known: bool = False
    convoy: ConvoyFact | None = None
    landed: ShoreFact | None = None
    launched: ShoreFact | None = None
    landfall: Landfall | None = None
    vanished: VanishedFact | None = None
    expected: ExpectedFact | None = None
    is_lost: bool = False
    """Seen no more: only what that means may be judged."""

    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The fixed world that situations are read against."""

    zones: Sequence[WatchZone] = ()
    shore: Shore = field(default_factory=lambda: Shore.of([]))
    lines: Sequence[WatchLine] = ()
    havens: Sequence[Haven] = ()
    watched_by: Callable[[Position], tuple[str, ...]] | None = None
    """Which working cameras look at a place; None where nobody can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spell:
    """Something that has been so since, give or take a short gap."""

    since: datetime
    held_at: datetime
    start: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    zones: Mapping[ZoneId, datetime] = field(default_factory=dict[ZoneId, datetime])
    closing: _Spell | None = None
    adrift: _Spell | None = None
    way: Way = field(default_factory=Way)
    landfall: Landfall | None = None
    landfall_at: datetime | None = None
    last: Situation | None = None
    """As it was when it was last seen."""

    vanished: VanishedFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Awaited:
    """A craft that is gone from the picture, and should arrive."""

    last: Situation
    fact: ExpectedFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Chronicle:
    """What must be remembered of every contact between two pictures."""

    thresholds: Thresholds = DEFAULT
    memories: Mapping[TrackId, _Memory] = field(default_factory=dict[TrackId, _Memory])
    company: Company = field(default_factory=Company.nobody)
    awaited: Mapping[TrackId, _Awaited] = field(default_factory=dict[TrackId, _Awaited])

    def read(
        self,
        picture: Picture,
        zones: Sequence[WatchZone],
        shore: Shore,
        *,
        survivors: Mapping[TrackId, TrackId] | None = None,
        lines: Sequence[WatchLine] = (),
        havens: Sequence[Haven] = (),
        watched_by: Callable[[Position], tuple[str, ...]] | None = None,
    ) -> tuple["Chronicle", tuple[Situation, ...]]:
        """Take in a picture.

        Args:
            picture: Contacts at one instant; pictures come in order of time.
            zones: The watch zones that hold now.
            shore: Land near the centre.
            survivors: Tracks that turned out to be another one: what was remembered of
                them is remembered of the survivor.
            lines: The lines whose crossing is told.
            havens: Harbours and anchorages.
            watched_by: Which working cameras look at a place; None where nobody can
                say, and then nothing vanishes.

        Returns:
            The next chronicle, and a situation for every contact that is not lost, and
            for those whose loss or absence means something.
        """
        around = Surroundings(
            zones=zones,
            shore=shore,
            lines=lines,
            havens=havens,
            watched_by=watched_by,
        )
        before = dict(self.memories)
        for gone, kept in (survivors or {}).items():
            if gone in before:
                before[kept] = _joined(before.get(kept), before.pop(gone))
        memories: dict[TrackId, _Memory] = {}
        situations = []
        live = [t for t in picture.tracks if t.state is not TrackState.LOST]
        company, meetings, convoys = self.company.read(
            live, picture.at, self.thresholds
        )
        for track in picture.tracks:
            old = before.get(track.track_id, _Memory())
            if track.state is TrackState.LOST:
                memory = _gone(track, old, live, around, self.thresholds)
                memories[track.track_id] = memory
                if memory.vanished is not None and memory.last is not None:
                    situations.append(_lost(track, memory.last, memory.vanished))
                continue
            memory, situation = _facts(track, old, around, self.thresholds)
            situation = replace(
                situation,
                meetings=meetings.get(track.track_id, ()),
                convoy=convoys.get(track.track_id),
            )
            memories[track.track_id] = replace(memory, last=situation)
            situations.append(situation)
        awaited = _await(self.awaited, before, memories, picture, self.thresholds)
        situations += [
            replace(one.last, at=picture.at, is_lost=True, expected=one.fact)
            for name, one in awaited.items()
            if name not in memories
        ]
        read = replace(self, memories=memories, company=company, awaited=awaited)
        return read, tuple(situations)


def _facts(
    track: SystemTrack, old: _Memory, around: Surroundings, limits: Thresholds
) -> tuple[_Memory, Situation]:
    zones, shore = around.zones, around.shore
    speed, speed_std, course = motion(track)
    nearest = shore.nearest(track.position)
    inside = {
        zone.zone_id: _inside(zone, track, old.zones.get(zone.zone_id), limits)
        for zone in zones
    }
    closing = _spell(
        old.closing,
        track,
        limits,
        holds=_is_closing(speed, speed_std, course, nearest, limits),
    )
    adrift = _spell(
        old.adrift, track, limits, holds=_is_adrift(speed, speed_std, limits)
    )
    if _moored(adrift, track, limits):
        # It may be cut loose later: the count begins anew.
        adrift = _Spell(since=track.at, held_at=track.at, start=track.position)
    std_m = major_std_m(track.position_cov_m2)
    way, quick = _way(track, old.way, nearest, around, limits)
    landfall, landfall_at = _landfall(track, old, closing, around, limits)
    situation = Situation(
        track_id=track.track_id,
        at=track.at,
        seen_at=track.last_seen_at,
        position=track.position,
        position_std_m=std_m,
        speed_mps=speed,
        speed_std_mps=speed_std,
        course_deg=course,
        object_class=track.object_class,
        length_m=track.length_m,
        has_ais=track.mmsi is not None,
        mmsi=track.mmsi,
        people=track.people,
        existence=track.existence,
        sensors=tuple(look.sensor_id for look in track.looks),
        zones=tuple(inside.values()),
        shore=nearest,
        closing_for=_lasted(closing, track.at),
        adrift_for=_lasted(adrift, track.at),
        adrift_distance_m=(
            0.0 if adrift is None else inverse(adrift.start, track.position)[0]
        ),
        crossed=tuple(way.crossed.values()),
        fast_probability=quick,
        fast_looks=way.fast_looks,
        loiter=way.loiter,
        near_haven=facts.haven_at(
            track.position, around.havens, limits.rendezvous_clear_of_haven_m
        ),
        havens_known=bool(around.havens),
        landed=way.landed,
        launched=way.launched,
        landfall=landfall,
        simulated=track.simulated,
    )
    since = {k: fact.since for k, fact in inside.items() if fact.since is not None}
    memory = _Memory(
        zones=since,
        closing=closing,
        adrift=adrift,
        way=way,
        landfall=landfall,
        landfall_at=landfall_at,
    )
    return memory, situation


def _way(
    track: SystemTrack,
    old: Way,
    nearest: NearestShore | None,
    around: Surroundings,
    limits: Thresholds,
) -> tuple[Way, float]:
    """What is remembered of the way from here on, and P(fast)."""
    speed, speed_std, _ = motion(track)
    std_m = major_std_m(track.position_cov_m2)
    quick = facts.fast_probability(speed, speed_std, limits)
    way = facts.crossed_lines(old, track, around.lines, limits)
    way = facts.fast_looks(way, track, quick, limits)
    way = facts.way_gone(way, track, std_m, havens=around.havens, limits=limits)
    way = facts.at_shore(
        way, track, nearest, std_m, havens=around.havens, limits=limits
    )
    return way, quick


def _landfall(
    track: SystemTrack,
    old: _Memory,
    closing: _Spell | None,
    around: Surroundings,
    limits: Thresholds,
) -> tuple[Landfall | None, datetime | None]:
    """Made anew once a minute, for what has closed on the coast for a while."""
    if _lasted(closing, track.at) < limits.closing_sustained / 2 or track.mmsi:
        return None, None
    made_at = old.landfall_at
    if made_at is not None and track.at - made_at < limits.landfall_every:
        return old.landfall, made_at
    return predict_landfall(track, around.shore, limits), track.at


def _gone(
    track: SystemTrack,
    old: _Memory,
    live: Sequence[SystemTrack],
    around: Surroundings,
    limits: Thresholds,
) -> _Memory:
    """Whether a contact that was lost has vanished; once said, it stays said."""
    last = old.last
    if old.vanished is not None or last is None or around.watched_by is None:
        return old
    known_for = track.last_seen_at - track.first_seen_at
    near_shore = (
        last.shore is not None
        and last.shore.distance_m <= limits.vanished_clear_of_shore_m
    )
    large = last.length_m is not None and last.length_m >= limits.small_below_m
    if (
        last.has_ais
        or large
        or near_shore
        or last.landed is not None
        or last.existence < limits.vanished_existence
        or known_for < limits.vanished_known_for
        or _goes_on_as_another(track, live)
    ):
        return old
    # Who never saw it may look over it; who did, and works, should see it still.
    cameras = tuple(
        name for name in around.watched_by(track.position) if name in last.sensors
    )
    looks = int((track.at - track.last_seen_at) / limits.vanished_look_every)
    if not cameras:
        return old
    return replace(
        old,
        vanished=VanishedFact(
            last_seen_at=track.last_seen_at,
            known_for=known_for,
            looks=looks,
            watched_by=cameras,
        ),
    )


def _goes_on_as_another(track: SystemTrack, live: Sequence[SystemTrack]) -> bool:
    """Whether some live contact may well be the same craft under another name."""
    reach_m = 300.0 + 2.0 * major_std_m(track.position_cov_m2)
    return any(inverse(track.position, other.position)[0] <= reach_m for other in live)


def _lost(track: SystemTrack, last: Situation, fact: VanishedFact) -> Situation:
    return replace(
        last,
        at=track.at,
        position=track.position,
        position_std_m=major_std_m(track.position_cov_m2),
        vanished=fact,
        is_lost=True,
    )


def _await(
    old: Mapping[TrackId, _Awaited],
    before: Mapping[TrackId, _Memory],
    now: Mapping[TrackId, _Memory],
    picture: Picture,
    limits: Thresholds,
) -> dict[TrackId, _Awaited]:
    """Whose arrival is awaited: small craft that were bound for the coast."""
    kept = {
        name: one
        for name, one in old.items()
        if name not in now and picture.at - one.fact.latest <= limits.overdue_told
    }
    for name, memory in before.items():
        last, landfall = memory.last, memory.landfall
        if name in now or name in kept or last is None or landfall is None:
            continue
        sure = landfall.probability >= limits.landfall_sure
        if sure and last.landed is None and not last.has_ais:
            seen_at = last.seen_at or last.at
            fact = ExpectedFact(
                latest=landfall.latest,
                probability=landfall.probability,
                last_seen_at=seen_at,
            )
            kept[name] = _Awaited(last=last, fact=fact)
    return kept


def motion(track: SystemTrack) -> tuple[float, float, float]:
    """Speed, its standard deviation (both m/s) and course in [0, 360) of a track."""
    east, north = track.velocity_mps
    ee, nn, en = track.velocity_cov
    speed = math.hypot(east, north)
    if speed < 1e-6:
        return 0.0, math.sqrt((ee + nn) / 2), 0.0
    variance = (
        east * east * ee + north * north * nn + 2 * east * north * en
    ) / speed**2
    course = math.degrees(math.atan2(east, north)) % 360.0
    return speed, math.sqrt(max(variance, 0.0)), course


def major_std_m(cov: tuple[float, float, float]) -> float:
    """Standard deviation along the longest axis of an ellipse."""
    ee, nn, en = cov
    return math.sqrt((ee + nn) / 2 + math.hypot((ee - nn) / 2, en))


def probability_inside(zone: WatchZone, track: SystemTrack) -> float:
    """P(inside) of a contact whose place is Gaussian; within 2 % on a straight edge."""
    plane = LocalPlane.at(track.position)
    ring = plane.to_plane(
        [p.latitude_deg for p in zone.vertices],
        [p.longitude_deg for p in zone.vertices],
    )
    ee, nn, en = track.position_cov_m2
    reach = 3.5 * major_std_m(track.position_cov_m2) + 1.0
    low, high = ring.min(axis=0), ring.max(axis=0)
    if (low > reach).any() or (high < -reach).any():
        return 0.0
    root = np.linalg.cholesky(np.array([[ee + 1e-6, en], [en, nn + 1e-6]]))
    points = _NORMAL @ root.T
    polygon = Polygon(ring)
    shapely.prepare(polygon)
    return float(shapely.contains_xy(polygon, points[:, 0], points[:, 1]).mean())


def _inside(
    zone: WatchZone, track: SystemTrack, since: datetime | None, limits: Thresholds
) -> ZoneFact:
    probability = probability_inside(zone, track)
    if since is None and probability >= limits.zone_raise:
        since = track.at
    elif since is not None and probability <= limits.zone_clear:
        since = None
    return ZoneFact(
        zone_id=zone.zone_id, name=zone.name, probability=probability, since=since
    )


def _is_closing(
    speed: float,
    std: float,
    course: float,
    nearest: NearestShore | None,
    limits: Thresholds,
) -> bool:
    if nearest is None or not 0.0 < nearest.distance_m <= limits.closing_farthest_m:
        return False
    off = abs((course - nearest.bearing_deg + 180.0) % 360.0 - 180.0)
    slow = limits.closing_slowest_mps <= speed <= limits.closing_fastest_mps
    known = std <= speed / 2
    return slow and known and off <= limits.closing_within_deg


def _is_adrift(speed: float, std: float, limits: Thresholds) -> bool:
    return std <= limits.adrift_worst_std_mps and speed <= limits.adrift_fastest_mps


def _moored(spell: _Spell | None, track: SystemTrack, limits: Thresholds) -> bool:
    """Whether what hardly moved for so long has not gone anywhere, either."""
    lasted = _lasted(spell, track.at)
    if spell is None or lasted < limits.adrift_sustained:
        return False
    net_m = inverse(spell.start, track.position)[0]
    return net_m < limits.adrift_slowest_mps * lasted.total_seconds()


def _spell(
    old: _Spell | None, track: SystemTrack, limits: Thresholds, *, holds: bool
) -> _Spell | None:
    # A track that only coasts says nothing new: neither for the condition nor against.
    if track.state is TrackState.COASTING:
        return None if old is None else replace(old, held_at=track.at)
    if holds:
        if old is None:
            return _Spell(since=track.at, held_at=track.at, start=track.position)
        return replace(old, held_at=track.at)
    if old is not None and track.at - old.held_at <= limits.sustained_gap:
        return old
    return None


def _lasted(spell: _Spell | None, at: datetime) -> timedelta:
    return timedelta() if spell is None else at - spell.since


def _joined(kept: _Memory | None, gone: _Memory) -> _Memory:
    """What is remembered of two tracks that were one: the longer of each."""
    if kept is None:
        return gone
    zones = dict(gone.zones)
    for zone_id, since in kept.zones.items():
        zones[zone_id] = min(since, zones.get(zone_id, since))
    return _Memory(
        zones=zones,
        closing=_longer(kept.closing, gone.closing),
        adrift=_longer(kept.adrift, gone.adrift),
        way=kept.way,
        landfall=kept.landfall or gone.landfall,
        landfall_at=kept.landfall_at or gone.landfall_at,
        last=kept.last,
    )


def _longer(a: _Spell | None, b: _Spell | None) -> _Spell | None:
    if a is None or b is None:
        return a or b
    return min(a, b, key=lambda spell: spell.since)
