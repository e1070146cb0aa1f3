"""The parent of the watch workers: deals cameras out and starts again what died.

A spare worker, imported and compiled, always stands by: when one dies, the spare takes
its cameras at once and a new spare is started behind it, so the watch goes on within
the time to the next key picture. Each camera has a bounded queue of its own and a
worker is given few packets at a time, so a slow camera delays its neighbours by one
picture and no more. A worker that breaks the rules of the pipe is treated as dead.
"""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge

from almenara.console.api.health import WorkerHealth
from almenara.core.coast import Camera
from almenara.core.ids import CameraId
from almenara.core.media import Packet, StreamFormat
from almenara.core.time import Clock
from almenara.node.watch import frames
from almenara.node.watch.frames import Flag, FrameReader, Kind, Look
from almenara.node.watch.queue import LookQueue

log = structlog.get_logger()

LOOKS = Counter("almenara_looks_total", "Pictures judged.", ["camera_id"])
DROPPED = Counter(
    "almenara_looks_dropped_total", "Pictures the watch had no time for.", ["camera_id"]
)
DAMAGED = Counter(
    "almenara_pictures_damaged_total", "Could not be decoded.", ["camera_id"]
)
RESTARTS = Counter("almenara_watch_restarts_total", "Workers that died.")
WORKERS = Gauge("almenara_watch_workers", "Workers at their post.")

IN_FLIGHT = 4
"""Packets a worker holds: enough to keep it busy, few enough to stay fair."""

QUEUE_PACKETS = 20
STILL_EVERY = timedelta(seconds=10)
REST_AFTER_DEATHS = 5
"""A worker that died this often within the window is started with a pause."""

DEATH_WINDOW_S = 600.0
REST = timedelta(seconds=5)
STUCK_AFTER_S = 10.0

Seen = Callable[[Look], None]
Pictured = Callable[[CameraId, datetime, bytes], None]


