"""How the centre's eyes and hands are: cameras, receivers, watch workers, the recorder.

Every value has the time it is from; what is not known is None and never zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Depends

from almenara.console.gate import Caller, Gate, Needs
from almenara.console.wire import Instant, Number, Wire
from almenara.core.ids import CameraId, ReceiverId, StationId
from almenara.core.media import TimeSource
from almenara.detection import Condition
from almenara.evidence.access import Action, Header

ConnectionState = Literal["connecting", "live", "silent", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraHealth:
    """One camera now."""

    camera_id: CameraId
    state: ConnectionState
    since: datetime
    """When the state began."""

    last_packet_at: datetime | None = None
    declared_fps: float | None = None
    measured_fps: float | None = None
    looks_per_s: float | None = None
    """Pictures the watch really judged."""

    wanted_looks_per_s: float | None = None
    last_look_at: datetime | None = None
    """Capture time of the newest picture the watch judged."""

    dropped_looks: int = 0
    condition: Condition | None = None
    clock_source: TimeSource | None = None
    clock_offset_s: float | None = None
    """The camera's clock minus ours."""

    recording: bool = False
    recorded_until: datetime | None = None
    """Durable up to here."""

    decode_ms: float | None = None
    detect_ms: float | None = None
    detail: str | None = None
    """For an engineer, in English; never holds a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverHealth:
    """One receiver of AIS now."""

    receiver_id: ReceiverId
    state: ConnectionState
    since: datetime
    last_message_at: datetime | None = None
    messages_per_s: float | None = None
    rejected_sentences: int = 0
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """One watch worker now."""

    worker: int
    process_id: int | None = None
    state: Literal["starting", "working", "dead"]
    since: datetime
    restarts: int = 0
    cameras: tuple[CameraId, ...] = ()
    looks_per_s: float | None = None
    busy: float | None = None
    """Share of its time spent working, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderHealth:
    """The recorder now."""

    state: Literal["recording", "idle", "full", "failing"]
    since: datetime
    free_bytes: int | None = None
    written_bytes: int = 0
    """Since the node started."""

    waiting_bytes: int = 0
    """Received and not yet durable."""

    last_durable_at: datetime | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything at once, at ``at``."""

    at: datetime
    cameras: tuple[CameraHealth, ...] = ()
    receivers: tuple[ReceiverHealth, ...] = ()
    workers: tuple[WorkerHealth, ...] = ()
    recorder: RecorderHealth | None = None


class HealthBoard(Protocol):
    """What this resource needs from the rest of Almenara; the node provides it."""

    def latest(self) -> Health:
        """As of a second ago at most."""
        ...


class CameraHealthRow(Wire):
    """A camera's health on the wire."""

    camera_id: str
    state: str
    since: Instant
    last_packet_at: Instant | None
    declared_fps: Number
    measured_fps: Number
    looks_per_s: Number
    wanted_looks_per_s: Number
    last_look_at: Instant | None
    dropped_looks: int
    condition: str | None
    clock_source: str | None
    clock_offset_s: Number
    recording: bool
    recorded_until: Instant | None
    decode_ms: Number
    detect_ms: Number
    detail: str | None


class ReceiverHealthRow(Wire):
    """A receiver's health on the wire."""

    receiver_id: str
    state: str
    since: Instant
    last_message_at: Instant | None
    messages_per_s: Number
    rejected_sentences: int
    detail: str | None


class WorkerHealthRow(Wire):
    """A worker's health on the wire."""

    worker: int
    process_id: int | None
    state: str
    since: Instant
    restarts: int
    cameras: list[str]
    looks_per_s: Number
    busy: Number


class RecorderHealthRow(Wire):
    """The recorder's health on the wire."""

    state: str
    since: Instant
    free_bytes: int | None
    written_bytes: int
    waiting_bytes: int
    last_durable_at: Instant | None
    detail: str | None


class HealthSheet(Wire):
    """Everything at once, on the wire."""

    at: Instant
    cameras: list[CameraHealthRow]
    receivers: list[ReceiverHealthRow]
    workers: list[WorkerHealthRow]
    recorder: RecorderHealthRow | None


StationOf = Callable[[str], StationId | None]
"""The station that a camera or receiver stands on; None if there is no such sensor."""


def health_sheet(health: Health, caller: Caller, station_of: StationOf) -> HealthSheet:
    """What this person may know of it, on the wire."""

    def theirs(kind: str, sensor_id: str) -> bool:
        header = Header(kind=kind, id=sensor_id, station_id=station_of(sensor_id))
        return caller.sees(Action.HEALTH_READ, header)

    return HealthSheet(
        at=health.at,
        cameras=[
            CameraHealthRow.model_validate(camera)
            for camera in health.cameras
            if theirs("camera", camera.camera_id)
        ],
        receivers=[
            ReceiverHealthRow.model_validate(receiver)
            for receiver in health.receivers
            if theirs("receiver", receiver.receiver_id)
        ],
        workers=[WorkerHealthRow.model_validate(w) for w in health.workers],
        recorder=RecorderHealthRow.model_validate(health.recorder)
        if health.recorder
        else None,
    )


def router(board: HealthBoard, station_of: StationOf, gate: Gate) -> APIRouter:
    """Bind the handler to a board."""
    api = APIRouter(prefix="/health", tags=["health"])
    reads = Needs(gate, Action.HEALTH_READ, passive=True)

    @api.get("")
    async def sheet(caller: Annotated[Caller, Depends(reads)]) -> HealthSheet:
        return health_sheet(board.latest(), caller, station_of)

    return api
