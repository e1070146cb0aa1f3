"""The watch worker: as a function, and as the confined process it really is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import pytest

from almenara.core.media import Codec, Packet
from almenara.node.watch import frames
from almenara.node.watch.frames import Flag, FrameReader, Kind, Look
from almenara.node.watch.worker import Post, answers
from almenara.simulation.geometry import Eye
from almenara.simulation.world import state_at
from tests.node.watch.film import SCENARIO, one_boat, packets, thermal
from tests.stations.pictures import clip

pytestmark = pytest.mark.slow
CAMERA = thermal()
WATCH = frames.encode_watch(7, 3, CAMERA)


def cut(wire: bytes) -> list[tuple[Kind, bytes]]:
    return list(FrameReader.limited(1 << 24).feed(wire))


@dataclass
class Inside:
    """A worker's posts without the process."""

    posts: dict[int, Post]

    def tell(self, wire: bytes) -> list[tuple[Kind, bytes]]:
        said = [
            answer
            for kind, body in cut(wire)
            for answer in answers(self.posts, kind, body)
        ]
        return cut(b"".join(said))

    def look(self, packet: Packet, flags: int = 0) -> Look:
        ((kind, body), *_) = self.tell(frames.encode_packet(7, packet, flags))
        assert kind is Kind.LOOK
        return frames.decode_look(body, CAMERA.camera_id)


@pytest.fixture
def inside() -> Inside:
    worker = Inside({})
    worker.tell(WATCH)
    return worker


class Child:
    """The real process, spoken to over its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._reader = FrameReader.limited(frames.MAX_FROM_WORKER_BYTES)
        self._said: list[tuple[Kind, bytes]] = []

    def tell(self, *wires: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(wires))
        self.process.stdin.flush()

    def next(self) -> tuple[Kind, bytes]:
        assert self.process.stdout is not None
        while not self._said:
            data = cast("bytes", self.process.stdout.read1(1 << 16))  # type: ignore[attr-defined]  # a pipe is buffered
            assert data, "the worker ended"
            self._said += self._reader.feed(data)
        return self._said.pop(0)

    def look(self) -> Look:
        kind, body = self.next()
        while kind is not Kind.LOOK:
            kind, body = self.next()
        return frames.decode_look(body, CAMERA.camera_id)


LISTENING = """
import sys
from almenara.node.watch import worker

def told(event, values):
    if event in ("import", "open"):
        print(event, values[0], file=sys.stderr, flush=True)

def confine(size, real=worker.confine):
    walls = real(size)
    sys.addaudithook(told)
    return walls

worker.confine = confine
worker.main()
"""
"""The worker, saying what it imports or opens once the walls stand."""

WORKER = ("-m", "almenara.node.watch.worker")


@contextmanager
def child(*command: str, errors: int | None = None) -> Iterator[Child]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, *(command or WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
    ) as process:
        worker = Child(process)
        try:
            assert worker.next() == (Kind.READY, b"")
            yield worker
        finally:
            process.kill()


def shown(worker: Inside, count: int) -> list[Look]:
    film = islice(packets(one_boat()), count)
    looks: list[Look] = []
    for packet in film:
        if not looks:
            worker.tell(frames.encode_format(7, packet.format))
        looks.append(worker.look(packet, Flag.RESTART * (not looks)))
    return looks


def test_every_packet_is_answered_and_the_boat_is_where_it_is(inside: Inside):
    looks = shown(inside, 300)

    assert [look.captured_at for look in looks] == [
        packet.captured_at for packet in islice(packets(one_boat()), 300)
    ]
    assert all(look.pictures == 1 and look.fault is None for look in looks)
    last = looks[-1]
    (boat,) = (s for s in state_at(SCENARIO, 29.9) if s.thing_id == "boat")
    truth = Eye(CAMERA).sees(boat.position)
    assert truth is not None
    nearest = min(
        abs((box[0] + box[2]) / 2 - truth[0])
        for seen in last.observations
        if (box := seen.box_px) is not None
    )
    assert nearest < 8
    assert all(s.local_track_id.endswith(".3.1") for s in last.observations)


def test_pictures_smaller_than_the_lens_says_point_the_same_way(inside: Inside):
    """A watched profile of another size: angles come from the pictures' own size."""
    small = shown(inside, 250)[-1]
    other = Inside({})
    double = thermal()
    lens = double.lens
    object.__setattr__(
        double,
        "lens",
        type(lens)(
            width_px=2 * lens.width_px,
            height_px=2 * lens.height_px,
            hfov_deg=lens.hfov_deg,
        ),
    )
    other.tell(frames.encode_watch(7, 3, double))
    large = shown(other, 250)[-1]

    assert small.observations
    assert [s.azimuth_deg for s in large.observations] == pytest.approx(
        [s.azimuth_deg for s in small.observations]
    )


