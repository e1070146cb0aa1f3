"""Scenario files: TOML in, a :class:`Scenario` out, every fault named with its place.

A file says stations, cameras, zones and actors by hand, and may leave out what follows
from the rest: a camera without ``tilt_deg`` gets its horizon at ``horizon_at`` of the
picture's height from above; way points become legs.
"""

import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from almenara.core.coast import SensorKind, StationKind, WatchZone
from almenara.core.errors import ConfigError
from almenara.core.ids import CameraId, StationId, ZoneId
from almenara.core.values import CountRange, Position
from almenara.simulation.geometry import dip_rad, range_and_azimuth
from almenara.simulation.scenario import (
    Actor,
    ActorKind,
    Ais,
    FarCoast,
    Leg,
    Scenario,
    SimulatedCamera,
    SimulatedStation,
    Weather,
)

Bearing = Annotated[float, Field(ge=0.0, lt=360.0)]
Speed = Annotated[float, Field(ge=0.0, le=40.0)]
Place = Annotated[tuple[float, float], Field(description="latitude, longitude")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Coast(_Body):
    range_km: Annotated[float, Field(gt=0)]
    height_m: Annotated[float, Field(gt=0)]


class _Camera(_Body):
    id: Name
    sensor: SensorKind
    azimuth_deg: Bearing
    tilt_deg: float | None = None
    horizon_at: Annotated[float, Field(ge=0.0, le=1.0)] = 0.28
    hfov_deg: Annotated[float, Field(gt=0.5, le=120)]
    size: tuple[
        Annotated[int, Field(ge=64, le=3840, multiple_of=2)],
        Annotated[int, Field(ge=48, le=2160, multiple_of=2)],
    ]
    fps: Annotated[int, Field(ge=1, le=60)]
    bitrate_kbps: Annotated[int, Field(ge=50, le=20_000)]
    analysis_fps: Annotated[int, Field(ge=1, le=30)] | None = None
    analysis_kbps: Annotated[int, Field(ge=50, le=20_000)] = 1500
    far_coast: _Coast | None = None


class _Station(_Body):
    id: Name
    name: str
    kind: StationKind = StationKind.TOWER
    position: Place
    height_m: Annotated[float, Field(gt=1, le=1000)]
    ais: bool = False
    cameras: tuple[_Camera, ...]


class _Zone(_Body):
    id: Name
    name: str
    vertices: Annotated[tuple[Place, ...], Field(min_length=3)]


class _Leg(_Body):
    at_s: Annotated[float, Field(ge=0)]
    course_deg: Bearing
    speed_mps: Speed


class _Ais(_Body):
    mmsi: Annotated[int, Field(ge=1_000_000, le=999_999_999)]
    name: Annotated[str, Field(max_length=20)]
    ship_type: Annotated[int, Field(ge=0, le=99)] = 0
    class_b: bool = False


class _Actor(_Body):
    id: Name
    kind: ActorKind
    start: Place
    course_deg: Bearing = 0.0
    speed_mps: Speed = 0.0
    then: tuple[_Leg, ...] = ()
    way_points: tuple[Place, ...] = ()
    ais: _Ais | None = None
    persons: tuple[int, int] | None = None
    count: Annotated[int, Field(ge=1, le=100)] = 1


class _Weather(_Body):
    wind_mps: Annotated[float, Field(ge=1, le=25)] = 6.0
    wind_from_deg: Bearing = 250.0
    visibility_km: Annotated[float, Field(gt=0.1, le=100)] = 25.0
    sun_azimuth_deg: Bearing = 220.0
    sun_elevation_deg: Annotated[float, Field(ge=-20, le=90)] = 35.0
    sea_temperature_c: float = 18.0
    sway_deg: Annotated[float, Field(ge=0, le=0.1)] = 0.002


class _File(_Body):
    seed: Annotated[int, Field(ge=0)]
    loop_s: Annotated[int, Field(ge=4, le=3600)]
    hero: Name
    weather: _Weather = _Weather()
    stations: tuple[_Station, ...] = Field(alias="station")
    zones: tuple[_Zone, ...] = Field(alias="zone", default=())
    actors: tuple[_Actor, ...] = Field(alias="actor", default=())


def packaged() -> tuple[str, ...]:
    """Names of the scenarios that come with Almenara."""
    folder = resources.files("almenara.simulation") / "scenarios"
    names = (Path(entry.name) for entry in folder.iterdir())
    return tuple(sorted(name.stem for name in names if name.suffix == ".toml"))


def load_scenario(name: str) -> Scenario:
    """Read a packaged scenario by name, or any other by its path ending in ``.toml``.

    Raises:
        ConfigError: There is no such scenario, or it is wrong; all faults at once.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError((f"{name}: no such file",))
        return parse_scenario(path.stem, path.read_text("utf-8"))
    if name not in packaged():
        known = ", ".join(packaged())
        raise ConfigError((f"scenario: {name!r} is not one of {known}",))
    source = resources.files("almenara.simulation") / "scenarios" / f"{name}.toml"
    return parse_scenario(name, source.read_text("utf-8"))


def parse_scenario(name: str, text: str) -> Scenario:
    """A scenario from its TOML text.

    Raises:
        ConfigError: With one line per fault: place, what is wrong.
    """
    try:
        read = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError((f"{name}: {fault}",)) from fault
    except ValidationError as fault:
        raise ConfigError(
            tuple(
                f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}"
                for e in fault.errors()
            )
        ) from fault
    problems = tuple(f"{name}: {problem}" for problem in _contradictions(read))
    if problems:
        raise ConfigError(problems)
    return _scenario(name, read)


def _contradictions(read: _File) -> list[str]:
    """What no single field can know."""
    cameras = [c for s in read.stations for c in s.cameras]
    found = [
        f"{what}: {twice!r} is there twice"
        for what, ids in (
            ("station", [s.id for s in read.stations]),
            ("camera", [c.id for c in cameras]),
            ("zone", [z.id for z in read.zones]),
            ("actor", [a.id for a in read.actors]),
        )
        for twice in sorted({i for i in ids if ids.count(i) > 1})
    ]
    if read.hero not in [c.id for c in cameras]:
        found.append(f"hero: {read.hero!r} is no camera")
    found += [
        f"camera.{c.id}.analysis_fps: {c.analysis_fps} does not divide {c.fps}"
        for c in cameras
        if c.analysis_fps is not None and c.fps % c.analysis_fps
    ]
    for i, (latitude, longitude) in _places(read):
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            found.append(f"{i}: no such place: {latitude}, {longitude}")
    for actor in read.actors:
        found += _actor_contradictions(actor)
    return found


def _actor_contradictions(actor: _Actor) -> list[str]:
    found = []
    times = [leg.at_s for leg in actor.then]
    if times != sorted(set(times)) or 0 in times:
        found.append(f"actor.{actor.id}.then: times must ascend from above 0")
    if actor.way_points and (actor.then or actor.speed_mps == 0):
        found.append(f"actor.{actor.id}.way_points: want a speed and no legs")
    if actor.persons and not 0 <= actor.persons[0] <= actor.persons[1]:
        found.append(f"actor.{actor.id}.persons: not a range")
    return found


def _places(read: _File) -> list[tuple[str, tuple[float, float]]]:
    found = [(f"station.{s.id}.position", s.position) for s in read.stations]
    found += [(f"zone.{z.id}.vertices", v) for z in read.zones for v in z.vertices]
    for actor in read.actors:
        found.append((f"actor.{actor.id}.start", actor.start))
        found += [(f"actor.{actor.id}.way_points", p) for p in actor.way_points]
    return found


def _scenario(name: str, read: _File) -> Scenario:
    return Scenario(
        name=name,
        seed=read.seed,
        loop_s=read.loop_s,
        hero=CameraId(read.hero),
        weather=Weather(**read.weather.model_dump()),
        stations=tuple(map(_station, read.stations)),
        zones=tuple(
            WatchZone(
                zone_id=ZoneId(z.id),
                name=z.name,
                vertices=tuple(map(_position, z.vertices)),
            )
            for z in read.zones
        ),
        actors=tuple(map(_actor, read.actors)),
    )


def _position(place: tuple[float, float]) -> Position:
    return Position(latitude_deg=place[0], longitude_deg=place[1])


def _station(read: _Station) -> SimulatedStation:
    return SimulatedStation(
        station_id=StationId(read.id),
        name=read.name,
        kind=read.kind,
        position=_position(read.position),
        height_m=read.height_m,
        has_ais=read.ais,
        cameras=tuple(_camera(camera, read.height_m) for camera in read.cameras),
    )


def _camera(read: _Camera, height_m: float) -> SimulatedCamera:
    tilt = read.tilt_deg
    if tilt is None:
        tilt = _tilt_for_horizon(read, height_m)
    return SimulatedCamera(
        camera_id=CameraId(read.id),
        sensor=read.sensor,
        azimuth_deg=read.azimuth_deg,
        tilt_deg=tilt,
        hfov_deg=read.hfov_deg,
        width_px=read.size[0],
        height_px=read.size[1],
        fps=read.fps,
        bitrate_kbps=read.bitrate_kbps,
        analysis_fps=read.analysis_fps,
        analysis_kbps=read.analysis_kbps,
        far_coast=FarCoast(**read.far_coast.model_dump()) if read.far_coast else None,
    )


def _tilt_for_horizon(read: _Camera, height_m: float) -> float:
    """Boresight elevation that puts the horizon at ``horizon_at`` of the height."""
    focal_px = read.size[0] / 2 / math.tan(math.radians(read.hfov_deg / 2))
    dip = dip_rad(height_m)
    above_px = (0.5 - read.horizon_at) * read.size[1]
    return round(-math.degrees(dip + math.atan(above_px / focal_px)), 4)


def _actor(read: _Actor) -> Actor:
    first = _Leg(at_s=0, course_deg=read.course_deg, speed_mps=read.speed_mps)
    legs = _legs_along(read) if read.way_points else (first, *read.then)
    return Actor(
        actor_id=read.id,
        kind=read.kind,
        start=_position(read.start),
        legs=tuple(Leg(**leg.model_dump()) for leg in legs),
        ais=Ais(**read.ais.model_dump()) if read.ais else None,
        persons=(
            CountRange(at_least=read.persons[0], at_most=read.persons[1])
            if read.persons
            else None
        ),
        count=read.count,
    )


def _legs_along(read: _Actor) -> tuple[_Leg, ...]:
    """Way points at constant speed, then a stop at the last."""
    legs, at_s, here = [], 0.0, _position(read.start)
    course_deg = 0.0
    for point in map(_position, read.way_points):
        range_m, course_deg = range_and_azimuth(here, point)
        legs.append(
            _Leg(at_s=at_s, course_deg=course_deg % 360, speed_mps=read.speed_mps)
        )
        at_s, here = at_s + range_m / read.speed_mps, point
    legs.append(_Leg(at_s=at_s, course_deg=course_deg % 360, speed_mps=0.0))
    return tuple(legs)
