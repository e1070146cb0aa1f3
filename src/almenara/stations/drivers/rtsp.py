"""RTSP cameras: one connection, one video stream, over TCP and in pure Python.

The node holds every key and every record of a centre, so no native demuxer reads what a
camera sends there: this client is sans-IO below (``rtsp_wire``, ``sdp``, ``rtp``), some
six hundred lines that cannot corrupt memory, bounded in every direction, and cheap
enough for forty streams. It connects to the checked number only, follows no redirect,
and asks for nothing but the video. Bytes wait in the socket when the consumer is slow:
TCP slows the camera down, and nothing piles up here.

Source: RFC 2326 (RTSP 1.0), RFC 3550 (RTP); docs/design/first-light.md.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import structlog

from almenara.core.errors import (
    MediaError,
    StationError,
    StationRejectedError,
    StationUnreachableError,
)
from almenara.core.ids import StationId, StreamId
from almenara.core.media import Packet
from almenara.core.time import Clock
from almenara.stations.addresses import (
    AddressPolicy,
    CheckedAddress,
    parse_station_url,
    resolve,
)
from almenara.stations.credentials import (
    Challenge,
    Credentials,
    authorization,
    read_challenge,
)
from almenara.stations.drivers.rtp import Depacketizer, read_control
from almenara.stations.drivers.rtsp_wire import (
    Interleaved,
    Response,
    RtspReader,
    write_request,
)
from almenara.stations.drivers.sdp import VideoOffer, read_description
from almenara.stations.packets import Arrival, PacketMaker

log = structlog.get_logger()

READ_BYTES: Final = 256 * 1024
BUFFER_BYTES: Final = 256 * 1024
"""Where reading pauses: half a second of a busy camera, 20 MB for forty of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a camera may take, in seconds."""

    handshake_s: float = 10.0
    """From connecting to the answer of PLAY."""

    silence_s: float = 5.0
    """Without a whole access unit: bytes alone do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspCounters:
    """What one driver had to give up, over all its connections."""

    lost_packets: int = 0
    dropped_units: int = 0
    time_jumps: int = 0
    before_format: int = 0


