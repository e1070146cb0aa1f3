"""The log's keeper: keys that only the node reads, heads in time, keys that follow."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from almenara.core.errors import KeyFileError, StoreError
from almenara.core.time import ManualClock
from almenara.evidence import checkpoint, cosignature, leaves, note
from almenara.evidence.leaves import KeyStep
from almenara.node.log_keeper import (
    CHECKPOINT_EVERY,
    Anchoring,
    LogKeeper,
    anchoring,
)
from almenara.node.log_keys import KeyFolder
from almenara.node.store import evidence_log, vouchers
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.evidence_check import check
from almenara.node.store.vouchers import SqlEvidenceLog
from tests.conftest import NOON
from tests.evidence.keys import SeededKey
from tests.node.evidence import entry, keeper

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


@pytest.fixture
async def kept(store: Store, tmp_path: Path, clock: ManualClock) -> LogKeeper:
    keep = keeper(store, tmp_path, clock)
    await keep.begin()
    await keep.sign()
    return keep


def test_a_key_lies_in_a_file_that_only_its_owner_reads(tmp_path: Path):
    folder = KeyFolder(tmp_path / "keys", "log")
    key = folder.new()
    place = folder.place(key.public_key)

    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    again = folder.load(key.public_key)
    assert again.public_key == key.public_key
    assert note.is_signed(key.public_key, b"x", again.sign(b"x"))
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_could_read_is_refused_with_its_cure(
    tmp_path: Path, mode: int
):
    folder = KeyFolder(tmp_path / "keys", "log")
    place = folder.place((key := folder.new()).public_key)
    place.chmod(mode)

    with pytest.raises(KeyFileError, match=f"chmod 600 {place}"):
        folder.load(key.public_key)


def test_a_folder_that_others_could_enter_is_refused(tmp_path: Path):
    folder = KeyFolder(tmp_path / "keys", "log")
    key = folder.new()
    (tmp_path / "keys").chmod(0o755)

    with pytest.raises(KeyFileError, match="chmod 700"):
        folder.load(key.public_key)
    with pytest.raises(KeyFileError, match="chmod 700"):
        folder.new()


def test_a_key_that_is_gone_damaged_or_another_is_said_so(tmp_path: Path):
    folder = KeyFolder(tmp_path / "keys", "log")
    first, second = folder.new(), folder.new()
    folder.place(first.public_key).write_text("nothing")
    other = folder.place(second.public_key)
    other.rename(tmp_path / "away")

    with pytest.raises(KeyFileError, match="not a private key"):
        folder.load(first.public_key)
    with pytest.raises(KeyFileError, match="rotate-key --lost"):
        folder.load(second.public_key)
    other.symlink_to(tmp_path / "away")
    with pytest.raises(KeyFileError, match="a link"):
        folder.load(second.public_key)


async def test_a_head_is_signed_after_ten_seconds_if_anything_is_new(
    store: Store, kept: LogKeeper, clock: ManualClock
):
    clock.advance(CHECKPOINT_EVERY)
    assert await kept.look() is None

    await SqlAuditLog(store).record(entry(1))
    made = await kept.look()
    assert made is not None

    await SqlAuditLog(store).record(entry(2))
    assert await kept.look() is None
    clock.advance(CHECKPOINT_EVERY)
    later = await kept.look()
    assert later is not None
    assert later.size == made.size + 1


async def test_a_thousand_leaves_do_not_wait_for_the_clock(
    store: Store, kept: LogKeeper, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("almenara.node.log_keeper.CHECKPOINT_LEAVES", 3)
    log = SqlAuditLog(store)
    await log.record(entry(1))
    assert await kept.look() is None
    await log.record(entry(2))
    await log.record(entry(3))

    assert await kept.look() is not None


async def test_the_key_stays_over_a_restart(
    store: Store, kept: LogKeeper, tmp_path: Path, clock: ManualClock
):
    again = keeper(store, tmp_path, clock)
    await again.begin()

    events = await SqlEvidenceLog(store).key_events(kept.origin(1))
    assert [event.step for event in events] == [KeyStep.ENTERED]


async def test_a_key_that_cannot_be_used_costs_signatures_and_no_leaf(
    store: Store, kept: LogKeeper, tmp_path: Path, clock: ManualClock
):
    (key,) = (tmp_path / "keys").iterdir()
    key.chmod(0o644)
    again = keeper(store, tmp_path, clock)
    with pytest.raises(KeyFileError):
        await again.begin()
    await SqlAuditLog(store).record(entry(1))
    with pytest.raises(KeyFileError):
        await again.sign()

    key.chmod(0o600)
    made = await again.sign()

    assert made is not None
    assert made.size == (await SqlEvidenceLog(store).newest()).size
    assert await kept.sign() is None


async def test_a_new_key_is_let_in_by_the_old_one_beside_the_running_node(
    store: Store, kept: LogKeeper, tmp_path: Path, clock: ManualClock
):
    command = keeper(store, tmp_path, clock)
    event = await command.rotate(by="shell/ana", reason="a year is over")
    made = await kept.sign()

    assert made is not None
    new = checkpoint.key_of(kept.origin(1), event.public_key)
    assert note.verify(note.parse(made.note), [new]) == (new,)
    assert len(event.signatures) == 2
    verdict = store.read_now(check)
    assert (verdict.findings, verdict.unvouched_keys) == ((), 0)


async def test_a_key_that_was_lost_is_followed_and_everybody_is_told(
    store: Store, kept: LogKeeper, tmp_path: Path
):
    for file in (tmp_path / "keys").iterdir():
        file.unlink()
    await kept.rotate(by="shell/ana", reason="disk died", is_lost=True)
    await kept.sign()

    verdict = store.read_now(check)
    assert (verdict.findings, verdict.unvouched_keys) == ((), 1)


async def test_a_key_that_nobody_let_in_is_named(
    store: Store, kept: LogKeeper, clock: ManualClock
):
    log, stranger = SqlEvidenceLog(store), SeededKey("stranger")
    events = await log.key_events(kept.origin(1))
    forged = leaves.KeyEvent(
        step=KeyStep.SUCCEEDED,
        name=kept.origin(1),
        public_key=stranger.public_key,
        at=clock.now(),
        by="shell/ana",
        reason="trust me",
        before=events[-1].public_key,
        signatures=(b"0" * 64, b"0" * 64),
    )
    await log.append(forged)

    (found,) = store.read_now(check).findings
    assert "did not let in" in found.problem


async def test_a_frozen_log_is_not_signed_and_the_next_begins_with_what_was_witnessed(
    store: Store, kept: LogKeeper, clock: ManualClock
):
    log = SqlEvidenceLog(store)
    (head,) = await log.checkpoints()
    signed = note.parse(head.note).text
    line = str(cosignature.cosign(signed, "tanger", SeededKey("witness"), NOON))
    await log.cosigned(head, "tanger", line, NOON)
    with pytest.raises(StoreError, match="not frozen"):
        await log.open_next(reason="r", by="p1", at=clock.now())

    await log.freeze(1, reason="422 from tanger", at=clock.now())
    await SqlAuditLog(store).record(entry(1))
    assert await kept.sign() is None

    opened = await log.open_next(reason="422 from tanger", by="p1", at=clock.now())
    made = await kept.sign()

    assert (opened.log, opened.size, opened.first_leaf % 256) == (2, 1, 0)
    assert made is not None
    assert made.note.startswith(f"{kept.origin(2)}\n")
    first = store.read_now(
        lambda db: evidence_log.LogReader(db, evidence_log.newest(db)).leaf(0)
    )
    assert first is not None
    opening = leaves.decode(first.data)
    assert isinstance(opening, leaves.LogOpening)
    assert opening.continues == head.note + line
    assert store.read_now(check).findings == ()
    assert [s.log for s in store.read_now(vouchers.summaries)] == [1, 2]


async def test_the_newest_outside_voucher_counts(
    store: Store, tmp_path: Path, clock: ManualClock
):
    log, kept = SqlEvidenceLog(store), keeper(store, tmp_path, clock)
    await kept.begin()
    await kept.sign()
    assert await log.anchored() is None
    (head,) = await log.checkpoints()
    await log.stamped(head, "tsa", b"reply", clock.now())
    await log.stamped(head, "tsa", b"reply", clock.now())

    assert await log.anchored() == head.at


@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        (0, Anchoring.ANCHORED),
        (15, Anchoring.ANCHORED),
        (16, Anchoring.WAITING),
        (240, Anchoring.WAITING),
        (241, Anchoring.NOT_ANCHORED),
    ],
)
def test_an_anchor_that_is_missing_is_a_notice_and_then_a_word(
    minutes: int, state: Anchoring
):
    found = anchoring(
        NOON,
        NOON + timedelta(minutes=minutes),
        since=NOON,
        notice_after=timedelta(minutes=15),
        lost_after=timedelta(hours=4),
    )
    assert found is state


async def test_two_that_sign_at_once_never_sign_two_roots_of_one_size(
    store: Store, kept: LogKeeper, tmp_path: Path, clock: ManualClock
):
    other = keeper(store, tmp_path, clock)
    await SqlAuditLog(store).record(entry(1))

    made = [await kept.sign(), await other.sign()]

    assert sum(each is not None for each in made) == 1


async def test_a_row_that_fails_leaves_no_leaf(store: Store):
    log = SqlAuditLog(store)
    before = await SqlEvidenceLog(store).newest()

    def work(db: sa.Connection) -> None:
        evidence_log.append(db, leaves.SoftwareRelease(version="9", at=NOON))
        raise RuntimeError("after the leaf")

    with pytest.raises(RuntimeError, match="after the leaf"):
        await store.write(work)
    assert await SqlEvidenceLog(store).newest() == before
    await log.record(entry(1))
    assert store.read_now(check).is_good
