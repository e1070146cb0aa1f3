"""Time stamps of a local authority: kept if they prove something, else refused."""

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rfc3161_client import decode_timestamp_response

from almenara.core.errors import TimeStampError
from almenara.core.time import ManualClock
from almenara.node import time_stamps
from almenara.node.clock import SystemClock
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.evidence_check import check
from almenara.node.store.vouchers import SqlEvidenceLog
from almenara.node.time_stamps import (
    HttpAuthority,
    Stamper,
    StampRoots,
    read_roots,
    stamp_fault,
    stamped_bytes,
    verify_stamp,
)
from tests.node.evidence import entry, keeper

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(OPENSSL is None, reason="needs openssl: the local authority"),
]
EVERY = timedelta(minutes=10)
SETTINGS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Local authority
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamper]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(  # noqa: S603  # our own arguments
        [OPENSSL or "openssl", *arguments], cwd=folder, check=True, capture_output=True
    )


def made_authority(folder: Path) -> Path:
    folder.mkdir()
    (folder / "tsa.cnf").write_text(SETTINGS.format(folder=folder))
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        folder,
        *("req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem"),
        *("-config", "tsa.cnf", "-extensions", "root", "-days", "9"),
        *("-subj", "/CN=Root"),
    )
    openssl(
        folder,
        *("req", *key, "-keyout", "tsa.key", "-out", "tsa.csr"),
        *("-config", "tsa.cnf", "-subj", "/CN=Stamper"),
    )
    openssl(
        folder,
        *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key"),
        *("-CAcreateserial", "-out", "tsa.pem", "-days", "9"),
        *("-extfile", "tsa.cnf", "-extensions", "stamper"),
    )
    return folder


class LocalAuthority:
    """Fulfils ``node.time_stamps.StampAuthority`` with ``openssl ts``."""

    name = "local"

    def __init__(self, folder: Path, *extra: str) -> None:
        self._folder = folder
        self._extra = extra
        self.asked = 0

    async def answer(self, request: bytes) -> bytes:
        return await asyncio.to_thread(self.reply, request)

    def reply(self, request: bytes) -> bytes:
        self.asked += 1
        (self._folder / "query.tsq").write_bytes(request)
        openssl(
            self._folder,
            *("ts", "-reply", "-queryfile", "query.tsq", "-config", "tsa.cnf"),
            *("-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply.tsr"),
            *self._extra,
        )
        return (self._folder / "reply.tsr").read_bytes()


class Silent:
    """An authority that does not answer."""

    name = "silent"

    async def answer(self, request: bytes) -> bytes:
        raise TimeStampError(f"silent: {len(request)} bytes went nowhere")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_authority(tmp_path_factory.mktemp("tsa") / "here")


@pytest.fixture
def roots(authority: Path) -> StampRoots:
    return read_roots(authority / "root.pem")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


async def signed_log(store: Store, folder: Path, clock: ManualClock) -> SqlEvidenceLog:
    keep = keeper(store, folder, clock)
    await keep.begin()
    await keep.sign()
    return SqlEvidenceLog(store)


