"""Stations as text: TOML in and out, every fault of a file at once.

``read_stations`` turns a file into ``core.coast`` values or says all that is wrong with
it; ``write_stations`` is its inverse. Addresses are checked for their grammar only;
nothing is opened or looked up. A name is a key, so nothing can be defined twice in one
place; what could still contradict itself (a camera in two stations, two main streams, a
height in feet) is named.
"""

import json
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from geographiclib.geodesic import Geodesic
from pydantic import BeforeValidator, Field, ValidationError

from almenara.core import coast, ids
from almenara.core.errors import AddressRefusedError, ConfigError, Fault
from almenara.core.values import Position
from almenara.node.config.faults import (
    Lines,
    from_syntax,
    from_validation,
    scan,
    secrets,
    wrong,
)
from almenara.node.config.sections import Name, Number, Place, Section, Whole
from almenara.stations.addresses import (
    AIS_SCHEMES,
    RADAR_SCHEMES,
    parse_station_url,
)

HIGHEST_M = 3000
"""Above any mast on any coast; beyond it somebody wrote feet or centimetres."""

APART_M = 2000.0
"""A camera farther than this from its station belongs to another one."""

REFUSALS = {
    "credentials": "Take user and password out of the address; give them apart.",
    "scheme": "Write rtsp://host:port/path, or file:/path for a recording.",
}


def _height(value: object) -> object:
    if isinstance(value, int | float) and value > HIGHEST_M:
        raise wrong(
            f"metres above the sea, at most {HIGHEST_M}",
            f"Write metres: {value} is more likely feet or centimetres.",
        )
    return value


def _hfov(value: object) -> object:
    if isinstance(value, int | float) and 0 < value < 0.3:
        raise wrong(
            "degrees from 0.3 to 120",
            f"Write degrees: {value} is more likely radians.",
        )
    return value


class StreamFile(Section):
    """``[[station.<id>.camera.<id>.stream]]``: one source of pictures."""

    profile: coast.Profile
    """main is recorded and shown; analysis is for the watch alone."""

    url: str
    """rtsp://host:port/path or file:/path; never with a password."""

    id: str | None = None
    """Written by the export; leave it out for a new stream."""


class CameraFile(Section):
    """``[station.<id>.camera.<id>]``: one sensor with a picture."""

    sensor: coast.SensorKind
    scene: coast.Scene
    position: Place | None = None
    """[latitude, longitude] in degrees; the station's own unless given."""

    height_m: Annotated[Number, Field(gt=0), BeforeValidator(_height)]
    """Of the lens above the sea: terrain and mast."""

    azimuth_deg: Annotated[Number, Field(ge=0, lt=360)]
    """Of the middle of the picture, true, clockwise from north."""

    tilt_deg: Annotated[Number, Field(ge=-90, le=90)] = 0.0
    roll_deg: Annotated[Number, Field(ge=-45, le=45)] = 0.0
    azimuth_std_deg: Annotated[Number, Field(gt=0, le=45)] = 0.05
    tilt_std_deg: Annotated[Number, Field(gt=0, le=45)] = 0.01
    height_std_m: Annotated[Number, Field(gt=0, le=100)] = 0.5
    width_px: Annotated[Whole, Field(ge=64, le=8192)]
    height_px: Annotated[Whole, Field(ge=48, le=8192)]
    hfov_deg: Annotated[Number, Field(gt=0, le=120), BeforeValidator(_hfov)]
    """Horizontal field of view over the full width."""

    stream: tuple[StreamFile, ...]
    watch_zone_px: tuple[tuple[tuple[Number, Number], ...], ...] = ()


class ReceiverFile(Section):
    """``[station.<id>.receiver.<id>]``: a source of AIS sentences."""

    url: str
    """tcp://host:port."""


class RadarFile(Section):
    """``[station.<id>.radar.<id>]``: a source of plots and tracks."""

    url: str
    """tcp://host:port, or udp://host:port: from that host, to that port here."""

    position: Place | None = None
    """[latitude, longitude] of the antenna; the station's own unless given."""

    azimuth_offset_deg: Annotated[Number, Field(ge=-180, le=180)] = 0.0
    """Added to every azimuth: how far the radar's north is off."""

    azimuth_std_deg: Annotated[Number, Field(gt=0, le=45)] = 0.5
    range_std_m: Annotated[Number, Field(gt=0, le=5000)] = 30.0


