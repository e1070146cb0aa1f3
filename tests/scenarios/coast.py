"""The simulated world seen by cameras that need no pictures, judged by the real node.

The truth of each second goes through a pinhole, gets a pixel's noise and becomes an
observation; from there on everything is what runs in a node: fusion, chronicle, rules,
alarm desk and a store on disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np

from almenara.core.ais import AisReport
from almenara.core.coast import AisReceiver, Camera, Station
from almenara.core.ids import CameraId, LocalTrackId, PersonId, TrackId
from almenara.core.time import ManualClock
from almenara.core.values import Position
from almenara.detection import Condition, ObjectClass
from almenara.geo.camera_model import CameraModel
from almenara.incidents.alarm import Alarm
from almenara.incidents.shore import Shore
from almenara.node.alarm_desk import AlarmDesk
from almenara.node.health import HealthBook
from almenara.node.judge import Judge
from almenara.node.store.alarms import SqlAlarmDesk, TrailStep
from almenara.node.store.database import Store, open_store
from almenara.node.watch.frames import Look
from almenara.simulation import Scenario, load_scenario
from almenara.simulation.geometry import Eye
from almenara.simulation.scenario import Actor, ActorKind, Ais, Leg
from almenara.simulation.scenario import stations as stations_of
from almenara.simulation.world import ActorState, state_at
from almenara.tracking.observations import CameraObservation
from almenara.tracking.picture import Picture
from tests.conftest import NOON
from tests.contracts.console_stores import entry
from tests.packets import packet

SECOND = timedelta(seconds=1)
NOISE_PX = 0.5
FARTHEST_M = 8000.0
WIDTH_M = {ActorKind.OPEN_BOAT_7M: 5.0, ActorKind.FERRY: 90.0}
DAY = CameraId("faro-day")
THERMAL = CameraId("faro-thermal")


def land() -> Shore:
    """Everything north of the mast's foot."""
    corners = ((36.0, -5.8), (36.0, -5.4), (36.2, -5.4), (36.2, -5.8))
    ring = [Position(latitude_deg=y, longitude_deg=x) for y, x in corners]
    return Shore.of([ring])


def sailing(
    latitude_deg: float,
    *legs: tuple[float, float, float],
    longitude_deg: float = -5.61,
    kind: ActorKind = ActorKind.OPEN_BOAT_7M,
    ais: Ais | None = None,
    name: str = "boat",
) -> Actor:
    """An actor from a place; each leg is from second, course, speed in m/s."""
    return Actor(
        actor_id=name,
        kind=kind,
        start=Position(latitude_deg=latitude_deg, longitude_deg=longitude_deg),
        legs=tuple(Leg(at_s=a, course_deg=c, speed_mps=v) for a, c, v in legs),
        ais=ais,
    )


def world(*actors: Actor) -> Scenario:
    """The mast of ``one-boat`` with other boats, and an hour before it repeats."""
    return replace(load_scenario("one-boat"), actors=actors, loop_s=3600)


@dataclass(slots=True)
class Eyes:
    """One camera that sees what is in front of it, a little beside where it is."""

    camera: Camera
    rng: np.random.Generator
    sends: bool = True
    _local: dict[str, int] = field(default_factory=dict)
    _ghosts: int = 0
    _ghost_px: tuple[float, ...] = (0.0, 0.0)

    def look(self, states: tuple[ActorState, ...], at: datetime) -> Look:
        """What the watch worker would say of this second."""
        seen = [o for state in states if (o := self._see(state, at)) is not None]
        return self._told(tuple(seen), at)

    def clutter(self, at: datetime, *, nth: int) -> Look:
        """A glint: two looks that seem sure, or five of which none does."""
        lens = self.camera.lens
        if nth == 0:
            self._ghosts += 1
            part = self.rng.uniform((0.05, 0.45), (0.95, 0.95))
            self._ghost_px = tuple(part * (lens.width_px, lens.height_px))
        brief = self._ghosts % 2 == 0
        if nth >= (2 if brief else 5):
            return self._told((), at)
        x, y = self._ghost_px
        name = f"{self.camera.camera_id}/g{self._ghosts}"
        sure = 0.95 if brief else 0.6
        return self._told((self._measured(x, y, name, at, existence=sure),), at)

    def _told(self, seen: tuple[CameraObservation, ...], at: datetime) -> Look:
        return Look(
            camera_id=self.camera.camera_id,
            captured_at=at,
            pictures=1,
            condition=Condition.GOOD,
            candidates=len(seen),
            decode_ms=1.0,
            detect_ms=1.0,
            observations=seen,
        )

    def _see(self, state: ActorState, at: datetime) -> CameraObservation | None:
        found = Eye(self.camera).sees(state.position)
        if found is None:
            return None
        x, y, range_m = found
        lens = self.camera.lens
        inside = 0 <= x < lens.width_px and 0 <= y < lens.height_px
        if not inside or range_m > FARTHEST_M:
            return None
        x, y = np.array([x, y]) + self.rng.normal(0.0, NOISE_PX, 2)
        number = self._local.setdefault(state.thing_id, len(self._local))
        width_m = WIDTH_M.get(state.actor.kind)
        name = f"{self.camera.camera_id}/{number}"
        return self._measured(x, y, name, at, existence=0.97, width_m=width_m)

    def _measured(
        self,
        x: float,
        y: float,
        name: str,
        at: datetime,
        *,
        existence: float,
        width_m: float | None = None,
    ) -> CameraObservation:
        model = CameraModel.of(self.camera)
        azimuth, elevation = model.to_angles([(x, y)])
        std_deg = NOISE_PX * model.ifov_deg
        return CameraObservation(
            camera_id=self.camera.camera_id,
            local_track_id=LocalTrackId(name),
            observed_at=at,
            azimuth_deg=float(azimuth[0]),
            azimuth_std_deg=std_deg,
            elevation_deg=float(elevation[0]),
            elevation_std_deg=std_deg,
            existence=existence,
            object_class=ObjectClass.SMALL_CRAFT,
            width_m=width_m,
        )


