"""What the node and a watch worker say to each other: framed messages over two pipes.

A worker decodes hostile bytes, so what comes back from it is treated as hostile too:
numbers and closed words in JSON under a length limit, never an object of the language.
Every message is one byte of kind, four bytes of length, and that many bytes of body.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from pydantic import TypeAdapter

from almenara.core.coast import Camera
from almenara.core.ids import CameraId, LocalTrackId
from almenara.core.media import Codec, Packet, StreamFormat
from almenara.core.time import from_micros, to_micros
from almenara.detection import Condition, ObjectClass
from almenara.tracking.observations import CameraObservation

HEAD = struct.Struct("!BI")
PACKET = struct.Struct("!HBqq")
MAX_TO_WORKER_BYTES = 32 * 1024 * 1024
MAX_FROM_WORKER_BYTES = 4 * 1024 * 1024

_camera = TypeAdapter(Camera)


class Kind(IntEnum):
    """What a message is."""

    WATCH = 1
    """To the worker: a camera to watch, under a number."""

    FORMAT = 2
    """To the worker: how a camera's next packets are coded."""

    PACKET = 3
    """To the worker: one coded picture."""

    UNWATCH = 4
    """To the worker: forget a camera."""

    READY = 10
    """From the worker: everything is imported and compiled."""

    LOOK = 11
    """From the worker: one packet was dealt with."""

    STILL = 12
    """From the worker: a small JPEG of a camera."""


class Flag(IntEnum):
    """Bits of a packet."""

    RESTART = 1
    """The packets before this one are missing: start decoding afresh."""

    STILL = 2
    """A still of this picture is wanted."""

    REFERENCE = 4
    """Decode this picture for the sake of later ones; nobody looks at it."""


_NOT_A_LOOK = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
"""What reading a stranger's JSON may raise."""


class BrokenFrameError(ValueError):
    """The other side broke the rules of this module; its process cannot be trusted."""


@dataclass(slots=True)
class FrameReader:
    """Cuts a byte stream into messages; sans-IO, with a limit."""

    limit_bytes: int
    _buffer: bytearray

    @classmethod
    def limited(cls, limit_bytes: int) -> "FrameReader":
        """An empty reader that refuses messages beyond ``limit_bytes``."""
        return cls(limit_bytes, bytearray())

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Yield the messages that ``data`` completes.

        Raises:
            BrokenFrameError: For an unknown kind or a message over the limit.
        """
        self._buffer += data
        while len(self._buffer) >= HEAD.size:
            kind, size = HEAD.unpack_from(self._buffer)
            if size > self.limit_bytes:
                raise BrokenFrameError(f"message of {size} bytes")
            end = HEAD.size + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEAD.size : end])
            del self._buffer[:end]
            try:
                yield Kind(kind), body
            except ValueError as error:
                raise BrokenFrameError(f"message of kind {kind}") from error


def framed(kind: Kind, *parts: bytes) -> bytes:
    """One message on the wire."""
    return HEAD.pack(kind, sum(map(len, parts))) + b"".join(parts)


def _packed(nal_units: Sequence[bytes]) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nal_units)


def _unpacked(data: bytes) -> tuple[bytes, ...]:
    units: list[bytes] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(units)


WATCH = struct.Struct("!HI")


def encode_watch(number: int, generation: int, camera: Camera) -> bytes:
    """Tell a worker to watch ``camera`` under ``number``.

    ``generation`` makes the local track ids of this turn different from those of the
    worker before: a number used again must not look like the same boat.
    """
    head = WATCH.pack(number, generation)
    return framed(Kind.WATCH, head, _camera.dump_json(camera))


def decode_watch(body: bytes) -> tuple[int, int, Camera]:
    """Inverse of :func:`encode_watch`."""
    number, generation = WATCH.unpack_from(body)
    return number, generation, _camera.validate_json(body[WATCH.size :])


def encode_unwatch(number: int) -> bytes:
    """Tell a worker to forget a camera."""
    return framed(Kind.UNWATCH, number.to_bytes(2, "big"))


def encode_format(number: int, form: StreamFormat) -> bytes:
    """Tell a worker how the next packets of a camera are coded."""
    head = json.dumps([form.codec.value, form.width_px, form.height_px]).encode()
    return framed(
        Kind.FORMAT,
        number.to_bytes(2, "big"),
        len(head).to_bytes(2, "big"),
        head,
        _packed(form.parameter_sets),
    )


def decode_format(body: bytes) -> tuple[int, StreamFormat]:
    """Inverse of :func:`encode_format`, without the declared rate."""
    size = int.from_bytes(body[2:4], "big")
    codec, width_px, height_px = json.loads(body[4 : 4 + size])
    return int.from_bytes(body[:2], "big"), StreamFormat(
        codec=Codec(codec),
        width_px=width_px,
        height_px=height_px,
        parameter_sets=_unpacked(body[4 + size :]),
    )


def encode_packet(number: int, packet: Packet, flags: int) -> bytes:
    """One coded picture for a worker."""
    head = PACKET.pack(number, flags, packet.pts_90k, to_micros(packet.captured_at))
    return framed(Kind.PACKET, head, _packed(packet.nal_units))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedPicture:
    """A packet as the worker gets it."""

    number: int
    flags: int
    pts_90k: int
    captured_at: datetime
    nal_units: tuple[bytes, ...]


def decode_packet(body: bytes) -> CodedPicture:
    """Inverse of :func:`encode_packet`."""
    number, flags, pts_90k, micros = PACKET.unpack_from(body)
    return CodedPicture(
        number=number,
        flags=flags,
        pts_90k=pts_90k,
        captured_at=from_micros(micros),
        nal_units=_unpacked(body[PACKET.size :]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a worker made of one packet of one camera."""

    camera_id: CameraId
    captured_at: datetime
    pictures: int
    """Judged from this packet: 0 while the decoder waits, or for a reference."""

    condition: Condition
    candidates: int
    decode_ms: float
    detect_ms: float
    observations: tuple[CameraObservation, ...] = ()
    fault: str | None = None
    """Why the packet could not be decoded."""


