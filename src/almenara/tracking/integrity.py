"""What does not add up in AIS: two hulls, leaps, jammed areas, silence, far voices.

Each finding is an immutable value with the facts that contradict each other; nothing
here deletes, merges or moves a contact. Silence says something of a ship only while the
receiver hears others where she was: else it is our own deafness, a matter of health.

Source: ITU-R M.1371-6; docs/design/tracking.md, "AIS integrity".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from almenara.core.ais import AisReport
from almenara.core.ids import ReceiverId
from almenara.core.values import Position
from almenara.geo.geodesy import inverse
from almenara.tracking.ais import MAX_SHIPS, AisSense, Jump

JAM_WITHIN = timedelta(seconds=60)
JAM_SHIPS = 5
"""One ship may leap by a fault of her own; five at once are not five faults."""

HOLDS_FOR = timedelta(minutes=10)
"""How long a finding stands after it was last seen."""

SILENT_INTERVALS = 6
SILENT_LEAST = timedelta(minutes=6)
SILENT_MOST = timedelta(hours=2)
"""After that nobody expects her here any more."""

UNDER_WAY_MPS = 1.0
"""Ships at rest may switch off in peace."""

CELL_DEG = 0.1
"""About 10 km: the cell in which others must be heard."""

NEIGHBOURS = 2
FARTHEST_M = 600_000.0
"""Beyond any duct that VHF was ever heard through here: 300 nautical miles and more."""

MAX_CELLS = 50_000


class AnomalyKind(StrEnum):
    """What does not add up."""

    DUPLICATE = "duplicate"
    """Two hulls live by one number."""

    TELEPORT = "teleport"
    """One ship was where she could not be."""

    JAMMED = "jammed"
    """Many ships of one receiver leapt together."""

    SILENT = "silent"
    """A ship under way fell silent while others were heard around her."""

    REMOTE = "remote"
    """A place from which the receiver cannot have heard it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One finding; both facts that contradict each other are in it."""

    kind: AnomalyKind
    receiver_id: ReceiverId
    mmsi: int | None
    """None where it is about a receiver's whole area."""

    since: datetime
    last_at: datetime
    place: Position
    other_place: Position | None = None
    ships: int = 1
    seconds: float | None = None
    """Between the two places, or of silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """When and where a ship was last heard, and how often she usually speaks."""

    receiver_id: ReceiverId
    at: datetime
    place: Position
    under_way: bool
    reports: int = 1
    interval_s: float = 0.0


_Cell = tuple[ReceiverId, int, int]


class AisIntegrity:
    """Follows what receivers hear; one caller."""

    def __init__(self, sense: AisSense) -> None:
        self._sense = sense
        self._receivers: Mapping[ReceiverId, Position] = {}
        self._voices: dict[int, _Voice] = {}
        self._heard: dict[_Cell, dict[int, datetime]] = {}
        self._leaps: list[Jump] = []
        self._standing: dict[tuple[AnomalyKind, str], Anomaly] = {}

    def watch(self, receivers: Mapping[ReceiverId, Position]) -> None:
        """Say where the receivers stand."""
        self._receivers = dict(receivers)

    def hear(self, report: AisReport) -> None:
        """Take in a report, after the sense has judged its place."""
        for jump in self._sense.take_jumps():
            self._leap(jump)
        if report.position is None or report.is_distress_device:
            return
        self._listen(report, report.position)
        self._far(report, report.position)

    def anomalies(self, now: datetime) -> tuple[Anomaly, ...]:
        """Everything that stands now, in a fixed order."""
        self._duplicates(now)
        self._silences(now)
        self._standing = {
            key: found
            for key, found in self._standing.items()
            if now - found.last_at <= HOLDS_FOR
        }
        return tuple(self._standing[key] for key in sorted(self._standing))

    def _note(self, anomaly: Anomaly) -> None:
        about = str(anomaly.mmsi or anomaly.receiver_id)
        key = anomaly.kind, about
        old = self._standing.get(key)
        since = anomaly.since if old is None else old.since
        self._standing[key] = replace(anomaly, since=since)

    def _leap(self, jump: Jump) -> None:
        lately = [j for j in self._leaps if jump.at - j.at <= JAM_WITHIN]
        self._leaps = [*lately, jump]
        ships = {j.mmsi for j in self._leaps if j.receiver_id == jump.receiver_id}
        if len(ships) >= JAM_SHIPS:
            self._note(
                Anomaly(
                    kind=AnomalyKind.JAMMED,
                    receiver_id=jump.receiver_id,
                    mmsi=None,
                    since=min(j.at for j in self._leaps),
                    last_at=jump.at,
                    place=jump.before,
                    other_place=jump.after,
                    ships=len(ships),
                )
            )
            # One area is one finding: the ships' own leaps are explained by it.
            for mmsi in ships:
                self._standing.pop((AnomalyKind.TELEPORT, str(mmsi)), None)
            return
        self._note(
            Anomaly(
                kind=AnomalyKind.TELEPORT,
                receiver_id=jump.receiver_id,
                mmsi=jump.mmsi,
                since=jump.at,
                last_at=jump.at,
                place=jump.before,
                other_place=jump.after,
                seconds=(jump.at - jump.before_at).total_seconds(),
            )
        )

    def _listen(self, report: AisReport, place: Position) -> None:
        at, old = report.received_at, self._voices.get(report.mmsi)
        gap_s = 0.0 if old is None else (at - old.at).total_seconds()
        interval_s = gap_s if old is None or old.reports < 2 else old.interval_s
        if old is not None and old.reports >= 2:
            interval_s = 0.8 * interval_s + 0.2 * min(gap_s, 4 * interval_s + 10.0)
        self._voices.pop(report.mmsi, None)  # the newest last
        self._voices[report.mmsi] = _Voice(
            receiver_id=report.receiver_id,
            at=at,
            place=place,
            under_way=(report.speed_mps or 0.0) >= UNDER_WAY_MPS,
            reports=1 if old is None else old.reports + 1,
            interval_s=interval_s,
        )
        while len(self._voices) > MAX_SHIPS:
            del self._voices[next(iter(self._voices))]
        self._standing.pop((AnomalyKind.SILENT, str(report.mmsi)), None)
        cell = _cell(report.receiver_id, place)
        self._heard.setdefault(cell, {})[report.mmsi] = at
        while len(self._heard) > MAX_CELLS:
            del self._heard[next(iter(self._heard))]

    def _far(self, report: AisReport, place: Position) -> None:
        here = self._receivers.get(report.receiver_id)
        if here is None or inverse(here, place)[0] <= FARTHEST_M:
            return
        self._note(
            Anomaly(
                kind=AnomalyKind.REMOTE,
                receiver_id=report.receiver_id,
                mmsi=report.mmsi,
                since=report.received_at,
                last_at=report.received_at,
                place=here,
                other_place=place,
            )
        )

    def _duplicates(self, now: datetime) -> None:
        leapt = {j.mmsi for j in self._leaps}
        jammed = any(k is AnomalyKind.JAMMED for k, _ in self._standing)
        for mmsi in self._sense.duplicates():
            if jammed and mmsi in leapt:
                continue
            voice = self._voices.get(mmsi)
            (at, one), (_, two), *_ = sorted(
                self._sense.places_of(mmsi), key=lambda p: p[0], reverse=True
            )
            if voice is None or now - at > HOLDS_FOR:
                continue
            self._note(
                Anomaly(
                    kind=AnomalyKind.DUPLICATE,
                    receiver_id=voice.receiver_id,
                    mmsi=mmsi,
                    since=at,
                    last_at=at,
                    place=one,
                    other_place=two,
                )
            )
            self._standing.pop((AnomalyKind.TELEPORT, str(mmsi)), None)

    def _silences(self, now: datetime) -> None:
        forgotten = [m for m, v in self._voices.items() if now - v.at > SILENT_MOST]
        for mmsi in forgotten:
            del self._voices[mmsi]
        for cell, ships in list(self._heard.items()):
            fresh = {m: at for m, at in ships.items() if now - at <= SILENT_MOST}
            if fresh:
                self._heard[cell] = fresh
            else:
                del self._heard[cell]
        for mmsi, voice in self._voices.items():
            gap = now - voice.at
            usual = timedelta(seconds=SILENT_INTERVALS * voice.interval_s)
            if not voice.under_way or voice.reports < 3:
                continue
            if gap <= max(usual, SILENT_LEAST) or not self._hears_others(voice, mmsi):
                continue
            self._note(
                Anomaly(
                    kind=AnomalyKind.SILENT,
                    receiver_id=voice.receiver_id,
                    mmsi=mmsi,
                    since=voice.at,
                    last_at=now,
                    place=voice.place,
                    seconds=gap.total_seconds(),
                )
            )

    def _hears_others(self, voice: _Voice, mmsi: int) -> bool:
        """Whether the receiver heard others around there since she fell silent."""
        receiver, row, column = _cell(voice.receiver_id, voice.place)
        around = (
            self._heard.get((receiver, row + i, column + j), {})
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        )
        since = voice.at + SILENT_LEAST / 2
        others = {m for cell in around for m, at in cell.items() if at >= since}
        return len(others - {mmsi}) >= NEIGHBOURS


def _cell(receiver_id: ReceiverId, place: Position) -> _Cell:
    return (
        receiver_id,
        int(place.latitude_deg // CELL_DEG),
        int(place.longitude_deg // CELL_DEG),
    )
