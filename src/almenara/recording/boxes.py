"""ISO base media boxes: building them, and walking them without trusting them.

Pure: bytes in, values out. The walker is what recovery stands on after a crash, so it
takes anything and stops at the first byte that makes no sense.

**Source**: ISO/IEC 14496-12:2015, 4.2.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BOX_BYTES = 64 * 1024 * 1024
"""No box of ours comes near: a fragment closes at 8 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where one box lies in a buffer."""

    kind: bytes
    start: int
    """Offset of the box, header included."""

    body: int
    """Offset of what follows its header."""

    end: int


def box(kind: bytes, *parts: bytes) -> bytes:
    """One box around ``parts``."""
    size = 8 + sum(map(len, parts))
    return b"".join((struct.pack(">I4s", size, kind), *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """One box with version and flags around ``parts``."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def walk(
    data: bytes | memoryview, start: int = 0, end: int | None = None
) -> Iterator[Box]:
    """The complete boxes that follow one another from ``start``.

    Ends without an error at the first box that is torn, absurd or larger than
    :data:`MAX_BOX_BYTES`: what follows cannot be trusted.
    """
    end = len(data) if end is None else min(end, len(data))
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1 and end - start >= 16:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        if not body - start <= size <= min(MAX_BOX_BYTES, end - start):
            return
        yield Box(kind=kind, start=start, body=body, end=start + size)
        start += size


def find(data: bytes | memoryview, *path: bytes) -> Box | None:
    """The first box at ``path``, such as ``moof``, ``tfdt``; None if absent."""
    start, end = 0, len(data)
    found = None
    for kind in path:
        found = next((b for b in walk(data, start, end) if b.kind == kind), None)
        if found is None:
            return None
        start, end = found.body, found.end
    return found
