"""The exchange as a node runs it: our identity, and one link for each partner.

Each partner has a listener and a speaker of its own; a partner that fails, or a socket
that is taken, costs that link and nothing else. A pairing that changes is taken up
within seconds; a link that a person suspends stands still from the next transaction on.
"""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import structlog
import uvicorn
from pydantic import TypeAdapter

from almenara.core.errors import AlmenaraError, ConfigError, Fault, StoreError
from almenara.core.ids import CentreId
from almenara.core.time import Clock
from almenara.exchange.envelope import ClockWord
from almenara.exchange.keys import KeyUse, PublicKey, SigningKey
from almenara.exchange.link import Link
from almenara.exchange.messages import understand
from almenara.exchange.pairing import Pairing
from almenara.exchange.release import Gate
from almenara.exchange.sealing import PairedSeals
from almenara.exchange.wire import PATIENCE, Speaker, partner_app
from almenara.node.log_keys import KeyFolder
from almenara.node.store.database import Store
from almenara.node.store.exchange import SqlLedger, SqlPartners
from almenara.node.store.text import from_text, to_text

log = structlog.get_logger()

IDENTITY = "exchange-identity.json"
KEY_LIVES = timedelta(days=365)
LOOK_EVERY = timedelta(seconds=2)
AGAIN_AFTER = timedelta(seconds=5)
_PUBLIC = TypeAdapter(PublicKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What this centre signs with, and what partners know it by."""

    public: PublicKey
    key: SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Our side of TLS: files of the operating system's own making."""

    certificate_file: Path
    key_file: Path


def identity(folder: Path, centre_id: CentreId, clock: Clock) -> Identity:
    """This centre's exchange key; made at the first call, the same ever after.

    Args:
        folder: The keys' folder beside the store.
        centre_id: Who we are.
        clock: When a new key begins to count.

    Raises:
        KeyFileError: The key is missing, damaged, or others could read it.
        ConfigError: The centre has another id than the key was made for.
    """
    keys, place = KeyFolder(folder, "exchange"), folder / IDENTITY
    if not place.exists():
        _write(place, _new_identity(keys, centre_id, clock.now()))
    public = from_text(_PUBLIC, place.read_text("utf-8"))
    if public.centre_id != centre_id:
        fault = Fault(
            place=str(place),
            found=f"the key of {public.centre_id}",
            expected=f"that of {centre_id}",
            cure="Set [centre] id back, or pair anew with every partner.",
        )
        raise ConfigError((fault,))
    secret = keys.load(bytes.fromhex(public.public_hex))
    return Identity(public=public, key=SigningKey(kid=public.kid, secret=secret))


def _new_identity(keys: KeyFolder, centre_id: CentreId, now: datetime) -> PublicKey:
    raw = keys.new().public_key
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return PublicKey(
        kid=f"{centre_id}-{raw.hex()[:8]}",
        centre_id=centre_id,
        use=KeyUse.EXCHANGE,
        public_hex=raw.hex(),
        valid_from=start,
        valid_until=start + KEY_LIVES,
    )


def _write(place: Path, public: PublicKey) -> None:
    fresh = place.with_suffix(".new")
    fresh.write_text(to_text(_PUBLIC, public), encoding="utf-8")
    fresh.replace(place)


def identity_text(public: PublicKey) -> str:
    """``[partner.key]`` as the other side writes it into its pairing file."""
    return (
        "[partner.key]\n"
        f'kid = "{public.kid}"\n'
        f'public_key = "{public.public_hex}"\n'
        f"valid_from = {public.valid_from:%Y-%m-%dT%H:%M:%SZ}\n"
        f"valid_until = {public.valid_until:%Y-%m-%dT%H:%M:%SZ}\n"
    )


class Partners:
    """Runs a link for each partner, until cancelled."""

    def __init__(
        self,
        store: Store,
        me: CentreId,
        own: Callable[[], Identity],
        clock: Clock,
        *,
        certificates: Certificates | None = None,
    ) -> None:
        self._store, self._me, self._own, self._clock = store, me, own, clock
        self._certificates = certificates
        self._running: dict[CentreId, tuple[Pairing, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Follow the pairings of the store."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    self._follow(tasks, await self._pairings())
                except StoreError as error:
                    log.error("pairings_unreadable", reason=str(error))
                await self._clock.sleep(LOOK_EVERY)

    async def _pairings(self) -> tuple[Pairing, ...]:
        return await asyncio.to_thread(SqlPartners(self._store).all)

    def _follow(self, tasks: asyncio.TaskGroup, wanted: tuple[Pairing, ...]) -> None:
        for pairing in wanted:
            running = self._running.get(pairing.partner)
            if running is not None and running[0] == pairing:
                continue
            if running is not None:
                running[1].cancel()
            task = tasks.create_task(self._keep(pairing))
            self._running[pairing.partner] = (pairing, task)

    async def _keep(self, pairing: Pairing) -> None:
        """One link, begun again whenever it ends."""
        while True:
            try:
                await self._serve(pairing)
            except* (OSError, ssl.SSLError, AlmenaraError) as group:
                for error in group.exceptions:
                    log.error("link_failed", partner=pairing.partner, why=str(error))
            await self._clock.sleep(AGAIN_AFTER)

    async def _serve(self, pairing: Pairing) -> None:
        ledger = SqlLedger(self._store, self._me, pairing.partner, self._clock)
        link = self._link(pairing, ledger)
        speaker = Speaker(
            link=link,
            client=lambda: self._client(pairing),
            clock=self._clock,
            chance=random.random,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(pairing, link, ledger))
            tasks.create_task(speaker.run())

    def _link(self, pairing: Pairing, ledger: SqlLedger) -> Link:
        own = self._own()
        gate = Gate(agreement=pairing.agreement)
        return Link(
            me=self._me,
            partner=pairing.partner,
            ledger=ledger,
            seals=PairedSeals(
                me=self._me,
                partner=pairing.partner,
                key=own.key,
                keys=pairing.ring,
                clock=self._clock,
            ),
            gate=lambda record: gate.decide(record, self._clock.now()),
            content=understand,
            clock=self._clock,
            new_id=lambda: str(uuid4()),
            clock_word=lambda: ClockWord(synchronised=False, error_ms=0),
        )

    async def _listen(self, pairing: Pairing, link: Link, ledger: SqlLedger) -> None:
        settings = uvicorn.Config(
            partner_app(link, ledger),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        if (context := self._context(pairing, ssl.Purpose.CLIENT_AUTH)) is not None:
            settings.load()
            settings.ssl = context
        server = _Server(settings)
        parts = urlsplit(f"//{pairing.listen}")
        with socket.create_server((parts.hostname or "", parts.port or 0)) as listener:
            try:
                await server.serve(sockets=[listener])
            finally:
                for each in server.servers:
                    each.close()

    def _client(self, pairing: Pairing) -> httpx.AsyncClient:
        context = self._context(pairing, ssl.Purpose.SERVER_AUTH)
        return httpx.AsyncClient(
            base_url=pairing.url,
            verify=context if context is not None else True,
            timeout=PATIENCE,
            follow_redirects=False,
            trust_env=False,
        )

    def _context(self, pairing: Pairing, use: ssl.Purpose) -> ssl.SSLContext | None:
        """TLS 1.3 that knows the partner by its own authority alone, and us by ours."""
        if pairing.authority_pem is None:
            return None
        if self._certificates is None:
            fault = Fault(
                place="[exchange]",
                found="no certificate_file and key_file",
                expected="this centre's certificate for its partners",
                cure="Name both files in [exchange].",
            )
            raise ConfigError((fault,))
        context = ssl.create_default_context(use, cadata=pairing.authority_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(
            self._certificates.certificate_file, self._certificates.key_file
        )
        return context


class _Server(uvicorn.Server):
    """Leaves signals to the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
        yield
