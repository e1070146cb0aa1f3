"""What ``almenara export`` does, apart from how it speaks: two persons, then bytes."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from anyio import to_thread

from almenara.console.accounts import Account
from almenara.console.passwords import Passwords
from almenara.core.coast import Station
from almenara.core.errors import ExportError
from almenara.core.ids import CameraId, CentreId
from almenara.evidence.access import Action, Header, Principal, decide
from almenara.evidence.audit import (
    ANONYMOUS,
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    AuditResult,
)
from almenara.evidence.disclosure import Approval, Refusal, Request, refusal
from almenara.node.clock import SystemClock
from almenara.node.config import Config, load
from almenara.node.export.create import Exporter, Finished, Progress, verifier
from almenara.node.export.folder import PackageFolder
from almenara.node.export.gathered import Archives, gather, streams_of
from almenara.node.export.proofs import log_proofs
from almenara.node.export.report import printable
from almenara.node.export.signing import ExportKey, export_key
from almenara.node.media import areas_beside
from almenara.node.store.accounts import SqlAccounts
from almenara.node.store.alarms import SqlAlarmDesk
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import Store, open_store
from almenara.node.store.exports import SqlExports
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.stations import SqlStationRegistry
from almenara.node.store.track_points import points_within
from almenara.recording.areas import Areas
from almenara.recording.playback import Playback

REFUSALS = {
    Refusal.NOT_APPROVED: "not approved yet",
    Refusal.EXPIRED: "its approval is older than half an hour",
    Refusal.SAME_PERSON: "approved by the person who asked: another one has to",
    Refusal.OTHER_REQUEST: "approved in other words",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The words of ``create``."""

    cameras: tuple[str, ...]
    start: datetime
    end: datetime
    subject: str
    recipient: str
    legal_basis: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that a second person has to approve."""

    digest: str
    why: str


class Desk:
    """The store, opened beside a node that may be running."""

    def __init__(self, settings: Config, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.clock = SystemClock()
        self.exports = SqlExports(store)
        self.audit = SqlAuditLog(store)

    async def person(self, name: str, password: str) -> Account:
        """Whoever gives this name and its password.

        Raises:
            ExportError: In the same words for a wrong name and a wrong password.
        """
        account = await SqlAccounts(self.store).find(name)
        usable = account if account and account.disabled_at is None else None
        kept = usable.password_hash if usable else None
        right = await Passwords().matches(kept, password)
        if usable is None or not right:
            await self.audit.record(self._refused(account))
            raise ExportError(
                f"{name}: name or password is wrong; "
                "a link lets them choose a new one: almenara user link"
            )
        return usable

    async def still_approves(self, approval: Approval, request: Request) -> None:
        """The second person has to have the right when bytes leave, not only before.

        Raises:
            ExportError: They have not, or work here no more.
        """
        everybody = await SqlAccounts(self.store).everybody()
        for account in everybody:
            if account.person_id == approval.approved_by and not account.disabled_at:
                await self.must(account, Action.EXPORT_APPROVE, request)
                return
        raise ExportError(
            f"{approval.approved_by}: approved this and works here no more; another "
            f"person has to: almenara export approve {request.digest}"
        )

    async def must(self, account: Account, action: Action, request: Request) -> None:
        """Refuse what their roles, stations or purpose do not allow; note the refusal.

        Raises:
            ExportError: It is not theirs.
        """
        stations = await SqlStationRegistry(self.store).load()
        principal = _principal(account, CentreId(self.settings.centre.id))
        headers = [_header(stations, camera_id) for camera_id in request.camera_ids]
        now = self.clock.now()
        if all(decide(principal, action, header, now).allowed for header in headers):
            return
        await self.audit.record(
            self.entry(account, action.value, request, result=AuditResult.DENY)
        )
        raise ExportError(
            f"{account.name}: has no right to {action.value} for these cameras; "
            "see: almenara user list"
        )

    def _refused(self, account: Account | None) -> AuditEntry:
        """Somebody gave a wrong name or password; only a real name is kept."""
        person_id = account.person_id if account else "unknown"
        return AuditEntry(
            entry_id=secrets.token_hex(8),
            at=self.clock.now(),
            actor=ANONYMOUS,
            action=AuditAction.SECURITY,
            act="export.identify",
            object=AuditObject(kind="account", id=person_id),
            result=AuditResult.DENY,
        )

    def entry(
        self,
        account: Account,
        act: str,
        request: Request,
        *,
        result: AuditResult = AuditResult.ALLOW,
        size_bytes: int | None = None,
    ) -> AuditEntry:
        """What the audit keeps of one step."""
        return AuditEntry(
            entry_id=secrets.token_hex(8),
            at=self.clock.now(),
            actor=AuditActor(
                person_id=account.person_id,
                name=account.name,
                roles=tuple(sorted(account.roles)),
                purpose=account.purpose.value,
            ),
            action=AuditAction.DISCLOSURE,
            act=act,
            object=AuditObject(
                kind="export", id=request.digest, start=request.start, end=request.end
            ),
            result=result,
            justification=request.reason,
            size_bytes=size_bytes,
        )

    def key(self) -> ExportKey:
        """The centre's export key."""
        folder = self.settings.key_folder
        centre_id = CentreId(self.settings.centre.id)
        return export_key(folder, centre_id=centre_id, now=self.clock.now())

    def exporter(self) -> Exporter:
        """What makes the package."""
        index = SqlSegmentIndex(self.store)
        return Exporter(
            playback=Playback(self.areas(), index),
            index=index,
            proofs=log_proofs(self.store, self.settings),
            key=self.key(),
            centre=self.settings.centre.name,
            software=f"almenara {version('almenara')}",
            local_zone=self.clock.now().astimezone().tzname() or "UTC",
        )

    def areas(self) -> Areas:
        """Wherever recordings lie."""
        settings = self.settings
        return areas_beside(settings.recording, self.store, settings.store.directory)

    def archives(self) -> Archives:
        """What the documents are made of."""
        return Archives(
            registry=SqlStationRegistry(self.store),
            alarms=SqlAlarmDesk(self.store),
            accesses=self.audit,
            tracks=partial(points_within, self.settings.store.directory),
        )


