"""What a witness decides: cosign a partner's checkpoint, or refuse and say why.

A witness remembers one thing per log: the newest checkpoint that it cosigned. It signs
the next only if a proof shows that the log merely grew. Whoever rewrote a log and
signed it anew with the right key has no such proof. The answer is decided here; the
keeper of the state writes it down before it answers.

Source: C2SP tlog-witness, ``add-checkpoint``.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from almenara.evidence import checkpoint, note
from almenara.evidence.checkpoint import Checkpoint
from almenara.evidence.cosignature import cosign
from almenara.evidence.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from almenara.evidence.note import Note, Signature, Signer, Verifier

MOST_HASHES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a log asks of a witness."""

    old_size: int
    """What the log believes the witness saw last."""

    proof: tuple[bytes, ...]
    checkpoint: Note

    def __str__(self) -> str:
        hashes = "".join(f"{base64.b64encode(h).decode()}\n" for h in self.proof)
        return f"old {self.old_size}\n{hashes}\n{self.checkpoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """Yes: 200. ``seen`` must be on stable storage before this leaves the house."""

    signature: Signature
    seen: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No."""

    status: int
    """400, 403, 404, 409 or 422, as the protocol has it."""

    reason: str
    size: int | None = None
    """With 409: how long the log was when this witness last saw it."""

    @property
    def accuses(self) -> bool:
        """Whether the log has to explain itself: it signed what does not fit."""
        return self.status == 422 or (self.status == 409 and self.size is None)


def parse(text: str) -> Request:
    """Read the body of ``add-checkpoint``.

    Raises:
        ValueError: It is none.
    """
    if len(text) > 2 * note.MOST_BYTES:
        raise ValueError("longer than a request may be")
    top, gap, below = text.partition("\n\n")
    first, *hashes = top.split("\n")
    old = _OLD.fullmatch(first)
    if not gap or old is None or len(hashes) > MOST_HASHES:
        raise ValueError("no old size, or more hashes than a tree can have levels")
    return Request(
        old_size=int(old[1]),
        proof=tuple(map(_hash, hashes)),
        checkpoint=note.parse(below),
    )


def decide(
    request: Request,
    *,
    trusted: Mapping[str, Iterable[Verifier]],
    seen: Checkpoint | None,
    name: str,
    signer: Signer,
    at: datetime,
) -> Cosigned | Refused:
    """Answer one log.

    Args:
        request: What it asks.
        trusted: The keys of each log this witness watches, by origin.
        seen: What this witness cosigned last for that origin; None if nothing yet.
        name: The witness's.
        signer: Its key.
        at: Now.
    """
    try:
        head = checkpoint.parse(request.checkpoint.text)
    except ValueError as error:
        return Refused(status=400, reason=str(error))
    if head.origin not in trusted:
        return Refused(status=404, reason=f"{head.origin}: not a log watched here")
    if not _is_signed(request.checkpoint, trusted[head.origin]):
        return Refused(status=403, reason=f"{head.origin}: signed by no key known here")
    return _unfit(request, head, seen) or Cosigned(
        signature=cosign(request.checkpoint.text, name, signer, at), seen=head
    )


def _unfit(
    request: Request, head: Checkpoint, seen: Checkpoint | None
) -> Refused | None:
    """Why this checkpoint does not continue what was seen; None if it does."""
    seen_size = 0 if seen is None else seen.size
    seen_root = EMPTY_ROOT if seen is None else seen.root
    if request.old_size > head.size:
        return Refused(status=400, reason="the old size is beyond the checkpoint")
    if request.old_size != seen_size:
        reason = f"{head.origin}: {seen_size} leaves were seen here last"
        return Refused(status=409, reason=reason, size=seen_size)
    if seen is not None and seen_size == head.size and seen_root != head.root:
        reason = f"{head.origin}: another root of {seen_size} leaves was seen here"
        return Refused(status=409, reason=reason)
    if not verify_consistency(
        seen_size, head.size, request.proof, seen_root, head.root
    ):
        reason = f"{head.origin}: does not continue the {seen_size} leaves seen here"
        return Refused(status=422, reason=reason)
    return None


def _is_signed(signed: Note, keys: Iterable[Verifier]) -> bool:
    try:
        return bool(note.verify(signed, keys))
    except ValueError:
        return False


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {line[:80]!r}") from error
    if len(found) != HASH_BYTES:
        raise ValueError(f"a hash has {HASH_BYTES} bytes")
    return found
