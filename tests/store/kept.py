"""A store with some recordings in it, made as a node makes them."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

from almenara.core.ids import StreamId
from almenara.core.media import Packet
from almenara.core.time import Clock, ManualClock
from almenara.node.config import Config
from almenara.node.media import MediaFolders
from almenara.node.store.database import Store, open_store
from almenara.node.store.place import Place, Server
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.recording.films import STREAM, film

OTHER = StreamId("7b0b6a3e-0d51-4c67-9d0e-2f6d5c1a9b11")


@cache
def packets() -> tuple[Packet, ...]:
    """Four seconds, two fragments of a key picture each second."""
    return film(4)


def shifted(by: timedelta, stream_id: StreamId) -> list[Packet]:
    """The same film, later, of another stream."""
    return [
        replace(
            packet,
            stream_id=stream_id,
            captured_at=packet.captured_at + by,
            received_at=packet.received_at + by,
            received_monotonic_s=packet.received_monotonic_s + by.total_seconds(),
        )
        for packet in packets()
    ]


@dataclass(frozen=True)
class Watch:
    """A node without cameras: its store and its media folder."""

    folder: Path
    place: Place

    @property
    def config(self) -> Config:
        store: dict[str, object] = {"directory": self.folder}
        if isinstance(self.place, Server):
            store["url"] = self.place.url
        recording = {"directory": self.folder / "recordings"}
        return Config.model_validate({"store": store, "recording": recording})

    @property
    def media(self) -> Path:
        return self.folder / "recordings"

    def run(
        self, minutes: float = 0, *, streams: tuple[StreamId, ...] = (STREAM,)
    ) -> MediaFolders:
        """Start, record four seconds of each stream, stop; returns what it opened."""
        clock = ManualClock(NOON + timedelta(minutes=minutes, seconds=10))
        with open_store(self.config.store_place, exclusive=True) as store:
            return self._recorded(store, clock, timedelta(minutes=minutes), streams)

    def _recorded(
        self,
        store: Store,
        clock: Clock,
        by: timedelta,
        streams: tuple[StreamId, ...],
    ) -> MediaFolders:
        index = SqlSegmentIndex(store)
        media = MediaFolders(self.config.recording, store, clock, beside=self.folder)
        with Recorder(media.areas, index, clock) as recorder:
            for stream_id in streams:
                for packet in shifted(by, stream_id):
                    recorder.put(packet)
        index.settle()
        return media

    def files(self) -> list[Path]:
        """Every recording, wherever it lies."""
        return sorted(self.folder.glob("recordings*/*/*/*.mp4"))