@asynccontextmanager
async def desk(settings: Config) -> AsyncIterator[Desk]:
    """Open the store and close it again."""
    with open_store(settings.store_place) as store:
        yield Desk(settings, store)


def settings(config: Path | None) -> Config:
    """The configuration.

    Raises:
        ConfigError: It is broken.
    """
    return load(config)


async def create(
    config: Config,
    asked: Asked,
    *,
    name: str,
    password: str,
    out: Path,
    progress: Progress,
) -> Finished | Waiting:
    """Put a request down, or carry an approved one out.

    Args:
        config: Of the centre.
        asked: The words.
        name: Who asks.
        password: Theirs.
        out: The destination, absolute.
        progress: Told of every fragment.

    Raises:
        ExportError: It is not theirs, there is nothing, or there is no room.
    """
    async with desk(config) as at:
        account = await at.person(name, password)
        request = _request(asked, account, config)
        await at.must(account, Action.EXPORT_CREATE, request)
        streams = streams_of(
            await SqlStationRegistry(at.store).load(), request.camera_ids
        )
        exporter = at.exporter()
        plan = await to_thread.run_sync(exporter.prepare, request, streams, out)
        approval = await _approval(at, account, request)
        if isinstance(approval, Waiting):
            return approval
        with PackageFolder(out, request.digest) as folder:
            begun = folder.take_up()
            entry = at.entry(account, "export.create", request)
            if not await at.exports.begin(approval, str(out), at=entry.at, entry=entry):
                if not begun:
                    folder.abandon()
                raise ExportError(
                    f"{request.digest}: this approval was begun for another --out, or "
                    "is used up; go on there, or ask anew with other words"
                )
            write = partial(
                exporter.write,
                plan,
                request,
                approval,
                await gather(at.archives(), request),
                folder=folder,
                made_at=approval.used_at or entry.at,
                progress=progress,
            )
            made = await to_thread.run_sync(write)
        done = at.entry(account, "export.finish", request, size_bytes=made.size_bytes)
        await at.exports.finish(request.digest, at=done.at, entry=done)
        return made


async def _approval(at: Desk, account: Account, request: Request) -> Approval | Waiting:
    found = await at.exports.find(request.digest)
    approval = found[1] if found else None
    refused = refusal(request, approval, at.clock.now())
    if refused is None and approval is not None:
        await at.still_approves(approval, request)
        return approval
    if found is None or approval is not None:
        entry = at.entry(account, "export.request", request)
        await at.exports.ask(request, entry=entry)
    why = REFUSALS[refused or Refusal.NOT_APPROVED]
    return Waiting(digest=request.digest, why=why)


async def find(config: Config, digest: str) -> Request | None:
    """A request that waits."""
    async with desk(config) as at:
        found = await at.exports.find(digest)
        return found[0] if found and len(digest) >= 8 else None


async def approve(
    config: Config, request: Request, name: str, password: str
) -> str | None:
    """The second person's word.

    Returns:
        Why it does not count; None if it does.

    Raises:
        ExportError: It is not theirs to give.
    """
    async with desk(config) as at:
        account = await at.person(name, password)
        await at.must(account, Action.EXPORT_APPROVE, request)
        now = at.clock.now()
        word = Approval(
            digest=request.digest, approved_by=account.person_id, approved_at=now
        )
        if refused := refusal(request, word, now):
            deny = at.entry(account, "export.approve", request, result=AuditResult.DENY)
            await at.audit.record(deny)
            return REFUSALS[refused]
        entry = at.entry(account, "export.approve", request)
        await at.exports.approve(request, account.person_id, at=now, entry=entry)
        return None


async def trust(config: Config) -> str:
    """What a recipient needs to know of this centre, as a trust file."""
    async with desk(config) as at:
        key = at.key()
        lines = [
            f"# {printable(config.centre.name)} ({config.centre.id})",
            f"# certificate SHA-256 {key.sha256}",
            f"# verify.py SHA-256 {hashlib.sha256(verifier()).hexdigest()}",
            *log_proofs(at.store, config).public_keys(),
        ]
        return "\n".join(lines) + f"\nexport\n{key.pem}"


def _request(asked: Asked, account: Account, config: Config) -> Request:
    try:
        return Request(
            centre_id=CentreId(config.centre.id),
            camera_ids=tuple(sorted({CameraId(each) for each in asked.cameras})),
            start=asked.start,
            end=asked.end,
            subject=asked.subject,
            recipient=asked.recipient,
            legal_basis=asked.legal_basis,
            reason=asked.reason,
            requested_by=account.person_id,
        )
    except ValueError as error:
        raise ExportError(f"the request: {error}") from error


def _principal(account: Account, centre_id: CentreId) -> Principal:
    return Principal(
        person_id=account.person_id,
        name=account.name,
        centre_id=centre_id,
        roles=account.roles,
        purpose=account.purpose,
        stations=account.stations,
        missions=account.missions,
    )


def _header(stations: tuple[Station, ...], camera_id: CameraId) -> Header:
    of = {c.camera_id: s.station_id for s in stations for c in s.cameras}
    return Header(kind="camera", id=camera_id, station_id=of.get(camera_id))
