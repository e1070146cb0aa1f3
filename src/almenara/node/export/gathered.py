"""Everything a package says, gathered from the store before the first byte is written.

What a person may later ask of the package (which stations, who looked, which alarms,
where contacts were) is read once, at one moment, and does not change while clips are
written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import TypeAdapter

from almenara.core.coast import Station
from almenara.core.errors import ExportError
from almenara.core.ids import AlarmId, CameraId, StreamId
from almenara.evidence.audit import RecordedEntry
from almenara.evidence.disclosure import Request
from almenara.evidence.package import AisRow, TrackRow, document, text_of
from almenara.incidents.alarm import Alarm, Alert
from almenara.node.store.alarms import TrailStep

_ALERTS: TypeAdapter[tuple[Alert, ...]] = TypeAdapter(tuple[Alert, ...])

Tracks = Callable[[datetime, datetime], list[TrackRow]]
AisReports = Callable[[datetime, datetime], list[AisRow]]


class Registry(Protocol):
    """Where stations are kept."""

    async def load(self) -> tuple[Station, ...]:
        """The newest version."""
        ...


class Alarms(Protocol):
    """Where alarms are kept."""

    async def between(self, start: datetime, end: datetime) -> tuple[Alarm, ...]:
        """Every alarm that was open at some moment of [start, end)."""
        ...

    async def trail(self, alarm_id: AlarmId) -> tuple[TrailStep, ...]:
        """What happened to it, oldest first."""
        ...


class Accesses(Protocol):
    """Where acts are kept."""

    async def about(
        self, object_ids: Sequence[str], start: datetime, end: datetime
    ) -> tuple[RecordedEntry, ...]:
        """Every act with these things that touches [start, end), oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """What there is to gather from."""

    registry: Registry
    alarms: Alarms
    accesses: Accesses
    tracks: Tracks
    ais: AisReports | None = None
    """None: no position reports are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What the documents of a package are made of."""

    stations: tuple[Station, ...]
    streams: Mapping[CameraId, StreamId]
    """The recorded stream of each camera that was asked for."""

    entries: tuple[RecordedEntry, ...]
    alarms: tuple[tuple[Alarm, tuple[TrailStep, ...]], ...]
    tracks: tuple[TrackRow, ...]
    ais: tuple[AisRow, ...]

    @property
    def is_simulated(self) -> bool:
        """Whether any of the stations is made, not built."""
        wanted = set(self.streams)
        return any(
            station.simulated
            for station in self.stations
            if any(camera.camera_id in wanted for camera in station.cameras)
        )


async def gather(archives: Archives, request: Request) -> Gathered:
    """Read everything once.

    Raises:
        ExportError: A camera is not of this centre.
    """
    stations = await archives.registry.load()
    streams = streams_of(stations, request.camera_ids)
    start, end = request.start, request.end
    alarms = await archives.alarms.between(start, end)
    things = [*request.camera_ids, *streams.values(), request.digest]
    return Gathered(
        stations=stations,
        streams=streams,
        entries=await archives.accesses.about(things, start, end),
        alarms=tuple([(a, await archives.alarms.trail(a.alarm_id)) for a in alarms]),
        tracks=tuple(archives.tracks(start, end)),
        ais=tuple(archives.ais(start, end)) if archives.ais else (),
    )


def streams_of(
    stations: Sequence[Station], camera_ids: Sequence[CameraId]
) -> Mapping[CameraId, StreamId]:
    """The recorded stream of each camera.

    Raises:
        ExportError: A camera is not of this centre.
    """
    known = {
        camera.camera_id: camera.main.stream_id
        for station in stations
        for camera in station.cameras
    }
    if missing := [camera_id for camera_id in camera_ids if camera_id not in known]:
        raise ExportError(
            f"{', '.join(missing)}: no camera of this centre; "
            "see: almenara station list"
        )
    return {camera_id: known[camera_id] for camera_id in camera_ids}


def alarms_document(gathered: Gathered) -> bytes:
    """``alarms.json``: each alarm with its reasons and what became of it."""
    return document({"alarms": [_alarm(*pair) for pair in gathered.alarms]})


def _alarm(alarm: Alarm, trail: Sequence[TrailStep]) -> dict[str, Any]:
    return {
        "alarm_id": alarm.alarm_id,
        "subject": {"kind": alarm.subject.kind.value, "id": alarm.subject.id},
        "is_rescue": alarm.is_rescue,
        "priority": int(alarm.priority),
        "raised_at": text_of(alarm.raised_at),
        "alerts": _without_nan(_ALERTS.dump_python(alarm.alerts, mode="json")),
        "trail": [
            {
                "at": text_of(step.at),
                "event": step.event,
                "state_after": step.state_after.value,
                "person_id": step.person_id,
            }
            for step in trail
        ],
    }


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN: what nobody knows is null."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if value != value else value  # noqa: PLR0124  # only NaN differs