async def test_the_newest_head_is_stamped_every_ten_minutes_and_checked_again(
    store: Store, tmp_path: Path, authority: Path, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    local = LocalAuthority(authority)
    stamper = Stamper(log, local, roots, clock, every=EVERY)

    at = await stamper.look()
    assert await stamper.look() is None

    assert at is not None
    assert abs(at - SystemClock().now()) < timedelta(minutes=5)
    (head,) = await log.checkpoints()
    assert await log.anchored() == head.at
    clock.advance(EVERY)
    assert await stamper.look() is None  # nothing new
    await SqlAuditLog(store).record(entry(1))
    await keeper(store, tmp_path, clock).sign()
    assert await stamper.look() is not None
    assert local.asked == 2
    fault = stamp_fault(roots)
    assert store.read_now(lambda db: check(db, stamp_fault=fault)).findings == ()


async def test_a_silent_authority_is_asked_again_and_holds_nobody_up(
    store: Store, tmp_path: Path, authority: Path, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    with pytest.raises(TimeStampError, match="nowhere"):
        await Stamper(log, Silent(), roots, clock, every=EVERY).look()

    assert await log.anchored() is None
    local = LocalAuthority(authority)
    assert await Stamper(log, local, roots, clock, every=EVERY).look() is not None


async def test_a_stamp_of_something_else_is_refused(
    store: Store, tmp_path: Path, authority: Path, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    local = LocalAuthority(authority)
    stamper = Stamper(log, local, roots, clock, every=EVERY)
    await stamper.look()
    first = (authority / "reply.tsr").read_bytes()

    class Parrot:
        name = "parrot"

        async def answer(self, request: bytes) -> bytes:
            del request
            return first

    await SqlAuditLog(store).record(entry(1))
    await keeper(store, tmp_path, clock).sign()
    with pytest.raises(TimeStampError, match="something else"):
        await Stamper(log, Parrot(), roots, clock, every=EVERY).look()


async def test_an_old_stamp_of_the_same_head_is_no_answer_to_a_new_question(
    store: Store, tmp_path: Path, authority: Path, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    await Stamper(log, LocalAuthority(authority), roots, clock, every=EVERY).look()
    first = (authority / "reply.tsr").read_bytes()

    class Parrot:
        name = "parrot"

        async def answer(self, request: bytes) -> bytes:
            del request
            return first

    with pytest.raises(TimeStampError):
        await Stamper(log, Parrot(), roots, clock, every=EVERY).look()


async def test_a_stranger_s_stamp_is_refused(
    store: Store, tmp_path: Path, authority: Path, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    stranger = made_authority(tmp_path / "stranger")
    others = read_roots(stranger / "root.pem")

    with pytest.raises(TimeStampError, match="proves nothing"):
        await Stamper(log, LocalAuthority(authority), others, clock, every=EVERY).look()


def test_both_checkers_agree_on_good_and_bent_stamps(
    authority: Path, roots: StampRoots, monkeypatch: pytest.MonkeyPatch
):
    message = b"almenara/tarifa/log/1\n5\nroot\n"
    openssl(authority, "version")
    (authority / "data").write_bytes(message)
    openssl(
        authority,
        *("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "q.tsq"),
    )
    reply = LocalAuthority(authority).reply((authority / "q.tsq").read_bytes())
    read = decode_timestamp_response(reply).tst_info.gen_time
    bent = bytearray(reply)
    bent[-10] ^= 1

    assert verify_stamp(reply, message, roots) == read
    with pytest.raises(TimeStampError):
        verify_stamp(bytes(bent), message, roots)

    def refuse(data: bytes) -> None:
        raise ValueError(f"{len(data)} bytes in an order this library does not read")

    monkeypatch.setattr(time_stamps, "decode_timestamp_response", refuse)
    assert verify_stamp(reply, message, roots) == read
    for wrong in (message + b"x", b""):
        with pytest.raises(TimeStampError, match="proves nothing"):
            verify_stamp(reply, wrong, roots)
    with pytest.raises(TimeStampError, match="proves nothing"):
        verify_stamp(bytes(bent), message, roots)
    monkeypatch.setattr(time_stamps, "which", lambda _: None)
    with pytest.raises(TimeStampError, match="cannot be checked"):
        verify_stamp(reply, message, roots)


async def test_a_stored_stamp_that_was_bent_is_named(
    store: Store, tmp_path: Path, authority: Path, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    await Stamper(log, LocalAuthority(authority), roots, clock, every=EVERY).look()
    await store.write(
        lambda db: db.exec_driver_sql("update log_stamp set reply = x'3003'").close()
    )

    fault = stamp_fault(roots)
    (found,) = store.read_now(lambda db: check(db, stamp_fault=fault)).findings

    assert found.subject == "time stamp"


@pytest.fixture
def served(authority: Path) -> Iterator[str]:
    local = LocalAuthority(authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            request = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "http://192.0.2.1/")
                self.end_headers()
                return
            reply = b"x" * 70_000 if self.path == "/long" else local.reply(request)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_an_authority_behind_a_url_stamps(
    store: Store, tmp_path: Path, served: str, roots: StampRoots, clock: ManualClock
):
    log = await signed_log(store, tmp_path, clock)
    stamper = Stamper(log, HttpAuthority(f"{served}/tsa"), roots, clock, every=EVERY)

    assert await stamper.look() is not None


@pytest.mark.parametrize("path", ["elsewhere", "long"])
async def test_an_authority_that_sends_elsewhere_or_talks_too_much_is_refused(
    served: str, path: str
):
    with pytest.raises(TimeStampError):
        await HttpAuthority(f"{served}/{path}").answer(b"0")


async def test_nobody_listening_is_said_so():
    with pytest.raises(TimeStampError, match="tried again later"):
        await HttpAuthority("http://127.0.0.1:9/").answer(b"0")


def test_roots_that_are_none_are_refused(tmp_path: Path):
    (tmp_path / "none.pem").write_text("nothing")

    for name in ("none.pem", "missing.pem"):
        with pytest.raises(TimeStampError, match="PEM"):
            read_roots(tmp_path / name)


def test_what_is_stamped_is_what_the_log_signs():
    text = "almenara/tarifa/log/1\n5\nroot\n"

    assert stamped_bytes(f"{text}\n\u2014 x AAAAAAAAAAAA\n") == text.encode()
