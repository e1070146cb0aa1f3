"""How every sensor, worker and the recorder is: noted at once, drawn twice a second.

Each stream has a ``stations.health.StreamHealth`` that its session tells what happens;
this book adds what the watch and the recorder say and writes the sheet the console
shows and the facts the rules judge. What was not heard of is None and never zero.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from almenara.console.api.health import (
    CameraHealth,
    Health,
    ReceiverHealth,
    RecorderHealth,
    WorkerHealth,
)
from almenara.core.coast import AisReceiver, Camera, Radar, Sensor, Station
from almenara.core.ids import CameraId, ReceiverId, StreamId
from almenara.core.media import Packet, StreamFormat
from almenara.core.time import Clock
from almenara.detection import Condition
from almenara.incidents.doubts import CameraFacts
from almenara.node.watch.frames import Look
from almenara.stations.health import LinkState, StreamHealth

RATE_WINDOW_S = 10.0
RECORDS_WITHIN = timedelta(seconds=8)
"""A fragment is at most two seconds long and durable soon after."""


class Rate:
    """Events per second over the last ten seconds."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._times: deque[float] = deque(maxlen=4096)

    def note(self, now_s: float, count: int = 1) -> None:
        """Something happened ``count`` times."""
        self._times.extend([now_s] * count)

    def per_s(self, now_s: float) -> float | None:
        """The rate now; None in the first two seconds, when there is nothing to say."""
        while self._times and self._times[0] < now_s - RATE_WINDOW_S:
            self._times.popleft()
        window_s = min(RATE_WINDOW_S, now_s - self._started_s)
        return len(self._times) / window_s if window_s >= 2.0 else None


@dataclass(slots=True, kw_only=True)
class _CameraPage:
    camera: Camera
    link: StreamHealth
    looks: Rate
    packet: Packet | None = None
    look: Look | None = None
    looked_at: datetime | None = None
    condition: Condition = Condition.LEARNING
    condition_s: float


