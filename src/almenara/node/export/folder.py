"""A package while it grows: a folder beside its destination, taken up again if need be.

A file that is there already is compared byte by byte with what would be written, and
only what is missing or different is written: an interrupted export goes on where it was
and cannot end with a byte that is not in the recordings. Nothing carries its last name
before it is whole and on stable storage.
"""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from types import TracebackType
from typing import Self

from almenara.core.errors import ExportError

CHUNK_BYTES = 1024 * 1024
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest a ZIP can say: the time of packing is in the bag's own words."""

TICKET = "request.txt"
"""Beside ``bag``: whose package this is going to be."""


class Growing:
    """A file of the package; writes only what is not there already."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b")
        self._there = os.fstat(self._file.fileno()).st_size
        self._at = 0
        self.kept_bytes = 0
        """Found there, and right."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._file.truncate(self._at)
                self._file.flush()
                os.fsync(self._file.fileno())

    def write(self, data: bytes) -> None:
        """The next bytes of the file."""
        end = self._at + len(data)
        if end <= self._there:
            self._file.seek(self._at)
            if self._file.read(len(data)) == data:
                self._at = end
                self.kept_bytes += len(data)
                return
        self._there = 0  # what follows is not trusted any more
        self._file.seek(self._at)
        self._file.write(data)
        self._at = end


class PackageFolder:
    """The package of one request at one destination."""

    def __init__(self, out: Path, digest: str) -> None:
        self.out = out
        self.partial = out.with_name(f"{out.name}.partial")
        self.bag = self.partial / "bag"
        self._digest = digest
        self._ticket: int | None = None

    def take_up(self) -> bool:
        """Begin, or go on with what is there.

        Returns:
            Whether something was there.

        Raises:
            ExportError: The destination exists, or another package grows there.
        """
        if self.out.exists() or self.out.is_symlink():
            raise ExportError(f"{self.out}: is there already; choose another --out")
        ticket = self.partial / TICKET
        begun = self.partial.exists()
        if not begun:
            self.partial.mkdir(mode=0o700, parents=True)
            self.bag.mkdir()
            ticket.write_text(self._digest, "utf-8")
        self._lock(ticket)
        if ticket.read_text("utf-8") != self._digest:
            raise ExportError(
                f"{self.partial}: another export was interrupted there; finish it, "
                "or remove the folder"
            )
        return begun

    def _lock(self, ticket: Path) -> None:
        """Held until this process ends: two would write into one package."""
        try:
            self._ticket = os.open(ticket, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            flock(self._ticket, LOCK_EX | LOCK_NB)
        except FileNotFoundError as error:
            raise ExportError(
                f"{self.partial}: no export of ours; choose another --out"
            ) from error
        except BlockingIOError as error:
            raise ExportError(
                f"{self.partial}: another process is writing this package; wait for it"
            ) from error

    @contextmanager
    def file(self, name: str) -> Iterator[Growing]:
        """A file of the package, by its name in it."""
        with Growing(self.bag / name) as growing:
            yield growing

    def put(self, name: str, data: bytes) -> str:
        """A small file at once; returns its SHA-256."""
        with self.file(name) as growing:
            growing.write(data)
        return hashlib.sha256(data).hexdigest()

    def keep_only(self, names: Iterable[str]) -> None:
        """Take away what an earlier attempt left and this one does not have."""
        wanted = {self.bag / name for name in names}
        for path in sorted(self.bag.rglob("*"), reverse=True):
            if path.is_file() and path not in wanted:
                path.unlink()

    def finish(self) -> int:
        """Give it its name, as a folder or, for ``.zip``, as a stored ZIP.

        Returns:
            Its size in bytes.
        """
        size_bytes = sum(p.stat().st_size for p in self.bag.rglob("*") if p.is_file())
        if self.out.suffix == ".zip":
            packed = self.partial / "package.zip"
            _pack(self.bag, packed)
            packed.rename(self.out)
        else:
            for folder in (self.bag, *filter(Path.is_dir, self.bag.rglob("*"))):
                _sync_folder(folder)
            self.bag.rename(self.out)
        _sync_folder(self.out.parent)
        shutil.rmtree(self.partial)
        self.let_go()
        return size_bytes

    def abandon(self) -> None:
        """Take away what was begun; nothing of the recordings is in it."""
        shutil.rmtree(self.partial)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Let another process go on with it."""
        if self._ticket is not None:
            os.close(self._ticket)
            self._ticket = None


def _pack(bag: Path, packed: Path) -> None:
    """Stored, in order of names, with fixed times: the same bag, the same bytes."""
    with packed.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(p for p in bag.rglob("*") if p.is_file()):
                name = path.relative_to(bag).as_posix()
                member = zipfile.ZipInfo(name, FIXED_TIME)
                member.external_attr = 0o100644 << 16
                member.file_size = path.stat().st_size
                with path.open("rb") as source, archive.open(member, "w") as into:
                    shutil.copyfileobj(source, into, CHUNK_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
