"""Notes, checkpoints, cosignatures and proofs as text: published values and damage."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import CentreId
from almenara.evidence import checkpoint, cosignature, merkle, note, tlog_proof
from almenara.evidence.checkpoint import Checkpoint
from almenara.evidence.tlog_proof import TlogProof
from tests.evidence.keys import SeededKey, kept

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGIN = checkpoint.origin(CentreId("tarifa"), 1)
LOG, WITNESS = SeededKey("log"), SeededKey("witness")
LOG_KEY = checkpoint.key_of(ORIGIN, LOG.public_key)
WITNESS_KEY = cosignature.witness_key("almenara/tanger/witness", WITNESS.public_key)

# The example of the Go package golang.org/x/mod/sumdb/note: a key pair and its note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_PRIVATE = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSN"
    "XgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of C2SP tlog-cosignature; its keys are not published.
C2SP_NOTE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRD"
    "e4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWX"
    "EhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def head(size: int = 5) -> Checkpoint:
    hashes = [merkle.leaf_hash(str(n).encode()) for n in range(size)]
    return Checkpoint(origin=ORIGIN, size=size, root=merkle.root(hashes))


def test_a_published_note_is_read_checked_and_made_again_byte_for_byte():
    key = note.verifier(GO_KEY)
    read = note.parse(GO_NOTE)
    signer = SeededKey(base64.b64decode(GO_PRIVATE)[1:])

    assert str(key) == GO_KEY
    assert note.verify(read, [key]) == (key,)
    assert str(note.sign(read.text, [("PeterNeumann", signer)])) == GO_NOTE


def test_a_published_checkpoint_is_read_and_written_back():
    read = note.parse(C2SP_NOTE)

    assert str(read) == C2SP_NOTE
    assert checkpoint.parse(read.text).size == 20852163
    assert checkpoint.parse(read.text).text == read.text
    # Its witness signed at 1679315147, says the document.
    assert int.from_bytes(read.signatures[1].signature[:8], "big") == 1679315147


def test_several_keys_sign_one_checkpoint_and_strangers_are_overlooked():
    second, stranger = SeededKey("second"), SeededKey("stranger")
    signed = checkpoint.sign(head(), [LOG, second, stranger])
    keys = [LOG_KEY, checkpoint.key_of(ORIGIN, second.public_key)]

    assert note.verify(note.parse(str(signed)), keys) == tuple(keys)
    assert checkpoint.opened(str(signed), keys) == (head(), signed)


def test_a_checkpoint_signed_by_nobody_we_trust_is_refused():
    signed = checkpoint.sign(head(), [SeededKey("stranger")])

    with pytest.raises(ValueError, match="signed by no key"):
        checkpoint.opened(str(signed), [LOG_KEY])


def test_a_key_trusted_for_another_log_says_nothing_here():
    other = checkpoint.key_of("almenara/tanger/log/1", LOG.public_key)
    signed = checkpoint.sign(head(), [LOG])

    with pytest.raises(ValueError, match="signed by no key"):
        checkpoint.opened(str(signed), [other])


def test_a_checkpoint_is_signed_under_its_own_name_and_no_other():
    other = checkpoint.key_of("almenara/tanger/log/1", LOG.public_key)
    signed = note.sign(head().text, [(other.name, LOG)])

    with pytest.raises(ValueError, match="signed by no key"):
        checkpoint.opened(str(signed), [other])


def test_a_cosignature_of_a_time_that_cannot_be_is_none():
    far = 2**62
    message = f"cosignature/v1\ntime {far}\n{head().text}".encode()
    line = note.Signature(
        name=WITNESS_KEY.name,
        key_hash=WITNESS_KEY.key_hash,
        signature=far.to_bytes(8, "big") + WITNESS.sign(message),
    )

    assert cosignature.checked(head().text, line, WITNESS_KEY) is None


@given(st.data())
def test_one_changed_byte_in_a_checkpoint_is_seen(data: st.DataObject):
    text = str(checkpoint.sign(head(), [LOG])).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    bent = bytearray(text)
    bent[place] ^= data.draw(st.integers(1, 255))

    try:
        found, _ = checkpoint.opened(bent.decode(), [LOG_KEY])
    except ValueError:  # refused, or no longer UTF-8
        return
    # Base64 has spare bits; whatever is let through must say the same.
    assert found == head()


def test_a_cosignature_says_when_and_covers_the_time():
    line = cosignature.cosign(head().text, WITNESS_KEY.name, WITNESS, NOON)
    signed = note.parse(str(checkpoint.sign(head(), [LOG])) + str(line))
    later = line.signature[:7] + bytes([line.signature[7] ^ 1]) + line.signature[8:]
    bent = note.Signature(name=line.name, key_hash=line.key_hash, signature=later)

    (found,) = cosignature.cosignatures(signed, [WITNESS_KEY])

    assert (found.at, found.witness) == (NOON, WITNESS_KEY)
    assert note.verify(signed, [LOG_KEY, WITNESS_KEY]) == (LOG_KEY,)
    assert cosignature.checked(head().text, bent, WITNESS_KEY) is None
    assert cosignature.checked(head(6).text, line, WITNESS_KEY) is None


def test_a_wrong_cosignature_of_a_trusted_witness_spoils_the_note():
    line = cosignature.cosign(head(6).text, WITNESS_KEY.name, WITNESS, NOON)
    signed = note.parse(str(checkpoint.sign(head(), [LOG])) + str(line))

    with pytest.raises(ValueError, match="tanger"):
        cosignature.cosignatures(signed, [WITNESS_KEY])


def test_a_key_line_with_another_hash_is_refused():
    with pytest.raises(ValueError, match="hash of this key"):
        note.verifier(GO_KEY.replace("c74f20a3", "c74f20a4"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no signature\n",
        "text\n\nno dash\n",
        "text\n\n\u2014 name !!!!\n",
        "text\n\n\u2014 name AAAA\n",
        "te\x07xt\n\n\u2014 name AAAAAAAAAAAA\n",
        "text\n\n" + "\u2014 name AAAAAAAAAAAA\n" * 65,
        "x" * 70_000,
    ],
)
def test_what_is_no_note_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        note.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n5\n",
        f"{ORIGIN}\n05\n{'A' * 43}=\n",
        f"{ORIGIN}\n-5\n{'A' * 43}=\n",
        f"{ORIGIN}\n5\nAAAA\n",
        f"{ORIGIN}\n5\n{'A' * 43}=\n\n",
        f"{ORIGIN}\n5\n{'A' * 43}=",
        f"{ORIGIN}\n9999999999999999999\n{'A' * 43}=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        checkpoint.parse(text)


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_a_reader(text: str):
    for read in (note.parse, checkpoint.parse, tlog_proof.parse, note.verifier):
        try:
            read(text)
        except ValueError:
            continue


def test_an_origin_names_one_log_of_one_centre():
    assert checkpoint.of_origin(ORIGIN) == (CentreId("tarifa"), 1)
    for wrong in ("almenara/Tarifa/log/1", "almenara/tarifa/log/0", "x/tarifa/log/1"):
        with pytest.raises(ValueError, match="not the origin"):
            checkpoint.of_origin(wrong)


@given(st.integers(1, 40), st.data())
def test_a_proof_survives_being_written_down(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    hashes = [merkle.leaf_hash(str(n).encode()) for n in range(size)]
    proof = TlogProof(
        index=index,
        hashes=merkle.inclusion_proof(index, size, kept(hashes)),
        checkpoint=checkpoint.sign(head(size), [LOG]),
        extra=data.draw(st.binary(max_size=20)),
    )

    read = tlog_proof.parse(str(proof))

    assert read == proof
    assert read.proves(str(index).encode())
    assert not read.proves(b"never logged")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\n" + C2SP_NOTE,
        "c2sp.org/tlog-proof@v1\nindex 01\n\n" + C2SP_NOTE,
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + C2SP_NOTE,
        "c2sp.org/tlog-proof@v1\nindex 0\n"
        + ("A" * 43 + "=\n") * 64
        + "\n"
        + C2SP_NOTE,
    ],
)
def test_what_is_no_proof_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        tlog_proof.parse(text)
