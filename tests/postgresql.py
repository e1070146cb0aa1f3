"""A private PostgreSQL cluster for the tests: Debian's binaries, a folder of its own.

``postgres`` refuses to run as root, so root lends it the user that Debian's package
made. Everything is as a watch would have it: fsync on, checksums on.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from almenara.node.store.database import open_store
from almenara.node.store.place import Server

HOMES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
OWNER = "postgres"
PATIENCE_S = 60.0
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "lc_messages": "C",
}


@dataclass(slots=True)
class Cluster:
    """A server that a test may stop, start and kill."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Come up and answer."""
        words = [
            str(HOMES[0] / "postgres"),
            *("-D", str(self.folder / "data"), "-k", str(self.folder)),
        ]
        for key, value in SETTINGS.items():
            words += ["-c", f"{key}={value}"]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(  # noqa: S603  # Debian's server, our words
            words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **_as_owner()
        )
        log.close()
        end = monotonic() + PATIENCE_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert monotonic() < end, "the server does not answer"
            Event().wait(0.05)

    def stop(self, *, hard: bool = False) -> None:
        """End it: at once, as a service manager would; ``hard`` as a power cut."""
        assert self.process is not None
        if hard:
            self.process.kill()
        else:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)

    def create(self, template: str = "template0") -> Server:
        """A new database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.sql(f'create database {name} template {template} encoding "UTF8"')
        return self.server(name)

    def server(self, name: str) -> Server:
        return Server(url=f"postgresql://{OWNER}@/{name}?host={self.folder}")

    def sql(self, text: str, database: str = OWNER) -> str:
        """What the server's own shell says."""
        words = [str(HOMES[0] / "psql"), "-h", str(self.folder), "-U", OWNER]
        words += ["-d", database, "-XAtqc", text]
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _answers(self) -> bool:
        words = [str(HOMES[0] / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(words, check=False).returncode == 0  # noqa: S603


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new cluster; skips where Debian's package is not installed."""
    if not HOMES:
        pytest.skip("needs postgresql: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="almenara-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER, OWNER)
        words = [str(HOMES[0] / "initdb"), "-D", str(folder / "data"), "-U", OWNER]
        words += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"]
        made = subprocess.run(  # noqa: S603  # Debian's program, our words
            words, capture_output=True, check=False, cwd="/", **_as_owner()
        )
        assert made.returncode == 0, made.stderr.decode()
        running = Cluster(folder)
        running.start()
        try:
            yield running
        finally:
            if running.process is not None and running.process.poll() is None:
                running.process.send_signal(signal.SIGQUIT)  # nobody needs it any more
                running.process.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """One cluster for the whole run."""
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def template(postgresql: Cluster) -> str:
    """The name of a database with today's schema, to be copied."""
    server = postgresql.create()
    open_store(server).close()
    return name_of(server)


@pytest.fixture
def server(postgresql: Cluster, template: str) -> Iterator[Server]:
    """An empty store of today's schema."""
    made = postgresql.create(template)
    yield made
    postgresql.sql(f"drop database {name_of(made)} with (force)")


def name_of(server: Server) -> str:
    """Of a database of ours; the folder in the address has slashes, too."""
    return server.url.partition("@/")[2].partition("?")[0]


def _as_owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    owner = pwd.getpwnam(OWNER)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
