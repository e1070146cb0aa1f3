"""How the recorder does as a whole, from how each of its streams does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from almenara.console.api.health import RecorderHealth
from almenara.core.time import Clock
from almenara.recording.recorder import StreamRecording

State = Literal["recording", "idle", "full", "failing"]


class Writing(Protocol):
    """What is asked of the recorder."""

    def states(self) -> Sequence[StreamRecording]:
        """How every stream stands."""
        ...

    def written_bytes(self) -> int:
        """Since the start."""
        ...


class Room(Protocol):
    """What is asked of the disks."""

    def free_bytes(self) -> int | None:
        """Where recordings go; None before anybody looked."""
        ...

    def notes(self) -> list[str]:
        """What is wrong with any of them."""
        ...


class RecorderSheet:
    """Remembers since when the recorder has been as it is."""

    def __init__(self, recorder: Writing, room: Room, clock: Clock) -> None:
        self._recorder = recorder
        self._room = room
        self._clock = clock
        self._state: State = "idle"
        self._since: datetime = clock.now()

    def draw(self) -> RecorderHealth:
        """As of now."""
        streams = self._recorder.states()
        state = overall(streams)
        if state != self._state:
            self._state, self._since = state, self._clock.now()
        durable = [s.durable_until for s in streams if s.durable_until is not None]
        causes = sorted({s.gap_cause for s in streams if s.gap_cause})
        return RecorderHealth(
            state=state,
            since=self._since,
            free_bytes=self._room.free_bytes(),
            written_bytes=self._recorder.written_bytes(),
            waiting_bytes=sum(stream.waiting_bytes for stream in streams),
            last_durable_at=max(durable, default=None),
            detail="; ".join([", ".join(causes), *self._room.notes()]).strip("; ")
            or None,
        )


def overall(streams: Sequence[StreamRecording]) -> State:
    """The gravest thing that is true of any stream."""
    causes = {stream.gap_cause for stream in streams}
    if "disk_full" in causes:
        return "full"
    if "io_error" in causes:
        return "failing"
    return "recording" if any(s.is_recording for s in streams) else "idle"