@dataclass(slots=True, kw_only=True)
class Post:
    """One camera as the parent sees it."""

    number: int
    camera: Camera
    queue: LookQueue
    worker: int
    format: StreamFormat | None = None
    """What the worker was told last."""

    in_flight: deque[datetime] = field(default_factory=deque[datetime])
    still_at: datetime | None = None
    counted_drops: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """One child process and what it holds."""

    process: asyncio.subprocess.Process
    generation: int
    in_flight: int = 0
    answered_s: float = 0.0
    """Monotonic: when it last said something, or began to have something to say."""

    def send(self, data: bytes) -> None:
        """Hand bytes to the pipe; bounded by ``IN_FLIGHT`` packets per worker."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(data)


class WatchPool:
    """Watches cameras in ``count`` workers until cancelled."""

    def __init__(
        self, count: int, *, clock: Clock, seen: Sequence[Seen], pictured: Pictured
    ) -> None:
        self._count = count
        self._clock = clock
        self._seen = seen
        self._pictured = pictured
        self._posts: dict[CameraId, Post] = {}
        self._by_number: dict[int, Post] = {}
        self._workers: dict[int, Worker] = {}
        self._spares: asyncio.Queue[Worker] = asyncio.Queue()
        self._wanted = asyncio.Semaphore(count + 1)
        self._began_at = clock.now()
        self._since: dict[int, datetime] = {}
        self._restarts = [0] * count
        self._next_number = 0
        self._generation = 0
        self._turn = 0
        self._deaths: deque[float] = deque(maxlen=REST_AFTER_DEATHS)

    def health(self) -> tuple[WorkerHealth, ...]:
        """How the workers are, by place."""
        return tuple(self._health(place) for place in range(self._count))

    def _health(self, place: int) -> WorkerHealth:
        worker = self._workers.get(place)
        return WorkerHealth(
            worker=place,
            process_id=None if worker is None else worker.process.pid,
            state="starting" if worker is None else "working",
            since=self._since.get(place, self._began_at),
            restarts=self._restarts[place],
            cameras=tuple(c for c, p in self._posts.items() if p.worker == place),
        )

    def dropped(self, camera_id: CameraId) -> int:
        """Pictures of ``camera_id`` the watch gave up since the start."""
        post = self._posts.get(camera_id)
        return 0 if post is None else post.queue.dropped

    def watch(self, camera: Camera) -> None:
        """Begin to watch a camera, or take note of how it changed."""
        self.forget(camera.camera_id)
        load = [0] * self._count
        for post in self._posts.values():
            load[post.worker] += post.camera.lens.width_px * post.camera.lens.height_px
        number = self._next_number = (self._next_number + 1) % 0x10000
        post = Post(
            number=number,
            camera=camera,
            queue=LookQueue(QUEUE_PACKETS),
            worker=load.index(min(load)),
        )
        self._posts[camera.camera_id] = self._by_number[number] = post
        if worker := self._workers.get(post.worker):
            worker.send(frames.encode_watch(number, worker.generation, camera))

    def forget(self, camera_id: CameraId) -> None:
        """Watch a camera no longer."""
        post = self._posts.pop(camera_id, None)
        if post is None:
            return
        del self._by_number[post.number]
        if worker := self._workers.get(post.worker):
            worker.in_flight -= len(post.in_flight)
            worker.send(frames.encode_unwatch(post.number))

    def put(self, camera_id: CameraId, packet: Packet) -> None:
        """Offer a packet to the watch; never waits."""
        post = self._posts.get(camera_id)
        if post is None:
            return
        post.queue.put(packet)
        if drops := post.queue.dropped - post.counted_drops:
            DROPPED.labels(camera_id).inc(drops)
            post.counted_drops = post.queue.dropped
        self._deal(post.worker)

    def interrupt(self, camera_id: CameraId) -> None:
        """The stream broke: what follows does not continue what came before."""
        if post := self._posts.get(camera_id):
            post.queue.interrupt()

    def _deal(self, place: int) -> None:
        """Give a worker what it has room for, one packet per camera in turn."""
        worker = self._workers.get(place)
        if worker is None:
            return
        posts = [p for p in self._posts.values() if p.worker == place]
        idle = 0
        while posts and worker.in_flight < IN_FLIGHT and idle < len(posts):
            self._turn += 1
            post = posts[self._turn % len(posts)]
            queued = post.queue.take()
            if queued is None:
                idle += 1
                continue
            idle = 0
            packet = queued.packet
            if packet.format is not post.format:
                post.format = packet.format
                worker.send(frames.encode_format(post.number, packet.format))
            flags = Flag.RESTART * queued.restart
            if (
                post.still_at is None
                or packet.captured_at - post.still_at > STILL_EVERY
            ):
                post.still_at = packet.captured_at
                flags |= Flag.STILL
            worker.send(frames.encode_packet(post.number, packet, flags))
            if not worker.in_flight:
                worker.answered_s = self._clock.monotonic_s()
            worker.in_flight += 1
            post.in_flight.append(packet.captured_at)

    async def run(self) -> None:
        """Keep every place manned until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_a_spare())
            tasks.create_task(self._mind())
            for place in range(self._count):
                tasks.create_task(self._man(place))

    async def _man(self, place: int) -> None:
        while True:
            worker = await self._take_spare()
            self._enter(place, worker)
            try:
                await self._listen(place, worker)
            finally:
                self._leave(place)
                await _end(worker.process)
            self._deaths.append(self._clock.monotonic_s())
            RESTARTS.inc()
            self._restarts[place] += 1
            log.warning("watch_worker_died", place=place, pid=worker.process.pid)
            if self._dies_often():
                await self._clock.sleep(REST)

    def _dies_often(self) -> bool:
        if len(self._deaths) < REST_AFTER_DEATHS:
            return False
        return self._deaths[-1] - self._deaths[0] < DEATH_WINDOW_S

    def _enter(self, place: int, worker: Worker) -> None:
        self._workers[place] = worker
        self._since[place] = self._clock.now()
        WORKERS.set(len(self._workers))
        for post in self._posts.values():
            if post.worker == place:
                post.format = None
                post.in_flight.clear()
                post.queue.begin_anew()
                worker.send(
                    frames.encode_watch(post.number, worker.generation, post.camera)
                )
        self._deal(place)

    def _leave(self, place: int) -> None:
        self._workers.pop(place, None)
        WORKERS.set(len(self._workers))

    async def _listen(self, place: int, worker: Worker) -> None:
        reader = FrameReader.limited(frames.MAX_FROM_WORKER_BYTES)
        pipe = worker.process.stdout
        if pipe is None:
            return
        while data := await pipe.read(1 << 18):
            try:
                for kind, body in reader.feed(data):
                    self._hear(place, worker, kind, body)
            except frames.BrokenFrameError as error:
                log.error("watch_worker_broke_rules", place=place, reason=str(error))
                return
            self._deal(place)

    def _hear(self, place: int, worker: Worker, kind: Kind, body: bytes) -> None:
        if kind is Kind.STILL:
            post = self._post(place, int.from_bytes(body[:2], "big"))
            if post is not None and post.still_at is not None:
                self._pictured(post.camera.camera_id, post.still_at, body[2:])
            return
        if kind is not Kind.LOOK:
            raise frames.BrokenFrameError(f"unexpected {kind.name}")
        post = self._post(place, frames.look_number(body))
        if post is None:
            return
        look = frames.decode_look(body, post.camera.camera_id)
        if not post.in_flight or post.in_flight.popleft() != look.captured_at:
            raise frames.BrokenFrameError("an answer to what nobody asked")
        worker.in_flight -= 1
        worker.answered_s = self._clock.monotonic_s()
        LOOKS.labels(look.camera_id).inc(look.pictures)
        if look.fault is not None:
            DAMAGED.labels(look.camera_id).inc()
        for tell in self._seen:
            tell(look)

    def _post(self, place: int, number: int) -> Post | None:
        """The camera of a number; None if it was forgotten meanwhile."""
        post = self._by_number.get(number)
        if post is not None and post.worker != place:
            raise frames.BrokenFrameError("speaks for another worker's camera")
        return post

    async def _take_spare(self) -> Worker:
        while True:
            worker = await self._spares.get()
            self._wanted.release()
            if worker.process.returncode is None:
                return worker

    async def _keep_a_spare(self) -> None:
        try:
            while True:
                await self._wanted.acquire()
                while (worker := await self._hire()) is None:
                    log.error("watch_worker_did_not_start")
                    await self._clock.sleep(REST)
                await self._spares.put(worker)
        finally:
            while not self._spares.empty():
                await _end(self._spares.get_nowait().process)

    async def _mind(self) -> None:
        """A worker that sits on a packet for too long is stuck, and is ended."""
        while True:
            await self._clock.sleep(timedelta(seconds=1))
            now = self._clock.monotonic_s()
            for place, worker in tuple(self._workers.items()):
                if worker.in_flight and now - worker.answered_s > STUCK_AFTER_S:
                    log.error("watch_worker_stuck", place=place)
                    worker.process.kill()

    async def _hire(self) -> Worker | None:
        """Start a worker and wait until it is ready; None if it ends before."""
        self._generation += 1
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "almenara.node.watch.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        worker = Worker(process=process, generation=self._generation)
        ready = False
        try:
            if process.stdout is not None:
                # The first message is READY; nothing comes before work is given.
                head = await process.stdout.readexactly(frames.HEAD.size)
                ready = head == frames.framed(Kind.READY)
        except asyncio.IncompleteReadError:
            pass
        finally:
            if not ready:
                await _end(process)
        return worker if ready else None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what still runs and wait, so that nobody is left behind."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
