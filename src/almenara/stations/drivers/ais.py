"""AIS receivers: NMEA over TCP, and recorded NMEA files.

Noise never ends a connection; it is counted. What arrives has no authentication: it may
raise attention, it never lowers it.

Source: docs/design/first-light.md, step 1.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from almenara.core.ais import AisReport
from almenara.core.errors import StationRejectedError, StationUnreachableError
from almenara.core.ids import ReceiverId, StationId
from almenara.core.time import Clock
from almenara.stations.addresses import (
    AIS_SCHEMES,
    AddressPolicy,
    parse_station_url,
    resolve,
)
from almenara.stations.ais_decoding import AisCounters, AisDecoder
from almenara.stations.nmea import Assembler, SentenceReader

READ_BYTES: Final = 64 * 1024
CONNECT_S: Final = 10.0
SILENCE_S: Final = 120.0
"""A quiet coast is no fault, a dead line is: after this the connection is made anew."""


class _Ear:
    """Bytes to reports: the chain both drivers share."""

    def __init__(self, receiver_id: ReceiverId) -> None:
        self.sentences = SentenceReader()
        self.assembler = Assembler()
        self.decoder = AisDecoder(receiver_id)

    @property
    def dropped(self) -> int:
        """Lines and messages nobody could read."""
        return (
            self.sentences.dropped
            + self.assembler.unfinished
            + self.assembler.ignored
            + self.decoder.counters.undecodable
        )

    def hear(
        self, data: bytes, *, now: datetime, now_s: float, trust_stamps: bool
    ) -> list[AisReport]:
        """The reports completed by ``data``."""
        reports: list[AisReport] = []
        for line in self.sentences.feed(data):
            message = self.assembler.take(line, now_s)
            if message is None:
                continue
            at = message.stamped_at if trust_stamps else None
            report = self.decoder.decode(message, at or now)
            if report is not None:
                reports.append(report)
        return reports


class AisTcpDriver:
    """Fulfils ``stations.Driver`` for a receiver that serves NMEA over TCP."""

    def __init__(
        self,
        *,
        receiver_id: ReceiverId,
        station_id: StationId,
        url: str,
        policy: AddressPolicy,
        clock: Clock,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Check the address's grammar; nothing is opened before ``reports``.

        Raises:
            AddressRefusedError: It is no ``tcp://host:port``.
        """
        self._url = parse_station_url(url, station_id=station_id, schemes=AIS_SCHEMES)
        self._station_id = station_id
        self._policy = policy
        self._clock = clock
        self._silence_s = silence_s
        self._ear = _Ear(receiver_id)

    @property
    def counters(self) -> AisCounters:
        """Of all connections together."""
        return self._ear.decoder.counters

    @property
    def dropped(self) -> int:
        """Lines and messages nobody could read, of all connections."""
        return self._ear.dropped

    async def reports(self) -> AsyncGenerator[AisReport, None]:
        address = await resolve(
            self._url, policy=self._policy, station_id=self._station_id
        )
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
            while data := await self._read(reader):
                for report in self._ear.hear(
                    data,
                    now=self._clock.now(),
                    now_s=self._clock.monotonic_s(),
                    trust_stamps=False,
                ):
                    yield report
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._silence_s):
                data = await reader.read(READ_BYTES)
        except TimeoutError as error:
            raise self._unreachable("silent") from error
        except OSError as error:
            raise self._unreachable(error.strerror or "connection lost") from error
        if not data:
            raise self._unreachable("closed by the receiver")
        return data

    def _unreachable(self, reason: str) -> StationUnreachableError:
        return StationUnreachableError(self._station_id, reason)


class AisFileDriver:
    """Fulfils ``stations.Driver`` with a file of NMEA lines.

    The time of a report is the one recorded with it (TAG block or ``$PGHP``), or the
    clock's when there is none. Paced, it waits between reports as the recording did.
    """

    def __init__(
        self,
        path: Path,
        *,
        receiver_id: ReceiverId,
        station_id: StationId,
        clock: Clock,
        paced: bool = False,
    ) -> None:
        self._path = path
        self._station_id = station_id
        self._clock = clock
        self._paced = paced
        self._ear = _Ear(receiver_id)

    @property
    def counters(self) -> AisCounters:
        """What became of the messages."""
        return self._ear.decoder.counters

    @property
    def dropped(self) -> int:
        """Lines and messages nobody could read."""
        return self._ear.dropped

    async def reports(self) -> AsyncGenerator[AisReport, None]:
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise StationRejectedError(self._station_id, reason) from error
        before: datetime | None = None
        for line in [*lines, b"\n"]:
            for report in self._ear.hear(
                line,
                now=self._clock.now(),
                now_s=self._clock.monotonic_s(),
                trust_stamps=True,
            ):
                if self._paced and before is not None:
                    wait = report.received_at - before
                    if timedelta() < wait < timedelta(minutes=1):
                        await self._clock.sleep(wait)
                before = report.received_at
                yield report
