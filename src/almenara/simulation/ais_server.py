"""The coast's AIS as NMEA 0183 sentences over TCP, in step with the pictures.

Every client hears every ship: names when it connects, positions at the pace that the
ship's class and speed ask for.

Source: ITU-R M.1371-5, annex 1 table 1 (reporting intervals), annex 8 (messages 1, 5,
18, 24); sentences by pyais.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyais import encode_dict

from almenara.core.time import Clock
from almenara.simulation.scenario import ActorKind, Ais, Scenario
from almenara.simulation.world import ActorState, state_at

_Field = str | int | float | bytes | bool
_KNOT_MPS = 1852 / 3600
_STATIC_INTERVAL_S = 60.0
"""Shorter than the standard's 6 min: a demonstration has not that long."""

_LENGTH_M = {
    ActorKind.FERRY: (50, 50),
    ActorKind.CARGO: (150, 30),
    ActorKind.WOODEN_14M: (10, 4),
    ActorKind.RIB: (5, 4),
}
_MOST_UNSENT_BYTES = 1 << 20


def interval_s(state: ActorState) -> float:
    """Seconds between two position reports of this ship."""
    knots = state.speed_mps / _KNOT_MPS
    if state.actor.ais is not None and state.actor.ais.class_b:
        return 30.0
    if knots > 23:
        return 2.0
    return 6.0 if knots > 14 else 10.0


def position_sentences(state: ActorState, ais: Ais, now: datetime) -> list[str]:
    """Message 1 or 18."""
    fields: dict[str, _Field] = {
        "type": 18 if ais.class_b else 1,
        "mmsi": ais.mmsi,
        "speed": round(state.speed_mps / _KNOT_MPS, 1),
        "accuracy": 1,
        "lat": state.position.latitude_deg,
        "lon": state.position.longitude_deg,
        "course": round(state.course_deg, 1),
        "heading": round(state.course_deg) % 360,
        "second": now.second,
    }
    return encode_dict(fields, talker_id="AI")


def static_sentences(state: ActorState, ais: Ais) -> list[str]:
    """Message 5, or 24 A and B."""
    bow, stern = _LENGTH_M.get(state.actor.kind, (4, 3))
    size: dict[str, _Field] = {
        "to_bow": bow,
        "to_stern": stern,
        "to_port": 3,
        "to_starboard": 3,
    }
    common: dict[str, _Field] = {"mmsi": ais.mmsi, "ship_type": ais.ship_type, **size}
    if not ais.class_b:
        return encode_dict({"type": 5, "shipname": ais.name, **common}, talker_id="AI")
    part_a: dict[str, _Field] = {
        "type": 24,
        "partno": 0,
        "mmsi": ais.mmsi,
        "shipname": ais.name,
    }
    return [
        *encode_dict(part_a, talker_id="AI"),
        *encode_dict({"type": 24, "partno": 1, **common}, talker_id="AI"),
    ]


@dataclass(slots=True)
class _Due:
    position_s: float
    static_s: float


class AisServer:
    """Fulfils the receivers of a scenario.

    Args:
        scenario: Whose actors with AIS are heard.
        clock: Paces the reports.
        epoch: When the world's time was zero, the same as the pictures'; None while
            the story has not begun: until then no ship says anything.
    """

    def __init__(
        self, scenario: Scenario, clock: Clock, epoch: datetime | None = None
    ) -> None:
        self._scenario, self._clock, self.epoch = scenario, clock, epoch
        self._clients: set[asyncio.StreamWriter] = set()
        self._due: dict[int, _Due] = {}

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Listen on loopback; yields the port."""
        server = await asyncio.start_server(self._hear_out, "127.0.0.1", port)
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(self._speak())
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                speaking.cancel()
                server.close()
                for client in self._clients:
                    client.transport.abort()

    def begin(self, epoch: datetime) -> None:
        """The story begins, or begins again: every ship reports at once."""
        self.epoch = epoch
        self._due.clear()

    def ships(self) -> Iterator[tuple[ActorState, Ais]]:
        """Who can be heard now: nobody before the story begins."""
        if self.epoch is None:
            return
        time_s = (self._clock.now() - self.epoch).total_seconds()
        for state in state_at(self._scenario, time_s):
            if state.actor.ais is not None:
                yield state, state.actor.ais

    async def _hear_out(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        now = self._clock.now()
        for state, ais in self.ships():
            _write(writer, static_sentences(state, ais))
            _write(writer, position_sentences(state, ais, now))
        self._clients.add(writer)
        try:
            while await reader.read(1024):
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass
        self._clients.discard(writer)
        writer.close()

    async def _speak(self) -> None:
        while True:
            now, at_s = self._clock.now(), self._clock.monotonic_s()
            for state, ais in self.ships():
                for sentence in self._said_now(state, ais, now, at_s):
                    for client in tuple(self._clients):
                        _write(client, [sentence])
            await self._clock.sleep(timedelta(milliseconds=500))

    def _said_now(
        self, state: ActorState, ais: Ais, now: datetime, at_s: float
    ) -> Iterator[str]:
        stagger_s = ais.mmsi % 97 / 97
        due = self._due.setdefault(
            ais.mmsi, _Due(at_s + stagger_s, at_s + _STATIC_INTERVAL_S * stagger_s)
        )
        if at_s >= due.position_s:
            due.position_s = at_s + interval_s(state)
            yield from position_sentences(state, ais, now)
        if at_s >= due.static_s:
            due.static_s = at_s + _STATIC_INTERVAL_S
            yield from static_sentences(state, ais)


def _write(client: asyncio.StreamWriter, sentences: list[str]) -> None:
    transport = client.transport
    if transport.is_closing():
        return
    if transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
        transport.abort()
        return
    client.write("".join(f"{sentence}\r\n" for sentence in sentences).encode())
