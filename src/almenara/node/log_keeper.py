"""Keeps the evidence log: its key, its checkpoints, and how old the last anchor is.

A checkpoint is signed every ten seconds or thousand leaves, if there is anything new. A
command may let another key enter beside the running node: the keeper reads from the log
which key signs. Nobody waits for it: recording and the watch go on without it.

Source: docs/design/evidence-log.md.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from importlib.metadata import version

from almenara.core.errors import KeyFileError
from almenara.core.ids import CentreId
from almenara.core.time import Clock
from almenara.evidence import checkpoint
from almenara.evidence.checkpoint import Checkpoint
from almenara.evidence.leaves import (
    KeyEvent,
    KeyStep,
    SoftwareRelease,
    key_statement,
)
from almenara.evidence.note import Note, Signer
from almenara.node.log_keys import FileKey, KeyFolder
from almenara.node.store.evidence_log import OpenLog
from almenara.node.store.vouchers import (
    SqlEvidenceLog,
    StoredCheckpoint,
    current_key,
)

CHECKPOINT_EVERY = timedelta(seconds=10)
CHECKPOINT_LEAVES = 1000
LOOK_EVERY = timedelta(seconds=1)
SERVICE = "service/node"


class Anchoring(StrEnum):
    """Whether somebody outside this centre vouches for the log."""

    ANCHORED = "anchored"
    WAITING = "waiting"
    """Not for some minutes; people are told."""

    NOT_ANCHORED = "not_anchored"
    """Not for hours; an export says so until it is caught up."""


def anchoring(
    anchored_at: datetime | None,
    now: datetime,
    *,
    since: datetime,
    notice_after: timedelta,
    lost_after: timedelta,
) -> Anchoring:
    """Judge how old the newest anchor is.

    Args:
        anchored_at: When the newest checkpoint was made that somebody else vouches for.
        now: The present.
        since: When anchoring began, where there is no anchor yet.
        notice_after: An older anchor is worth a notice.
        lost_after: An older anchor means *not anchored*.
    """
    age = now - (anchored_at or since)
    if age > lost_after:
        return Anchoring.NOT_ANCHORED
    return Anchoring.WAITING if age > notice_after else Anchoring.ANCHORED


class LogKeeper:
    """Signs what the log says, and lets keys enter."""

    def __init__(
        self, log: SqlEvidenceLog, keys: KeyFolder, centre_id: CentreId, clock: Clock
    ) -> None:
        self._log = log
        self._keys = keys
        self._centre_id = centre_id
        self._clock = clock
        self._key: FileKey | None = None
        self._began_at = clock.now()
        self._signed_s = clock.monotonic_s()
        self._signed: tuple[int, int] = (0, 0)

    def origin(self, log: int) -> str:
        """The name of one of this centre's logs."""
        return checkpoint.origin(self._centre_id, log)

    async def begin(self) -> None:
        """Say which program writes from now on, and see that there is a key.

        Raises:
            KeyFileError: The key is missing, damaged, or open to others; leaves are
                written all the same, and signed when it is put right.
            StoreError: The store refuses.
        """
        release = version("almenara")
        if await self._log.last_release() != release:
            now = self._clock.now()
            await self._log.append(SoftwareRelease(version=release, at=now))
        await self._signer()

    async def look(self) -> StoredCheckpoint | None:
        """Sign a checkpoint if one is due; None if not."""
        of = await self._log.newest()
        waited_s = self._clock.monotonic_s() - self._signed_s
        log, size = self._signed
        new = of.size - size if of.log == log else CHECKPOINT_LEAVES
        if new == 0 or (
            new < CHECKPOINT_LEAVES and waited_s < CHECKPOINT_EVERY.total_seconds()
        ):
            return None
        return await self.sign()

    async def sign(self) -> StoredCheckpoint | None:
        """Sign a checkpoint now; None if nothing was added, or the log is frozen."""
        key = await self._signer()
        made = await self._log.sign(
            lambda of, root: self._note(of, root, key), self._clock.now()
        )
        of = await self._log.newest()
        self._signed = (of.log, made.size if made else of.size)
        self._signed_s = self._clock.monotonic_s()
        return made

    async def anchoring(
        self, *, notice_after: timedelta, lost_after: timedelta
    ) -> Anchoring:
        """How old the newest anchor is, or how long none is there."""
        return anchoring(
            await self._log.anchored(),
            self._clock.now(),
            since=self._began_at,
            notice_after=notice_after,
            lost_after=lost_after,
        )

    async def rotate(self, *, by: str, reason: str, is_lost: bool = False) -> KeyEvent:
        """Let a new key enter, signed by the old one and by itself.

        Args:
            by: The person.
            reason: Why.
            is_lost: The old key is gone; the new one enters unvouched, and everybody
                who checks the log is told so.

        Raises:
            KeyFileError: The old key cannot be used.
        """
        of = await self._log.newest()
        old = current_key(await self._log.key_events(self.origin(of.log)))
        signer = None if old is None or is_lost else self._keys.load(old)
        return await self._enter(of, before=old, signer=signer, by=by, reason=reason)

    async def _signer(self) -> FileKey:
        """The key that signs now, made at the first start of a log."""
        of = await self._log.newest()
        public_key = current_key(await self._log.key_events(self.origin(of.log)))
        if public_key is None:
            before = self._key  # the log was followed by the next: the key stays
            await self._enter(
                of, before=None, signer=None, by=SERVICE, reason="first", key=before
            )
        elif self._key is None or self._key.public_key != public_key:
            self._key = self._keys.load(public_key)
        if self._key is None:
            raise KeyFileError(f"{self.origin(of.log)}: there is no key to sign with")
        return self._key

    async def _enter(
        self,
        of: OpenLog,
        *,
        before: bytes | None,
        signer: Signer | None,
        by: str,
        reason: str,
        key: FileKey | None = None,
    ) -> KeyEvent:
        new = key or self._keys.new()
        step = KeyStep.ENTERED if signer is None else KeyStep.SUCCEEDED
        unsigned = KeyEvent(
            step=step,
            name=self.origin(of.log),
            public_key=new.public_key,
            at=self._clock.now(),
            by=by,
            reason=reason,
            before=before,
            signatures=(),
        )
        event = signed(unsigned, (new,) if signer is None else (new, signer))
        await self._log.append(event)
        self._key = new
        return event

    def _note(self, of: OpenLog, root: bytes, key: Signer) -> Note:
        head = Checkpoint(origin=self.origin(of.log), size=of.size, root=root)
        return checkpoint.sign(head, [key])


def signed(event: KeyEvent, keys: tuple[Signer, ...]) -> KeyEvent:
    """The same event with its signatures: its own first."""
    statement = key_statement(event)
    return KeyEvent(
        step=event.step,
        name=event.name,
        public_key=event.public_key,
        at=event.at,
        by=event.by,
        reason=event.reason,
        before=event.before,
        signatures=tuple(key.sign(statement) for key in keys),
    )
