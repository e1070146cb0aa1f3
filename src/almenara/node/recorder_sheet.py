"""How the recorder does as a whole, from how each of its streams does."""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from almenara.console.api.health import RecorderHealth
from almenara.core.time import Clock
from almenara.recording.recorder import StreamRecording

State = Literal["recording", "idle", "full", "failing"]


class RecorderSheet:
    """Remembers since when the recorder has been as it is."""

    def __init__(
        self,
        states: Callable[[], Sequence[StreamRecording]],
        directory: Path,
        clock: Clock,
    ) -> None:
        self._states = states
        self._directory = directory
        self._clock = clock
        self._state: State = "idle"
        self._since: datetime = clock.now()

    def draw(self) -> RecorderHealth:
        """As of now."""
        streams = self._states()
        state = overall(streams)
        if state != self._state:
            self._state, self._since = state, self._clock.now()
        durable = [s.durable_until for s in streams if s.durable_until is not None]
        return RecorderHealth(
            state=state,
            since=self._since,
            free_bytes=shutil.disk_usage(self._directory).free,
            waiting_bytes=sum(stream.waiting_bytes for stream in streams),
            last_durable_at=max(durable, default=None),
            detail=", ".join(sorted({s.gap_cause for s in streams if s.gap_cause}))
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
