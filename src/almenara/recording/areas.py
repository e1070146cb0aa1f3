"""The folders that recordings lie in, each on a disk of its own, and which one is next.

A new file goes to the fast areas first, and among equals to the one with most room. An
area whose disk refused is *failing*: it gets nothing more while another works, and it
is taken back when a person asks and a test of writing, reading and hashing passes. Only
when nothing else is left is a failing area used again, after the same test: a watch
with one disk records what it can, and the alarm stands until somebody has looked
(docs/adr/0014-the-last-disk.md).

**Source**: docs/design/recording.md, "Areas".
"""

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import structlog

from almenara.core.errors import RecordingError
from almenara.recording.files import Files, make_folder

log = structlog.get_logger(__name__)

MAIN = "main"
"""The area that there always is."""

PROBE_PLACE = ("self-test", "now", "probe.bin")
PROBE_BYTES = 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVE_SHARE = 0.25
"""Of the floor: where only held footage is left, recording stops before the disk is
full, for alarms and audit may live on it, and a full file system is a slow one."""

RATE_FLOOR_SHARE = 0.1
"""Of a disk: a small one is not emptied for ten minutes of all streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One folder on one file system, as it was configured."""

    area_id: str
    directory: Path
    is_hot: bool = False
    """A fast disk: new files go there first."""

    name: str = ""
    """As people call it; the id where it has none."""

    is_recorded: bool = True
    """False: only read and tidied; nothing new goes there."""

    is_ours: bool = True
    """False: only read; nothing in it is changed."""

    keep_free_percent: float = 0.0
    """Of its disk: below this, the oldest recordings make room."""

    shares_store: bool = False
    """Whether alarms and audit live on the same disk."""

    @property
    def title(self) -> str:
        return self.name or self.area_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaState:
    """How one area does, for people to see."""

    area: Area
    state: Literal["working", "full", "failing"]
    free_bytes: int | None
    """None if its disk does not answer."""

    total_bytes: int | None
    floor_bytes: int
    has_room: bool
    detail: str = ""


@dataclass(eq=False, slots=True)
class _Kept:
    area: Area
    files: Files
    trouble: str = ""
    """What its disk refused; empty while nothing did."""

    is_remembered: bool = False
    """Whether the trouble is noted where a person can take it away."""

    passed: bool = False
    """A failing area whose last self-test was good."""


