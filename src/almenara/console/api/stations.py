"""What stands on the shore: stations, cameras, zones; adding, removing and probing.

An address is judged by the port before anything is opened; a credential never stands in
an address and never comes back.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from almenara.console.gate import AuditLog, Caller, Gate, Needs
from almenara.console.problems import Problem, not_found
from almenara.console.wire import (
    Body,
    Identifier,
    Number,
    Place,
    PlaceBody,
    Wire,
)
from almenara.core.coast import Camera, Pose, Scene, SensorKind, Station, WatchZone
from almenara.core.errors import (
    AddressRefusedError,
    StationRejectedError,
    StationUnreachableError,
)
from almenara.core.ids import CameraId, StationId
from almenara.core.media import Codec, StreamFormat, TimeSource
from almenara.core.values import Position
from almenara.evidence.access import Action, Header
from almenara.evidence.audit import AuditEntry, AuditObject
from almenara.geo.sea_surface import horizon_range_m


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCamera:
    """What somebody says of a camera to be added; its format is probed."""

    camera_id: CameraId | None
    """None: the desk makes one up."""

    sensor: SensorKind
    scene: Scene
    pose: Pose
    hfov_deg: float
    url: str
    analysis_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a source turned out to be."""

    codec: Codec
    width_px: int
    height_px: int
    fps: float | None
    """Measured, not declared; None if too few pictures came."""

    clock: TimeSource


class StationDesk(Protocol):
    """What this resource needs from the rest of Almenara; the node provides it."""

    def stations(self) -> tuple[Station, ...]:
        """As of now."""
        ...

    def zones(self) -> tuple[WatchZone, ...]:
        """As of now."""
        ...

    def formats(self) -> Mapping[CameraId, StreamFormat]:
        """The main stream's format of each camera that has shown one."""
        ...

    async def add_camera(
        self, station_id: StationId, camera: NewCamera, *, entry: AuditEntry
    ) -> Camera:
        """Check the address, probe it, keep it with ``entry``, start watching.

        Raises:
            AddressRefusedError: Nothing was opened.
            StationUnreachableError: The source does not answer.
            StationRejectedError: It answers, and refuses or cannot be used.
            CameraExistsError: The id is taken.
        """
        ...

    async def remove_camera(self, camera_id: CameraId, *, entry: AuditEntry) -> None:
        """Stop watching and forget it; its recordings stay."""
        ...

    async def probe(self, url: str, *, entry: AuditEntry) -> Probe:
        """Open a source for some seconds and say what it is; raises as above.

        ``entry`` is written already, before anything is opened.
        """
        ...


class CameraExistsError(Exception):
    """A camera of this id is there already."""


class CameraRow(Wire):
    """A camera on the wire; its address stays in the house."""

    camera_id: str
    sensor: str
    scene: str
    position: Place
    azimuth_deg: float
    hfov_deg: float
    height_m: float
    horizon_m: Number
    width_px: int
    height_px: int
    codec: str | None


class ReceiverRow(Wire):
    """A receiver on the wire."""

    receiver_id: str


class StationRow(Wire):
    """A station on the wire."""

    station_id: str
    name: str
    kind: str
    position: Place
    simulated: bool
    cameras: list[CameraRow]
    receivers: list[ReceiverRow]


class StationList(Wire):
    """An object, never a bare array."""

    items: list[StationRow]


class ZoneRow(Wire):
    """A watch zone on the wire."""

    zone_id: str
    name: str
    vertices: list[Place]


class ZoneList(Wire):
    """An object, never a bare array."""

    items: list[ZoneRow]


