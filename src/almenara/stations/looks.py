"""Which packets of a stream go to the watch, decided before anything is decoded.

Decoding is the floor of the whole watch. A stream made for analysis is decoded whole;
of a full-rate main stream only the first pictures after each key picture are, which
costs a fraction and still gives the watch runs of consecutive full-resolution
pictures. The gate also keeps the promise every decoder needs: after a hole nothing
passes until the next key picture.

Source: docs/design/first-light.md, step 3; the burst of one GOP and its cost were
measured on 1080p25 H.264 (k = 5 of 50: 13 % of decoding everything).
"""

from dataclasses import dataclass

from almenara.core.media import Packet


@dataclass(slots=True, kw_only=True)
class LookGate:
    """Judges the packets of one stream, in order; see ``every`` and ``burst``."""

    first: int | None = None
    """Packets to pass from each key picture on; None passes all."""

    passed: int = 0
    withheld: int = 0
    """Of the plan: pictures nobody meant to decode."""

    after_hole: int = 0
    """Not of the plan: pictures that could not have been decoded."""

    _in_group: int | None = None
    """Packets passed since the last key picture; None while waiting for one."""

    @classmethod
    def every(cls) -> "LookGate":
        """For an analysis profile, or any stream of some ten pictures a second."""
        return cls()

    @classmethod
    def burst(cls, first: int) -> "LookGate":
        """For a main stream: ``first`` pictures of each group, at least one.

        The decoder must be flushed at each key picture, because the one before it in
        its hands is not the one before it in the stream.
        """
        if first < 1:
            raise ValueError(f"a burst has at least one picture, not {first}")
        return cls(first=first)

    def passes(self, packet: Packet) -> bool:
        """Whether this packet goes to the watch; call it for every packet."""
        if packet.is_key:
            self._in_group = 0
        if self._in_group is None:
            self.after_hole += 1
            return False
        if self.first is not None and self._in_group >= self.first:
            self.withheld += 1
            return False
        self._in_group += 1
        self.passed += 1
        return True

    def dropped(self) -> None:
        """Say that a packet was lost on the way to the watch, or before it."""
        self._in_group = None
