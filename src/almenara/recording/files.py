"""The recorder's few steps with a disk, each by its own name so that each can fail.

Everything goes through descriptors of directories: a path is walked once, no link is
followed, and no name comes from a person or a camera.

**Source**: docs/design/first-light.md, "What is written, in which order".
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_PIECES = 1_000
"""Of one ``writev``; Linux takes 1 024."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of their names durable.

    Without the ``fsync`` of the folder above, a power cut soon after the first start
    takes the new folder with everything in it, however well that was synced.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    above = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)


class Files:
    """One area: a directory on one file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._named: set[tuple[str, ...]] = set()
        """Folders whose names this process has made durable: one that was there may
        have been made by a process that was killed before it could."""

    def create(self, place: Sequence[str]) -> int:
        """Make a new file, its directories durable; returns its descriptor."""
        *folders, name = place
        folder = self._open(folders, make=True)
        try:
            return os.open(name, NEW_FILE, 0o640, dir_fd=folder)
        finally:
            os.close(folder)

    def write(self, fd: int, pieces: Sequence[bytes]) -> None:
        """Write all of ``pieces``, however often it takes."""
        waiting = [memoryview(piece) for piece in pieces]
        for start in range(0, len(waiting), MAX_PIECES):
            rest = waiting[start : start + MAX_PIECES]
            while rest:
                written = os.writev(fd, rest)
                while rest and written >= len(rest[0]):
                    written -= len(rest.pop(0))
                if rest:
                    rest[0] = rest[0][written:]

    def sync(self, fd: int) -> None:
        """Put the file's bytes on stable storage."""
        os.fdatasync(fd)

    def sync_folder(self, place: Sequence[str]) -> None:
        """Put the entry of the file at ``place`` on stable storage."""
        folder = self._open(place[:-1], make=False)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def cut(self, place: Sequence[str], size_bytes: int) -> None:
        """Take off what was never acknowledged."""
        with self._opened(place, os.O_WRONLY) as file:
            os.ftruncate(file.fileno(), size_bytes)
            os.fdatasync(file.fileno())

    def read(
        self, place: Sequence[str], offset_bytes: int = 0, length_bytes: int = -1
    ) -> bytes:
        """Some bytes of a file, or all.

        Raises:
            FileNotFoundError: There is none.
        """
        with self._opened(place, os.O_RDONLY) as file:
            file.seek(offset_bytes)
            return file.read(length_bytes)

    def size_bytes(self, place: Sequence[str]) -> int | None:
        """Length of a file; None if there is none."""
        try:
            return self.root.joinpath(*place).stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    def unlink(self, place: Sequence[str]) -> bool:
        """Take a file away, for good; False if it was gone already."""
        try:
            folder = self._open(place[:-1], make=False)
        except FileNotFoundError:
            return False
        try:
            with suppress(FileNotFoundError):
                os.unlink(place[-1], dir_fd=folder)
                return True
            return False
        finally:
            os.fsync(folder)
            os.close(folder)

    def set_aside(self, place: Sequence[str]) -> Path:
        """Move a file that nobody can explain into ``quarantine``."""
        name = "-".join(place)
        source = self._open(place[:-1], make=False)
        try:
            aside = self._open(["quarantine"], make=True)
            try:
                os.rename(place[-1], name, src_dir_fd=source, dst_dir_fd=aside)
                os.fsync(aside)
                os.fsync(source)
            finally:
                os.close(aside)
        finally:
            os.close(source)
        return self.root / "quarantine" / name

    def places(self) -> list[tuple[str, str, str]]:
        """Every media file there is."""
        return sorted(
            (path.parts[-3], path.parts[-2], path.parts[-1])
            for path in self.root.glob("*/*/*.mp4")
        )

    def free_bytes(self) -> int:
        """Space left on the disk for us."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def total_bytes(self) -> int:
        """Size of the disk."""
        found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize

    def _open(self, folders: Sequence[str], *, make: bool) -> int:
        fd = os.open(self.root, DIRECTORY)
        for depth, folder in enumerate(folders, start=1):
            try:
                if make and tuple(folders[:depth]) not in self._named:
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o750, dir_fd=fd)
                    os.fsync(fd)
                    self._named.add(tuple(folders[:depth]))
                inner = os.open(folder, DIRECTORY, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def _opened(self, place: Sequence[str], flags: int) -> FileIO:
        folder = self._open(place[:-1], make=False)
        try:
            fd = os.open(place[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        return FileIO(fd, "rb" if flags == os.O_RDONLY else "r+b")