@dataclass(eq=False, kw_only=True)
class Areas:
    """All areas of one recorder; for any thread."""

    kept: Sequence[_Kept]
    memory: Path | None = None
    """A folder with one file per failing area: a restart forgets none of them."""

    rate_floor_bytes: int = 0
    """At least this much stays free in each: ten minutes of all streams."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls,
        areas: Iterable[Area],
        *,
        memory: Path | None = None,
        make_files: Callable[[Path], Files] = Files,
    ) -> Self:
        """Open what was configured; an area that cannot be opened is failing."""
        kept = [_Kept(area=area, files=make_files(area.directory)) for area in areas]
        made = cls(kept=kept, memory=memory)
        for each in kept:
            if not each.area.is_ours:
                continue
            if memory is not None and (memory / each.area.title).exists():
                each.trouble, each.is_remembered = "it failed before the restart", True
            try:
                make_folder(each.area.directory)
            except OSError as error:
                made.failed(each.area.area_id, error)
        return made

    @classmethod
    def single(cls, directory: Path, files: Files | None = None) -> Self:
        """One folder and nothing else."""
        area = Area(area_id=MAIN, directory=directory)
        return cls.of([area], make_files=lambda root: files or Files(root))

    def __iter__(self) -> Iterator[tuple[str, Files]]:
        """Every area of ours, failing or not, as configured."""
        return iter([(each.area.area_id, each.files) for each in self._ours()])

    def files(self, area_id: str) -> Files:
        """The files of one area.

        Raises:
            RecordingError: It was taken out of the configuration.
        """
        return self._find(area_id).files

    def own(self, area_id: str) -> Files:
        """As :meth:`files`, to change something there.

        Raises:
            RecordingError: It is foreign, or not configured any more.
        """
        found = self._find(area_id)
        if not found.area.is_ours:
            raise RecordingError(
                f"{found.area.directory}: is foreign and only read; take it in: "
                f"almenara store adopt {found.area.directory}"
            )
        return found.files

    def owns(self, area_id: str) -> bool:
        """Whether anything may be changed there."""
        return any(each.area.area_id == area_id for each in self._ours())

    def tidied_in_order(self) -> list[str]:
        """Areas of ours; older footage lies where nothing new goes, so these first."""
        ours = sorted(self._ours(), key=lambda each: each.area.is_recorded)
        return [each.area.area_id for each in ours]

    def beside(self, area_id: str) -> list[str]:
        """The areas whose need shrinks when room is made in one that only empties."""
        found = self._find(area_id)
        if found.area.is_recorded:
            return []
        return [
            each.area.area_id
            for each in self._ours()
            if each is not found and is_same_disk(each.files.root, found.files.root)
        ]

    def is_failing(self, area_id: str) -> bool:
        return bool(self._find(area_id).trouble)

    def choose(self, avoid: Collection[str] = ()) -> tuple[str, Files]:
        """Where the next file goes.

        Args:
            avoid: Areas that just refused; taken only if there is no other.

        Raises:
            OSError: ``ENOSPC`` if every disk that works is full, else ``EIO``.
        """
        with self._lock:
            working = [each for each in self._recorded() if not each.trouble]
            usable = [each for each in working if self._has_room(each)]
            if not usable and working:
                raise OSError(errno.ENOSPC, "every area is full")
            others = [each for each in usable if each.area.area_id not in avoid]
            chosen = max(others or usable, key=self._merit, default=None)
        if chosen is None:
            chosen = self._last_resort()
        return chosen.area.area_id, chosen.files

    def has_room(self, area_id: str) -> bool:
        """Whether recording may go on there; a disk that does not answer says yes."""
        return self._has_room(self._find(area_id))

    def failed(self, area_id: str, error: OSError) -> bool:
        """A disk refused; returns whether that condemns the area: no room does not."""
        each = self._find(area_id)
        if error.errno in FULL:
            return False
        with self._lock:
            is_news = not each.trouble
            each.trouble, each.passed = error.strerror or str(error), False
        if is_news:
            log.error("area_failing", area=each.area.title, reason=each.trouble)
            self._remember(each)
        return True

    def take_back(self, area_id: str) -> None:
        """A person asks for a failing area; blocking.

        Raises:
            RecordingError: There is no such area, or the self-test did not pass.
        """
        each = self._find(area_id)
        self_test(self.own(each.area.area_id), each.area.title)
        if self.memory is not None:
            (self.memory / each.area.title).unlink(missing_ok=True)
        with self._lock:
            each.trouble, each.is_remembered, each.passed = "", False, False
        log.info("area_taken_back", area=each.area.title)

    def look_again(self) -> None:
        """Notice what a command took back beside this process; call it now and then."""
        if self.memory is None:
            return
        for each in self.kept:
            if not each.trouble:
                continue
            if not each.is_remembered:
                self._remember(each)
            elif self._is_forgotten(each):
                with self._lock:
                    each.trouble, each.is_remembered, each.passed = "", False, False
                log.info("area_taken_back", area=each.area.title)

    def states(self) -> list[AreaState]:
        """How every area of ours does."""
        return [self._state(each) for each in self._ours()]

    def needs(self) -> dict[str, int]:
        """Bytes to free, by area, so that twice its floor is free again.

        Nothing is asked of an area while another has room, unless alarms and audit
        live beside it.
        """
        states = [s for s in self.states() if s.state != "failing"]
        recorded = [s for s in states if s.area.is_recorded]
        roomy = any((s.free_bytes or 0) >= s.floor_bytes for s in recorded)
        return {
            s.area.area_id: 2 * s.floor_bytes - s.free_bytes
            for s in states
            if s.free_bytes is not None and s.free_bytes < s.floor_bytes
            if s.area.shares_store or not roomy
        }

    def _ours(self) -> list[_Kept]:
        return [each for each in self.kept if each.area.is_ours]

    def _recorded(self) -> list[_Kept]:
        return [each for each in self._ours() if each.area.is_recorded]

    def _find(self, area_id: str) -> _Kept:
        for each in self.kept:
            if area_id in (each.area.area_id, each.area.name):
                return each
        raise RecordingError(
            f"area {area_id!r} is not configured; put it back under recording.areas"
        )

    def _has_room(self, each: _Kept) -> bool:
        return self._state(each).has_room

    def _merit(self, each: _Kept) -> tuple[bool, bool, int]:
        """Above its floor, fast, most room: in this order."""
        state = self._state(each)
        over_bytes = (state.free_bytes or 0) - state.floor_bytes
        return over_bytes > 0, each.area.is_hot, over_bytes

    def _state(self, each: _Kept) -> AreaState:
        free_bytes = total_bytes = None
        with suppress(OSError):
            free_bytes, total_bytes = each.files.free_bytes(), each.files.total_bytes()
        share = each.area.keep_free_percent / 100
        most_bytes = int((total_bytes or 0) * RATE_FLOOR_SHARE)
        floor_bytes = max(
            int((total_bytes or 0) * share), min(self.rate_floor_bytes, most_bytes)
        )
        has_room = free_bytes is None or free_bytes > RESERVE_SHARE * floor_bytes
        return AreaState(
            area=each.area,
            state="failing" if each.trouble else "working" if has_room else "full",
            has_room=has_room,
            free_bytes=free_bytes,
            total_bytes=total_bytes,
            floor_bytes=floor_bytes,
            detail=each.trouble,
        )

    def _last_resort(self) -> _Kept:
        """Nothing works: a failing area is better than none, if it can be believed."""
        for each in self._recorded():
            if not each.passed:
                try:
                    self_test(each.files, each.area.title)
                except RecordingError as error:
                    log.warning("area_unusable", reason=str(error))
                    continue
                each.passed = True
                log.warning("area_used_while_failing", area=each.area.title)
            return each
        raise OSError(errno.EIO, "no area works")

    def _is_forgotten(self, each: _Kept) -> bool:
        """Whether a person's command took the note away."""
        with suppress(OSError):
            return self.memory is not None and not (
                (self.memory / each.area.title).exists()
            )
        return False  # nobody knows: that disk does not answer

    def _remember(self, each: _Kept) -> None:
        if self.memory is None:
            return
        with suppress(OSError):  # that disk may be the one that fails: tried again
            make_folder(self.memory)
            (self.memory / each.area.title).write_text(each.trouble, "utf-8")
            each.is_remembered = True


