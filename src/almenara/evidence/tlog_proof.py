"""A proof that one leaf is in the log, as a file: whoever holds it needs nothing else.

It carries the leaf's index, the hashes up to the root, and the checkpoint with all its
signatures. ``extra`` is for whatever helps a reader and proves nothing.

Source: C2SP tlog-proof@v1.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from almenara.evidence import checkpoint, note
from almenara.evidence.checkpoint import Checkpoint
from almenara.evidence.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from almenara.evidence.note import Note

HEADER = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """One leaf's place in a log, with the checkpoint it is proved against."""

    index: int
    hashes: tuple[bytes, ...]
    """The leaf's sibling first."""

    checkpoint: Note
    extra: bytes = b""

    @property
    def head(self) -> Checkpoint:
        """The checkpoint's text, read.

        Raises:
            ValueError: It is none.
        """
        return checkpoint.parse(self.checkpoint.text)

    def proves(self, leaf: bytes) -> bool:
        """Whether these bytes are the leaf; the signatures are another question."""
        head = self.head
        return verify_inclusion(
            leaf_hash(leaf), self.index, head.size, self.hashes, head.root
        )

    def __str__(self) -> str:
        extra = f"extra {base64.b64encode(self.extra).decode()}\n" if self.extra else ""
        hashes = "".join(f"{base64.b64encode(h).decode()}\n" for h in self.hashes)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint}"


def parse(text: str) -> TlogProof:
    """Read a proof.

    Raises:
        ValueError: It is none; says what is wrong with it.
    """
    if len(text) > 2 * note.MOST_BYTES:
        raise ValueError("longer than a proof may be")
    top, gap, below = text.partition("\n\n")
    lines = top.split("\n")
    if not gap or lines.pop(0) != HEADER or not lines:
        raise ValueError(f"does not begin with {HEADER}")
    extra = b""
    if lines[0].startswith("extra "):
        extra = _decoded(lines.pop(0).removeprefix("extra "))
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    hashes = tuple(map(_decoded, lines))
    if index is None or len(hashes) > MOST_HASHES:
        raise ValueError("no index, or more hashes than a tree can have levels")
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ValueError(f"a hash has {HASH_BYTES} bytes")
    signed = note.parse(below)
    checkpoint.parse(signed.text)
    return TlogProof(index=int(index[1]), hashes=hashes, checkpoint=signed, extra=extra)


def _decoded(packed: str) -> bytes:
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {packed[:80]!r}") from error
