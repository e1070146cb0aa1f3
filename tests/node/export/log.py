"""A small evidence log for the tests: the naive tree of RFC 6962, written anew."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from almenara.core.ids import SegmentId
from almenara.core.time import to_micros
from almenara.evidence.package import SegmentProof, Stamp
from almenara.node.store.recordings import SqlSegmentIndex, packed_table
from tests.conftest import NOON

ORIGIN = "almenara/tarifa/log/1"
WITNESS = "tanger.example/witness"


@dataclass(frozen=True)
class Key:
    """A name with an Ed25519 key, made of a seed."""

    name: str
    kind: int
    seed: bytes = b"log"

    @property
    def private(self) -> Ed25519PrivateKey:
        digest = hashlib.sha256(self.seed + self.name.encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(digest)

    @property
    def body(self) -> bytes:
        return bytes([self.kind]) + self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.body).digest()[:4]

    @property
    def line(self) -> str:
        packed = base64.b64encode(self.body).decode()
        return f"{self.name}+{self.id.hex()}+{packed}"

    def signature(self, text: str, at_s: int = 1_772_366_400) -> str:
        message, before = text.encode(), b""
        if self.kind == 4:
            message = f"cosignature/v1\ntime {at_s}\n".encode() + message
            before = at_s.to_bytes(8, "big")
        signed = self.id + before + self.private.sign(message)
        return f"\u2014 {self.name} {base64.b64encode(signed).decode()}\n"


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    pair = root_of(leaves[:half]) + root_of(leaves[half:])
    return hashlib.sha256(b"\x01" + pair).digest()


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < half:
        return [*path_of(leaves[:half], index), root_of(leaves[half:])]
    return [*path_of(leaves[half:], index - half), root_of(leaves[:half])]


@dataclass
class NaiveLog:
    """Fulfils ``evidence.package.Proofs`` over the segments of an index."""

    index: SqlSegmentIndex
    origin: str = ORIGIN
    key: Key = Key(ORIGIN, 1)
    witness: Key | None = Key(WITNESS, 4)
    others: int = 5
    """Leaves of other kinds before."""

    given_stamps: list[Stamp] = field(default_factory=list)

    def leaves(self) -> dict[SegmentId, bytes]:
        return {
            segment.segment_id: self._leaf(segment.segment_id)
            for stream_id in self.index.streams()
            for segment in self.index.segments(
                stream_id, NOON.replace(hour=0), NOON.replace(hour=23)
            )
        }

    def checkpoint(self, leaves: Sequence[bytes]) -> str:
        root = base64.b64encode(root_of(leaves)).decode()
        text = f"{self.origin}\n{len(leaves)}\n{root}\n"
        signers = [self.key, *([self.witness] if self.witness else [])]
        return text + "\n" + "".join(key.signature(text) for key in signers)

    def of_segments(
        self, segment_ids: Sequence[SegmentId]
    ) -> Mapping[SegmentId, SegmentProof]:
        own = self.leaves()
        leaves = [b"\x02{}" + bytes([n]) for n in range(self.others)] + [*own.values()]
        note = self.checkpoint(leaves)
        found = {}
        for place, (segment_id, leaf) in enumerate(own.items(), start=self.others):
            path = "".join(
                f"{base64.b64encode(step).decode()}\n"
                for step in path_of(leaves, place)
            )
            text = f"c2sp.org/tlog-proof@v1\nindex {place}\n{path}\n{note}"
            found[segment_id] = SegmentProof(
                leaf=leaf, proof=text.encode(), stamps=tuple(self.given_stamps)
            )
        return {s: found[s] for s in segment_ids}

    def public_keys(self) -> Sequence[str]:
        return [f"log {self.key.line}"]

    def trust(self) -> str:
        witness = f"witness {self.witness.line}\n" if self.witness else ""
        return f"log {self.key.line}\n{witness}"

    def _leaf(self, segment_id: SegmentId) -> bytes:
        segment = self.index.find(segment_id)
        assert segment is not None
        fragments = self.index.fragments(segment_id)
        said = {
            "segment_id": segment_id,
            "stream_id": segment.stream_id,
            "run": segment.run,
            "started_us": to_micros(segment.started_at),
            "ended_us": to_micros(segment.ended_at),
            "init_sha256": segment.init_sha256.hex(),
            "fragments": [
                [f.offset_bytes, f.length_bytes, f.sha256.hex()] for f in fragments
            ],
            "table_sha256": hashlib.sha256(packed_table(fragments)).hexdigest(),
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return b"\x01" + text.encode()