class RtspDriver:
    """Fulfils ``stations.Driver`` for one stream of one camera."""

    def __init__(
        self,
        *,
        stream_id: StreamId,
        station_id: StationId,
        url: str,
        policy: AddressPolicy,
        clock: Clock,
        credentials: Credentials | None = None,
        patience: Patience = Patience(),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Check the address's grammar; nothing is opened before ``reports``.

        Args:
            stream_id: Of the packets.
            station_id: Named in errors and logs.
            url: ``rtsp://`` or ``rtsps://``, without a credential.
            policy: Where it may lead.
            clock: Stamps what arrives.
            credentials: If the camera wants any.
            patience: How long it may take.
            tls: For ``rtsps``; by default the host's trusted authorities.

        Raises:
            AddressRefusedError: The address breaks the grammar.
        """
        self._url = parse_station_url(url, station_id=station_id)
        self._stream_id = stream_id
        self._station_id = station_id
        self._policy = policy
        self._clock = clock
        self._credentials = credentials
        self._patience = patience
        self._tls = tls
        self._past = RtspCounters()
        self._now: tuple[Depacketizer, PacketMaker] | None = None
        self.clock_offset_s: float | None = None
        """Camera's clock minus ours, by its last sender report; None without one."""

    async def reports(self) -> AsyncGenerator[Packet, None]:
        address = await resolve(
            self._url, policy=self._policy, station_id=self._station_id
        )
        with _station_words(self._station_id):
            connection = await self._connect(address)
            try:
                async with asyncio.timeout(self._patience.handshake_s):
                    offer = await connection.start()
            except BaseException:
                connection.abort()
                raise
        try:
            with _station_words(self._station_id):
                maker = self._maker(offer)
            async with aclosing(self._play(connection, offer, maker)) as packets:
                async for packet in packets:
                    yield packet
        finally:
            connection.goodbye()

    async def probe(self) -> VideoOffer:
        """Ask what the camera offers, without playing it.

        Raises:
            StationUnreachableError: As ``reports``.
            StationRejectedError: As ``reports``.
        """
        address = await resolve(
            self._url, policy=self._policy, station_id=self._station_id
        )
        with _station_words(self._station_id):
            connection = await self._connect(address)
            try:
                async with asyncio.timeout(self._patience.handshake_s):
                    return await connection.describe()
            finally:
                connection.abort()

    async def _connect(self, address: CheckedAddress) -> "_Connection":
        tls = None
        if address.scheme == "rtsps":
            tls = self._tls or ssl.create_default_context()
        async with asyncio.timeout(self._patience.handshake_s):
            reader, writer = await asyncio.open_connection(
                address.host_number,
                address.port,
                limit=BUFFER_BYTES,
                ssl=tls,
                server_hostname=self._url.host if tls else None,
            )
        return _Connection(
            reader,
            writer,
            address=address,
            host=self._url.host,
            station_id=self._station_id,
            credentials=self._credentials,
        )

    def _maker(self, offer: VideoOffer) -> PacketMaker:
        if offer.codec is None:
            raise StationRejectedError(self._station_id, "no video we record")
        maker = PacketMaker(self._stream_id, offer.codec, declared_fps=offer.fps)
        try:
            maker.formats.see(offer.parameter_sets)
        except MediaError as error:
            raise StationRejectedError(self._station_id, str(error)) from error
        return maker

    async def _play(
        self, connection: "_Connection", offer: VideoOffer, maker: PacketMaker
    ) -> AsyncGenerator[Packet, None]:
        assert offer.codec is not None  # noqa: S101 -- _maker refused everything else
        units = Depacketizer(offer.codec, offer.payload_type)
        with (
            self._counting(units, maker),
            connection.watched(self._patience.silence_s) as alive,
        ):
            while True:
                with _station_words(self._station_id):
                    messages = await connection.read()
                    arrival = Arrival(
                        at=self._clock.now(), monotonic_s=self._clock.monotonic_s()
                    )
                    packets, goodbye = self._take(messages, units, maker, arrival)
                if packets:
                    alive()
                for packet in packets:
                    yield packet
                if goodbye:
                    return

    def _take(
        self,
        messages: list[Interleaved | Response],
        units: Depacketizer,
        maker: PacketMaker,
        arrival: Arrival,
    ) -> tuple[list[Packet], bool]:
        packets: list[Packet] = []
        goodbye = False
        for message in messages:
            if isinstance(message, Response):
                continue
            channel, data = message
            if channel == 0:
                for unit in units.feed(data):
                    packet = maker.from_rtp(unit.nal_units, unit.timestamp, arrival)
                    if packet is not None:
                        packets.append(packet)
            elif channel == 1:
                report, ended = read_control(data)
                goodbye = goodbye or ended
                if report is not None:
                    maker.timeline.report(report.timestamp, report.ntp, arrival.at)
                    self.clock_offset_s = maker.timeline.offset_s
        return packets, goodbye

    @property
    def counters(self) -> RtspCounters:
        """What was given up until now."""
        if self._now is None:
            return self._past
        units, maker = self._now
        return RtspCounters(
            lost_packets=self._past.lost_packets + units.lost,
            dropped_units=self._past.dropped_units + units.dropped,
            time_jumps=self._past.time_jumps + maker.timeline.jumps,
            before_format=self._past.before_format + maker.before_format,
        )

    @contextmanager
    def _counting(self, units: Depacketizer, maker: PacketMaker) -> Iterator[None]:
        self._now = (units, maker)
        try:
            yield
        finally:
            self._past, self._now = self.counters, None


class _Connection:
    """One RTSP conversation over one socket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        address: CheckedAddress,
        host: str,
        station_id: StationId,
        credentials: Credentials | None,
    ) -> None:
        number = address.host_number
        shown = f"[{number}]" if ":" in number else number
        self._hosts = {number, host}
        self._uri = f"{address.scheme}://{shown}:{address.port}{address.path}"
        self._reader, self._writer = reader, writer
        self._station_id = station_id
        self._credentials = credentials
        self._challenge: Challenge | None = None
        self._wire = RtspReader()
        self._early: list[Interleaved | Response] = []
        self._session = ""
        self._keep_alive_s = 30.0
        self._base = self._uri
        self._count = 0
        self._silent = False
        self._timers: list[asyncio.TimerHandle] = []

    async def describe(self) -> VideoOffer:
        answer = await self._ask("DESCRIBE", self._uri, {"Accept": "application/sdp"})
        try:
            description = read_description(answer.body)
        except MediaError as error:
            raise StationRejectedError(self._station_id, str(error)) from error
        base = answer.header("content-base") or answer.header("content-location")
        self._base = self._same_host(base) or self._uri
        offer = description.taken
        if offer is None:
            names = ", ".join(v.encoding or "?" for v in description.videos)
            raise StationRejectedError(
                self._station_id,
                f"offers {names or 'no video'}: set the camera to H.264 or H.265",
            )
        if description.control not in ("", "*"):
            self._base = self._join(description.control)
        return replace(offer, control=self._join(offer.control))

    async def start(self) -> VideoOffer:
        """DESCRIBE, SETUP and PLAY; afterwards ``read`` returns packets."""
        offer = await self.describe()
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        answer = await self._ask("SETUP", offer.control, {"Transport": transport})
        self._session, _, rest = answer.header("session").partition(";")
        timeout = rest.strip().removeprefix("timeout=")
        if timeout.isascii() and timeout.isdigit():
            self._keep_alive_s = min(max(int(timeout), 2), 60) / 2
        await self._ask("PLAY", self._base, {"Range": "npt=0.000-"})
        self._later(self._keep_alive_s, self._keep_alive)
        return offer

    async def read(self) -> list[Interleaved | Response]:
        """The next messages; more than none."""
        if self._early:
            early, self._early = self._early, []
            return early
        while True:
            data = await self._reader.read(READ_BYTES)
            if self._silent:
                raise StationUnreachableError(self._station_id, "silent")
            if not data:
                raise StationUnreachableError(self._station_id, "closed by the camera")
            if messages := self._wire.feed(data):
                return messages

    @contextmanager
    def watched(self, silence_s: float) -> Iterator[Callable[[], None]]:
        """Abort the connection when the yielded function is not called for so long."""
        loop = asyncio.get_running_loop()
        last_s = loop.time()

        def alive() -> None:
            nonlocal last_s
            last_s = loop.time()

        def look() -> None:
            left_s = last_s + silence_s - loop.time()
            if left_s > 0:
                self._later(left_s, look)
            else:
                self._silent = True
                self.abort()

        self._later(silence_s, look)
        yield alive

    def abort(self) -> None:
        """Close without waiting for anybody."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._writer.transport.abort()

    def goodbye(self) -> None:
        """Say TEARDOWN if the socket takes it at once, and close."""
        with suppress(OSError, RuntimeError):
            if self._session and not self._writer.transport.is_closing():
                self._send("TEARDOWN", self._base, {})
                self._writer.close()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._later(1.0, self._writer.transport.abort)

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._timers = [
            t for t in self._timers if not t.cancelled() and t.when() > now_s
        ]
        self._timers.append(loop.call_later(wait_s, act))

    def _keep_alive(self) -> None:
        if not self._writer.transport.is_closing():
            self._send("OPTIONS", self._base, {})
            self._later(self._keep_alive_s, self._keep_alive)

    def _send(self, method: str, uri: str, headers: dict[str, str]) -> None:
        self._count += 1
        fields = {"CSeq": str(self._count), "User-Agent": "Almenara"} | headers
        if self._session:
            fields["Session"] = self._session
        if self._challenge is not None and self._credentials is not None:
            fields["Authorization"] = authorization(
                self._challenge, self._credentials, method=method, uri=uri
            )
        self._writer.write(write_request(method, uri, fields))

    async def _ask(self, method: str, uri: str, headers: dict[str, str]) -> Response:
        """Send a request and return its good answer, signing in when asked to."""
        for _ in range(2):
            self._send(method, uri, headers)
            answer = await self._answer()
            if answer.status != 401 or self._credentials is None:
                break
            challenge = read_challenge(answer.headers_named("www-authenticate"))
            if challenge is None or challenge == self._challenge:
                break
            self._challenge = challenge
        else:
            answer = replace(answer, status=401)
        self._check(method, answer)
        return answer

    async def _answer(self) -> Response:
        """The answer to the last request; packets that overtake it are kept."""
        while True:
            messages = await self.read()
            for index, message in enumerate(messages):
                if not isinstance(message, Response):
                    continue
                if message.header("cseq") == str(self._count):
                    self._early = messages[index + 1 :]
                    return message

    def _check(self, method: str, answer: Response) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise StationRejectedError(self._station_id, "redirects, which is refused")
        if status in (401, 403):
            raise StationRejectedError(self._station_id, "credentials refused")
        if status == 404:
            raise StationRejectedError(self._station_id, "has no such stream")
        # 453: not enough bandwidth, which passes as 5xx does.
        if status >= 500 or status == 453:
            raise StationUnreachableError(
                self._station_id, f"answers {status} to {method}"
            )
        raise StationRejectedError(self._station_id, f"answers {status} to {method}")

    def _join(self, control: str) -> str:
        if control in ("", "*"):
            return self._base
        if "://" in control:
            return self._same_host(control)
        if not control.isprintable() or " " in control or control.startswith("//"):
            raise StationRejectedError(self._station_id, "unreadable control address")
        return f"{self._base.rstrip('/')}/{control.lstrip('/')}"

    def _same_host(self, address: str) -> str:
        """The address, if it stays with the camera we are connected to."""
        if not address:
            return ""
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            host = None
        if host not in self._hosts or not address.isprintable() or " " in address:
            raise StationRejectedError(self._station_id, "control leads elsewhere")
        return address


@contextmanager
def _station_words(station_id: StationId) -> Iterator[None]:
    """Say in our words what sockets, TLS and parsers say in theirs."""
    try:
        yield
    except StationError:
        raise
    except TimeoutError as error:
        raise StationUnreachableError(station_id, "does not answer in time") from error
    except ssl.SSLCertVerificationError as error:
        raise StationRejectedError(station_id, "certificate not trusted") from error
    except MediaError as error:
        raise StationUnreachableError(station_id, str(error)) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StationUnreachableError(station_id, reason) from error
