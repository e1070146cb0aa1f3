"""A real node in a process of its own, for tests and benches."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/#enter=([\w-]+)")
UNSAFE = {"x-almenara": "1"}


@dataclass(slots=True)
class RunningNode:
    """What a test needs to talk to a node, and to hurt it."""

    process: subprocess.Popen[str]
    address: str
    token: str
    directory: Path
    said: list[str] = field(default_factory=list)

    def enter(self) -> "Visitor":
        """Use the one-time sign-in link."""
        client = httpx.Client(base_url=self.address, headers=self.headers, timeout=30)
        answer = client.post("/api/v1/session/enter", json={"token": self.token})
        answer.raise_for_status()
        return Visitor(self, client)

    @property
    def headers(self) -> dict[str, str]:
        """What the console's own page would send."""
        return {**UNSAFE, "origin": self.address}

    def kill(self) -> None:
        """Power cut, as far as a process can have one."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass(slots=True)
class Visitor:
    """A signed-in person without a browser."""

    node: RunningNode
    client: httpx.Client

    def get(self, path: str) -> Any:
        """Read a resource; anything but 200 is a fault of the test."""
        answer = self.client.get(f"/api/v1{path}")
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Do an act."""
        return self.client.post(f"/api/v1{path}", json=body or {})

    def cookie(self) -> str:
        """The session, as a header."""
        return "; ".join(f"{k}={v}" for k, v in self.client.cookies.items())

    def socket(self, path: str) -> ClientConnection:
        """Open one of the console's sockets."""
        parts = urlsplit(self.node.address)
        return connect(
            f"ws://{parts.netloc}/api/v1{path}",
            origin=Origin(self.node.address),
            additional_headers=[("cookie", self.cookie())],
            max_size=2**24,
        )

    def picture(self) -> Iterator[Any]:
        """Every message of the picture's socket, for as long as it is asked for."""
        with self.socket("/picture") as socket:
            for message in socket:
                yield json.loads(message)


@contextmanager
def running_node(
    directory: Path, *words: str, env: dict[str, str] | None = None, wait_s: float = 120
) -> Iterator[RunningNode]:
    """Start ``almenara WORDS`` and wait until it prints its sign-in link."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "almenara.node.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(env or {}), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
    )
    said: list[str] = []
    found = threading.Event()
    link: list[tuple[str, str]] = []

    def read() -> None:
        for line in process.stdout or ():
            said.append(line)
            if not link and (match := LINK.search(line)):
                link.append((match[1], match[2]))
                found.set()
        found.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not found.wait(wait_s) or not link:
            raise AssertionError("no sign-in link:\n" + "".join(said[-60:]))
        yield RunningNode(process, *link[0], directory, said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(5)
        if process.stdout:
            process.stdout.close()
