"""The verifier's parsers take anything and refuse it without a fault of their own."""

import ast
import contextlib
import hashlib
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from almenara.node.export import verify
from tests.node.export.log import ORIGIN, Key, leaf_hash, path_of, root_of

NOTE = Key(ORIGIN, 1).signature(f"{ORIGIN}\n3\n{'A' * 43}=\n")
SEEDS = [
    b"c2sp.org/tlog-proof@v1\nindex 2\n" + b"A" * 43 + b"=\n\n",
    f"{ORIGIN}\n3\n{'A' * 43}=\n\n{NOTE}".encode(),
    Key(ORIGIN, 1).line.encode(),
    b"0" * 64 + b"  data/a\n",
    b'{"format":"almenara-export/1","span":{"start_us":1,"end_us":2},"streams":[]}',
    b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
]
PARSERS = (
    verify.tlog_proof,
    verify.checkpoint,
    verify.document,
    verify.certificate,
    lambda data: verify.note_key(data.decode("latin-1")),
    lambda data: verify.from_pem(data.decode("latin-1")),
    lambda data: verify._manifest(data.decode("latin-1")),  # noqa: SLF001  # its parser
    lambda data: verify.trust_of([data.decode("latin-1")]),
)
REFUSALS = (verify.WrongError, verify.CannotRunError)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=6))
    return bytes(data)


@given(data=st.one_of(st.binary(max_size=200), damaged()))
@settings(max_examples=400, deadline=None)
def test_hostile_bytes_are_refused(data: bytes):
    for parse in PARSERS:
        with contextlib.suppress(*REFUSALS):
            parse(data)


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_no_bytes_are_taken_for_a_fragment(data: bytes):
    row = {"length_bytes": len(data), "n": 0, "started_us": 0, "ended_us": 0}
    row |= {"number": 0, "base_90k": 0}
    more = {**row, "sha256": "", "description_sha256": ""}

    assert verify._fault_of(data, more, number=1, origin_us=0)  # noqa: SLF001  # its parser


@given(leaves=st.lists(st.binary(max_size=9), min_size=1, max_size=70), pick=st.data())
@settings(max_examples=60, deadline=None)
def test_inclusion_agrees_with_the_naive_tree(leaves: list[bytes], pick: st.DataObject):
    index = pick.draw(st.integers(0, len(leaves) - 1))
    head = verify.Checkpoint("o", len(leaves), root_of(leaves), b"", ())
    path = tuple(path_of(leaves, index))

    assert leaf_hash(leaves[index]) == hashlib.sha256(b"\0" + leaves[index]).digest()
    assert verify.root_by(leaves[index], verify.Proof(index, path, head)) == head.root
    wrong = verify.root_by(leaves[index] + b"x", verify.Proof(index, path, head))
    assert wrong != head.root
    other = (index + 1) % len(leaves)
    if leaves[other] != leaves[index]:
        moved = verify.root_by(leaves[index], verify.Proof(other, path, head))
        assert moved != head.root


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=80))
@settings(max_examples=20, deadline=None)
def test_ed25519_agrees_with_the_library(seed: bytes, message: bytes):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)

    assert verify.ed25519_is_good(public, message, signature)
    assert not verify.ed25519_is_good(public, message + b"x", signature)
    bent = bytes([signature[0] ^ 1]) + signature[1:]
    assert not verify.ed25519_is_good(public, message, bent)
    # S is reduced: the same point under another number is no second signature.
    s = int.from_bytes(signature[32:], "little") + verify._L  # noqa: SLF001  # RFC 8032
    if s < 1 << 256:
        again = signature[:32] + s.to_bytes(32, "little")
        assert not verify.ed25519_is_good(public, message, again)


def test_ed25519_agrees_with_the_vectors_of_rfc_8032():
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signed = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key, signature = bytes.fromhex(public), bytes.fromhex(signed)

    assert verify.ed25519_is_good(key, b"\x72", signature)
    assert not verify.ed25519_is_good(key, b"\x73", signature)


@given(secret=st.integers(1, 2**200), message=st.binary(max_size=80))
@settings(max_examples=15, deadline=None)
def test_p256_agrees_with_the_library(secret: int, message: bytes):
    key = ec.derive_private_key(secret, ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))

    assert verify.p256_is_good(point, message, r, s)
    assert not verify.p256_is_good(point, message + b"x", r, s)
    assert not verify.p256_is_good(point, message, r, s ^ 1)
    assert not verify.p256_is_good(point[:-1] + b"\0", message, r, s)


@pytest.mark.parametrize("r_s", [(0, 1), (1, 0), (verify._N, 1), (1, verify._N)])  # noqa: SLF001  # its bounds
def test_p256_refuses_numbers_outside_the_group(r_s: tuple[int, int]):
    key = ec.derive_private_key(7, ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    assert not verify.p256_is_good(point, b"", *r_s)


def test_the_verifier_imports_nothing_but_the_standard_library():
    text = Path(verify.__file__).read_text("utf-8")

    ast.parse(text, feature_version=(3, 9))
    names = {
        (node.module or "").split(".")[0]
        if isinstance(node, ast.ImportFrom)
        else node.names[0].name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names <= sys.stdlib_module_names
