"""One system track for one boat, whoever saw it.

A local track that belongs to a system track is tried there first, as is an MMSI; the
rest competes for the least total cost. A newcomer must speak three times before it
joins a track or founds one, so a coincidence binds nobody. What has no honest range
stays a ray until it meets a track or a second bearing.

A measurement that comes late (up to ``LATEST``) is applied at its own instant: compared
with where the track was then, through its velocity. Older ones are counted and left
out. Nothing here reads a clock; the same calls give the same answers.

Source: docs/design/tracking.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, groupby

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from almenara.core.coast import Camera
from almenara.core.ids import CameraId, LocalTrackId, ReceiverId, TrackId
from almenara.core.values import Position
from almenara.geo.fix import range_std_m
from almenara.geo.geodesy import LocalPlane
from almenara.geo.sea_surface import FloatArray, range_from_depression
from almenara.tracking.antenna import Antenna
from almenara.tracking.association import associate
from almenara.tracking.contacts import CONFIRM_LOOKS, Contact, tell
from almenara.tracking.crossings import Crossings
from almenara.tracking.eyes import Eye, apart
from almenara.tracking.filters import (
    MANOEUVRING_Q,
    Belief,
    carry_many,
    predict,
    update,
    update_many,
)
from almenara.tracking.observations import (
    AisObservation,
    CameraObservation,
    Observation,
    RadarObservation,
)
from almenara.tracking.picture import Picture, Ray
from almenara.tracking.reach import FASTEST_MPS

IntArray = npt.NDArray[np.int64]

GATE = 9.210
"""Chi square, 99 %, two degrees of freedom."""

GATE_4 = 13.277
"""Likewise four."""

STICKY_GATE = 13.816
"""Who belongs here already is refused only at 99.9 %."""

LATEST = timedelta(seconds=10)
HOLD = timedelta(seconds=5)
"""So long one camera's local track keeps another of the same camera out."""

MISSES_TO_RELEASE = 3
RAY_LIVES = timedelta(seconds=5)
NEWCOMER_LIVES = timedelta(seconds=15)
ECHO_LIVES = timedelta(seconds=30)
"""Several turns of a slow antenna."""

NAMES_LAST = timedelta(hours=2)
"""A ship that comes back within a watch goes on under the name she had."""

TIDY_EVERY = timedelta(seconds=2)
WIDEST_MERGE_M = 1500.0
FIRST_SPEED_STD_MPS = 5.0
"""Boats go some 10 kn, either way; looks must say more than a needle's ends."""

AIS_SPEED_STD_MPS = 0.5
RAY_EXISTENCE = 0.5


