"""Disks and stores that refuse at a chosen step: the n-th, once or from then on."""

import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from almenara.node.store.database import Store

COUNTED = (
    "mkdir",
    "writev",
    "fdatasync",
    "fsync",
    "rename",
    "unlink",
    "ftruncate",
)
NUMBERS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS}


class Countdown:
    """Says no at its ``nth`` question: once, or to every one from there on."""

    def __init__(self, nth: int, *, for_ever: bool) -> None:
        self.left = nth
        self.for_ever = for_ever
        self.has_fired = False

    def says_no(self) -> bool:
        self.left -= 1
        fires = self.left == 0 or (self.for_ever and self.left < 0)
        self.has_fired |= fires
        return fires


class FailingOs:
    """``os`` whose steps with a disk may fail; put it in a module's place for it."""

    def __init__(self, countdown: Countdown, number: int) -> None:
        self._countdown = countdown
        self._number = number

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._counted(real) if name in COUNTED else real

    def open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and self._countdown.says_no():
            raise OSError(self._number, os.strerror(self._number))
        return os.open(path, flags, *rest, **named)

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            if self._countdown.says_no():
                raise OSError(self._number, os.strerror(self._number))
            return real(*args, **named)

        return step


def fail_commits(store: Store, countdown: Countdown) -> None:
    """Let the store's commits fail as SQLite does on a broken disk."""
    writer = store._kind.writer  # noqa: SLF001 -- its only door

    @event.listens_for(writer, "commit")
    def refuse(_: sa.Connection) -> None:
        if countdown.says_no():
            broken = sqlite3.OperationalError("disk I/O error")
            raise sa.exc.OperationalError("commit", None, broken)
