"""The media folders of a running node: opened at the start, looked after meanwhile."""

import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from almenara.core.errors import Fault
from almenara.core.time import Clock
from almenara.node.store.database import Store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.targets import SqlTargets
from almenara.recording.files import Files
from almenara.recording.janitor import Cleaning, Janitor
from almenara.recording.reconcile import reconcile
from almenara.recording.targets import Target, open_targets, renew

log = structlog.get_logger()

RENEW_S = 600.0
"""A database restored from a backup older than this is known by its generation."""


class MediaFolders:
    """Every folder of ours, put in order, tidied, and its generation moved on."""

    def __init__(self, directory: Path, store: Store, clock: Clock) -> None:
        """Open them, and bring files and rows together.

        Raises:
            StoreError: The store refused.
            OSError: No folder can be written.
        """
        index = SqlSegmentIndex(store)
        self._book = SqlTargets(store)
        self._clock = clock
        self._opened = open_targets(directory, self._book, clock)
        self._renewed_s = clock.monotonic_s()
        self._janitors = tuple(
            (target.path, _janitor(target, index, clock)) for target in self.ours
        )
        for target in self.ours:
            reconcile(target.path, index, clock, target_id=target.target_id)

    @property
    def main(self) -> Target:
        """What is recorded into."""
        return self._opened.main

    @property
    def ours(self) -> Sequence[Target]:
        return self._opened.ours

    @property
    def faults(self) -> tuple[Fault, ...]:
        """One per foreign folder, until somebody acts."""
        return self._opened.faults()

    def files(self) -> Files:
        """For reading, wherever a file lies."""
        return self._opened.files()

    def tidy(self, *, keep_for: timedelta, keep_free_percent: float) -> list[Cleaning]:
        """Delete what is too old or has to make room; move on; blocking.

        Raises:
            RecordingError: The store or the disk refused; tried again later.
        """
        if self._clock.monotonic_s() - self._renewed_s >= RENEW_S:
            self._renewed_s = self._clock.monotonic_s()
            for target in self.ours:
                opened = self._opened
                renew(target, opened.database_id, opened.boot_id, self._book)
        done = []
        for path, janitor in self._janitors:
            total = shutil.disk_usage(path).total
            keep_free_bytes = int(total * keep_free_percent / 100)
            done.append(
                janitor.tidy(keep_for=keep_for, keep_free_bytes=keep_free_bytes)
            )
        return done


def _janitor(target: Target, index: SqlSegmentIndex, clock: Clock) -> Janitor:
    return Janitor(target.path, index, clock, target_id=target.target_id)
