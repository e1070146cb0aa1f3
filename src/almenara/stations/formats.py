"""Follows a stream's parameter sets: one ``StreamFormat`` object until they change.

Recorder, live view and decoder compare formats with ``is``, so a new object means a new
init segment and a new decoder; the same sets sent again at each key picture must give
the same object. Works for sets in the SDP, in a container's header and in the stream.

Source: RFC 6184 8.2.2, RFC 7798 7.1 (parameter sets in and out of band).
"""

from almenara.core.errors import MediaError
from almenara.core.media import Codec, StreamFormat
from almenara.stations.bitstream import (
    MAX_PARAMETER_SET_BYTES,
    Sequence,
    parameter_id,
    parameter_kind,
    read_sequence,
)

MAX_SETS = 64
_ORDER = ("vps", "sps", "pps")


class FormatTracker:
    """The current format of one connection; ``None`` until it is complete."""

    def __init__(self, codec: Codec, *, declared_fps: float | None = None) -> None:
        self._codec = codec
        self._declared_fps = declared_fps
        self._sets: dict[tuple[int, int], bytes] = {}
        self._known: frozenset[bytes] = frozenset()
        self.current: StreamFormat | None = None
        self.sequence: Sequence | None = None

    def see(self, nal_units: tuple[bytes, ...]) -> StreamFormat | None:
        """Take in one access unit, or the sets of an SDP; return the format after it.

        Raises:
            MediaError: A set that cannot be read, is too long, or one too many.
        """
        fresh = [
            (kind, unit)
            for unit in nal_units
            if (kind := parameter_kind(self._codec, unit)) and unit not in self._known
        ]
        if fresh:
            self._take(fresh)
        return self.current

    def _take(self, fresh: list[tuple[str, bytes]]) -> None:
        if any(len(unit) > MAX_PARAMETER_SET_BYTES for _, unit in fresh):
            raise MediaError("parameter set is too long")
        # A new sequence makes the old picture sets meaningless, if new ones came too.
        kinds = {kind for kind, _ in fresh}
        if kinds >= {"sps", "pps"}:
            self._sets = {k: v for k, v in self._sets.items() if k[0] != 2}
        for kind, unit in fresh:
            self._sets[_ORDER.index(kind), parameter_id(self._codec, unit)] = unit
        if len(self._sets) > MAX_SETS:
            raise MediaError("too many parameter sets")
        self._known = frozenset(self._sets.values())
        self.current = self._compose()

    def _compose(self) -> StreamFormat | None:
        wanted = {1, 2} if self._codec is Codec.H264 else {0, 1, 2}
        if {order for order, _ in self._sets} < wanted:
            return None
        sequences = [v for k, v in sorted(self._sets.items()) if k[0] == 1]
        self.sequence = read_sequence(self._codec, sequences[-1])
        return StreamFormat(
            codec=self._codec,
            width_px=self.sequence.width_px,
            height_px=self.sequence.height_px,
            parameter_sets=tuple(v for _, v in sorted(self._sets.items())),
            declared_fps=self._declared_fps or self.sequence.fps,
        )