@dataclass(slots=True, kw_only=True)
class _ReceiverPage:
    receiver: AisReceiver | Radar
    link: StreamHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the book asks of others when it draws the sheet."""

    durable_until: Callable[[StreamId], datetime | None]
    dropped_looks: Callable[[CameraId], int]
    recorder: Callable[[], RecorderHealth]
    workers: Callable[[], tuple[WorkerHealth, ...]]


@dataclass(slots=True, kw_only=True)
class HealthBook:
    """Takes notes; fulfils ``console.api.health.HealthBoard``."""

    clock: Clock
    wanted_looks_per_s: float
    outside: Outside | None = None
    """Whom to ask for what is not noted here; known once everything is put together."""

    awaited: set[CameraId] = field(default_factory=set[CameraId])
    """Simulated cameras whose pictures are still being made: not silent, not yet there.
    """

    _cameras: dict[CameraId, _CameraPage] = field(default_factory=dict)
    _receivers: dict[ReceiverId, _ReceiverPage] = field(default_factory=dict)
    _sheet: Health | None = None

    def watch(self, stations: tuple[Station, ...]) -> None:
        """Open a page for each new sensor; close those of sensors that are gone."""
        cameras = {c.camera_id: c for s in stations for c in s.cameras}
        receivers: dict[ReceiverId, AisReceiver | Radar] = {
            r.receiver_id: r for s in stations for r in s.listeners
        }
        now_s = self.clock.monotonic_s()
        for name, page in self._cameras.items():
            page.camera = cameras.get(name, page.camera)
        self._cameras = {
            name: self._cameras.get(name)
            or _CameraPage(
                camera=camera,
                link=StreamHealth(self.clock),
                looks=Rate(now_s),
                condition_s=now_s,
            )
            for name, camera in cameras.items()
        }
        self._receivers = {
            name: self._receivers.get(name)
            or _ReceiverPage(receiver=receiver, link=StreamHealth(self.clock))
            for name, receiver in receivers.items()
        }

    def link(self, sensor: Sensor) -> StreamHealth:
        """Whom the session of a sensor's main stream tells how it goes."""
        if isinstance(sensor, Camera):
            return self._cameras[sensor.camera_id].link
        return self._receivers[sensor.receiver_id].link

    def ready(self, camera_id: CameraId) -> None:
        """A simulated camera has its pictures now: from here on it must send."""
        self.awaited.discard(camera_id)
        if page := self._cameras.get(camera_id):
            page.link.expected()

    def packet(self, camera_id: CameraId, packet: Packet) -> None:
        """A picture of the main stream arrived."""
        if page := self._cameras.get(camera_id):
            page.packet = packet

    def look(self, look: Look) -> None:
        """The watch judged a picture, or tried to."""
        page = self._cameras.get(look.camera_id)
        if page is None:
            return
        now_s = self.clock.monotonic_s()
        page.look = look
        page.looks.note(now_s, look.pictures)
        if look.pictures:
            page.looked_at = look.captured_at
            if look.condition is not page.condition:
                page.condition, page.condition_s = look.condition, now_s

    def formats(self) -> dict[CameraId, StreamFormat]:
        """The main stream's format of each camera that has shown one."""
        return {
            name: page.packet.format
            for name, page in self._cameras.items()
            if page.packet is not None
        }

    def facts(self) -> tuple[CameraFacts, ...]:
        """What the rules ask of the cameras, as of now."""
        now_s = self.clock.monotonic_s()
        return tuple(
            CameraFacts(
                camera_id=name,
                silent_for=page.link.quiet_for(),
                condition=page.condition,
                condition_for=timedelta(seconds=now_s - page.condition_s),
                camera=page.camera,
            )
            for name, page in self._cameras.items()
            if name not in self.awaited
        )

    def latest(self) -> Health:
        return self._sheet or self.draw()

    def draw(self) -> Health:
        """Write the sheet; called once a second."""
        self._sheet = Health(
            at=self.clock.now(),
            cameras=tuple(map(self._camera, self._cameras.values())),
            receivers=tuple(map(self._receiver, self._receivers.values())),
            workers=self.outside.workers() if self.outside else (),
            recorder=self.outside.recorder() if self.outside else None,
        )
        return self._sheet

    def _camera(self, page: _CameraPage) -> CameraHealth:
        camera_id, link = page.camera.camera_id, page.link.report()
        if camera_id in self.awaited:
            link = replace(link, state=LinkState.CONNECTING, detail="being rendered")
        until = dropped = None
        if self.outside is not None:
            until = self.outside.durable_until(page.camera.main.stream_id)
            dropped = self.outside.dropped_looks(camera_id)
        return CameraHealth(
            camera_id=camera_id,
            state=link.state.value,
            since=link.since,
            last_packet_at=link.last_packet_at,
            declared_fps=link.declared_fps,
            measured_fps=link.measured_fps,
            looks_per_s=page.looks.per_s(self.clock.monotonic_s()),
            wanted_looks_per_s=self.wanted_looks_per_s,
            last_look_at=page.looked_at,
            dropped_looks=dropped or 0,
            condition=page.condition if page.look else None,
            clock_source=link.clock_source,
            clock_offset_s=link.clock_offset_s,
            recording=until is not None and self.clock.now() - until < RECORDS_WITHIN,
            recorded_until=until,
            decode_ms=page.look.decode_ms if page.look else None,
            detect_ms=page.look.detect_ms if page.look else None,
            detail=link.detail or None,
        )

    def _receiver(self, page: _ReceiverPage) -> ReceiverHealth:
        link = page.link.report()
        return ReceiverHealth(
            receiver_id=page.receiver.receiver_id,
            state=link.state.value,
            since=link.since,
            last_message_at=link.last_packet_at,
            messages_per_s=link.measured_fps,
            detail=link.detail or None,
        )
