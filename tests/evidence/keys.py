"""Keys that are the same in every run, and a store of hashes as a keeper has it."""

import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from almenara.evidence.merkle import Subtree, tile_subtree


class SeededKey:
    """Fulfils ``evidence.note.Signer``; one word, one key."""

    def __init__(self, seed: str | bytes) -> None:
        raw = (
            seed if isinstance(seed, bytes) else hashlib.sha256(seed.encode()).digest()
        )
        self._key = Ed25519PrivateKey.from_private_bytes(raw)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def kept(leaf_hashes: Sequence[bytes]) -> Subtree:
    """Every full subtree of these leaves, looked up as one endless tile."""
    return lambda level, number: tile_subtree(leaf_hashes, level, number)
