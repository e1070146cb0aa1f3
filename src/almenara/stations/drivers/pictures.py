"""Strange picture and video files to luma, through a process that may die of them.

A file may be hostile and a decoder is native code, so it runs in a disposable confined
child (``picture_child``); what comes back through the pipe is bounded and checked here.
A child that dies, hangs or talks nonsense costs this one file: the next one gets a
child of its own.

Source: docs/design/detection.md, "Reading files".
"""

import os
import selectors
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

import numpy as np
import numpy.typing as npt

import almenara
from almenara.core.errors import MediaError

MOST_FILE_BYTES: Final = 256 * 1024 * 1024
"""Of a picture; a video may be as long as it likes, only its pictures are bounded."""

MOST_PICTURE_BYTES: Final = 2 * 8192 * 8192
REPLY_S: Final = 30.0
"""Longest wait for the child's next word."""

_HEAD: Final = struct.Struct(">cqqI")
_CHILD: Final = "almenara.stations.drivers.picture_child"

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPicture:
    """One picture of a file."""

    luma: Pixels
    """Shape (rows, columns), eight or sixteen bits as stored."""

    at_s: float | None
    """Media time in seconds; None where the file has none."""


class PictureReader:
    """Reads picture files one after the other; a context manager."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def read(self, path: Path) -> Pixels:
        """The luma of one picture file: PNG, JPEG, BMP, TIFF, PNM or WebP.

        Raises:
            MediaError: It is no picture; the next file may be good.
            OSError: It cannot be opened.
        """
        if path.stat().st_size > MOST_FILE_BYTES:
            raise MediaError(f"{path}: larger than {MOST_FILE_BYTES} bytes; shrink it")
        body = path.read_bytes()
        if self._child is None:
            self._child = _Child("pictures", subprocess.PIPE)
        try:
            self._child.give(body)
            pictures = list(_pictures(self._child))
        except MediaError as error:
            self._drop()
            raise MediaError(f"{path}: {error}") from error
        if len(pictures) != 1:
            self._drop()
            raise MediaError(f"{path}: it holds no picture; convert it to PNG")
        return pictures[0].luma

    def _drop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def read_video(path: Path) -> Iterator[StoredPicture]:
    """The pictures of one video file, oldest first, decoded as they are asked for.

    Raises:
        MediaError: It is no video, or breaks off; pictures before that were good.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        child = _Child("video", file)
    try:
        yield from _pictures(child)
    except MediaError as error:
        raise MediaError(f"{path}: {error}") from error
    finally:
        child.kill()


def _pictures(child: "_Child") -> Iterator[StoredPicture]:
    at_s: float | None = None
    while True:
        kind, first, second, payload = child.hear()
        if kind == b"Z":
            return
        if kind == b"E":
            raise MediaError(payload.decode("ascii", "replace")[:80])
        if kind == b"T":
            at_s = first / 1e6 if first >= 0 else None
            continue
        if kind != b"P":
            raise MediaError("its decoder talks nonsense")
        yield StoredPicture(luma=checked(first, second, payload), at_s=at_s)


def checked(size: int, bits: int, payload: bytes) -> Pixels:
    """What the child says is a picture, if it can be one.

    Raises:
        MediaError: Its size, depth and bytes disagree.
    """
    columns, rows = size >> 32, size & 0xFFFF_FFFF
    if bits not in {8, 16} or rows * columns * bits // 8 != len(payload) or not payload:
        raise MediaError("its decoder talks nonsense")
    if bits == 8:
        return np.frombuffer(payload, np.uint8).reshape(rows, columns)
    return np.frombuffer(payload, "<u2").astype(np.uint16).reshape(rows, columns)


class _Child:
    """One decoder process and its pipes."""

    def __init__(self, task: str, source: int | IO[bytes]) -> None:
        root = str(Path(almenara.__file__).parents[1])
        self._process = subprocess.Popen(  # noqa: S603 -- our own program and words
            [sys.executable, "-m", _CHILD, task],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "PATH": os.defpath,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": root,
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        assert self._process.stdout is not None  # noqa: S101 -- it was asked for
        self._out = self._process.stdout
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._out, selectors.EVENT_READ)

    def give(self, body: bytes) -> None:
        """Hand over a file's bytes."""
        assert self._process.stdin is not None  # noqa: S101 -- it was asked for
        try:
            self._process.stdin.write(struct.pack(">I", len(body)))
            self._process.stdin.write(body)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise MediaError("cannot be decoded: the reader died of it") from error

    def hear(self) -> tuple[bytes, int, int, bytes]:
        """The child's next frame.

        Raises:
            MediaError: It died, hangs or sends too much.
        """
        kind, first, second, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > MOST_PICTURE_BYTES:
            raise MediaError("its decoder talks nonsense")
        return kind, first, second, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            if not self._ready.select(REPLY_S):
                raise MediaError("its decoder hangs")
            part = os.read(self._out.fileno(), min(left, 1 << 20))
            if not part:
                raise MediaError("cannot be decoded: the reader died of it")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def kill(self) -> None:
        """End it and let go of its pipes."""
        self._ready.close()
        self._process.kill()
        if self._process.stdin is not None:
            # What it never took is still in the pipe's buffer.
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._out.close()
        self._process.wait()
