"""Where a package's proofs come from: the evidence log of this centre.

Each segment is proved against the newest checkpoint that somebody outside the centre
vouches for, if that one covers its leaf; else against the newest one. The verifier
tells the two apart.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from almenara.core.ids import CentreId, SegmentId
from almenara.evidence import checkpoint
from almenara.evidence.leaves import KeyEvent, KeyStep, Kind
from almenara.evidence.package import SegmentProof, Stamp
from almenara.node.config import Config
from almenara.node.store.database import Store
from almenara.node.store.evidence_log import logs
from almenara.node.store.proofs import prove
from almenara.node.store.vouchers import key_events


class LogProofs:
    """Fulfils ``evidence.package.Proofs`` from the store; blocking."""

    def __init__(self, store: Store, centre_id: CentreId) -> None:
        self._store = store
        self._centre_id = centre_id

    def of_segments(
        self, segment_ids: Sequence[SegmentId]
    ) -> Mapping[SegmentId, SegmentProof]:
        def work(db: sa.Connection) -> dict[SegmentId, SegmentProof]:
            found: dict[SegmentId, SegmentProof] = {}
            for segment_id in segment_ids:
                # The last: a segment that was recovered is sealed anew.
                for proved in prove(db, Kind.SEGMENT, segment_id)[-1:]:
                    note = str(proved.proof.checkpoint).encode("utf-8")
                    found[segment_id] = SegmentProof(
                        leaf=proved.leaf.data,
                        proof=str(proved.proof).encode("utf-8"),
                        stamps=tuple(
                            Stamp(checkpoint=note, reply=reply)
                            for reply in proved.stamps
                        ),
                    )
            return found

        return self._store.read_now(work)

    def public_keys(self) -> Sequence[str]:
        """Of every log, each key that ever signed and was not revoked.

        A proof may lead to a checkpoint of before the newest key came.
        """

        def work(db: sa.Connection) -> list[str]:
            origins = [checkpoint.origin(self._centre_id, of.log) for of in logs(db)]
            return [
                f"log {checkpoint.key_of(origin, key)}"
                for origin in origins
                for key in _sound_keys(key_events(db, origin))
            ]

        return self._store.read_now(work)


def _sound_keys(events: Sequence[KeyEvent]) -> list[bytes]:
    revoked = {e.public_key for e in events if e.step is KeyStep.REVOKED}
    entered = dict.fromkeys(e.public_key for e in events)
    return [key for key in entered if key not in revoked]


def log_proofs(store: Store, config: Config) -> LogProofs:
    """The log of this centre as the exporter asks it."""
    return LogProofs(store, CentreId(config.centre.id))