class NoLog:
    """Nobody reads the track points here."""

    def put(self, picture: Picture) -> None:
        """Forget them."""


class Story:
    """A coast, what happens on it, and the node's own parts that watch it."""

    def __init__(
        self, scenario: Scenario, store: Store, *, cameras: tuple[CameraId, ...]
    ) -> None:
        self.clock = ManualClock(NOON)
        self.scenario = scenario
        (mast,) = stations_of(scenario, 5554, 5555)
        kept = tuple(c for c in mast.cameras if c.camera_id in cameras)
        self.station: Station = replace(mast, cameras=kept)
        self.eyes = {
            c.camera_id: Eyes(c, np.random.default_rng([scenario.seed, n]))
            for n, c in enumerate(kept)
        }
        self.kept = SqlAlarmDesk(store)
        self._names = count(1)
        self.false_every_s: int | None = None
        self.reopen()

    def reopen(self) -> None:
        """Begin again as after a restart: only the store remembers. Then ``reload``."""
        self.desk = AlarmDesk(self.kept)
        self.health = HealthBook(clock=self.clock, wanted_looks_per_s=1.0)
        self.judge = Judge(
            desk=self.desk,
            cameras=self.health,
            track_log=NoLog(),
            zones=self.scenario.zones,
            shore=land(),
            clock=self.clock,
            new_id=lambda: TrackId(f"T{next(self._names)}"),
        )
        self.judge.watch((self.station,))
        self.health.watch((self.station,))

    async def go(self, seconds: float) -> None:
        """Let the world live, a second at a time."""
        for _ in range(round(seconds)):
            self.clock.advance(SECOND)
            elapsed_s = self.clock.monotonic_s()
            states = state_at(self.scenario, elapsed_s)
            for eyes in self.eyes.values():
                if eyes.sends:
                    self._see(eyes, states, elapsed_s)
            if elapsed_s % 10 == 0:
                for state in states:
                    self._hear(state)
            await self.judge.step()

    def _see(
        self, eyes: Eyes, states: tuple[ActorState, ...], elapsed_s: float
    ) -> None:
        self.health.link(eyes.camera).heard(packet(int(elapsed_s)))
        look = eyes.look(states, self.clock.now())
        if self.false_every_s is not None:
            nth = int(elapsed_s) % self.false_every_s
            look = eyes.clutter(self.clock.now(), nth=nth)
        self.health.look(look)
        self.judge.see(look)

    def _hear(self, state: ActorState) -> None:
        ais = state.actor.ais
        receiver: AisReceiver = self.station.receivers[0]
        if ais is None:
            return
        self.judge.hear(
            AisReport(
                receiver_id=receiver.receiver_id,
                received_at=self.clock.now(),
                mmsi=ais.mmsi,
                message_type=1,
                position=state.position,
                speed_mps=state.speed_mps,
                course_deg=state.course_deg,
                ship_name=ais.name,
                ship_type=ais.ship_type,
            )
        )

    async def alarms(self) -> tuple[Alarm, ...]:
        """The queue as a person sees it."""
        return await self.desk.queue(limit=100)

    async def acknowledge(self, alarm: Alarm) -> Alarm:
        """A person has seen it."""
        act = replace(entry("alarm.acknowledge"), at=self.clock.now())
        seen = await self.desk.acknowledge(
            alarm.alarm_id, version=alarm.version, entry=act
        )
        assert seen is not None
        assert seen.acknowledged_by == PersonId("p1")
        return seen

    async def rang(self, alarm: Alarm) -> list[TrailStep]:
        """The steps of an alarm that made a sound, as the store has them."""
        trail = await self.kept.trail(alarm.alarm_id)
        return [step for step in trail if step.announces]


@contextmanager
def told(
    folder: Path, *actors: Actor, cameras: tuple[CameraId, ...] = (DAY,)
) -> Iterator[Story]:
    """A story with a store of its own."""
    with open_store(folder / "almenara.db") as store:
        yield Story(world(*actors), store, cameras=cameras)
