"""The truth of the simulated coast: where everything is at any second of the loop.

Pure: no clock, no chance beyond the scenario's seed. Courses are followed on the
geodesic leg by leg; what bobs or circles does so in whole periods of the loop, so that
the loop's end meets its beginning.
"""

import math
from dataclasses import dataclass

import numpy as np

from almenara.core.values import Position
from almenara.simulation.geometry import Attitude, moved
from almenara.simulation.scenario import Actor, ActorKind, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorState:
    """One actor, or one bird of a flock, at one instant."""

    actor: Actor
    thing_id: str
    """The actor's id; ``gulls-3`` for the fourth of a flock."""

    position: Position
    above_sea_m: float
    """Of its lowest point: birds fly, everything else floats at 0."""

    speed_mps: float
    course_deg: float


def sea_period_s(wind_mps: float) -> float:
    """Period of the fully grown sea's highest waves (Pierson-Moskowitz)."""
    return max(2.0, 0.73 * wind_mps)


def significant_height_m(wind_mps: float) -> float:
    """Of the fully grown sea; coasts with little fetch have less (factor 0.6)."""
    return 0.6 * 0.0214 * wind_mps**2


def state_at(scenario: Scenario, time_s: float) -> tuple[ActorState, ...]:
    """Everything there is at ``time_s`` modulo the loop, in the scenario's order."""
    time_s %= scenario.loop_s
    states: list[ActorState] = []
    for actor in scenario.actors:
        if actor.kind is ActorKind.GULLS:
            states.extend(_flock(scenario, actor, time_s))
        else:
            states.append(_sailing(actor, time_s))
    return tuple(states)


def sway_at(scenario: Scenario, station: str, time_s: float) -> Attitude:
    """The mast's motion: three slow oscillations about each axis, a loop long."""
    rng = np.random.default_rng([scenario.seed, *station.encode()])
    low, high = max(1, scenario.loop_s // 5), max(2, scenario.loop_s)
    turns = rng.integers(low, high, size=(2, 3))
    phases = rng.uniform(0, 2 * math.pi, size=(2, 3))
    angle = 2 * math.pi * turns * (time_s % scenario.loop_s) / scenario.loop_s + phases
    pan, tilt = scenario.weather.sway_deg * np.sqrt(2 / 3) * np.sin(angle).sum(axis=1)
    return Attitude(pan_deg=float(pan), tilt_deg=float(tilt))


def swell_at(scenario: Scenario, thing_id: str, time_s: float) -> tuple[float, float]:
    """Heave of a floating thing, and how much the swell before it hides, in metres."""
    rng = np.random.default_rng([scenario.seed, 7, *thing_id.encode()])
    period_s = sea_period_s(scenario.weather.wind_mps)
    about = max(1, round(scenario.loop_s / period_s))
    turns = np.maximum(
        1, about + rng.integers(-about // 4, about // 4 + 1, size=(2, 3))
    )
    phases = rng.uniform(0, 2 * math.pi, size=(2, 3))
    angle = 2 * math.pi * turns * (time_s % scenario.loop_s) / scenario.loop_s + phases
    amplitude = significant_height_m(scenario.weather.wind_mps) / 4
    heave, before = amplitude * np.sqrt(2 / 3) * np.sin(angle).sum(axis=1)
    return float(heave), max(0.0, float(before - heave))


def _sailing(actor: Actor, time_s: float) -> ActorState:
    place, leg = actor.start, actor.legs[0]
    ends = [later.at_s for later in actor.legs[1:]] + [math.inf]
    for this, end_s in zip(actor.legs, ends, strict=True):
        leg = this
        span_s = min(time_s, end_s) - this.at_s
        place = moved(place, this.course_deg, span_s * this.speed_mps)
        if time_s < end_s:
            break
    return ActorState(
        actor=actor,
        thing_id=actor.actor_id,
        position=place,
        above_sea_m=0.0,
        speed_mps=leg.speed_mps,
        course_deg=leg.course_deg,
    )


def _flock(scenario: Scenario, actor: Actor, time_s: float) -> list[ActorState]:
    """Birds on their own rounds about a common centre; some sit on the water."""
    rng = np.random.default_rng([scenario.seed, 3, *actor.actor_id.encode()])
    centre = _sailing(actor, time_s).position
    states = []
    for i in range(actor.count):
        radius_m, height_m = rng.uniform(15, 90), rng.uniform(3, 18)
        phase, sits = rng.uniform(0, 2 * math.pi), rng.random() < 0.2
        turns = max(1, round(scenario.loop_s * 9.0 / (2 * math.pi * radius_m)))
        if sits:
            turns, height_m = 0, 0.0
        angle = phase + 2 * math.pi * turns * time_s / scenario.loop_s
        states.append(
            ActorState(
                actor=actor,
                thing_id=f"{actor.actor_id}-{i}",
                position=_beside(centre, angle, radius_m),
                above_sea_m=float(height_m * (1 + 0.3 * math.sin(3 * angle))),
                speed_mps=2 * math.pi * turns * radius_m / scenario.loop_s,
                course_deg=(math.degrees(angle) + 90) % 360,
            )
        )
    return states


def _beside(place: Position, azimuth: float, range_m: float) -> Position:
    """``moved`` for birds: on a flat patch, far cheaper, right within 1 %."""
    north_deg = range_m * math.cos(azimuth) / 111_000
    east_deg = range_m * math.sin(azimuth) / 111_000
    return Position(
        latitude_deg=place.latitude_deg + north_deg,
        longitude_deg=place.longitude_deg
        + east_deg / math.cos(math.radians(place.latitude_deg)),
    )