@dataclass(slots=True, eq=False, kw_only=True)
class _Newcomer:
    """A local track that belongs to nobody yet."""

    camera_id: CameraId
    heard: list[CameraObservation] = field(default_factory=list[CameraObservation])
    wins: dict[TrackId, int] = field(default_factory=dict[TrackId, int])
    alone: int = 0
    ranged: bool = False
    """Whether its last look had a range."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Echoes:
    """What a radar follows that belongs to nobody yet."""

    heard: list[RadarObservation] = field(default_factory=list[RadarObservation])
    wins: dict[TrackId, int] = field(default_factory=dict[TrackId, int])
    alone: int = 0


class Fusion:
    """The live picture of one centre. One caller; not for several threads."""

    def __init__(
        self,
        cameras: Iterable[Camera],
        *,
        simulated: Collection[str] = (),
        new_id: Callable[[], TrackId] | None = None,
        is_sea: Callable[[Position], bool] | None = None,
    ) -> None:
        """Start with an empty sea.

        Args:
            cameras: Whose observations to expect; others are counted and left out.
            simulated: Station, camera and receiver ids whose contacts are made.
            new_id: Names new tracks; by default T1, T2…
            is_sea: Whether a craft can be at a place; by default anywhere. What a
                camera sees behind the far coast has a bearing and no place.
        """
        self._is_sea = is_sea or _anywhere
        self._simulated = frozenset(simulated)
        numbers = count(1)
        self._new_id = new_id or (lambda: TrackId(f"T{next(numbers)}"))
        self._plane: LocalPlane | None = None
        self._cameras: dict[CameraId, Camera] = {}
        self._eyes: dict[CameraId, Eye] = {}
        self._columns: dict[CameraId, int] = {}
        self._contacts: dict[TrackId, Contact] = {}
        self._owner: dict[LocalTrackId, TrackId] = {}
        self._owned: dict[LocalTrackId, TrackId] = {}
        """Whom a local track belonged to before it was released."""

        self._newcomers: dict[LocalTrackId, _Newcomer] = {}
        self._antennas: dict[tuple[ReceiverId, Position], Antenna] = {}
        self._echoes: dict[LocalTrackId, _Echoes] = {}
        self._crossings = Crossings()
        self._alike: dict[tuple[TrackId, TrackId], int] = {}
        self._tidied_at: datetime | None = None
        self._merged: dict[TrackId, TrackId] = {}
        self._retired: dict[int, tuple[TrackId, datetime]] = {}
        """Under which name a ship was known when she was heard last."""

        self.left_out = 0
        """Observations too late, or of cameras nobody knows."""
        self.watch(cameras)

    @property
    def survivors(self) -> Mapping[TrackId, TrackId]:
        """Tracks that turned out to be another one, and which."""
        return self._merged

    def watch(
        self, cameras: Iterable[Camera], *, simulated: Collection[str] | None = None
    ) -> None:
        """Replace the camera list; tracks live on, a moved camera is a new one."""
        if simulated is not None:
            self._simulated = frozenset(simulated)
        old, self._cameras = self._cameras, {c.camera_id: c for c in cameras}
        if self._plane is None and self._cameras:
            self._plane = LocalPlane.at(_middle(self._cameras.values()))
        self._eyes = {}
        for camera in self._cameras.values():
            column = self._columns.setdefault(camera.camera_id, 2 * len(self._columns))
            if self._plane is not None:
                self._eyes[camera.camera_id] = Eye.of(camera, self._plane, column)
            was = old.get(camera.camera_id)
            if was is not None and was.pose != camera.pose:
                for contact in self._contacts.values():
                    contact.belief.cross[:, column : column + 2] = 0.0
        width = 2 * len(self._columns)
        for contact in self._contacts.values():
            cross = contact.belief.cross
            contact.belief.cross = np.hstack(
                [cross, np.zeros((4, width - cross.shape[1]))]
            )

    def observe(self, observations: Sequence[Observation], now: datetime) -> None:
        """Take in what the sensors say; any order, several sensors at once."""
        timely = [o for o in observations if now - o.observed_at <= LATEST]
        self.left_out += len(observations) - len(timely)
        ordered = sorted(timely, key=lambda o: (o.observed_at, _sensor(o)))
        for (at, sensor_id), group in groupby(
            ordered, key=lambda o: (o.observed_at, _sensor(o))
        ):
            look = list(group)
            seen = [o for o in look if isinstance(o, CameraObservation)]
            if seen:
                eye = self._eyes.get(CameraId(sensor_id))
                if eye is None:
                    self.left_out += len(seen)
                else:
                    self._look(eye, at, seen)
            swept = [o for o in look if isinstance(o, RadarObservation)]
            if swept:
                self._sweep(at, swept)
            for said in look:
                if isinstance(said, AisObservation):
                    self._hear(said)
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            self._tidy(now)

    def forget_simulated(self) -> list[Contact]:
        """Take simulated contacts out of the picture: their world began anew.

        Returns:
            What was taken out.
        """
        gone = [c for c in self._contacts.values() if c.simulated]
        for contact in gone:
            del self._contacts[contact.track_id]
        self._owner = {k: t for k, t in self._owner.items() if t in self._contacts}
        self._owned = {k: t for k, t in self._owned.items() if t in self._contacts}
        self._newcomers = {
            local: newcomer
            for local, newcomer in self._newcomers.items()
            if newcomer.camera_id not in self._simulated
        }
        self._echoes = {
            local: echoes
            for local, echoes in self._echoes.items()
            if not self._is_made(echoes.heard[-1])
        }
        return gone

    def picture(self, now: datetime) -> Picture:
        """All contacts, moved to ``now``, and the rays of the last seconds."""
        shown = [
            contact
            for contact in self._contacts.values()
            if contact.confirmed and not contact.is_over(now)
        ]
        tracks = () if self._plane is None else tell(shown, now, self._plane)
        return Picture(at=now, tracks=tracks, rays=tuple(self._rays(now)))

    # -- cameras ---------------------------------------------------------------------

    def _look(self, eye: Eye, at: datetime, seen: list[CameraObservation]) -> None:
        """One camera at one instant: owners first, then the least total cost."""
        contacts = list(self._contacts.values())
        cost = self._costs(eye, at, contacts, seen)
        ranged = eye.ranges(seen)
        row = {contact.track_id: i for i, contact in enumerate(contacts)}
        free: list[int] = []
        busy: set[int] = set()
        for j, observation in enumerate(seen):
            owner = self._owner.get(observation.local_track_id)
            if owner is None or owner not in row:
                free.append(j)
                continue
            i = row[owner]
            busy.add(i)
            self._keep(
                eye, contacts[i], observation, float(cost[i, j]), ranged=ranged[j]
            )
        if not free:
            return
        free = [
            j for j in free if not self._is_part(eye, at, contacts, seen[j], cost[:, j])
        ]
        rivals = cost[:, free]
        for i, contact in enumerate(contacts):
            for k, j in enumerate(free):
                local = seen[j].local_track_id
                if i in busy or contact.holds_other(
                    eye.camera.camera_id, local, at, HOLD
                ):
                    rivals[i, k] = np.inf
        pairs = associate(rivals, gate=GATE)
        for i, k in pairs.pairs:
            self._meet(eye, seen[free[k]], contacts[i], ranged=ranged[free[k]])
        for k in pairs.unpaired_observations:
            j = free[k]
            # The hull may have been taken for the ship's a moment ago.
            if not self._is_part(eye, at, contacts, seen[j], cost[:, j]):
                self._meet(eye, seen[j], None, ranged=ranged[j])

    def _is_part(
        self,
        eye: Eye,
        at: datetime,
        contacts: list[Contact],
        look: CameraObservation,
        cost: FloatArray,
    ) -> bool:
        """Whether a look is at another part of a ship that this camera follows.

        Within the hull there is no room for a second one; what leaves it is heard.
        """
        return any(
            contact.hull_m > 0.0
            and cost[i] <= GATE
            and contact.holds_other(eye.camera.camera_id, look.local_track_id, at, HOLD)
            for i, contact in enumerate(contacts)
        )

    def _costs(
        self,
        eye: Eye,
        at: datetime,
        contacts: list[Contact],
        seen: list[CameraObservation],
        q: float | None = None,
    ) -> FloatArray:
        """Squared Mahalanobis distances, shape (contacts, seen)."""
        if not contacts:
            return np.empty((0, len(seen)))
        dt = np.array([(at - c.at).total_seconds() for c in contacts])
        x, cov = predict(
            np.stack([c.belief.x for c in contacts]),
            np.stack([c.belief.cov for c in contacts]),
            dt,
            np.array([c.q if q is None else q for c in contacts]),
        )
        columns = slice(eye.column, eye.column + 2)
        cross = np.stack([c.belief.cross[:, columns] for c in contacts])
        cross[:, :2] += cross[:, 2:] * dt[:, None, None]
        sight = eye.sight(x[:, :2])
        h, bias = sight.slopes, sight.bias
        mixed = h @ cross[:, :2] * bias[:, None, :]
        s = h @ cov[:, :2, :2] @ h.transpose(0, 2, 1) + mixed
        s = s + mixed.transpose(0, 2, 1)
        s[:, [0, 1], [0, 1]] += bias**2
        s += _along_hull(h, np.array([c.hull_m for c in contacts]))
        angles, variances = (
            np.stack(part) for part in zip(*map(eye.seen, seen), strict=True)
        )
        off = apart(angles[None], sight.angles[:, None])
        return _distances2(off, s, variances)

    def _keep(
        self,
        eye: Eye,
        contact: Contact,
        observation: CameraObservation,
        cost: float,
        *,
        ranged: bool,
    ) -> None:
        """Try an observation on the track that its local track belongs to."""
        local = observation.local_track_id
        if cost > STICKY_GATE:
            turned = self._costs(
                eye, observation.observed_at, [contact], [observation], MANOEUVRING_Q
            )[0, 0]
            if turned > STICKY_GATE:
                self._miss(contact, local)
                return
            contact.q = MANOEUVRING_Q
        contact.judge_manoeuvre(min(cost, STICKY_GATE) / 2)
        if not self._apply(eye, contact, observation, ranged=ranged):
            self._miss(contact, local)

    def _miss(self, contact: Contact, local: LocalTrackId) -> None:
        """Note that a local track did not suit its owner; let it go after three."""
        contact.misses[local] = contact.misses.get(local, 0) + 1
        if contact.misses[local] >= MISSES_TO_RELEASE:
            self._owned[local] = self._owner.pop(local)
            del contact.misses[local]

    def _apply(
        self,
        eye: Eye,
        contact: Contact,
        observation: CameraObservation,
        *,
        ranged: bool,
    ) -> bool:
        """Update a track by one look; by the bearing alone where it has no range.

        A look after which the track would be faster than any boat is of something
        else, however well it fits: then nothing is changed, and the answer is false.
        """
        at = max(observation.observed_at, contact.at)
        lag = (observation.observed_at - at).total_seconds()
        belief = contact.at_time(at)
        # A late look saw where the track was then.
        place = belief.x[:2] + belief.x[2:] * lag
        sight = eye.sight(place[None])
        seen, variance = eye.seen(observation)
        off = apart(seen, sight.angles[0])
        h = np.hstack([sight.slopes[0], sight.slopes[0] * lag])
        h_bias = eye.bias_rows(sight.bias[0], belief.cross.shape[1])
        rows = slice(0, 2 if ranged else 1)
        updated = update(
            belief,
            off[rows],
            h[rows],
            (
                np.diag(variance)
                + _along_hull(sight.slopes, np.array([contact.hull_m]))[0]
            )[rows, rows],
            h_bias=h_bias[rows],
        )
        if np.hypot(*updated.x[2:]) > FASTEST_MPS:
            return False
        contact.belief = updated
        contact.at = at
        contact.simulated |= self._is_simulated(eye.camera)
        contact.seen_by_camera(observation)
        return True

    # -- newcomers -------------------------------------------------------------------

    def _meet(
        self,
        eye: Eye,
        observation: CameraObservation,
        contact: Contact | None,
        *,
        ranged: bool,
    ) -> None:
        """A local track that belongs to nobody spoke; ``contact`` would suit it."""
        local = observation.local_track_id
        newcomer = self._newcomers.setdefault(
            local, _Newcomer(camera_id=observation.camera_id)
        )
        newcomer.heard = [*newcomer.heard[-7:], observation]
        newcomer.ranged = ranged
        if contact is not None:
            newcomer.alone = 0
            wins = newcomer.wins.get(contact.track_id, 0) + 1
            newcomer.wins = {contact.track_id: wins}
            if wins >= CONFIRM_LOOKS:
                self._adopt(local, contact)
                self._apply(eye, contact, observation, ranged=ranged)
            return
        newcomer.wins = {}
        newcomer.alone += 1
        if newcomer.alone >= CONFIRM_LOOKS and ranged:
            known = zip(newcomer.heard, eye.ranges(newcomer.heard), strict=True)
            looks = [look for look, has_range in known if has_range]
            if not self._may_float(eye, looks[0]):
                newcomer.ranged = False  # drawn as a ray
                return
            founded = self._found(self._first_belief(eye, looks[0]), looks[0])
            self._adopt(local, founded)
            for look in looks:
                self._apply(eye, founded, look, ranged=True)

    def _may_float(self, eye: Eye, look: CameraObservation) -> bool:
        """Whether any part of the needle, two sigma each way, lies on water."""
        if self._plane is None:
            return True
        place, ahead, std_m = _needle(eye, look)
        steps = np.linspace(-2.0, 2.0, 5) * std_m
        latitude, longitude = self._plane.from_plane(place + steps[:, None] * ahead)
        return any(
            self._is_sea(Position(latitude_deg=float(north), longitude_deg=float(east)))
            for north, east in zip(latitude, longitude, strict=True)
        )

    def _adopt(self, local: LocalTrackId, contact: Contact) -> None:
        self._newcomers.pop(local, None)
        self._echoes.pop(local, None)
        self._owner[local] = contact.track_id
        before = self._contacts.get(self._owned.pop(local, contact.track_id))
        if before is None or before is contact or before.mmsi is not None:
            return
        # The camera says it is one thing: a track that only this thing made was a
        # wrong guess of its place, and its name goes on.
        if {look.local_track_id for look in before.looks.values()} == {local}:
            self._merge(contact.track_id, before.track_id, keeps_belief=True)

    def _found(
        self, belief: Belief, by: Observation, *, name: TrackId | None = None
    ) -> Contact:
        contact = Contact(
            track_id=name or self._new_id(),
            belief=belief,
            at=by.observed_at,
            first_seen_at=by.observed_at,
            last_seen_at=by.observed_at,
        )
        self._contacts[contact.track_id] = contact
        return contact

    def _first_belief(self, eye: Eye, look: CameraObservation) -> Belief:
        """Near the fix, far more doubtful than it: the looks themselves do the rest."""
        place, _, std_m = _needle(eye, look)
        return self._wide_belief(place, 3.0 * std_m + 20.0)

    def _wide_belief(self, place: FloatArray, std_m: float) -> Belief:
        return Belief(
            x=np.array([place[0], place[1], 0.0, 0.0]),
            cov=np.diag(
                [std_m**2, std_m**2, FIRST_SPEED_STD_MPS**2, FIRST_SPEED_STD_MPS**2]
            ),
            cross=np.zeros((4, 2 * len(self._columns))),
        )

    def _rays(self, now: datetime) -> Iterable[Ray]:
        for local, newcomer in self._newcomers.items():
            last = newcomer.heard[-1]
            eye = self._eyes.get(newcomer.camera_id)
            if eye is None or now - last.observed_at > RAY_LIVES or newcomer.ranged:
                continue
            if last.existence < RAY_EXISTENCE:
                continue
            pose = eye.camera.pose
            yield Ray(
                camera_id=newcomer.camera_id,
                local_track_id=local,
                observed_at=last.observed_at,
                origin=pose.position,
                azimuth_deg=last.azimuth_deg % 360.0,
                azimuth_std_deg=float(
                    np.hypot(last.azimuth_std_deg, pose.azimuth_std_deg)
                ),
                existence=last.existence,
            )

    # -- radar -----------------------------------------------------------------------

    def _sweep(self, at: datetime, heard: list[RadarObservation]) -> None:
        """One radar at one instant: owners first, then the least total cost."""
        for ended in (o for o in heard if o.is_last):
            self._owner.pop(ended.local_track_id, None)
            self._echoes.pop(ended.local_track_id, None)
        heard = [o for o in heard if not o.is_last]
        if not heard:
            return
        antenna = self._antenna(heard[0])
        kept, free = self._owned_echoes(heard)
        self._keep_echoes(antenna, at, kept)
        if not free:
            return
        busy = {contact.track_id for contact, _ in kept}
        contacts = list(self._contacts.values())
        rivals = self._echo_costs(antenna, at, contacts, free)
        for i, contact in enumerate(contacts):
            for k, echo in enumerate(free):
                if contact.track_id in busy or contact.holds_other(
                    echo.radar_id, echo.local_track_id, at, HOLD
                ):
                    rivals[i, k] = np.inf
        pairs = associate(rivals, gate=GATE)
        for i, k in pairs.pairs:
            self._meet_echo(antenna, free[k], contacts[i])
        for k in pairs.unpaired_observations:
            self._meet_echo(antenna, free[k], None)

    def _owned_echoes(
        self, heard: list[RadarObservation]
    ) -> tuple[list[tuple[Contact, RadarObservation]], list[RadarObservation]]:
        """Echoes of radar tracks that belong to a contact, and the others."""
        kept: list[tuple[Contact, RadarObservation]] = []
        free: list[RadarObservation] = []
        for echo in heard:
            owner = self._owner.get(echo.local_track_id)
            contact = None if owner is None else self._contacts.get(owner)
            if contact is None:
                free.append(echo)
            else:
                kept.append((contact, echo))
        return kept, free

    def _keep_echoes(
        self,
        antenna: Antenna,
        at: datetime,
        kept: list[tuple[Contact, RadarObservation]],
    ) -> None:
        """Update all that fit at once; what turned, came late or misfits, singly."""
        once = {contact.track_id: (contact, echo) for contact, echo in kept}
        together = [(c, e) for c, e in once.values() if c.at <= at]
        done = self._update_together(antenna, at, together)
        for contact, echo in kept:
            if echo.local_track_id not in done:
                cost = self._echo_costs(antenna, at, [contact], [echo])[0, 0]
                self._keep_echo(antenna, contact, echo, float(cost))

    def _update_together(
        self,
        antenna: Antenna,
        at: datetime,
        pairs: list[tuple[Contact, RadarObservation]],
    ) -> set[LocalTrackId]:
        """Update contacts by one echo each; says whose echoes were taken."""
        if not pairs:
            return set()
        dt = np.array([(at - c.at).total_seconds() for c, _ in pairs])
        x, cov = predict(
            np.stack([c.belief.x for c, _ in pairs]),
            np.stack([c.belief.cov for c, _ in pairs]),
            dt,
            np.array([c.q for c, _ in pairs]),
        )
        cross = carry_many(np.stack([c.belief.cross for c, _ in pairs]), dt)
        sight = antenna.echo(x[:, :2])
        polar, variances = antenna.heard_many([echo for _, echo in pairs])
        off = apart(polar, sight.polar)
        s = sight.slopes @ cov[:, :2, :2] @ sight.slopes.transpose(0, 2, 1)
        s += _along_hull(sight.slopes, np.array([c.hull_m for c, _ in pairs]))
        s[:, [0, 1], [0, 1]] += variances
        costs = np.einsum("ni,nij,nj->n", off, np.linalg.inv(s), off)
        x, cov, cross = update_many((x, cov, cross), off, sight.slopes, s)
        fits = (costs <= STICKY_GATE) & (np.hypot(x[:, 2], x[:, 3]) <= FASTEST_MPS)
        done: set[LocalTrackId] = set()
        for i in np.flatnonzero(fits):
            contact, echo = pairs[i]
            contact.judge_manoeuvre(float(costs[i]) / 2)
            contact.belief = Belief(x=x[i], cov=cov[i], cross=cross[i])
            contact.at = at
            contact.simulated |= self._is_made(echo)
            contact.seen_by_radar(echo)
            done.add(echo.local_track_id)
        return done

    def _antenna(self, observation: RadarObservation) -> Antenna:
        if self._plane is None:
            self._plane = LocalPlane.at(observation.origin)
            self.watch(list(self._cameras.values()))
        key = observation.radar_id, observation.origin
        if key not in self._antennas:
            self._antennas[key] = Antenna.of(observation.origin, self._plane)
        return self._antennas[key]

    def _echo_costs(
        self,
        antenna: Antenna,
        at: datetime,
        contacts: list[Contact],
        heard: list[RadarObservation],
        q: float | None = None,
    ) -> FloatArray:
        """Squared Mahalanobis distances, shape (contacts, heard)."""
        if not contacts:
            return np.empty((0, len(heard)))
        x, cov = predict(
            np.stack([c.belief.x for c in contacts]),
            np.stack([c.belief.cov for c in contacts]),
            np.array([(at - c.at).total_seconds() for c in contacts]),
            np.array([c.q if q is None else q for c in contacts]),
        )
        echo = antenna.echo(x[:, :2])
        s = echo.slopes @ cov[:, :2, :2] @ echo.slopes.transpose(0, 2, 1)
        s += _along_hull(echo.slopes, np.array([c.hull_m for c in contacts]))
        polar, variances = antenna.heard_many(heard)
        return _distances2(apart(polar[None], echo.polar[:, None]), s, variances)

    def _keep_echo(
        self, antenna: Antenna, contact: Contact, echo: RadarObservation, cost: float
    ) -> None:
        """Try an observation on the track that the radar's track belongs to."""
        if cost > STICKY_GATE:
            turned = self._echo_costs(
                antenna, echo.observed_at, [contact], [echo], MANOEUVRING_Q
            )[0, 0]
            if turned > STICKY_GATE:
                self._miss(contact, echo.local_track_id)
                return
            contact.q = MANOEUVRING_Q
        contact.judge_manoeuvre(min(cost, STICKY_GATE) / 2)
        if not self._apply_echo(antenna, contact, echo):
            self._miss(contact, echo.local_track_id)

    def _apply_echo(
        self, antenna: Antenna, contact: Contact, echo: RadarObservation
    ) -> bool:
        """Update a track by one echo; False where no boat could have done that."""
        at = max(echo.observed_at, contact.at)
        lag = (echo.observed_at - at).total_seconds()
        belief = contact.at_time(at)
        sight = antenna.echo((belief.x[:2] + belief.x[2:] * lag)[None])
        polar, variance = antenna.heard(echo)
        hull = _along_hull(sight.slopes, np.array([contact.hull_m]))[0]
        updated = update(
            belief,
            apart(polar, sight.polar[0]),
            np.hstack([sight.slopes[0], sight.slopes[0] * lag]),
            np.diag(variance) + hull,
        )
        if np.hypot(*updated.x[2:]) > FASTEST_MPS:
            return False
        contact.belief, contact.at = updated, at
        contact.simulated |= self._is_made(echo)
        contact.seen_by_radar(echo)
        return True

    def _meet_echo(
        self, antenna: Antenna, echo: RadarObservation, contact: Contact | None
    ) -> None:
        """A radar's track that belongs to nobody; ``contact`` would suit it."""
        local = echo.local_track_id
        newcomer = self._echoes.setdefault(local, _Echoes())
        newcomer.heard = [*newcomer.heard[-7:], echo]
        if contact is not None:
            newcomer.alone = 0
            wins = newcomer.wins.get(contact.track_id, 0) + 1
            newcomer.wins = {contact.track_id: wins}
            if wins >= CONFIRM_LOOKS:
                self._adopt(local, contact)
                self._apply_echo(antenna, contact, echo)
            return
        newcomer.wins = {}
        newcomer.alone += 1
        if newcomer.alone < CONFIRM_LOOKS:
            return
        heard = newcomer.heard[-newcomer.alone :]
        place, std_m = antenna.place(heard[0])
        if not self._is_sea(self._position(place)) and not self._is_sea(
            self._position(antenna.place(heard[-1])[0])
        ):
            return  # a hill, a house, a car
        founded = self._found(self._wide_belief(place, 3.0 * std_m + 20.0), heard[0])
        self._adopt(local, founded)
        for one in heard:
            self._apply_echo(antenna, founded, one)

    def _is_made(self, echo: RadarObservation) -> bool:
        return echo.simulated or echo.radar_id in self._simulated

    # -- AIS -------------------------------------------------------------------------

    def _hear(self, said: AisObservation) -> None:
        """A ship's own word: to the track of its MMSI if that fits, else a new one."""
        if self._plane is None:
            self._plane = LocalPlane.at(said.position)
            self.watch(list(self._cameras.values()))
        place = self._plane.to_plane(
            said.position.latitude_deg, said.position.longitude_deg
        )[0]
        std_m = said.position_std_m + (said.length_m or 0.0) / 4
        contact = min(
            (c for c in self._contacts.values() if c.mmsi == said.mmsi),
            key=lambda c: _distance2(c, said.observed_at, place, std_m),
            default=None,
        )
        if (
            contact is None
            or _distance2(contact, said.observed_at, place, std_m) > STICKY_GATE
        ):
            known = any(c.mmsi == said.mmsi for c in self._contacts.values())
            retired = None if known else self._retired.pop(said.mmsi, None)
            contact = self._found(
                self._wide_belief(place, 10.0 * std_m),
                said,
                name=None if retired is None else retired[0],
            )
        self._apply_ais(contact, said, place, std_m)

    def _apply_ais(
        self, contact: Contact, said: AisObservation, place: FloatArray, std_m: float
    ) -> None:
        at = max(said.observed_at, contact.at)
        lag = (said.observed_at - at).total_seconds()
        belief = contact.at_time(at)
        h = np.hstack([np.eye(2), np.eye(2) * lag])
        z, variance = place, np.full(2, std_m**2)
        if (
            said.speed_mps is not None
            and said.course_deg is not None
            and self._plane is not None
        ):
            course = np.deg2rad(said.course_deg)
            true = said.speed_mps * np.array([np.sin(course), np.cos(course)])
            z = np.concatenate([z, self._plane.turn_at(place)[0].T @ true])
            variance = np.append(variance, [AIS_SPEED_STD_MPS**2] * 2)
            h = np.vstack([h, np.eye(4)[2:]])
        contact.belief = update(belief, z - h @ belief.x, h, np.diag(variance))
        contact.at = at
        contact.simulated |= said.receiver_id in self._simulated
        contact.seen_by_ais(said)

    # -- order -----------------------------------------------------------------------

    def _tidy(self, now: datetime) -> None:
        self._cross(now)
        self._merge_duplicates(now)
        for track_id in [t for t, c in self._contacts.items() if c.is_over(now)]:
            gone = self._contacts.pop(track_id)
            if gone.mmsi is not None:
                self._retired[gone.mmsi] = track_id, gone.last_seen_at
        self._retired = {
            mmsi: one
            for mmsi, one in self._retired.items()
            if now - one[1] < NAMES_LAST
        }
        self._owner = {k: t for k, t in self._owner.items() if t in self._contacts}
        self._owned = {k: t for k, t in self._owned.items() if t in self._contacts}
        self._newcomers = {
            local: newcomer
            for local, newcomer in self._newcomers.items()
            if now - newcomer.heard[-1].observed_at < NEWCOMER_LIVES
        }
        self._echoes = {
            local: echoes
            for local, echoes in self._echoes.items()
            if now - echoes.heard[-1].observed_at < ECHO_LIVES
        }

    def _cross(self, now: datetime) -> None:
        """Found tracks where two stations' rays have long agreed."""
        rays = [
            (self._eyes[n.camera_id], n.heard[-1])
            for n in self._newcomers.values()
            if n.camera_id in self._eyes
            and len(n.heard) >= CONFIRM_LOOKS
            and now - n.heard[-1].observed_at < RAY_LIVES
            and n.heard[-1].existence >= RAY_EXISTENCE
            and not n.ranged
        ]
        for a, b, place in self._crossings.sure(rays):
            if not self._is_sea(self._position(place)):
                continue
            first, second = sorted((a, b), key=lambda s: s[1].observed_at)
            if any(s[1].local_track_id in self._owner for s in (a, b)):
                continue
            contact = self._found(self._wide_belief(place, 5000.0), first[1])
            for eye, look in (first, second):
                self._adopt(look.local_track_id, contact)
                self._apply(eye, contact, look, ranged=False)

    def _position(self, place: FloatArray) -> Position:
        plane = self._plane or LocalPlane.at(_middle(self._cameras.values()))
        latitude, longitude = plane.from_plane(place[None])
        return Position(
            latitude_deg=float(latitude[0]), longitude_deg=float(longitude[0])
        )

    def _merge_duplicates(self, now: datetime) -> None:
        """Two tracks that stay together three times, and could be one, become one."""
        fresh = [
            c for c in self._contacts.values() if now - c.last_seen_at < 3 * TIDY_EVERY
        ]
        alike: dict[tuple[TrackId, TrackId], int] = {}
        for a, b in _near(fresh, now):
            if _differ(a, b) or not _agree(a.at_time(now), b.at_time(now)):
                continue
            key = a.track_id, b.track_id
            alike[key] = self._alike.get(key, 0) + 1
        self._alike = alike
        for (kept, gone), times in alike.items():
            if times >= CONFIRM_LOOKS and {kept, gone} <= self._contacts.keys():
                self._merge(kept, gone)

    def _merge(
        self, kept: TrackId, gone: TrackId, *, keeps_belief: bool = False
    ) -> None:
        survivor, other = self._contacts[kept], self._contacts[gone]
        if other.confirmed and not survivor.confirmed and not keeps_belief:
            kept, gone, survivor, other = gone, kept, other, survivor
        survivor.absorb(other, keeps_belief=keeps_belief)
        del self._contacts[gone]
        self._merged = {
            was: kept if now == gone else now for was, now in self._merged.items()
        } | {gone: kept}
        self._owner = {k: kept if t == gone else t for k, t in self._owner.items()}

    def _is_simulated(self, camera: Camera) -> bool:
        return bool({camera.camera_id, camera.station_id} & self._simulated)