class ProbeBody(Body):
    """A source to be looked at."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]


class ProbeRow(Wire):
    """What it turned out to be."""

    codec: str
    width_px: int
    height_px: int
    fps: Number
    clock: str


class CameraBody(ProbeBody):
    """A camera to be added."""

    camera_id: Identifier | None = None
    sensor: SensorKind = SensorKind.DAY
    scene: Scene = Scene.SEA
    position: PlaceBody | None = None
    """None: where the station stands."""

    height_m: Annotated[float, Field(gt=0, le=5000)]
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)]
    tilt_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0
    roll_deg: Annotated[float, Field(ge=-45, le=45)] = 0.0
    hfov_deg: Annotated[float, Field(gt=0, le=120)]
    analysis_url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


def camera_row(camera: Camera, stream: StreamFormat | None) -> CameraRow:
    """A camera as the wire shows it."""
    codec: Literal["h264", "h265"] | None = stream.codec.value if stream else None
    return CameraRow(
        camera_id=camera.camera_id,
        sensor=camera.sensor,
        scene=camera.scene,
        position=Place.model_validate(camera.pose.position),
        azimuth_deg=camera.pose.azimuth_deg,
        hfov_deg=camera.lens.hfov_deg,
        height_m=camera.pose.height_m,
        horizon_m=horizon_range_m(camera.pose.height_m),
        width_px=stream.width_px if stream else camera.lens.width_px,
        height_px=stream.height_px if stream else camera.lens.height_px,
        codec=codec,
    )


def station_row(
    station: Station, formats: Mapping[CameraId, StreamFormat]
) -> StationRow:
    """A station as the wire shows it."""
    return StationRow(
        station_id=station.station_id,
        name=station.name,
        kind=station.kind,
        position=Place.model_validate(station.position),
        simulated=station.simulated,
        cameras=[camera_row(c, formats.get(c.camera_id)) for c in station.cameras],
        receivers=[ReceiverRow.model_validate(r) for r in station.receivers],
    )


def header_of(station: Station) -> Header:
    """What the gate knows of a station."""
    return Header(kind="station", id=station.station_id, station_id=station.station_id)


def station_of(desk: StationDesk, sensor_id: str) -> StationId | None:
    """The station that a camera or receiver stands on; None if there is no such one."""
    for station in desk.stations():
        sensors: tuple[str, ...] = (
            *(camera.camera_id for camera in station.cameras),
            *(receiver.receiver_id for receiver in station.receivers),
            *(radar.receiver_id for radar in station.radars),
        )
        if sensor_id in sensors:
            return station.station_id
    return None


def camera_header(desk: StationDesk, camera_id: CameraId) -> Header:
    """What the gate knows of a camera.

    Raises:
        Problem: 404, if there is no such camera.
    """
    station_id = station_of(desk, camera_id)
    if station_id is None:
        raise not_found()
    return Header(kind="camera", id=camera_id, station_id=station_id)


def router(desk: StationDesk, audit: AuditLog, gate: Gate) -> APIRouter:
    """Bind the handlers to a desk."""
    api = APIRouter(tags=["stations"])
    reads = Needs(gate, Action.STATION_READ)
    changes = Needs(gate, Action.STATION_CHANGE)
    probes = Needs(gate, Action.STATION_PROBE)

    @api.get("/stations")
    async def stations(caller: Annotated[Caller, Depends(reads)]) -> StationList:
        formats = desk.formats()
        return StationList(
            items=[
                station_row(station, formats)
                for station in desk.stations()
                if caller.sees(Action.STATION_READ, header_of(station))
            ]
        )

    @api.get("/zones")
    async def zones(_: Annotated[Caller, Depends(reads)]) -> ZoneList:
        return ZoneList(items=[ZoneRow.model_validate(z) for z in desk.zones()])

    @api.post("/stations/probe")
    async def probe(
        body: ProbeBody, caller: Annotated[Caller, Depends(probes)]
    ) -> ProbeRow:
        # The address is not written down: it may hold somebody's secret.
        entry = caller.entry(
            Action.STATION_PROBE, AuditObject(kind="source", id="unregistered")
        )
        await audit.record(entry)
        async with _refusals():
            found = await desk.probe(body.url, entry=entry)
        return ProbeRow.model_validate(found)

    @api.post("/stations/{station_id}/cameras", status_code=201)
    async def add(
        station_id: Annotated[StationId, Path(max_length=200)],
        body: CameraBody,
        caller: Annotated[Caller, Depends(changes)],
    ) -> CameraRow:
        station = next((s for s in desk.stations() if s.station_id == station_id), None)
        if station is None:
            raise not_found()
        await caller.must(Action.STATION_CHANGE, header_of(station))
        thing = AuditObject(kind="station", id=station_id)
        entry = caller.entry(Action.STATION_CHANGE, thing, act="camera.add")
        async with _refusals():
            camera = await desk.add_camera(
                station_id, _new_camera(body, station), entry=entry
            )
        return camera_row(camera, desk.formats().get(camera.camera_id))

    @api.delete("/cameras/{camera_id}", status_code=204)
    async def remove(
        camera_id: Annotated[CameraId, Path(max_length=200)],
        caller: Annotated[Caller, Depends(changes)],
    ) -> None:
        await caller.must(Action.STATION_CHANGE, camera_header(desk, camera_id))
        thing = AuditObject(kind="camera", id=camera_id)
        entry = caller.entry(Action.STATION_CHANGE, thing, act="camera.remove")
        await desk.remove_camera(camera_id, entry=entry)

    return api


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    """What a source may do wrong, as problems; never repeats the address."""
    try:
        yield
    except CameraExistsError:
        raise Problem(409, "camera.exists", "a camera of this id is there") from None
    except AddressRefusedError as error:
        raise Problem(422, error.code, "this address is not allowed here") from None
    except (StationUnreachableError, StationRejectedError) as error:
        raise Problem(422, error.code, "the source did not give a picture") from None


def _new_camera(body: CameraBody, station: Station) -> NewCamera:
    at = body.position
    position = Position(**at.model_dump()) if at else station.position
    return NewCamera(
        camera_id=CameraId(body.camera_id) if body.camera_id else None,
        sensor=body.sensor,
        scene=body.scene,
        pose=Pose(
            position=position,
            height_m=body.height_m,
            azimuth_deg=body.azimuth_deg,
            tilt_deg=body.tilt_deg,
            roll_deg=body.roll_deg,
        ),
        hfov_deg=body.hfov_deg,
        url=body.url,
        analysis_url=body.analysis_url,
    )
