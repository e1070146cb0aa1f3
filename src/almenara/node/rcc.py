"""How the rescue coordination centre is told: a web hook, or a folder that is read.

A receipt is given only once the notification is safe elsewhere: after the peer's 2xx,
or after the file is on the disk. The same notification has the same name and the same
``Idempotency-Key``, so telling twice is telling once. What is an exercise or simulated
never reaches the web hook: it goes into the folder and says so in its receipt.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from almenara.console.case_wire import ReasonRow
from almenara.console.sitrep_text import parts_text
from almenara.core.time import to_micros
from almenara.rescue.case import Notification

TIMEOUT_S = 10.0
MOST_ANSWER_BYTES = 4_096


def body_of(notification: Notification, language: str) -> bytes:
    """The notification as JSON: keys and values, and the sentences beside them."""
    said: dict[str, Any] = {
        "type": "almenara.rescue.notification",
        "ver": 1,
        "key": notification.key,
        "case_id": notification.case_id,
        "version": notification.version,
        "at_us": to_micros(notification.at),
        "phase": notification.phase.name.lower(),
        "exercise": notification.exercise,
        "simulated": notification.simulated,
        "parts": [
            {
                "letter": part.letter.value,
                "said": [ReasonRow.of(reason).model_dump() for reason in part.said],
                "words": part.words
                and {"text": part.words.text, "language": part.words.language},
            }
            for part in notification.parts
        ],
        "language": language,
        "text": parts_text(notification.parts, language),
    }
    return json.dumps(said, ensure_ascii=False, indent=1).encode()


class FolderCourier:
    """Puts each notification into a folder as a file of its own, for whoever reads."""

    def __init__(self, folder: Path, *, language: str) -> None:
        self._folder = folder
        self._language = language

    async def deliver(self, notification: Notification) -> str:
        return await run_sync(self._write, notification)

    def _write(self, notification: Notification) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{notification.key.replace('/', '-')}.json"
        draft, final = self._folder / f".{name}.part", self._folder / name
        with draft.open("wb") as file:
            file.write(body_of(notification, self._language))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(final)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return f"file {name}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A rescue is told to the address that was agreed, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


class WebhookCourier:
    """Posts each notification to an HTTPS address; any 2xx is the receipt."""

    def __init__(
        self, url: str, *, language: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self._language = language
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls or ssl.create_default_context()),
            urllib.request.ProxyHandler({}),
            _NoRedirect(),
        )

    async def deliver(self, notification: Notification) -> str:
        return await run_sync(self._post, notification)

    def _post(self, notification: Notification) -> str:
        request = urllib.request.Request(  # noqa: S310 - the configuration allows https only
            self._url,
            data=body_of(notification, self._language),
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": notification.key,
            },
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read(MOST_ANSWER_BYTES)
                return f"http {answer.status}"
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"the web hook answered {error.code}") from None


class HonestCourier:
    """Lets only what is real reach the real centre."""

    def __init__(
        self, real: FolderCourier | WebhookCourier, drill: FolderCourier
    ) -> None:
        self._real, self._drill = real, drill

    async def deliver(self, notification: Notification) -> str:
        if notification.exercise or notification.simulated:
            return f"not real: {await self._drill.deliver(notification)}"
        return await self._real.deliver(notification)