class StationFile(Section):
    """``[station.<id>]``: a mast, a vehicle or a tripod."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    kind: coast.StationKind
    position: Place
    """[latitude, longitude] in degrees."""

    simulated: bool = False
    camera: Mapping[Name, CameraFile] = Field(default_factory=dict)
    receiver: Mapping[Name, ReceiverFile] = Field(default_factory=dict)
    radar: Mapping[Name, RadarFile] = Field(default_factory=dict)


class RegistryFile(Section):
    """The whole file."""

    station: Mapping[Name, StationFile] = Field(default_factory=dict)


def read_stations(path: Path) -> tuple[coast.Station, ...]:
    """Read and check a file of stations.

    Raises:
        ConfigError: With every fault found.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            (_unread(path, error.strerror or "nothing", "Check path and rights."),)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError((_unread(path, "no UTF-8", "Save it as UTF-8."),)) from error
    return parse_stations(str(path), text)


def parse_stations(name: str, text: str) -> tuple[coast.Station, ...]:
    """As :func:`read_stations`, of a text; ``name`` is what faults call it."""
    lines = scan(name, text)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((from_syntax(lines, error),)) from error
    faults = secrets(lines, raw)
    try:
        read = RegistryFile.model_validate(raw)
    except ValidationError as error:
        refused = from_validation(lines, RegistryFile, error.errors())
        raise ConfigError(faults + refused) from error
    known = {fault.place for fault in faults}
    faults += tuple(f for f in _contradictions(lines, read) if f.place not in known)
    if faults:
        raise ConfigError(faults)
    return tuple(_station(key, each) for key, each in read.station.items())


def write_stations(stations: Iterable[coast.Station]) -> str:
    """The TOML of some stations; :func:`parse_stations` reads the same values back."""
    return "\n".join(_written(station) for station in stations)


def _unread(path: Path, found: str, cure: str) -> Fault:
    return Fault(
        place=str(path), found=found, expected="a TOML file of stations", cure=cure
    )


def _contradictions(lines: Lines, read: RegistryFile) -> Iterator[Fault]:
    names: dict[str, str] = {}
    urls: dict[str, str] = {}
    for station_id, station in read.station.items():
        for camera_id, camera in station.camera.items():
            loc = ("station", station_id, "camera", camera_id)
            yield from _twice(lines, names, camera_id, loc)
            yield from _camera_faults(lines, station, camera, loc)
            for number, stream in enumerate(camera.stream):
                at = (*loc, "stream", number)
                yield from _address(lines, station_id, stream.url, (*at, "url"))
                yield from _twice(lines, urls, stream.url, (*at, "url"))
                if stream.id is not None:
                    yield from _twice(lines, names, stream.id, (*at, "id"))
        for receiver_id, receiver in station.receiver.items():
            where = ("station", station_id, "receiver", receiver_id)
            yield from _twice(lines, names, receiver_id, where)
            yield from _address(
                lines, station_id, receiver.url, (*where, "url"), AIS_SCHEMES
            )
        for radar_id, radar in station.radar.items():
            where = ("station", station_id, "radar", radar_id)
            yield from _twice(lines, names, radar_id, where)
            yield from _address(
                lines, station_id, radar.url, (*where, "url"), RADAR_SCHEMES
            )


def _camera_faults(
    lines: Lines,
    station: StationFile,
    camera: CameraFile,
    loc: tuple[int | str, ...],
) -> Iterator[Fault]:
    profiles = [stream.profile.value for stream in camera.stream]
    if profiles.count("main") != 1 or len(set(profiles)) != len(profiles):
        yield Fault(
            place=lines.place(loc),
            found=f"streams {', '.join(profiles) or 'none'}",
            expected="one main stream and at most one analysis stream",
            cure="Give each stream its own profile.",
        )
    if camera.position is None:
        return
    here, there = station.position, camera.position
    line = Geodesic.WGS84.Inverse(
        here.latitude_deg, here.longitude_deg, there.latitude_deg, there.longitude_deg
    )
    if line["s12"] > APART_M:
        yield Fault(
            place=lines.place((*loc, "position")),
            found=f"a camera {line['s12'] / 1000:.1f} km from its station",
            expected=f"at most {APART_M / 1000:.0f} km",
            cure="Check the order latitude, longitude, or make it a station.",
        )


def _twice(
    lines: Lines, seen: dict[str, str], name: str, loc: tuple[int | str, ...]
) -> Iterator[Fault]:
    place = lines.place(loc)
    if name in seen:
        yield Fault(
            place=place,
            found=f"{name} a second time",
            expected="every name and address once",
            cure=f"Rename one; the other is at {seen[name]}.",
        )
    seen.setdefault(name, place)