def _along_hull(slopes: FloatArray, hull_m: FloatArray) -> FloatArray:
    """Covariance of angles (n, 2, 2) because a look may be at any part of a ship."""
    result: FloatArray = (hull_m[:, None, None] / 4.0) ** 2 * (
        slopes @ slopes.transpose(0, 2, 1)
    )
    return result


def _distances2(off: FloatArray, s: FloatArray, variances: FloatArray) -> FloatArray:
    """Squared Mahalanobis distances (n, m) of innovations (n, m, 2).

    ``s`` (n, 2, 2) is what each track adds, ``variances`` (m, 2) each measurement.
    """
    a = s[:, None, 0, 0] + variances[None, :, 0]
    b = s[:, None, 1, 1] + variances[None, :, 1]
    c = s[:, None, 0, 1]
    result: FloatArray = (
        b * off[..., 0] ** 2 - 2 * c * off[..., 0] * off[..., 1] + a * off[..., 1] ** 2
    ) / (a * b - c * c)
    return result


def _anywhere(_: Position) -> bool:
    return True


def _needle(eye: Eye, look: CameraObservation) -> tuple[FloatArray, FloatArray, float]:
    """A look's place on the plane, the unit vector away from the camera, and sigma."""
    azimuth = np.deg2rad(look.azimuth_deg)
    range_m = float(
        range_from_depression(-look.elevation_deg, eye.camera.pose.height_m)
    )
    ahead = eye.frame.turn.T @ np.array([np.sin(azimuth), np.cos(azimuth)])
    std_m = float(range_std_m(eye.camera, range_m, look.elevation_std_deg))
    return eye.frame.foot_m + range_m * ahead, ahead, std_m


