"""Observations and tracks as JSON Lines: what the ``track`` commands read and write.

One object a line, UTF-8, times in RFC 3339 with an offset, units in the names. A key
nobody knows is a fault, and a fault names its line: nothing is guessed and nothing is
skipped in silence. docs/guide/tracks.md shows each line.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from almenara.core.coast import Camera
from almenara.core.errors import ConfigError, Fault
from almenara.core.ids import CameraId, LocalTrackId, ReceiverId
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.geo.fix import Fix, fix_from_angles, fix_from_pixel
from almenara.tracking.fusion import Fusion
from almenara.tracking.observations import (
    AisObservation,
    CameraObservation,
    Observation,
    RadarObservation,
)
from almenara.tracking.picture import Ray, SystemTrack

MAX_LINE_CHARS = 100_000

Number = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SightLine(_Line):
    """What to locate: a waterline pixel, or a direction."""

    camera: str
    at: AwareDatetime | None = None
    x_px: Number | None = None
    y_px: Number | None = None
    std_px: Spread = 0.5
    azimuth_deg: Number | None = None
    elevation_deg: Number | None = None
    azimuth_std_deg: Spread = 0.003
    elevation_std_deg: Spread = 0.003

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "SightLine":
        pixel = self.x_px is not None and self.y_px is not None
        angles = self.azimuth_deg is not None and self.elevation_deg is not None
        if pixel == angles:
            raise ValueError("either x_px and y_px, or azimuth_deg and elevation_deg")
        return self


class CameraLine(_Line):
    """One look of a camera at a thing that persists there."""

    kind: Literal["camera"]
    camera: str
    local_track: str
    at: AwareDatetime
    azimuth_deg: Number
    azimuth_std_deg: Spread
    elevation_deg: Number
    elevation_std_deg: Spread
    existence: Share = 0.95
    object_class: ObjectClass = ObjectClass.UNKNOWN
    width_m: Spread | None = None

    def observation(self) -> CameraObservation:
        """As the fusion takes it."""
        return CameraObservation(
            camera_id=CameraId(self.camera),
            local_track_id=LocalTrackId(f"{self.camera}/{self.local_track}"),
            observed_at=self.at,
            azimuth_deg=self.azimuth_deg % 360.0,
            azimuth_std_deg=self.azimuth_std_deg,
            elevation_deg=self.elevation_deg,
            elevation_std_deg=self.elevation_std_deg,
            existence=self.existence,
            object_class=self.object_class,
            width_m=self.width_m,
        )


class AisLine(_Line):
    """A position that a ship broadcast."""

    kind: Literal["ais"]
    receiver: str
    mmsi: Annotated[int, Field(gt=0, lt=1_000_000_000)]
    at: AwareDatetime
    latitude_deg: Latitude
    longitude_deg: Longitude
    std_m: Spread = 30.0
    speed_mps: Annotated[float, Field(ge=0, le=60)] | None = None
    course_deg: Annotated[float, Field(ge=0, lt=360)] | None = None
    ship_name: str | None = None
    length_m: Spread | None = None

    def observation(self) -> AisObservation:
        """As the fusion takes it."""
        return AisObservation(
            receiver_id=ReceiverId(self.receiver),
            mmsi=self.mmsi,
            observed_at=self.at,
            position=Position(
                latitude_deg=self.latitude_deg, longitude_deg=self.longitude_deg
            ),
            position_std_m=self.std_m,
            speed_mps=self.speed_mps,
            course_deg=self.course_deg,
            ship_name=self.ship_name,
            length_m=self.length_m,
        )


class RadarLine(_Line):
    """What a radar hears of one of its tracks."""

    kind: Literal["radar"]
    radar: str
    local_track: str
    at: AwareDatetime
    origin: tuple[Latitude, Longitude]
    azimuth_deg: Number
    azimuth_std_deg: Spread = 0.5
    range_m: Annotated[float, Field(gt=0, le=500_000)]
    range_std_m: Spread = 30.0
    existence: Share = 0.95

    def observation(self) -> RadarObservation:
        """As the fusion takes it."""
        latitude, longitude = self.origin
        return RadarObservation(
            radar_id=ReceiverId(self.radar),
            local_track_id=LocalTrackId(f"{self.radar}/{self.local_track}"),
            observed_at=self.at,
            origin=Position(latitude_deg=latitude, longitude_deg=longitude),
            azimuth_deg=self.azimuth_deg % 360.0,
            azimuth_std_deg=self.azimuth_std_deg,
            range_m=self.range_m,
            range_std_m=self.range_std_m,
            existence=self.existence,
        )


ObservationLine = Annotated[
    CameraLine | AisLine | RadarLine, Field(discriminator="kind")
]
_OBSERVATION: TypeAdapter[CameraLine | AisLine | RadarLine] = TypeAdapter(
    ObservationLine
)
_SIGHT: TypeAdapter[SightLine] = TypeAdapter(SightLine)


def schemas() -> dict[str, Any]:
    """The JSON schemas of the lines that are read."""
    return {"locate": _SIGHT.json_schema(), "fuse": _OBSERVATION.json_schema()}


def locate(
    name: str, lines: Iterable[str], cameras: Sequence[Camera]
) -> Iterator[Mapping[str, Any]]:
    """A position with its ellipse, or a bearing alone, for each line.

    Raises:
        ConfigError: A line is wrong, or names a camera nobody knows.
    """
    known = {camera.camera_id: camera for camera in cameras}
    for number, text in _full(lines):
        said = _read(_SIGHT, name, number, text)
        camera = known.get(CameraId(said.camera))
        if camera is None:
            raise _wrong(
                name, number, f"camera {said.camera}", f"one of {', '.join(known)}"
            )
        head: dict[str, Any] = {"camera": said.camera}
        if said.at is not None:
            head["at"] = _instant(said.at)
        yield head | _fix(_fix_of(camera, said))


def fuse(
    name: str,
    lines: Iterable[str],
    cameras: Sequence[Camera],
    *,
    every: timedelta = timedelta(seconds=1),
) -> Iterator[Mapping[str, Any]]:
    """Tracks and rays, told once in every span of the observations' own time.

    The same lines give the same answer: no clock is read.

    Raises:
        ConfigError: A line is wrong, or older than the one before by more than the
            fusion takes.
    """
    fusion = Fusion(cameras)
    now: datetime | None = None
    told: datetime | None = None
    for number, text in _full(lines):
        observation: Observation = _read(_OBSERVATION, name, number, text).observation()
        now = observation.observed_at if now is None else now
        if told is None:
            told = now
        now = max(now, observation.observed_at)
        while now - told >= every:
            told += every
            yield from _picture(fusion, told)
        fusion.observe([observation], now)
    if now is not None:
        yield from _picture(fusion, now)


def _picture(fusion: Fusion, at: datetime) -> Iterator[Mapping[str, Any]]:
    picture = fusion.picture(at)
    yield from (_track(track) for track in picture.tracks)
    yield from (_ray(ray) for ray in picture.rays)


def _full(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line


def _read(adapter: TypeAdapter[Any], name: str, number: int, text: str) -> Any:
    if len(text) > MAX_LINE_CHARS:
        raise _wrong(name, number, "a very long line", "one object a line")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        raise _wrong(
            name,
            number,
            f"{place}: {first['msg']}",
            "a line as in docs/guide/tracks.md",
        ) from error


def _wrong(name: str, number: int, found: str, expected: str) -> ConfigError:
    fault = Fault(
        place=f"{name}:{number}",
        found=found,
        expected=expected,
        cure="Mend this line; those before it were answered.",
    )
    return ConfigError((fault,))


def _fix_of(camera: Camera, said: SightLine) -> Fix:
    if said.x_px is not None and said.y_px is not None:
        return fix_from_pixel(camera, said.x_px, said.y_px, std_px=said.std_px)
    return fix_from_angles(
        camera,
        said.azimuth_deg or 0.0,
        said.elevation_deg or 0.0,
        azimuth_std_deg=said.azimuth_std_deg,
        elevation_std_deg=said.elevation_std_deg,
    )


def _fix(fix: Fix) -> dict[str, Any]:
    bearing = {
        "azimuth_deg": round(fix.azimuth_deg, 6),
        "azimuth_std_deg": round(fix.azimuth_std_deg, 6),
    }
    if fix.position is None or fix.cov_m2 is None:
        origin = [fix.origin.latitude_deg, fix.origin.longitude_deg]
        return {"kind": "bearing", "origin": origin, **bearing}
    return {
        "kind": "position",
        **_place(fix.position),
        "range_m": round(fix.range_m or 0.0, 2),
        "ellipse": ellipse(fix.cov_m2),
        **bearing,
    }


def ellipse(cov_m2: tuple[float, float, float]) -> dict[str, float]:
    """Half axes of one standard deviation, and the azimuth of the longer."""
    ee, nn, en = cov_m2
    values, vectors = np.linalg.eigh(np.array([[ee, en], [en, nn]]))
    east, north = vectors[:, 1]
    return {
        "major_m": round(math.sqrt(max(float(values[1]), 0.0)), 2),
        "minor_m": round(math.sqrt(max(float(values[0]), 0.0)), 2),
        "azimuth_deg": round(math.degrees(math.atan2(east, north)) % 180.0, 3),
    }


def _track(track: SystemTrack) -> dict[str, Any]:
    return {
        "kind": "track",
        "at": _instant(track.at),
        "track": track.track_id,
        "state": track.state.value,
        **_place(track.position),
        "ellipse": ellipse(track.position_cov_m2),
        "east_mps": round(track.velocity_mps[0], 3),
        "north_mps": round(track.velocity_mps[1], 3),
        "existence": round(track.existence, 3),
        "object_class": track.object_class.value,
        "sensors": [look.sensor_id for look in track.looks],
        "mmsi": track.mmsi,
    }


def _ray(ray: Ray) -> dict[str, Any]:
    return {
        "kind": "ray",
        "at": _instant(ray.observed_at),
        "camera": ray.camera_id,
        "origin": [ray.origin.latitude_deg, ray.origin.longitude_deg],
        "azimuth_deg": round(ray.azimuth_deg, 6),
        "azimuth_std_deg": round(ray.azimuth_std_deg, 6),
    }


def _place(position: Position) -> dict[str, float]:
    return {
        "latitude_deg": round(position.latitude_deg, 7),
        "longitude_deg": round(position.longitude_deg, 7),
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def written(line: Mapping[str, Any]) -> str:
    """As one line of JSON."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
