"""The witness: growth is cosigned, everything else is refused with the right number."""

from datetime import UTC, datetime

import pytest

from almenara.core.ids import CentreId
from almenara.evidence import checkpoint, cosignature, merkle, note, witness
from almenara.evidence.checkpoint import Checkpoint
from almenara.evidence.witness import Cosigned, Refused, Request
from tests.evidence.keys import SeededKey, kept

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGIN = checkpoint.origin(CentreId("tarifa"), 1)
LOG, WITNESS = SeededKey("log"), SeededKey("witness")
NAME = "almenara/tanger/witness"
TRUSTED = {ORIGIN: [checkpoint.key_of(ORIGIN, LOG.public_key)]}
TRUE = [merkle.leaf_hash(str(n).encode()) for n in range(20)]
FALSE = [*TRUE[:3], merkle.leaf_hash(b"rewritten"), *TRUE[4:]]


def head(hashes: list[bytes], size: int) -> Checkpoint:
    root = merkle.root(hashes[:size])
    return Checkpoint(origin=ORIGIN, size=size, root=root)


def ask(
    old: int, new: int, hashes: list[bytes] = TRUE, key: SeededKey = LOG
) -> Request:
    return Request(
        old_size=old,
        proof=merkle.consistency_proof(old, new, kept(hashes)) if old <= new else (),
        checkpoint=checkpoint.sign(head(hashes, new), [key]),
    )


def answer(request: Request, seen: Checkpoint | None) -> Cosigned | Refused:
    return witness.decide(
        witness.parse(str(request)),
        trusted=TRUSTED,
        seen=seen,
        name=NAME,
        signer=WITNESS,
        at=NOON,
    )


@pytest.mark.parametrize(("old", "new"), [(0, 1), (0, 20), (8, 13), (13, 13), (16, 20)])
def test_a_log_that_grew_or_stayed_is_cosigned(old: int, new: int):
    found = answer(ask(old, new), head(TRUE, old) if old else None)

    assert isinstance(found, Cosigned)
    assert found.seen == head(TRUE, new)
    key = cosignature.witness_key(NAME, WITNESS.public_key)
    assert cosignature.checked(head(TRUE, new).text, found.signature, key) == NOON


def test_a_log_rewritten_and_signed_anew_with_the_right_key_is_refused():
    found = answer(ask(8, 13, FALSE), head(TRUE, 8))

    assert isinstance(found, Refused)
    assert (found.status, found.accuses) == (422, True)


def test_a_rewritten_log_of_the_same_length_is_refused():
    found = answer(ask(8, 8, FALSE), head(TRUE, 8))

    assert isinstance(found, Refused)
    assert (found.status, found.accuses) == (409, True)


def test_a_log_that_was_cut_short_is_told_what_was_seen():
    found = answer(ask(4, 5), head(TRUE, 8))

    assert isinstance(found, Refused)
    assert (found.status, found.size, found.accuses) == (409, 8, False)


def test_a_log_that_forgot_what_was_seen_is_told():
    found = answer(ask(0, 20), head(TRUE, 8))

    assert isinstance(found, Refused)
    assert (found.status, found.size) == (409, 8)


def test_a_stranger_an_unknown_log_and_nonsense_have_their_own_numbers():
    seen = head(TRUE, 8)
    stranger = answer(ask(8, 13, key=SeededKey("stranger")), seen)
    backwards = answer(ask(9, 8), seen)
    unknown = witness.decide(
        ask(0, 5), trusted={}, seen=None, name=NAME, signer=WITNESS, at=NOON
    )

    assert isinstance(stranger, Refused)
    assert isinstance(backwards, Refused)
    assert isinstance(unknown, Refused)
    assert (stranger.status, backwards.status, unknown.status) == (403, 400, 404)


def test_a_note_that_is_no_checkpoint_is_a_bad_request():
    signed = note.sign("only one line\n", [(ORIGIN, LOG)])
    found = answer(Request(old_size=0, proof=(), checkpoint=signed), None)

    assert isinstance(found, Refused)
    assert found.status == 400


@pytest.mark.parametrize(
    "text",
    ["", "old x\n\n", "old 01\n\nx\n\n", "old 1\nAAAA\n\n", "old 1\n" + "A" * 10],
)
def test_what_is_no_request_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        witness.parse(text)


def test_a_request_survives_the_way():
    assert witness.parse(str(ask(8, 13))) == ask(8, 13)