def _sensor(observation: Observation) -> str:
    if isinstance(observation, CameraObservation):
        return observation.camera_id
    if isinstance(observation, RadarObservation):
        return observation.radar_id
    return observation.receiver_id


def _middle(cameras: Iterable[Camera]) -> Position:
    """About the middle of the stations; right across the date line too."""
    places = [camera.pose.position for camera in cameras]
    first = places[0].longitude_deg
    east = [(p.longitude_deg - first + 180.0) % 360.0 - 180.0 for p in places]
    longitude = first + sum(east) / len(places)
    return Position(
        latitude_deg=sum(p.latitude_deg for p in places) / len(places),
        longitude_deg=(longitude + 180.0) % 360.0 - 180.0,
    )


def _distance2(
    contact: Contact, at: datetime, place: FloatArray, std_m: float
) -> float:
    """Squared Mahalanobis distance of a place, whether or not the contact turned."""
    belief = contact.at_time(at, MANOEUVRING_Q)
    off = place - belief.x[:2]
    cov = belief.cov[:2, :2] + np.eye(2) * std_m**2
    return float(off @ np.linalg.solve(cov, off))


def _near(contacts: list[Contact], now: datetime) -> list[tuple[Contact, Contact]]:
    """Pairs that might be one by their places alone, in the order given."""
    if len(contacts) < 2:
        return []
    dt = np.array([(now - c.at).total_seconds() for c in contacts])
    x, cov = predict(
        np.stack([c.belief.x for c in contacts]),
        np.stack([c.belief.cov for c in contacts]),
        dt,
        np.array([c.q for c in contacts]),
    )
    spread = cov[:, 0, 0] + cov[:, 1, 1]
    rows, columns = _near_pairs(x[:, :2], spread)
    off2 = ((x[rows, :2] - x[columns, :2]) ** 2).sum(axis=1)
    # What two tracks share may at most double the doubt between them.
    near = off2 <= 2.0 * GATE_4 * (spread[rows] + spread[columns])
    pairs = zip(rows[near].tolist(), columns[near].tolist(), strict=True)
    return [(contacts[i], contacts[j]) for i, j in sorted(pairs)]