def is_same_disk(one: Path, other: Path) -> bool:
    """Whether two folders, or what is there of them, lie on one file system."""
    devices = set()
    for path in (one, other):
        there = path
        while not there.exists() and there != there.parent:
            there = there.parent
        try:
            devices.add(there.stat().st_dev)
        except OSError:
            return False
    return len(devices) == 1


def as_areas(media: Path | Areas, files: Files | None = None) -> Areas:
    """A folder as the only area; areas as they are."""
    return media if isinstance(media, Areas) else Areas.single(media, files)


def self_test(files: Files, name: str) -> None:
    """Write, sync, read back past the cache, compare, and clean up; blocking.

    Raises:
        RecordingError: One of these failed; the message says which disk and why.
    """
    data = os.urandom(PROBE_BYTES)
    try:
        with suppress(FileNotFoundError):
            files.unlink(PROBE_PLACE)
        make_folder(files.root)
        fd = files.create(PROBE_PLACE)
        try:
            files.write(fd, (data,))
            files.sync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
        files.sync_folder(PROBE_PLACE)
        is_same = hashlib.sha256(files.read(PROBE_PLACE)).digest() == (
            hashlib.sha256(data).digest()
        )
        files.unlink(PROBE_PLACE)
    except OSError as error:
        raise RecordingError(
            f"area {name!r}: {files.root}: {error}; repair or replace its disk"
        ) from error
    if not is_same:
        raise RecordingError(
            f"area {name!r}: {files.root}: what was read is not what was written; "
            "replace its disk"
        )