def encode_look(number: int, look: Look) -> bytes:
    """A worker's answer to one packet."""
    body: list[Any] = [
        number,
        to_micros(look.captured_at),
        look.pictures,
        look.condition.value,
        look.candidates,
        round(look.decode_ms, 3),
        round(look.detect_ms, 3),
        look.fault,
        [_row(seen) for seen in look.observations],
    ]
    return framed(Kind.LOOK, json.dumps(body).encode())


def _row(seen: CameraObservation) -> list[Any]:
    return [
        seen.local_track_id,
        to_micros(seen.observed_at),
        seen.azimuth_deg,
        seen.azimuth_std_deg,
        seen.elevation_deg,
        seen.elevation_std_deg,
        seen.existence,
        seen.object_class.value,
        seen.width_m,
        seen.box_px,
    ]


def look_number(body: bytes) -> int:
    """The camera number of a LOOK, before it is read in full.

    Raises:
        BrokenFrameError: If the body is not what a worker would say.
    """
    try:
        return int(json.loads(body)[0])
    except _NOT_A_LOOK as error:
        raise BrokenFrameError("a look without a number") from error


def decode_look(body: bytes, camera_id: CameraId) -> Look:
    """Inverse of :func:`encode_look`.

    Raises:
        BrokenFrameError: If the body is not what a worker would say.
    """
    try:
        (
            _,
            micros,
            pictures,
            condition,
            candidates,
            decode_ms,
            detect_ms,
            fault,
            rows,
        ) = json.loads(body)
        return Look(
            camera_id=camera_id,
            captured_at=from_micros(micros),
            pictures=int(pictures),
            condition=Condition(condition),
            candidates=int(candidates),
            decode_ms=float(decode_ms),
            detect_ms=float(detect_ms),
            fault=None if fault is None else str(fault)[:200],
            observations=tuple(_observation(row, camera_id) for row in rows),
        )
    except _NOT_A_LOOK as error:
        raise BrokenFrameError(str(error)) from error


def _observation(row: list[Any], camera_id: CameraId) -> CameraObservation:
    name, micros, azimuth, azimuth_std, elevation, elevation_std, exists, kind = row[:8]
    width_m, box = row[8:]
    return CameraObservation(
        camera_id=camera_id,
        local_track_id=LocalTrackId(str(name)[:80]),
        observed_at=from_micros(micros),
        azimuth_deg=_number(azimuth, 0.0, 360.0),
        azimuth_std_deg=_number(azimuth_std, 1e-9, 360.0),
        elevation_deg=_number(elevation, -90.0, 90.0),
        elevation_std_deg=_number(elevation_std, 1e-9, 180.0),
        existence=_number(exists, 0.0, 1.0),
        object_class=ObjectClass(kind),
        width_m=None if width_m is None else _number(width_m, 0.0, 1e5),
        box_px=None if box is None else _box(box),
    )


def _box(box: Sequence[Any]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (_number(edge, -1e6, 1e6) for edge in box)
    return left, top, right, bottom


def _number(value: Any, low: float, high: float) -> float:
    """One number in its bounds: a NaN let into the fusion would never leave it."""
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f"{number} is not within {low} and {high}")
    return number