def _near_pairs(places: FloatArray, spread: FloatArray) -> tuple[IntArray, IntArray]:
    """Row and column (row below column) of pairs that may be near enough.

    Most tracks are sharp and have few neighbours; the doubtful ones, whose gates reach
    far, are held against all.
    """
    sharp = spread <= 9.0 * np.median(spread)
    some, wide = np.flatnonzero(sharp), np.flatnonzero(~sharp)
    reach_m = float(np.sqrt(4.0 * GATE_4 * spread[some].max()))
    tree = cKDTree(places[some])
    pairs = some[tree.query_pairs(reach_m, output_type="ndarray").reshape(-1, 2)]
    everybody = np.arange(len(spread))
    far = np.stack(
        [np.repeat(wide, len(spread)), np.tile(everybody, len(wide))], axis=1
    )
    # Two wide ones would be found twice.
    far = far[(far[:, 0] < far[:, 1]) | sharp[far[:, 1]]]
    found = np.sort(np.concatenate([pairs, far]), axis=1)
    return found[:, 0], found[:, 1]


def _agree(a: Belief, b: Belief) -> bool:
    """Whether place and velocity are one, counting errors that both share once."""
    off = a.x - b.x
    shared = a.cross @ b.cross.T
    cov = a.cov + b.cov - shared - shared.T
    if np.linalg.eigvalsh(cov[:2, :2])[1] > WIDEST_MERGE_M**2:
        return False
    return bool(off @ np.linalg.solve(cov, off) <= GATE_4)


def _differ(a: Contact, b: Contact) -> bool:
    """Whether two contacts cannot be one, however near they are."""
    if a.mmsi is not None and b.mmsi is not None:
        return True
    for sensor_id in a.looks.keys() & b.looks.keys():
        one, two = a.looks[sensor_id], b.looks[sensor_id]
        if abs(one.seen_at - two.seen_at) < 2 * HOLD:
            return True
    for ship, boat in ((a, b), (b, a)):
        if (ship.declared_length_m or 0.0) > 60.0 and boat.width_m is not None:
            # Even bow on, a ship is a tenth as wide as it is long.
            return boat.width_m < (ship.declared_length_m or 0.0) / 10
    return False
