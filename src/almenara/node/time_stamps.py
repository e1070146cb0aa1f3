"""Time stamps of an outside authority over checkpoints: when, said by somebody else.

Every few minutes the newest checkpoint's text is hashed and stamped. The reply is kept
only if it proves what was asked: the same hash, the same random number, a certificate
that leads to the roots the operator named. ``rfc3161-client`` checks it; some
authorities order their certificates in a way that it refuses to read, and then
``openssl ts`` checks instead, called with a list of arguments and no shell. Nobody
waits for an authority: what could not be stamped is caught up by the next checkpoint.

Source: RFC 3161.
"""

import asyncio
import hashlib
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from typing import Protocol

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from almenara.core.errors import TimeStampError
from almenara.core.time import Clock
from almenara.evidence import note
from almenara.node.store.vouchers import SqlEvidenceLog, StoredCheckpoint

MOST_REPLY_BYTES = 65_536
WAIT_S = 10.0
GRANTED = (0, 1)
"""RFC 3161, 2.4.2: granted, and granted with changes."""

_TIME = "Time stamp: "


class StampAuthority(Protocol):
    """Somebody outside who says when."""

    @property
    def name(self) -> str:
        """As it is kept beside each stamp."""
        ...

    async def answer(self, request: bytes) -> bytes:
        """The reply to a ``TimeStampReq``, both DER.

        Raises:
            TimeStampError: It does not answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StampRoots:
    """Whom this centre believes the time."""

    pem: bytes
    """The same as they were read."""

    certificates: tuple[x509.Certificate, ...]


def read_roots(*files: Path) -> StampRoots:
    """Read the certificates that stamps must lead to.

    Raises:
        TimeStampError: A file cannot be read, or holds none.
    """
    found: list[x509.Certificate] = []
    pem = b""
    for file in files:
        try:
            read = file.read_bytes()
            found += x509.load_pem_x509_certificates(read)
        except (OSError, ValueError) as error:
            raise TimeStampError(
                f"{file}: {error}; name a PEM file of the authority's root certificates"
            ) from error
        pem += read + b"\n"
    return StampRoots(pem=pem, certificates=tuple(dict.fromkeys(found)))


class HttpAuthority:
    """An authority behind a URL; never followed elsewhere, never through a proxy."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _StayHere()
        )

    async def answer(self, request: bytes) -> bytes:
        return await asyncio.to_thread(self._ask, request)

    def _ask(self, request: bytes) -> bytes:
        asked = urllib.request.Request(  # noqa: S310  # http(s) alone: node.config
            self.name,
            data=request,
            headers={"Content-Type": "application/timestamp-query"},
        )
        try:
            with self._opener.open(asked, timeout=WAIT_S) as reply:
                data: bytes = reply.read(MOST_REPLY_BYTES + 1)
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise TimeStampError(f"{self.name}: {error}; tried again later") from error
        if len(data) > MOST_REPLY_BYTES:
            raise TimeStampError(f"{self.name}: answers more than a time stamp has")
        return data


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Stamper:
    """Has the newest checkpoint stamped, now and then."""

    def __init__(
        self,
        log: SqlEvidenceLog,
        authority: StampAuthority,
        roots: StampRoots,
        clock: Clock,
        *,
        every: timedelta,
    ) -> None:
        self._log = log
        self._authority = authority
        self._roots = roots
        self._clock = clock
        self._every_s = every.total_seconds()
        self._stamped_s: float | None = None
        self._last: tuple[int, int] | None = None

    async def look(self) -> datetime | None:
        """Have the newest checkpoint stamped if that is due.

        Returns:
            The authority's time; None if nothing was due.

        Raises:
            TimeStampError: No stamp, or one that proves nothing; asked again next time.
        """
        now_s = self._clock.monotonic_s()
        if self._stamped_s is not None and now_s - self._stamped_s < self._every_s:
            return None
        for head in await self._log.checkpoints():
            if (head.log, head.size) != self._last:
                return await self._stamp(head, now_s)
        return None

    async def _stamp(self, head: StoredCheckpoint, now_s: float) -> datetime:
        message = stamped_bytes(head.note)
        request = (
            TimestampRequestBuilder()
            .data(message)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        reply = await self._authority.answer(request.as_bytes())
        at = await asyncio.to_thread(
            verify_stamp, reply, message, self._roots, request=request
        )
        await self._log.stamped(head, self._authority.name, reply, self._clock.now())
        self._stamped_s, self._last = now_s, (head.log, head.size)
        return at


def stamped_bytes(checkpoint_note: str) -> bytes:
    """What is stamped of a checkpoint: its text, as the log signs it."""
    return note.parse(checkpoint_note).text.encode()


def verify_stamp(
    reply: bytes,
    message: bytes,
    roots: StampRoots,
    *,
    request: TimeStampRequest | None = None,
) -> datetime:
    """Check a time stamp; blocking.

    Args:
        reply: A ``TimeStampResp`` in DER.
        message: What it must be about.
        roots: Whom to believe.
        request: What was asked, where the reply is new: its number must be in it.

    Returns:
        When, by the authority's clock.

    Raises:
        TimeStampError: It proves nothing.
    """
    try:
        read = decode_timestamp_response(reply)
    except ValueError as error:
        return _verify_with_openssl(reply, message, roots, request, error)
    if read.status not in GRANTED:
        words = ", ".join(read.status_string) or f"status {read.status}"
        raise TimeStampError(f"the authority refused: {words}")
    builder = VerifierBuilder(roots=list(roots.certificates))
    if request is not None and request.nonce is not None:
        builder = builder.nonce(request.nonce)
    try:
        builder.build().verify_message(read, message)
    except (VerificationError, ValueError) as error:
        if not _is_about(read, message):
            raise TimeStampError(
                f"the time stamp is of something else: {error}"
            ) from error
        return _verify_with_openssl(reply, message, roots, request, error)
    return read.tst_info.gen_time


def stamp_fault(roots: StampRoots) -> Callable[[str, bytes], str | None]:
    """What says what is wrong with a kept time stamp, given its checkpoint's note."""

    def fault(checkpoint_note: str, reply: bytes) -> str | None:
        try:
            verify_stamp(reply, stamped_bytes(checkpoint_note), roots)
        except (TimeStampError, ValueError) as error:
            return str(error)
        return None

    return fault


def _is_about(read: TimeStampResponse, message: bytes) -> bool:
    return read.tst_info.message_imprint.message == hashlib.sha256(message).digest()


def _verify_with_openssl(
    reply: bytes,
    message: bytes,
    roots: StampRoots,
    request: TimeStampRequest | None,
    why: Exception,
) -> datetime:
    """The same by ``openssl ts``; what it cannot check either proves nothing."""
    program = which("openssl")
    if program is None:
        raise TimeStampError(f"the time stamp cannot be checked: {why}") from why
    with tempfile.TemporaryDirectory(prefix="almenara-stamp-") as folder:
        place = Path(folder) / "reply.tsr"
        place.write_bytes(reply)
        (Path(folder) / "roots.pem").write_bytes(roots.pem)
        about = ["-digest", hashlib.sha256(message).hexdigest()]
        if request is not None:
            query = Path(folder) / "query.tsq"
            query.write_bytes(request.as_bytes())
            about = ["-queryfile", str(query)]
        verify = ["ts", "-verify", "-in", str(place), "-CAfile", f"{folder}/roots.pem"]
        _openssl([program, *verify, *about])
        shown = _openssl([program, "ts", "-reply", "-in", str(place), "-text"])
    return _time_in(shown)


def _openssl(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # our own arguments, no shell
            command,
            capture_output=True,
            check=False,
            timeout=WAIT_S,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TimeStampError(f"openssl: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TimeStampError(f"the time stamp proves nothing: {' '.join(said)[:300]}")
    return done.stdout.decode("utf-8", "replace")


def _time_in(shown: str) -> datetime:
    """The time in what ``openssl ts -reply -text`` prints."""
    for line in shown.splitlines():
        if line.startswith(_TIME):
            text = line.removeprefix(_TIME).split(".")[0].removesuffix(" GMT")
            year = line.rsplit(" ", 2)[1]
            if "." in line:
                text = f"{text} {year}"
            return datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    raise TimeStampError("openssl does not say when the stamp was made")