def _address(
    lines: Lines,
    station_id: str,
    url: str,
    loc: tuple[int | str, ...],
    schemes: frozenset[str] = frozenset({"rtsp", "rtsps", "file"}),
) -> Iterator[Fault]:
    try:
        parse_station_url(url, station_id=ids.StationId(station_id), schemes=schemes)
    except AddressRefusedError as error:
        yield Fault(
            place=lines.place(loc),
            found=f"an address refused for its {error.reason}",
            expected=" or ".join(f"{scheme}:" for scheme in sorted(schemes)),
            cure=REFUSALS.get(error.reason, "Write the address plainly."),
        )


def _station(station_id: str, read: StationFile) -> coast.Station:
    owner = ids.StationId(station_id)
    return coast.Station(
        station_id=owner,
        name=read.name,
        kind=read.kind,
        position=read.position,
        simulated=read.simulated,
        cameras=tuple(
            _camera(owner, ids.CameraId(key), each, read.position)
            for key, each in read.camera.items()
        ),
        receivers=tuple(
            coast.AisReceiver(
                receiver_id=ids.ReceiverId(key), station_id=owner, url=each.url
            )
            for key, each in read.receiver.items()
        ),
        radars=tuple(
            coast.Radar(
                receiver_id=ids.ReceiverId(key),
                station_id=owner,
                url=each.url,
                position=each.position or read.position,
                azimuth_offset_deg=each.azimuth_offset_deg,
                azimuth_std_deg=each.azimuth_std_deg,
                range_std_m=each.range_std_m,
            )
            for key, each in read.radar.items()
        ),
    )


def _camera(
    owner: ids.StationId, camera_id: ids.CameraId, read: CameraFile, place: Position
) -> coast.Camera:
    return coast.Camera(
        camera_id=camera_id,
        station_id=owner,
        sensor=read.sensor,
        scene=read.scene,
        pose=coast.Pose(
            position=read.position or place,
            height_m=read.height_m,
            azimuth_deg=read.azimuth_deg,
            tilt_deg=read.tilt_deg,
            roll_deg=read.roll_deg,
            azimuth_std_deg=read.azimuth_std_deg,
            tilt_std_deg=read.tilt_std_deg,
            height_std_m=read.height_std_m,
        ),
        lens=coast.Lens(
            width_px=read.width_px, height_px=read.height_px, hfov_deg=read.hfov_deg
        ),
        streams=tuple(
            coast.Stream(
                stream_id=ids.StreamId(each.id or str(uuid.uuid4())),
                profile=each.profile,
                url=each.url,
            )
            for each in read.stream
        ),
        watch_zone_px=read.watch_zone_px,
    )


def _written(station: coast.Station) -> str:
    head = f"station.{station.station_id}"
    lines = [
        f"[{head}]",
        f"name = {_text(station.name)}",
        f'kind = "{station.kind.value}"',
        f"position = {_pair(station.position)}",
        f"simulated = {json.dumps(station.simulated)}",
    ]
    for camera in station.cameras:
        lines += _written_camera(f"{head}.camera.{camera.camera_id}", camera)
    for receiver in station.receivers:
        lines += ["", f"[{head}.receiver.{receiver.receiver_id}]"]
        lines += [f"url = {_text(receiver.url)}"]
    for radar in station.radars:
        lines += ["", f"[{head}.radar.{radar.receiver_id}]"]
        lines += [f"url = {_text(radar.url)}", f"position = {_pair(radar.position)}"]
        lines += [
            f"{name} = {float(getattr(radar, name))!r}"
            for name in ("azimuth_offset_deg", "azimuth_std_deg", "range_std_m")
        ]
    return "\n".join(lines) + "\n"


def _written_camera(head: str, camera: coast.Camera) -> Iterator[str]:
    yield from ("", f"[{head}]", f'sensor = "{camera.sensor.value}"')
    yield f'scene = "{camera.scene.value}"'
    yield f"position = {_pair(camera.pose.position)}"
    for name in [
        "height_m",
        "azimuth_deg",
        "tilt_deg",
        "roll_deg",
        "azimuth_std_deg",
        "tilt_std_deg",
        "height_std_m",
    ]:
        yield f"{name} = {float(getattr(camera.pose, name))!r}"
    for name in ("width_px", "height_px"):
        yield f"{name} = {getattr(camera.lens, name)}"
    yield f"hfov_deg = {float(camera.lens.hfov_deg)!r}"
    if camera.watch_zone_px:
        yield f"watch_zone_px = {json.dumps(camera.watch_zone_px)}"
    for stream in camera.streams:
        yield from ("", f"[[{head}.stream]]", f"id = {_text(stream.stream_id)}")
        yield from (
            f'profile = "{stream.profile.value}"',
            f"url = {_text(stream.url)}",
        )


def _pair(position: Position) -> str:
    return f"[{position.latitude_deg!r}, {position.longitude_deg!r}]"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
