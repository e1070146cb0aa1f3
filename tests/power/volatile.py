"""A file system that forgets, at a power cut, everything POSIX does not promise.

Two worlds: the *live* tree in memory, which programs see, and the *durable* one in a
backing folder, which is what a disk would hold after a cut. A file's bytes become
durable by ``fsync``, its name by ``fsync`` of its folder, and a folder's own name by
``fsync`` of the folder it lies in; whatever was not asked for stays behind. Killing the
process is the power cut. Run as ``python -m tests.power.volatile MOUNT BACKING``.

It does not model torn sectors, reordered writes within one sync, or disks that lie.

**Source**: POSIX.1-2017, fsync; docs/design/recording.md, "Power cuts".
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy

FREE_BYTES = 1 << 40


@dataclass(slots=True, eq=False)
class _Node:
    """A file or folder, whatever it is called."""

    is_folder: bool
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    """Its bytes as a disk has them."""


class Volatile(mfusepy.Operations):  # type: ignore[misc]
    """The two worlds; one thread, paths as the kernel gives them."""

    use_ns = True

    def __init__(self, backing: Path, slow_s: float = 0.0) -> None:
        self._backing = backing
        self._slow_s = slow_s
        self._live = dict(_loaded(backing))
        self._durable = dict(self._live)

    def init(self, path: str) -> None:
        """The kernel has said hello: tell whoever waits for the mount."""
        os.write(1, f"mounted {path}\n".encode())

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        del fh
        node = self._node(path)
        mode = stat.S_IFDIR | 0o755 if node.is_folder else stat.S_IFREG | 0o644
        links = 2 if node.is_folder else 1
        return {"st_mode": mode, "st_nlink": links, "st_size": len(node.data)}

    def readdir(self, path: str, fh: int) -> list[str]:
        del fh
        return [".", "..", *(name.rpartition("/")[2] for name in self._inside(path))]

    def statfs(self, path: str) -> dict[str, int]:
        del path
        blocks = FREE_BYTES // 4096
        return {
            "f_bsize": 4096,
            "f_frsize": 4096,
            "f_blocks": blocks,
            "f_bfree": blocks,
            "f_bavail": blocks,
        }

    def chmod(self, path: str, mode: int) -> int:
        del path, mode
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        del path, times
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        del mode
        self._live[path] = _Node(is_folder=True)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        del mode, fi
        self._live[path] = _Node(is_folder=False)
        return 0

    def open(self, path: str, flags: int) -> int:
        node = self._node(path)
        if flags & os.O_TRUNC:
            node.data.clear()
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        del fh
        return bytes(self._node(path).data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del fh
        kept = self._node(path).data
        kept.extend(bytes(max(0, offset - len(kept))))
        kept[offset : offset + len(data)] = data
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        del fh
        kept = self._node(path).data
        kept[length:] = bytes(max(0, length - len(kept)))
        return 0

    def unlink(self, path: str) -> int:
        self._live.pop(path)
        return 0

    rmdir = unlink

    def rename(self, old: str, new: str) -> int:
        for path in [p for p in self._live if p == old or p.startswith(old + "/")]:
            self._live[new + path.removeprefix(old)] = self._live.pop(path)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Bytes become durable; whether anything leads to them is another matter."""
        del datasync, fh
        time.sleep(self._slow_s)  # noqa: TID251  # being slow is what it is for
        node = self._node(path)
        node.synced = bytes(node.data)
        for name in [p for p, kept in self._durable.items() if kept is node]:
            self._put(name)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        """Names become durable, new ones and those that are gone."""
        del datasync, fh
        now = {name: self._live[name] for name in self._inside(path)}
        for name in self._inside(path, self._durable):
            if name not in now:
                self._drop(name)
        for name, node in now.items():
            if self._durable.get(name) is not node:
                self._durable[name] = node
                self._put(name)
        return 0

    def _node(self, path: str) -> _Node:
        try:
            return self._live[path]
        except KeyError:
            raise mfusepy.FuseOSError(errno.ENOENT) from None

    def _inside(self, path: str, tree: dict[str, _Node] | None = None) -> list[str]:
        start = path.rstrip("/") + "/"
        found = self._live if tree is None else tree
        return [p for p in found if p.rpartition("/")[0] + "/" == start and p != "/"]

    def _put(self, path: str) -> None:
        """Write one durable thing to the backing folder, if something leads to it."""
        place, node = self._place(path), self._durable[path]
        if not place.parent.is_dir():
            return
        if node.is_folder:
            place.mkdir(exist_ok=True)
            for name in self._inside(path, self._durable):
                self._put(name)
            return
        fresh = place.with_name(place.name + ".~")
        fresh.write_bytes(node.synced)
        fresh.replace(place)

    def _drop(self, path: str) -> None:
        node, place = self._durable.pop(path), self._place(path)
        if node.is_folder and place.is_dir():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)

    def _place(self, path: str) -> Path:
        return self._backing / path.lstrip("/")


def _loaded(backing: Path) -> Iterator[tuple[str, _Node]]:
    """What a disk holds when it is switched on again."""
    yield "/", _Node(is_folder=True)
    for place in sorted(backing.rglob("*")):
        path = f"/{place.relative_to(backing)}"
        if place.name.endswith(".~"):
            place.unlink()  # ours, from a cut within a rename: neither old nor new
        elif place.is_dir():
            yield path, _Node(is_folder=True)
        else:
            data = place.read_bytes()
            yield path, _Node(is_folder=False, data=bytearray(data), synced=data)


if __name__ == "__main__":
    mount, backing, *slow = sys.argv[1:]
    mfusepy.FUSE(
        Volatile(Path(backing), *map(float, slow)),
        mount,
        foreground=True,
        nothreads=True,
    )
