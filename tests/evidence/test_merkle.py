"""The tree against RFC 6962's own definition, published values, and bent proofs."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.evidence import merkle
from almenara.evidence.merkle import leaf_hash, node_hash
from tests.evidence.keys import kept

# Leaves, roots and proofs of the certificate-transparency reference tree.
# Source: github.com/transparency-dev/merkle, testonly (values only).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def numbered(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    n = len(hashes)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return hashes[0]
    k = 1
    while 2 * k < n:
        k *= 2
    return node_hash(naive_root(hashes[:k]), naive_root(hashes[k:]))


def naive_path(m: int, hashes: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1, word for word."""
    n = len(hashes)
    if n == 1:
        return []
    k = 1
    while 2 * k < n:
        k *= 2
    if m < k:
        return [*naive_path(m, hashes[:k]), naive_root(hashes[k:])]
    return [*naive_path(m - k, hashes[k:]), naive_root(hashes[:k])]


def naive_subproof(m: int, hashes: list[bytes], *, known: bool) -> list[bytes]:
    """RFC 6962, 2.1.2, word for word."""
    n = len(hashes)
    if m == n:
        return [] if known else [naive_root(hashes)]
    k = 1
    while 2 * k < n:
        k *= 2
    if m <= k:
        inner = naive_subproof(m, hashes[:k], known=known)
        return [*inner, naive_root(hashes[k:])]
    inner = naive_subproof(m - k, hashes[k:], known=False)
    return [*inner, naive_root(hashes[:k])]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int):
    assert merkle.root(HASHES[:size]).hex() == ROOTS[size]
    assert merkle.root_at(size, kept(HASHES)).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "hashes"),
    [
        (0, 1, []),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            3,
            ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
    ],
)
def test_inclusion_proofs_are_the_published_ones(
    index: int, size: int, hashes: list[str]
):
    proof = merkle.inclusion_proof(index, size, kept(HASHES))

    assert [each.hex() for each in proof] == hashes


@pytest.mark.parametrize(
    ("old", "new", "hashes"),
    [
        (1, 1, []),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ],
)
def test_consistency_proofs_are_the_published_ones(
    old: int, new: int, hashes: list[str]
):
    proof = merkle.consistency_proof(old, new, kept(HASHES))

    assert [each.hex() for each in proof] == hashes


@given(st.integers(1, 600), st.data())
def test_proofs_are_those_of_the_definition_and_lead_to_the_root(
    size: int, data: st.DataObject
):
    hashes = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    subtree = kept(hashes)
    whole, part = naive_root(hashes), naive_root(hashes[:old])

    path = merkle.inclusion_proof(index, size, subtree)
    growth = merkle.consistency_proof(old, size, subtree)

    assert merkle.root_at(size, subtree) == whole
    assert merkle.frontier_at(size, subtree).root() == whole
    assert list(path) == naive_path(index, hashes)
    assert list(growth) == naive_subproof(old, hashes, known=True)
    assert merkle.verify_inclusion(hashes[index], index, size, path, whole)
    assert merkle.verify_consistency(old, size, growth, part, whole)


@given(st.integers(2, 200), st.data())
def test_a_bent_proof_leads_nowhere(size: int, data: st.DataObject):
    hashes = numbered(size)
    subtree = kept(hashes)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    old = data.draw(st.integers(1, size - 1))
    whole, part = naive_root(hashes), naive_root(hashes[:old])
    path = merkle.inclusion_proof(index, size, subtree)
    growth = merkle.consistency_proof(old, size, subtree)
    wrong = leaf_hash(b"never logged")

    assert not merkle.verify_inclusion(wrong, index, size, path, whole)
    assert not merkle.verify_inclusion(hashes[index], other, size, path, whole)
    assert not merkle.verify_inclusion(hashes[index], index, size, path, wrong)
    assert not merkle.verify_inclusion(
        hashes[index], index, size, (*path, wrong), whole
    )
    assert not merkle.verify_inclusion(hashes[index], index, size, path[:-1], whole)
    assert not merkle.verify_inclusion(hashes[index], size, size, path, whole)
    assert not merkle.verify_consistency(old, size, growth, wrong, whole)
    assert not merkle.verify_consistency(old, size, growth, part, wrong)
    assert not merkle.verify_consistency(old, size, growth[:-1], part, whole)
    assert not merkle.verify_consistency(old, size, (*growth, wrong), part, whole)
    assert not merkle.verify_consistency(size, old, growth, whole, part)


@given(st.integers(0, 300))
def test_a_tree_that_grows_leaf_by_leaf_is_the_tree_of_all(size: int):
    hashes = numbered(size)
    frontier = merkle.EMPTY
    for each in hashes:
        frontier = frontier.append(each)

    assert frontier.root() == naive_root(hashes)
    assert frontier == merkle.frontier_at(size, kept(hashes))


def test_a_leaf_that_is_not_there_has_no_proof():
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion_proof(8, 8, kept(HASHES))
    with pytest.raises(ValueError, match="does not continue"):
        merkle.consistency_proof(9, 8, kept(HASHES))
    with pytest.raises(IndexError, match="no full subtree"):
        merkle.tile_subtree(HASHES[:7], 3, 0)


def test_a_root_that_is_the_leaf_itself_proves_no_larger_tree():
    leaf = HASHES[0]

    assert merkle.verify_inclusion(leaf, 0, 1, (), leaf)
    assert not merkle.verify_inclusion(leaf, 0, 2, (), leaf)


def test_an_empty_log_is_continued_by_all_and_vouches_for_nothing():
    assert merkle.verify_consistency(0, 5, (), merkle.EMPTY_ROOT, b"\0" * 32)
    assert not merkle.verify_consistency(0, 5, (), b"\0" * 32, b"\0" * 32)
