"""Proofs out of a real store, and two centres that witness each other."""

from pathlib import Path

import pytest

from almenara.core.errors import EvidenceError
from almenara.core.time import ManualClock
from almenara.evidence import checkpoint, cosignature, leaves, note, tlog_proof
from almenara.evidence.leaves import Kind
from almenara.evidence.witness import Cosigned, Refused
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.proofs import SqlWitness, prove, request
from almenara.node.store.vouchers import SqlEvidenceLog, current_key
from tests.conftest import NOON
from tests.evidence.keys import SeededKey
from tests.node.evidence import entry, fill, keeper

pytestmark = pytest.mark.anyio
WITNESS = SeededKey("witness")
NAME = "almenara/tanger/witness"


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


@pytest.fixture
def partner(tmp_path: Path):
    with open_store(tmp_path / "partner" / "almenara.db") as opened:
        yield opened


async def key_of(store: Store, origin: str) -> note.Verifier:
    key = current_key(await SqlEvidenceLog(store).key_events(origin))
    assert key is not None
    return checkpoint.key_of(origin, key)


async def test_a_segment_is_proved_with_what_the_log_said_of_it(
    store: Store, tmp_path: Path, clock: ManualClock
):
    keep = keeper(store, tmp_path, clock)
    await keep.begin()
    await fill(store)
    assert store.read_now(lambda db: prove(db, Kind.SEGMENT, "seg-0001")) == ()
    await keep.sign()

    (found,) = store.read_now(lambda db: prove(db, Kind.SEGMENT, "seg-0001"))

    read = tlog_proof.parse(str(found.proof))
    checkpoint.opened(str(read.checkpoint), [await key_of(store, keep.origin(1))])
    assert read.proves(found.leaf.data)
    said = leaves.decode(found.leaf.data)
    assert isinstance(said, leaves.SegmentSealed)
    assert len(said.fragments) == 3


async def test_a_proof_prefers_the_head_that_somebody_outside_vouches_for(
    store: Store, tmp_path: Path, clock: ManualClock
):
    keep, log = keeper(store, tmp_path, clock), SqlEvidenceLog(store)
    await keep.begin()
    await SqlAuditLog(store).record(entry(1))
    first = await keep.sign()
    assert first is not None
    await log.stamped(first, "tsa", b"reply", NOON)
    await SqlAuditLog(store).record(entry(2))
    await keep.sign()

    (old,) = store.read_now(lambda db: prove(db, Kind.AUDIT, "1"))
    (new,) = store.read_now(lambda db: prove(db, Kind.AUDIT, "2"))

    assert (old.head.size, old.stamps) == (first.size, (b"reply",))
    assert (new.head.size, new.stamps) == (first.size + 1, ())


async def test_two_centres_witness_each_other_and_the_answer_is_durable(
    store: Store, partner: Store, tmp_path: Path, clock: ManualClock
):
    keep, log = keeper(store, tmp_path, clock), SqlEvidenceLog(store)
    await keep.begin()
    first = await keep.sign()
    assert first is not None
    trusted = {keep.origin(1): [await key_of(store, keep.origin(1))]}

    def there() -> SqlWitness:
        return SqlWitness(partner, name=NAME, signer=WITNESS, trusted=trusted)

    ask = store.read_now(lambda db: request(db, 0))
    answer = await there().add_checkpoint(str(ask), NOON)
    assert isinstance(answer, Cosigned)
    await log.cosigned(first, NAME, str(answer.signature), NOON)

    await SqlAuditLog(store).record(entry(1))
    await keep.sign()
    again = await there().add_checkpoint(str(ask), NOON)
    assert isinstance(again, Refused)
    assert (again.status, again.size) == (409, first.size)
    grown = store.read_now(lambda db: request(db, first.size))
    assert isinstance(await there().add_checkpoint(str(grown), NOON), Cosigned)

    (proved,) = store.read_now(lambda db: prove(db, Kind.OPENING, "1"))
    witness_key = cosignature.witness_key(NAME, WITNESS.public_key)
    (found,) = cosignature.cosignatures(proved.proof.checkpoint, [witness_key])
    assert found.at == NOON


async def test_a_witness_that_saw_more_than_there_is_is_not_asked(
    store: Store, tmp_path: Path, clock: ManualClock
):
    keep = keeper(store, tmp_path, clock)
    await keep.begin()
    await keep.sign()

    with pytest.raises(EvidenceError, match="saw 99 leaves"):
        store.read_now(lambda db: request(db, 99))


async def test_nonsense_is_a_bad_request(partner: Store):
    witness = SqlWitness(partner, name=NAME, signer=WITNESS, trusted={})

    answer = await witness.add_checkpoint("nonsense", NOON)

    assert isinstance(answer, Refused)
    assert answer.status == 400
