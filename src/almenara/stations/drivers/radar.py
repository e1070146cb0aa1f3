"""Radars: ASTERIX blocks or NMEA sentences, over TCP or UDP.

What comes first decides: a sentence begins with ``$``, ``!`` or a TAG block's
backslash, and no category that is read here has such a number. Over UDP the address
names who may send and the port to listen at; datagrams of anybody else are counted and
dropped unread. What arrives has no authentication: it may raise attention, it never
lowers it.

Source: EUROCONTROL-SPEC-0149 part 1; IEC 61162-1; docs/design/tracking.md, "Radar".
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Final

from almenara.core.errors import StationUnreachableError
from almenara.core.ids import ReceiverId, StationId
from almenara.core.radar import RadarReport
from almenara.core.time import Clock
from almenara.stations.addresses import (
    RADAR_SCHEMES,
    AddressPolicy,
    CheckedAddress,
    parse_station_url,
    resolve,
)
from almenara.stations.asterix import AsterixDecoder, BlockReader
from almenara.stations.nmea import SentenceReader
from almenara.stations.radar_sentences import RadarSentences

READ_BYTES: Final = 64 * 1024
CONNECT_S: Final = 10.0
SILENCE_S: Final = 60.0
"""An antenna turns in seconds, and says so even over an empty sea."""

MAX_WAITING: Final = 1024
"""Datagrams; the oldest are given up when nobody reads them."""

SENTENCE_MARKS: Final = b"$!\\"


class RadarEar:
    """Bytes to reports, whichever of the two languages they are."""

    def __init__(self, radar_id: ReceiverId) -> None:
        self.blocks = BlockReader()
        self.asterix = AsterixDecoder(radar_id)
        self.lines = SentenceReader()
        self.sentences = RadarSentences(radar_id)
        self._speaks_nmea: bool | None = None

    def hear(self, data: bytes, now: datetime) -> list[RadarReport]:
        """The reports completed by bytes of a stream."""
        if self._speaks_nmea is None and data:
            self._speaks_nmea = data[0] in SENTENCE_MARKS
        if self._speaks_nmea:
            found = (self.sentences.read(line, now) for line in self.lines.feed(data))
            return [report for report in found if report is not None]
        return [
            report
            for block in self.blocks.feed(data)
            for report in self.asterix.decode(block, now)
        ]

    def hear_datagram(self, data: bytes, now: datetime) -> list[RadarReport]:
        """The reports of one datagram, whole in itself."""
        self._speaks_nmea = data[:1] != b"" and data[0] in SENTENCE_MARKS
        if self._speaks_nmea:
            return self.hear(data + b"\n", now)
        found = self.hear(data, now)
        self.blocks.end()
        return found


class _Datagrams(asyncio.DatagramProtocol):
    """Keeps the datagrams of one sender for whoever reads them."""

    def __init__(self, sender: str) -> None:
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self.dropped = 0
        self.strange = 0
        self._sender = sender

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] != self._sender:
            self.strange += 1
            return
        if self.waiting.full():
            self.waiting.get_nowait()
            self.dropped += 1
        self.waiting.put_nowait(data)


class RadarDriver:
    """Fulfils ``stations.Driver`` for a radar or its plot extractor."""

    def __init__(
        self,
        *,
        radar_id: ReceiverId,
        station_id: StationId,
        url: str,
        policy: AddressPolicy,
        clock: Clock,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Check the address's grammar; nothing is opened before ``reports``.

        Raises:
            AddressRefusedError: It is no ``tcp://host:port`` or ``udp://host:port``.
        """
        self._url = parse_station_url(url, station_id=station_id, schemes=RADAR_SCHEMES)
        self._station_id = station_id
        self._policy = policy
        self._clock = clock
        self._silence_s = silence_s
        self._radar_id = radar_id
        self.ear = RadarEar(radar_id)
        self.strange = 0
        """Datagrams of somebody else."""

    async def reports(self) -> AsyncGenerator[RadarReport, None]:
        address = await resolve(
            self._url, policy=self._policy, station_id=self._station_id
        )
        # A stream begins anew: half a block of the last one is worth nothing.
        self.ear = RadarEar(self._radar_id)
        way = self._listen if address.scheme == "udp" else self._connect
        async with aclosing(way(address)) as found:
            async for report in found:
                yield report

    async def _connect(
        self, address: CheckedAddress
    ) -> AsyncGenerator[RadarReport, None]:
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    address.host_number, address.port
                )
        except TimeoutError as error:
            raise self._unreachable("does not answer in time") from error
        except OSError as error:
            raise self._unreachable(error.strerror or "no connection") from error
        try:
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        data = await reader.read(READ_BYTES)
                except TimeoutError as error:
                    raise self._unreachable("silent") from error
                except OSError as error:
                    reason = error.strerror or "connection lost"
                    raise self._unreachable(reason) from error
                if not data:
                    raise self._unreachable("closed by the radar")
                for report in self.ear.hear(data, self._clock.now()):
                    yield report
        finally:
            writer.transport.abort()

    async def _listen(
        self, address: CheckedAddress
    ) -> AsyncGenerator[RadarReport, None]:
        try:
            (
                transport,
                inbox,
            ) = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(address.host_number),
                local_addr=(_facing(address.host_number), address.port),
            )
        except OSError as error:
            raise self._unreachable(error.strerror or "port is taken") from error
        try:
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        data = await inbox.waiting.get()
                except TimeoutError as error:
                    raise self._unreachable("silent") from error
                for report in self.ear.hear_datagram(data, self._clock.now()):
                    yield report
        finally:
            self.strange += inbox.strange
            transport.close()

    def _unreachable(self, reason: str) -> StationUnreachableError:
        return StationUnreachableError(self._station_id, reason)


def _facing(sender: str) -> str:
    """Where to listen for a sender: beside it on this machine, else everywhere."""
    if sender in ("127.0.0.1", "::1"):
        return sender
    return "::" if ":" in sender else "0.0.0.0"  # noqa: S104 -- only the sender named is read
