"""A contact while the fusion works on it, and what the picture says of it.

Source: docs/design/tracking.md, "Life of a track".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from almenara.core.ids import LocalTrackId, TrackId
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.geo.geodesy import LocalPlane
from almenara.geo.sea_surface import FloatArray
from almenara.tracking.filters import (
    DRIFTING_Q,
    MANOEUVRING_Q,
    Belief,
    carry,
    predict,
)
from almenara.tracking.observations import (
    AisObservation,
    CameraObservation,
    RadarObservation,
)
from almenara.tracking.picture import SensorLook, SystemTrack, TrackState

COAST_AFTER = timedelta(seconds=10)
LOSE_AFTER = timedelta(seconds=120)
LOSE_AFTER_SHORT = timedelta(seconds=30)
"""So long a contact coasts at least, and at most twice as long as it was seen: what was
seen for seconds has a velocity too doubtful to say where it is a minute later."""

COAST_AFTER_AIS = timedelta(seconds=200)
"""A ship at anchor reports every three minutes."""

LOSE_AFTER_AIS = timedelta(minutes=10)
DROP_AFTER = timedelta(seconds=60)
"""How long a lost contact stays in the picture."""

CONFIRM_LOOKS = 3
CONFIRM_EXISTENCE = 0.8
TURNING_NIS = 3.0
"""Mean squared innovation per dimension that speaks of a manoeuvre."""

FADE_S = 120.0
SHIP_M = 30.0
"""From this length on a look may be at the bow, the stern or the bridge."""


@dataclass(slots=True, eq=False, kw_only=True)
class Contact:
    """One track in the making; owned and changed by the fusion alone."""

    track_id: TrackId
    belief: Belief
    at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    q: float = DRIFTING_Q
    nis: float = 1.0
    count: int = 0
    existence: float = 0.0
    confirmed: bool = False
    looks: dict[str, SensorLook] = field(default_factory=dict[str, SensorLook])
    misses: dict[LocalTrackId, int] = field(default_factory=dict[LocalTrackId, int])
    votes: dict[ObjectClass, float] = field(default_factory=dict[ObjectClass, float])
    mmsi: int | None = None
    ship_name: str | None = None
    declared_length_m: float | None = None
    width_m: float | None = None
    simulated: bool = False

    def at_time(self, at: datetime, q: float | None = None) -> Belief:
        """The belief, moved to an instant before or after its own."""
        dt = np.array([(at - self.at).total_seconds()])
        x, cov = predict(
            self.belief.x[None],
            self.belief.cov[None],
            dt,
            np.array([self.q if q is None else q]),
        )
        return Belief(x=x[0], cov=cov[0], cross=carry(self.belief.cross, float(dt[0])))

    def judge_manoeuvre(self, cost_per_dimension: float) -> None:
        """Switch the noise by how well predictions have lately been met."""
        self.nis = 0.8 * self.nis + 0.2 * cost_per_dimension
        self.q = MANOEUVRING_Q if self.nis > TURNING_NIS else DRIFTING_Q

    def seen_by_camera(self, observation: CameraObservation) -> None:
        """Note who saw it, how sure they are, and what they take it for."""
        self._seen(observation.camera_id, observation.observed_at)
        self.looks[observation.camera_id] = SensorLook(
            sensor_id=observation.camera_id,
            seen_at=observation.observed_at,
            local_track_id=observation.local_track_id,
        )
        self.misses.pop(observation.local_track_id, None)
        self.existence = max(
            observation.existence, 0.9 * self.existence + 0.1 * observation.existence
        )
        kind = observation.object_class
        if kind is not ObjectClass.UNKNOWN:
            self.votes = {k: 0.95 * v for k, v in self.votes.items()}
            self.votes[kind] = self.votes.get(kind, 0.0) + observation.existence
        if observation.width_m is not None:
            old = self.width_m
            new = observation.width_m
            self.width_m = new if old is None else 0.9 * old + 0.1 * new
        if self.count >= CONFIRM_LOOKS and self.existence >= CONFIRM_EXISTENCE:
            self.confirmed = True

    def seen_by_ais(self, observation: AisObservation) -> None:
        """Note what the ship says of itself."""
        self._seen(observation.receiver_id, observation.observed_at)
        self.looks[observation.receiver_id] = SensorLook(
            sensor_id=observation.receiver_id, seen_at=observation.observed_at
        )
        self.mmsi = observation.mmsi
        self.ship_name = observation.ship_name or self.ship_name
        self.declared_length_m = observation.length_m or self.declared_length_m
        self.existence, self.confirmed = 0.99, True

    def seen_by_radar(self, observation: RadarObservation) -> None:
        """Note which radar heard it."""
        self._seen(observation.radar_id, observation.observed_at)
        self.looks[observation.radar_id] = SensorLook(
            sensor_id=observation.radar_id,
            seen_at=observation.observed_at,
            local_track_id=observation.local_track_id,
        )
        self.misses.pop(observation.local_track_id, None)
        self.existence = max(self.existence, observation.existence)
        if self.count >= CONFIRM_LOOKS and self.existence >= CONFIRM_EXISTENCE:
            self.confirmed = True

    def _seen(self, sensor_id: str, at: datetime) -> None:
        before = self.looks.get(sensor_id)
        self.count += before is None or at > before.seen_at
        self.last_seen_at = max(self.last_seen_at, at)
        self.first_seen_at = min(self.first_seen_at, at)

    @property
    def hull_m(self) -> float:
        """Length of a ship, by her own word or as seen; zero for what is no ship."""
        length_m = self.declared_length_m or self.width_m or 0.0
        return length_m if length_m >= SHIP_M else 0.0

    def holds_other(
        self, sensor_id: str, local: LocalTrackId, at: datetime, hold: timedelta
    ) -> bool:
        """Whether the same sensor lately saw this contact as another local track."""
        look = self.looks.get(sensor_id)
        return (
            look is not None
            and look.local_track_id != local
            and abs(at - look.seen_at) < hold
        )

    def absorb(self, other: "Contact", *, keeps_belief: bool = False) -> None:
        """Become the one contact of two that were the same boat.

        Args:
            other: Which is given up.
            keeps_belief: Place and motion of the other were wrong; by default the
                sharper of the two is kept.
        """
        if not keeps_belief and np.trace(other.belief.cov[:2, :2]) < np.trace(
            self.belief.cov[:2, :2]
        ):
            self.belief, self.at = other.belief, other.at
            self.q, self.nis = other.q, other.nis
        for sensor_id, look in other.looks.items():
            mine = self.looks.get(sensor_id)
            if mine is None or mine.seen_at < look.seen_at:
                self.looks[sensor_id] = look
        for kind, weight in other.votes.items():
            self.votes[kind] = self.votes.get(kind, 0.0) + weight
        self.mmsi = self.mmsi or other.mmsi
        self.ship_name = self.ship_name or other.ship_name
        self.declared_length_m = self.declared_length_m or other.declared_length_m
        self.width_m = self.width_m or other.width_m
        self.first_seen_at = min(self.first_seen_at, other.first_seen_at)
        self.last_seen_at = max(self.last_seen_at, other.last_seen_at)
        self.existence = max(self.existence, other.existence)
        self.confirmed |= other.confirmed
        self.simulated |= other.simulated
        self.count += other.count

    @property
    def lose_after(self) -> timedelta:
        """How long it may go unseen before it is lost."""
        if self.mmsi is not None:
            return LOSE_AFTER_AIS
        known_for = self.last_seen_at - self.first_seen_at
        return min(max(2 * known_for, LOSE_AFTER_SHORT), LOSE_AFTER)

    def state(self, now: datetime) -> TrackState:
        """Where in its life the contact is."""
        gap = now - self.last_seen_at
        by_ais = self.mmsi is not None
        if gap > self.lose_after:
            return TrackState.LOST
        if not self.confirmed:
            return TrackState.TENTATIVE
        if gap > (COAST_AFTER_AIS if by_ais else COAST_AFTER):
            return TrackState.COASTING
        return TrackState.CONFIRMED

    def is_over(self, now: datetime) -> bool:
        """Whether nobody needs to hear of it any more."""
        gap = now - self.last_seen_at
        if not self.confirmed:
            return gap > 3 * COAST_AFTER
        return gap > self.lose_after + DROP_AFTER

    def told(
        self,
        now: datetime,
        position: Position,
        cov: FloatArray,
        turn: FloatArray,
        rates: FloatArray,
    ) -> SystemTrack:
        """The contact as rules and people see it, its state moved to ``now``."""
        east, north = turn @ rates
        gap_s = max((now - self.last_seen_at).total_seconds(), 0.0)
        unseen_s = max(gap_s - COAST_AFTER.total_seconds(), 0.0)
        fades = self.mmsi is None
        fade = float(np.exp(-unseen_s / FADE_S)) if fades else 1.0
        return SystemTrack(
            track_id=self.track_id,
            state=self.state(now),
            at=now,
            first_seen_at=self.first_seen_at,
            last_seen_at=self.last_seen_at,
            position=position,
            position_cov_m2=_three(turn @ cov[:2, :2] @ turn.T),
            velocity_mps=(float(east), float(north)),
            velocity_cov=_three(turn @ cov[2:, 2:] @ turn.T),
            existence=min(1.0, self.existence * fade),
            object_class=self._best_class(),
            looks=tuple(sorted(self.looks.values(), key=lambda k: k.sensor_id)),
            mmsi=self.mmsi,
            ship_name=self.ship_name,
            length_m=self.declared_length_m or self.width_m,
            simulated=self.simulated,
        )

    def _best_class(self) -> ObjectClass:
        if not self.votes:
            return ObjectClass.UNKNOWN
        return max(self.votes, key=lambda kind: (self.votes[kind], kind))


def tell(
    contacts: Sequence[Contact], now: datetime, plane: LocalPlane
) -> tuple[SystemTrack, ...]:
    """All contacts at one instant, in the order given."""
    if not contacts:
        return ()
    x, cov = predict(
        np.stack([c.belief.x for c in contacts]),
        np.stack([c.belief.cov for c in contacts]),
        np.array([(now - c.at).total_seconds() for c in contacts]),
        np.array([c.q for c in contacts]),
    )
    latitude, longitude = plane.from_plane(x[:, :2])
    turns = plane.turn_at(x[:, :2])
    return tuple(
        contact.told(
            now,
            Position(
                latitude_deg=float(latitude[i]), longitude_deg=float(longitude[i])
            ),
            cov[i],
            turns[i],
            x[i, 2:],
        )
        for i, contact in enumerate(contacts)
    )


def _three(cov: FloatArray) -> tuple[float, float, float]:
    return float(cov[0, 0]), float(cov[1, 1]), float(cov[0, 1])
