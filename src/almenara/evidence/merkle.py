"""The tree over the evidence log: roots, and proofs that a stranger can check.

A leaf is hashed once; two subtrees of the same width make the next one up. A subtree
that is full never changes again, so its hash is worth keeping: whoever keeps them hands
over a :data:`Subtree`, and every root and proof then costs some forty hashes at ten
million leaves instead of twenty million. Keepers store *tiles*: the hashes of 256
neighbours of one level in one value, written once when the last of them is known.

A subtree is named by its level (0 for leaves) and its number from the left, so it holds
the leaves ``[number << level, (number + 1) << level)``.

Source: RFC 6962, section 2.1; for checking a proof RFC 9162, sections 2.1.3.2 and
2.1.4.2, whose trees are the same; for tiles C2SP tlog-tiles.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a log without a leaf."""

TILE_LEVELS = 8
"""A tile joins this many levels of the tree."""

TILE_WIDTH = 1 << TILE_LEVELS
"""Hashes in a full tile."""

Subtree = Callable[[int, int], bytes]
"""Level and number of a full subtree to its hash."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of a whole tree given at once.

    Args:
        leaf_hashes: As :func:`leaf_hash` makes them, in the order of the log.
    """
    frontier = EMPTY
    for each in leaf_hashes:
        frontier = frontier.append(each)
    return frontier.root()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The full subtrees of a growing tree, widest first: all that appending needs."""

    size: int
    """Leaves so far; its bits say which subtrees there are."""

    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{self.size} leaves make another number of subtrees")

    def append(self, leaf: bytes) -> "Frontier":
        """The same with one more leaf, given by its hash."""
        hashes, joined, size = list(self.hashes), leaf, self.size
        while size & 1:
            joined, size = node_hash(hashes.pop(), joined), size >> 1
        return Frontier(size=self.size + 1, hashes=(*hashes, joined))

    def root(self) -> bytes:
        """The root of the tree so far."""
        return _joined(self.hashes)


EMPTY = Frontier(size=0, hashes=())
"""Where every log begins."""


def frontier_at(size: int, subtree: Subtree) -> Frontier:
    """The frontier of the first ``size`` leaves."""
    return Frontier(size=size, hashes=_peaks(0, size, subtree))


def root_at(size: int, subtree: Subtree) -> bytes:
    """The root of the first ``size`` leaves."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """Everything needed to lead one leaf up to the root.

    Args:
        index: The leaf, from 0.
        size: Leaves of the tree whose root is proved, at least ``index + 1``.
        subtree: The keeper's hashes of full subtrees.

    Returns:
        The leaf's sibling first, the root's child last; at most 63 hashes.

    Raises:
        ValueError: The leaf is not in a tree of that size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_hash(start, middle, subtree))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, new: int, subtree: Subtree) -> tuple[bytes, ...]:
    """Everything needed to see that the first ``old`` leaves are still the same.

    Returns:
        As RFC 6962 orders it; empty if ``old`` is 0 or equals ``new``.

    Raises:
        ValueError: The old tree is larger than the new one.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} does not continue one of {old}")
    if old in (0, new):
        return ()
    proof: list[bytes] = []
    start, end, is_whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_hash(start, middle, subtree))
            start, is_whole = middle, False
    if not is_whole:
        proof.append(_range_hash(start, end, subtree))
    return tuple(reversed(proof))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether a proof leads this leaf (its hash) to this root and to no other."""
    if not 0 <= index < size:
        return False
    number, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = node_hash(each, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, each)
        number, last = number >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether a proof shows that the new tree only adds to the old one.

    An old tree without a leaf is continued by every tree: the proof must be empty, and
    says nothing.
    """
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    # A full old tree is its own first subtree, which the proof then leaves out.
    steps = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    if not steps:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    was = now = steps[0]
    for each in steps[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            was, now = node_hash(each, was), node_hash(each, now)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            now = node_hash(now, each)
        number, last = number >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def tile_subtree(hashes: Sequence[bytes], level: int, number: int) -> bytes:
    """The hash of a full subtree inside one tile.

    Args:
        hashes: The tile's own, of its lowest level; from the left, maybe not all 256.
        level: Levels above the tile's lowest, 0 to 8.
        number: From the tile's left edge, at that level.

    Raises:
        IndexError: The tile does not reach so far: the subtree is not full yet.
    """
    start, width = number << level, 1 << level
    row = list(hashes[start : start + width])
    if len(row) != width:
        raise IndexError(f"no full subtree of level {level} at {number}")
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def _split(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(start: int, end: int, subtree: Subtree) -> bytes:
    return _joined(_peaks(start, end, subtree))


def _peaks(start: int, end: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The full subtrees of [start, end), from the left; start is where one begins."""
    peaks: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(subtree(level, start >> level))
        start += 1 << level
    return tuple(peaks)


def _joined(peaks: Sequence[bytes]) -> bytes:
    """The root above some full subtrees, the narrowest joined first."""
    if not peaks:
        return EMPTY_ROOT
    *rest, found = peaks
    for each in reversed(rest):
        found = node_hash(each, found)
    return found
