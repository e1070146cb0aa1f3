"""The media folders of a running node: opened at the start, looked after meanwhile."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from almenara.core.errors import AlmenaraError, Fault
from almenara.core.time import Clock
from almenara.node.config.sections import RecordingConfig
from almenara.node.storage import areas_of
from almenara.node.store.database import Store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.targets import SqlTargets, known_id
from almenara.recording.areas import Areas
from almenara.recording.purge import PurgeJournal
from almenara.recording.reconcile import reconcile
from almenara.recording.targets import Target, main_of, open_targets, renew, survey

log = structlog.get_logger()

RENEW_S = 600.0
"""A database restored from a backup older than this is known by its generation."""


class MediaFolders:
    """Every folder of ours, put in order, and its generation moved on."""

    def __init__(
        self,
        config: RecordingConfig,
        store: Store,
        clock: Clock,
        *,
        beside: Path,
        journal: PurgeJournal | None = None,
    ) -> None:
        """Open them, and bring files and rows together.

        Args:
            config: The folders and how they are kept.
            store: Where their rows are.
            clock: For ages and generations.
            beside: The folder of the database; it remembers which areas fail.
            journal: What a purge had begun.

        Raises:
            StoreError: The store refused.
            OSError: No folder can be written.
        """
        self._book = SqlTargets(store)
        self._clock = clock
        self._opened = open_targets(config.directory, self._book, clock)
        self._renewed_s = clock.monotonic_s()
        self.areas = areas_of(
            config, beside, ours=self.ours, foreign=self._opened.foreign
        )
        reconcile(self.areas, SqlSegmentIndex(store), clock, journal=journal)

    @property
    def main(self) -> Target:
        """What took the place of the configured folder, or that one."""
        return self._opened.main

    @property
    def ours(self) -> Sequence[Target]:
        return self._opened.ours

    @property
    def faults(self) -> tuple[Fault, ...]:
        """One per foreign folder, until somebody acts."""
        return self._opened.faults()

    def look(self) -> None:
        """Move every generation on where it is time; blocking, and never raises."""
        if self._clock.monotonic_s() - self._renewed_s < RENEW_S:
            return
        self._renewed_s = self._clock.monotonic_s()
        opened = self._opened
        for target in self.ours:
            try:
                renew(target, opened.database_id, opened.boot_id, self._book)
            except (AlmenaraError, OSError) as error:
                log.warning(
                    "generation_not_renewed", folder=str(target.path), reason=str(error)
                )


def areas_beside(config: RecordingConfig, store: Store, beside: Path) -> Areas:
    """The areas as a running node has them, for a command; starts nothing."""
    database_id, rows = store.read_now(known_id), SqlTargets(store).targets()
    ours, foreign = survey(config.directory.absolute(), database_id or "", rows)
    recorded = main_of(config.directory.absolute(), ours, foreign)
    if recorded is None:
        return areas_of(config, beside, foreign=foreign)
    ours = [recorded, *(each for each in ours if each != recorded)]
    return areas_of(config, beside, ours=ours, foreign=foreign)