def test_a_picture_before_its_format_is_answered_with_a_fault(inside: Inside):
    look = inside.look(next(packets(one_boat())))

    assert look.pictures == 0
    assert look.fault is not None


def test_a_camera_that_is_forgotten_begins_anew(inside: Inside):
    shown(inside, 3)
    inside.tell(frames.encode_unwatch(7))
    assert inside.posts == {}
    inside.tell(frames.encode_unwatch(7))


def test_a_reference_is_decoded_and_not_looked_at(inside: Inside):
    (packet,) = islice(packets(one_boat()), 1)
    inside.tell(frames.encode_format(7, packet.format))

    assert inside.look(packet, Flag.RESTART | Flag.REFERENCE).pictures == 0


def test_the_walls_stand_before_the_first_byte():
    with child() as worker:
        status = Path(f"/proc/{worker.process.pid}/status").read_text("ascii")
        limits = Path(f"/proc/{worker.process.pid}/limits").read_text("ascii")

    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
    assert "Max core file size        0 " in limits
    assert "Max file size             0 " in limits


def test_all_that_pictures_need_works_inside_the_walls():
    """Nothing may be imported, compiled or opened any more: stills, sizes, H.265."""
    films = (
        clip(),
        clip(width_px=320, height_px=240),
        clip(Codec.H265),
        clip(Codec.H265, width_px=256, height_px=192),
    )
    with child("-c", LISTENING, errors=subprocess.PIPE) as worker:
        worker.tell(WATCH)
        first = 0
        for film in films:
            form = next(packets(film)).format
            worker.tell(frames.encode_format(7, form))
            run = list(islice(packets(film, first=first), 50))
            for n, packet in enumerate(run):
                flags = (Flag.RESTART | Flag.STILL) if n == 0 else 0
                worker.tell(frames.encode_packet(7, packet, flags))
            first += 50
            looks = [worker.look() for _ in run]
            assert [look.fault for look in looks] == [None] * 50
            assert sum(look.pictures for look in looks) == 50
        assert worker.process.stdin is not None
        assert worker.process.stderr is not None
        worker.process.stdin.close()
        assert worker.process.stderr.read() == b""


def test_a_still_is_a_jpeg():
    with child() as worker:
        packet = next(packets(one_boat()))
        worker.tell(WATCH, frames.encode_format(7, packet.format))
        worker.tell(frames.encode_packet(7, packet, Flag.RESTART | Flag.STILL))
        kinds = dict(worker.next() for _ in range(2))

    assert kinds[Kind.STILL][2:5] == b"\xff\xd8\xff"
    assert kinds[Kind.STILL][-2:] == b"\xff\xd9"


def test_damaged_packets_are_answered_and_the_worker_lives():
    film = list(islice(packets(one_boat()), 30))
    broken = [
        (),
        (b"",),
        (b"\x65",),
        (b"\x67" + bytes(200),),
        (b"\x65" + b"\xff" * 5000,),
        tuple(unit[: len(unit) // 3] for unit in film[0].nal_units),
    ]
    with child() as worker:
        worker.tell(WATCH, frames.encode_format(7, film[0].format))
        for units in broken:
            damaged = Packet(
                **{
                    name: getattr(film[0], name)
                    for name in Packet.__dataclass_fields__
                    if name != "nal_units"
                },
                nal_units=units,
            )
            worker.tell(frames.encode_packet(7, damaged, Flag.RESTART))
            assert worker.look().captured_at == film[0].captured_at
        for n, packet in enumerate(film):
            worker.tell(frames.encode_packet(7, packet, Flag.RESTART * (n == 0)))
        good = [worker.look() for _ in film]

    assert sum(look.pictures for look in good) == 30


def test_a_worker_ends_with_its_input():
    with child() as worker:
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(30) == 0
