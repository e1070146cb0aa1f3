"""The pool with real workers: what they see, and what happens when they die."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice

import pytest

from almenara.core.ids import CameraId
from almenara.node.clock import SystemClock
from almenara.node.watch.frames import Look
from almenara.node.watch.pool import WatchPool
from tests.node.watch.film import one_boat, packets, thermal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PATIENCE_S = 90
"""Only that it happens is asserted: this machine may be busy."""


class Watched:
    """A pool, and what it says."""

    def __init__(self, workers: int) -> None:
        self.looks: list[Look] = []
        self.stills: Counter[str] = Counter()
        self.put: Counter[str] = Counter()
        self.pool = WatchPool(
            workers,
            clock=SystemClock(),
            seen=(self.looks.append,),
            pictured=lambda camera_id, _, jpeg: self.stills.update(
                {camera_id: len(jpeg) > 100}
            ),
        )

    def of(self, name: str) -> list[Look]:
        return [look for look in self.looks if look.camera_id == name]

    def pid(self, name: str) -> int | None:
        for worker in self.pool.health():
            if CameraId(name) in worker.cameras:
                return worker.process_id
        return None

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - polled: it happens in other processes
                await asyncio.sleep(0.02)

    async def film(self, *names: str) -> None:
        """Offer the film without end, as fast as it is looked at."""
        streams = {name: packets(one_boat(), name=name) for name in names}
        while True:
            for name, stream in streams.items():
                behind = self.put[name] - len(self.of(name))
                lost = self.pool.dropped(CameraId(name))
                if self.pid(name) is not None and behind - lost < 8:
                    self.pool.put(CameraId(name), next(stream))
                    self.put[name] += 1
            await asyncio.sleep(0.002)


@asynccontextmanager
async def watching(workers: int, *names: str) -> AsyncIterator[Watched]:
    """A pool with cameras and their film, ended afterwards."""
    watched = Watched(workers)
    for name in names:
        watched.pool.watch(thermal(name))
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(watched.pool.run()),
            tasks.create_task(watched.film(*names)),
        ]
        try:
            yield watched
        finally:
            for task in running:
                task.cancel()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_boat_is_seen_and_nobody_is_left_behind():
    async with watching(1, "one") as watched:
        await watched.until(lambda: any(look.observations for look in watched.looks))
        pids = [w.process_id for w in watched.pool.health() if w.process_id]

    assert watched.stills["one"]
    assert not any(map(alive, pids))


async def test_a_killed_worker_is_replaced_and_the_other_loses_no_look():
    async with watching(2, "one", "two") as watched:
        await watched.until(
            lambda: (
                any(k.observations for k in watched.of("one"))
                and any(k.observations for k in watched.of("two"))
            )
        )
        victim = watched.pid("one")
        assert victim is not None
        assert victim != watched.pid("two")
        os.kill(victim, signal.SIGKILL)
        await watched.until(lambda: watched.pid("one") not in (None, victim))
        again = len(watched.of("one"))
        await watched.until(
            lambda: any(k.observations for k in watched.of("one")[again:])
        )
        others = watched.of("two")
        lost = watched.pool.dropped(CameraId("two"))

        assert sorted(w.restarts for w in watched.pool.health()) == [0, 1]

    assert lost == 0
    film = islice(packets(one_boat(), name="two"), len(others))
    assert [look.captured_at for look in others] == [p.captured_at for p in film]
    generations = {
        seen.local_track_id.split(".")[1]
        for look in watched.of("one")
        for seen in look.observations
    }
    assert len(generations) == 2


async def test_numbers_of_local_tracks_are_never_used_again():
    async with watching(1, "one") as watched:
        await watched.until(lambda: any(k.observations for k in watched.looks))
        before = {s.local_track_id for k in watched.looks for s in k.observations}
        victim = watched.pid("one")
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await watched.until(lambda: watched.pid("one") not in (None, victim))
        seen = len(watched.looks)
        await watched.until(lambda: any(k.observations for k in watched.looks[seen:]))

    after = {s.local_track_id for k in watched.looks[seen:] for s in k.observations}
    assert before.isdisjoint(after)


async def test_damaged_packets_are_faults_and_the_worker_lives():
    async with watching(1, "one") as watched:
        await watched.until(lambda: len(watched.looks) > 5)
        pid = watched.pid("one")
        bad = replace(next(packets(one_boat())), nal_units=(b"\x65" + b"\xff" * 99,))
        watched.pool.put(CameraId("one"), bad)
        watched.put["one"] += 1
        await watched.until(lambda: any(look.fault for look in watched.looks))
        good = len(watched.looks)
        await watched.until(lambda: any(k.pictures for k in watched.looks[good:]))

        assert watched.pid("one") == pid


async def test_cameras_come_and_go_while_the_others_are_watched():
    async with watching(1, "one", "two") as watched:
        await watched.until(lambda: bool(watched.of("one") and watched.of("two")))
        for _ in range(3):
            watched.pool.forget(CameraId("two"))
            watched.pool.watch(thermal("two"))
        watched.pool.forget(CameraId("two"))
        seen = len(watched.of("one"))
        await watched.until(lambda: len(watched.of("one")) > seen + 20)

        assert watched.pool.health()[0].restarts == 0


GARBAGE = {
    "noise": "out.write(bytes(range(256)) * 9)",
    "no_number": "out.write(framed(Kind.LOOK, b'{}'))",
    "deep": "out.write(framed(Kind.LOOK, b'[' * 100000))",
    "unasked": "out.write(framed(Kind.LOOK,"
    " b'[1, 0, 1, \"good\", 0, 1, 1, null, []]'))",
    "huge": "out.write(b'\\x0b\\xff\\xff\\xff\\xff')",
    "mute": "raise SystemExit",
}


@pytest.mark.parametrize("lie", GARBAGE)
async def test_a_worker_that_breaks_the_rules_is_replaced(tmp_path, monkeypatch, lie):
    """The first lies as soon as it has work; those after it are honest."""
    liar = tmp_path / "liar"
    liar.write_text(
        f"""#!{sys.executable}
import os, sys
flag = {str(tmp_path / "lied")!r}
if os.path.exists(flag):
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
open(flag, "w").close()
from almenara.node.watch.frames import Kind, framed
out = sys.stdout.buffer
out.write(framed(Kind.READY))
out.flush()
sys.stdin.buffer.read(4096)
{GARBAGE[lie]}
out.flush()
sys.stdin.buffer.read()
"""
    )
    liar.chmod(0o755)
    monkeypatch.setattr("almenara.node.watch.pool.sys.executable", str(liar))
    async with watching(1, "one") as watched:
        await watched.until(lambda: any(k.pictures for k in watched.looks))

        assert watched.pool.health()[0].restarts == 1
