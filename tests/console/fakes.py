"""The console's ports in memory; each passes the contract of the real thing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from almenara.console.accounts import Account, Link, Session
from almenara.console.api.alarms import StaleVersionError
from almenara.console.api.cases import CaseAct, Opening
from almenara.console.api.health import (
    CameraHealth,
    Health,
    RecorderHealth,
    WorkerHealth,
)
from almenara.console.api.node import Fault, NodeState
from almenara.console.api.stations import CameraExistsError, NewCamera, Probe
from almenara.console.api.video import Still
from almenara.console.app import ConsolePorts
from almenara.console.feed import Bell, Newest
from almenara.core.coast import (
    AisReceiver,
    Camera,
    Lens,
    Pose,
    Profile,
    Scene,
    SensorKind,
    Station,
    StationKind,
    Stream,
    WatchZone,
)
from almenara.core.errors import (
    AddressRefusedError,
    CaseRefusedError,
    CaseVersionError,
)
from almenara.core.ids import (
    AlarmId,
    CameraId,
    CaseId,
    CentreId,
    LocalTrackId,
    PersonId,
    ReceiverId,
    StationId,
    StreamId,
    TrackId,
    ZoneId,
)
from almenara.core.labels import Labels, Purpose
from almenara.core.media import (
    Codec,
    Gap,
    LiveFragment,
    LiveInit,
    LiveMessage,
    Span,
    StreamFormat,
    Timeline,
    TimeSource,
)
from almenara.core.values import CountRange, Position
from almenara.detection import ObjectClass
from almenara.evidence.audit import AuditEntry, AuditObject, RecordedEntry
from almenara.incidents.alarm import (
    Alarm,
    AlarmState,
    Alert,
    Priority,
    Reason,
    Subject,
    SubjectKind,
)
from almenara.rescue import case as acts
from almenara.rescue.case import (
    Case,
    Change,
    DriftArea,
    DriftRecord,
    Facts,
    Origin,
    OriginKind,
    SearchRecord,
    SearchTask,
)
from almenara.rescue.knew_when import Sending
from almenara.rescue.phases import Phase
from almenara.rescue.sitrep import Order
from almenara.tracking.picture import Picture, Ray, SensorLook, SystemTrack, TrackState

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
CENTRE = CentreId("ceuta")
HERE = Position(latitude_deg=35.9, longitude_deg=-5.3)


def camera(camera_id: str, station_id: str, url: str = "rtsp://10.0.0.5/x") -> Camera:
    return Camera(
        camera_id=CameraId(camera_id),
        station_id=StationId(station_id),
        sensor=SensorKind.DAY,
        scene=Scene.SEA,
        pose=Pose(position=HERE, height_m=100.0, azimuth_deg=10.0),
        lens=Lens(width_px=1280, height_px=720, hfov_deg=40.0),
        streams=(Stream(stream_id=StreamId("s-1"), profile=Profile.MAIN, url=url),),
    )


def station(station_id: str, *camera_ids: str) -> Station:
    return Station(
        station_id=StationId(station_id),
        name=f"Mast {station_id}",
        kind=StationKind.TOWER,
        position=HERE,
        cameras=tuple(camera(c, station_id) for c in camera_ids),
        receivers=(
            AisReceiver(
                receiver_id=ReceiverId(f"{station_id}-ais"),
                station_id=StationId(station_id),
                url="tcp://10.0.0.6:4000",
            ),
        ),
    )


def alarm(alarm_id: str = "alarm-1", **changes: object) -> Alarm:
    subject = Subject(kind=SubjectKind.CONTACT, id="track-1")
    alert = Alert(
        rule="closing",
        rule_version=1,
        subject=subject,
        priority=Priority.WARNING,
        is_rescue=True,
        because=(Reason("closing.speed", {"speed_mps": 2.0, "speed_std_mps": 0.5}),),
        unknown=("people",),
        suggested="assist.look",
        position=HERE,
        position_std_m=120.0,
        sensors=("cam-1",),
        confidence=0.9,
    )
    made = Alarm(
        alarm_id=AlarmId(alarm_id),
        subject=subject,
        state=AlarmState.UNACKNOWLEDGED,
        priority=Priority.WARNING,
        is_rescue=True,
        version=1,
        alerts=(alert,),
        raised_at=NOON,
        changed_at=NOON,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def track(track_id: str = "track-1", **changes: object) -> SystemTrack:
    made = SystemTrack(
        track_id=TrackId(track_id),
        state=TrackState.CONFIRMED,
        at=NOON,
        first_seen_at=NOON,
        last_seen_at=NOON,
        position=HERE,
        position_cov_m2=(100.0, 400.0, 0.0),
        velocity_mps=(0.0, 3.0),
        velocity_cov=(0.1, 0.1, 0.0),
        existence=0.99,
        object_class=ObjectClass.SMALL_CRAFT,
        looks=(SensorLook(sensor_id="cam-1", seen_at=NOON),),
        people=CountRange(at_least=3),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def ray(camera_id: str = "cam-1") -> Ray:
    return Ray(
        camera_id=CameraId(camera_id),
        local_track_id=LocalTrackId(f"{camera_id}/7"),
        observed_at=NOON,
        origin=HERE,
        azimuth_deg=12.0,
        azimuth_std_deg=0.1,
        existence=0.8,
    )


class FakeAudit:
    """Fulfils ``AuditLog``; ``fails`` makes it a full disk."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.fails = False

    async def record(self, entry: AuditEntry) -> None:
        self.write(entry)

    def write(self, entry: AuditEntry) -> None:
        if self.fails:
            raise OSError("no space left")
        self.entries.append(entry)

    async def read(
        self, *, limit: int, before_seq: int | None
    ) -> tuple[RecordedEntry, ...]:
        numbered = [
            RecordedEntry(seq=seq, entry=entry)
            for seq, entry in enumerate(self.entries, 1)
            if before_seq is None or seq < before_seq
        ]
        return tuple(reversed(numbered))[:limit]


class FakeAccounts:
    """Fulfils ``Accounts``."""

    def __init__(self, audit: FakeAudit) -> None:
        self._audit = audit
        self.accounts: dict[PersonId, Account] = {}
        self.sessions: dict[str, Session] = {}
        self.links: dict[str, Link] = {}

    async def find(self, name: str) -> Account | None:
        for account in self.accounts.values():
            if account.name.casefold() == name.casefold():
                return account
        return None

    async def add(self, account: Account, *, entry: AuditEntry) -> bool:
        if await self.find(account.name) is not None:
            return False
        self._audit.write(entry)
        self.accounts[account.person_id] = account
        return True

    async def disable(
        self, person_id: PersonId, *, at: datetime, entry: AuditEntry
    ) -> None:
        self._audit.write(entry)
        account = self.accounts[person_id]
        self.accounts[person_id] = replace(account, disabled_at=at)
        self._end_all(person_id)

    async def set_password(
        self,
        person_id: PersonId,
        password_hash: str,
        *,
        session: Session | None,
        entry: AuditEntry,
    ) -> None:
        self._audit.write(entry)
        account = self.accounts[person_id]
        self.accounts[person_id] = replace(account, password_hash=password_hash)
        self._end_all(person_id)
        if session is not None:
            self.sessions[session.token_hash] = session

    async def need_setup(self) -> bool:
        return not any(
            account.password_hash is not None and account.disabled_at is None
            for account in self.accounts.values()
        )

    async def open_session(self, session: Session, *, entry: AuditEntry) -> None:
        self._audit.write(entry)
        self.sessions[session.token_hash] = session

    async def session(self, token_hash: str) -> tuple[Session, Account] | None:
        session = self.sessions.get(token_hash)
        return None if session is None else (session, self.accounts[session.person_id])

    async def touch(self, token_hash: str, *, at: datetime) -> None:
        session = self.sessions.get(token_hash)
        if session is not None:
            later = max(at, session.seen_at)
            self.sessions[token_hash] = replace(session, seen_at=later)

    async def end_session(self, token_hash: str, *, entry: AuditEntry) -> None:
        self._audit.write(entry)
        self.sessions.pop(token_hash, None)

    async def issue_link(self, link: Link, *, entry: AuditEntry) -> None:
        self._audit.write(entry)
        self._end_links(link.person_id)
        self.links[link.token_hash] = link

    async def link(self, token_hash: str) -> tuple[Link, Account] | None:
        link = self.links.get(token_hash)
        return None if link is None else (link, self.accounts[link.person_id])

    async def redeem_link(
        self, token_hash: str, session: Session, *, entry: AuditEntry
    ) -> bool:
        if token_hash not in self.links:
            return False
        self._audit.write(entry)
        del self.links[token_hash]
        self.sessions[session.token_hash] = session
        return True

    def _end_all(self, person_id: PersonId) -> None:
        self.sessions = {
            k: s for k, s in self.sessions.items() if s.person_id != person_id
        }
        self._end_links(person_id)

    def _end_links(self, person_id: PersonId) -> None:
        self.links = {k: s for k, s in self.links.items() if s.person_id != person_id}


class FakeDesk:
    """Fulfils ``AlarmDesk`` with the queue's rules for one act at a time."""

    def __init__(self, audit: FakeAudit, *alarms: Alarm) -> None:
        self._audit = audit
        self.alarms = {a.alarm_id: a for a in alarms}
        self.bell = Bell()

    async def queue(self, *, limit: int) -> tuple[Alarm, ...]:
        return tuple(self.alarms.values())[:limit]

    async def get(self, alarm_id: AlarmId) -> Alarm | None:
        return self.alarms.get(alarm_id)

    async def acknowledge(
        self, alarm_id: AlarmId, *, version: int, entry: AuditEntry
    ) -> Alarm | None:
        found = self.alarms.get(alarm_id)
        if found is None:
            return None
        if found.version != version:
            raise StaleVersionError
        self._audit.write(entry)
        if found.acknowledged_by is None:
            found = replace(
                found,
                state=AlarmState.ACKNOWLEDGED,
                acknowledged_by=entry.actor.person_id,
                acknowledged_at=entry.at,
            )
        return self.put(found)

    async def silence(self, alarm_id: AlarmId, *, entry: AuditEntry) -> Alarm | None:
        found = self.alarms.get(alarm_id)
        if found is None:
            return None
        self._audit.write(entry)
        return self.put(replace(found, state=AlarmState.SILENCED))

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        return self.bell.heard()

    def put(self, changed: Alarm) -> Alarm:
        self.alarms[changed.alarm_id] = changed
        self.bell.ring()
        return changed


OFFICER = PersonId("officer-1")


def rescue(case_id: str = "case-1", **changes: object) -> Case:
    """A case in distress with a drift, a plan, a report, and a wish to lower it."""
    facts = Facts(
        at=NOON, by=OFFICER, position=HERE, position_at=NOON, craft="inflatable"
    )
    made = acts.open_case(
        CaseId(case_id),
        origin=Origin(kind=OriginKind.TRACK, id="track-1"),
        own=CENTRE,
        partner=CentreId("tetouan"),
        facts=facts,
        labels=Labels(),
        phase=Phase.DISTRESS,
    ).case
    made = acts.keep_drift(made, _drift()).case
    made = acts.keep_search(made, _search()).case
    made = acts.report(made, Order(to=("mrcc",)), at=NOON, by=OFFICER).case
    asked = acts.ask_lower(
        made, Phase.ALERT, closes=False, reason="towed", at=NOON, by=OFFICER
    ).case
    return replace(asked, **changes)  # type: ignore[arg-type]  # fields by name


def _drift() -> DriftRecord:
    ring = tuple(
        Position(latitude_deg=35.9 + dy, longitude_deg=-5.3 + dx)
        for dy, dx in ((0, 0), (0.1, 0), (0.1, 0.2), (0, 0.2), (0, 0))
    )
    return DriftRecord(
        at=NOON,
        by=OFFICER,
        start_at=NOON,
        until=NOON + timedelta(hours=3),
        hypotheses=("loaded",),
        rows=("REFUGEE-RAFT-1",),
        wind=None,
        current=None,
        seed=1,
        particles=100,
        datum=HERE,
        areas=(DriftArea(level=0.95, size_km2=180.0, rings=(ring,)),),
        unknown=("wind", "current"),
        analogues=("REFUGEE-RAFT-1",),
    )


def _search() -> SearchRecord:
    task = SearchTask(
        unit="Guardamar <&>",
        sweep_width_m=900.0,
        sweep_source="crew",
        coverage=1.0,
        pod=0.632,
        spacing_m=900.0,
        length_m=20_000.0,
        waypoints=(HERE, Position(latitude_deg=36.0, longitude_deg=-5.3)),
    )
    return SearchRecord(at=NOON, by=OFFICER, pattern="parallel", drift=1, tasks=(task,))


class FakeCases:
    """Fulfils ``CaseDesk`` in memory."""

    shore = None

    def __init__(self, audit: FakeAudit, *cases: Case) -> None:
        self._audit = audit
        self.kept = {c.case_id: c for c in cases}
        self.told: dict[str, Sending] = {}
        self._done: dict[tuple[str, str], tuple[str, Case]] = {}
        self.bell = Bell()

    async def cases(self, *, closed: bool, limit: int) -> tuple[Case, ...]:
        found = [c for c in self.kept.values() if closed or c.is_open]
        found.sort(key=lambda c: (-c.phase, c.opened_at))
        return tuple(found)[:limit]

    async def get(self, case_id: CaseId) -> Case | None:
        return self.kept.get(case_id)

    async def open(
        self,
        opening: Opening,
        *,
        entry: AuditEntry,
        key: str | None = None,
        digest: str = "",
    ) -> Case:
        if (done := self._repeated(entry, key, digest)) is not None:
            return done
        change = acts.open_case(
            CaseId(f"{CENTRE}-{entry.at.year}-{len(self.kept) + 1:04d}"),
            origin=opening.origin,
            own=CENTRE,
            partner=CentreId("tetouan"),
            facts=opening.facts,
            labels=opening.labels,
            phase=opening.phase,
        )
        return self._keep(change, entry, key, digest)

    async def act(
        self,
        case_id: CaseId,
        act: CaseAct,
        *,
        version: int | None,
        entry: AuditEntry,
        key: str | None = None,
        digest: str = "",
    ) -> Case | None:
        if (done := self._repeated(entry, key, digest)) is not None:
            return done
        case = self.kept.get(case_id)
        if case is None:
            return None
        if version is not None and version != case.version:
            raise CaseVersionError(case_id)
        return self._keep(act(case), entry, key, digest)

    async def entries(self, case_id: CaseId) -> tuple[RecordedEntry, ...]:
        return tuple(
            RecordedEntry(seq=seq, entry=entry)
            for seq, entry in enumerate(self._audit.entries, 1)
            if (entry.object.kind, entry.object.id) == ("case", case_id)
        )

    async def sendings(self, case_id: CaseId) -> tuple[Sending, ...]:
        return tuple(s for s in self.told.values() if s.key.startswith(case_id))

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        return self.bell.heard()

    def _repeated(self, entry: AuditEntry, key: str | None, digest: str) -> Case | None:
        done = self._done.get((entry.actor.person_id, key or ""))
        if done is None:
            return None
        if done[0] != digest:
            raise CaseRefusedError("key_reused", "use a new key")
        return done[1]

    def _keep(
        self, change: Change, entry: AuditEntry, key: str | None, digest: str
    ) -> Case:
        case = change.case
        thing = AuditObject(kind="case", id=case.case_id)
        self._audit.write(replace(entry, object=thing, act=change.act))
        self.kept[case.case_id] = case
        for told in change.notifications:
            self.told[told.key] = Sending(
                key=told.key, queued_at=told.at, delivered_at=None
            )
        if key is not None:
            self._done[entry.actor.person_id, key] = (digest, case)
        self.bell.ring()
        return case


class FakeStations:
    """Fulfils ``StationDesk``; refuses every address outside 10.0.0.0/8."""

    def __init__(self, audit: FakeAudit) -> None:
        self._audit = audit
        self._stations = {
            "s1": station("s1", "cam-1"),
            "s2": station("s2", "cam-2"),
        }
        self.opened: list[str] = []

    def stations(self) -> tuple[Station, ...]:
        return tuple(self._stations.values())

    def zones(self) -> tuple[WatchZone, ...]:
        corners = tuple(
            Position(latitude_deg=35.9 + dy, longitude_deg=-5.3 + dx)
            for dy, dx in ((0, 0), (0, 0.1), (0.1, 0))
        )
        return (WatchZone(zone_id=ZoneId("z1"), name="<b>North</b>", vertices=corners),)

    def formats(self) -> Mapping[CameraId, StreamFormat]:
        form = StreamFormat(
            codec=Codec.H264, width_px=1920, height_px=1080, parameter_sets=()
        )
        return {CameraId("cam-1"): form}

    async def add_camera(
        self, station_id: StationId, camera: NewCamera, *, entry: AuditEntry
    ) -> Camera:
        self._open(camera.url)
        new_id = camera.camera_id or CameraId("cam-new")
        if any(new_id == c.camera_id for s in self.stations() for c in s.cameras):
            raise CameraExistsError
        self._audit.write(entry)
        added = _camera_of(new_id, station_id, camera)
        there = self._stations[station_id]
        self._stations[station_id] = replace(there, cameras=(*there.cameras, added))
        return added

    async def remove_camera(self, camera_id: CameraId, *, entry: AuditEntry) -> None:
        self._audit.write(entry)
        for key, there in self._stations.items():
            left = tuple(c for c in there.cameras if c.camera_id != camera_id)
            self._stations[key] = replace(there, cameras=left)

    async def probe(self, url: str, *, entry: AuditEntry) -> Probe:
        del entry
        self._open(url)
        return Probe(
            codec=Codec.H264,
            width_px=1280,
            height_px=720,
            fps=25.0,
            clock=TimeSource.CAMERA,
        )

    def _open(self, url: str) -> None:
        if not url.startswith("rtsp://10."):
            raise AddressRefusedError("probe", "not in the station networks")
        self.opened.append(url)


def _camera_of(camera_id: CameraId, station_id: StationId, new: NewCamera) -> Camera:
    made = camera(camera_id, station_id, new.url)
    return replace(made, pose=new.pose, sensor=new.sensor, scene=new.scene)


class FakeBoard:
    """Fulfils ``HealthBoard`` and ``NodeBoard``."""

    def __init__(self) -> None:
        self.health = Health(
            at=NOON,
            cameras=tuple(
                CameraHealth(
                    camera_id=CameraId(name),
                    state="live",
                    since=NOON,
                    measured_fps=float("nan"),
                )
                for name in ("cam-1", "cam-2")
            ),
            workers=(WorkerHealth(worker=0, state="working", since=NOON),),
            recorder=RecorderHealth(state="recording", since=NOON),
        )
        self.node = NodeState(
            version="0.1.0",
            build="b1",
            centre_id=CENTRE,
            centre="Ceuta",
            simulated=True,
        )

    def latest(self) -> Health:
        return self.health

    def state(self) -> NodeState:
        return self.node

    def break_configuration(self) -> None:
        fault = Fault(place="almenara.toml:3", found="x", expected="y", cure="z")
        self.node = replace(self.node, faults=(fault,))


INIT = LiveInit(codec="avc1.64001f", width_px=1280, height_px=720, data=b"init")


def fragment(number: int, *, key: bool) -> LiveFragment:
    return LiveFragment(
        captured_at=NOON + timedelta(milliseconds=40 * number),
        dts_90k=3600 * number + 2**32,
        is_key=key,
        data=b"%d" % number,
    )


class FakeLive:
    """Fulfils ``LiveVideo``; plays a list and then waits."""

    def __init__(self) -> None:
        self.messages: list[LiveMessage] = [
            INIT,
            fragment(0, key=True),
            fragment(1, key=False),
        ]
        self.watching = 0

    @asynccontextmanager
    async def watch(
        self, camera_id: CameraId
    ) -> AsyncIterator[AsyncIterator[LiveMessage]]:
        del camera_id
        bell = Bell()
        self.watching += 1
        try:
            async with bell.heard() as never:

                async def play() -> AsyncIterator[LiveMessage]:
                    for message in self.messages:
                        yield message
                    async for _ in never:
                        pass

                yield play()
        finally:
            self.watching -= 1


class FakeRecordings:
    """Fulfils ``Playback`` and ``Stills``."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [b"ftyp", b"moof"]
        self.still: Still | None = Still(jpeg=b"\xff\xd8\xff", captured_at=NOON)

    async def timeline(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> Timeline:
        del camera_id
        middle = start + (end - start) / 2
        return Timeline(
            spans=(Span(start=start, end=middle),),
            gaps=(Gap(start=middle, end=None, cause="camera_silent"),),
        )

    async def clip(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> AsyncIterator[bytes]:
        del camera_id, start, end
        for piece in self.pieces:
            yield piece

    def latest(self, camera_id: CameraId) -> Still | None:
        return self.still if camera_id.startswith("cam-") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Everything behind one console."""

    audit: FakeAudit = field(default_factory=FakeAudit)
    board: FakeBoard = field(default_factory=FakeBoard)
    live: FakeLive = field(default_factory=FakeLive)
    recordings: FakeRecordings = field(default_factory=FakeRecordings)
    picture: Newest[Picture] = field(
        default_factory=lambda: Newest(
            Picture(at=NOON, tracks=(track(),), rays=(ray(), ray("cam-2")))
        )
    )
    accounts: FakeAccounts = field(init=False)
    desk: FakeDesk = field(init=False)
    cases: FakeCases = field(init=False)
    stations: FakeStations = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "accounts", FakeAccounts(self.audit))
        secret = Labels(purpose=Purpose.LAW_ENFORCEMENT)
        hidden = alarm("alarm-hidden", labels=secret)
        object.__setattr__(self, "desk", FakeDesk(self.audit, alarm(), hidden))
        object.__setattr__(self, "stations", FakeStations(self.audit))
        closed = rescue("case-hidden", labels=secret)
        object.__setattr__(self, "cases", FakeCases(self.audit, rescue(), closed))

    def ports(self) -> ConsolePorts:
        return ConsolePorts(
            accounts=self.accounts,
            audit=self.audit,
            alarms=self.desk,
            cases=self.cases,
            picture=self.picture,
            stations=self.stations,
            health=self.board,
            live=self.live,
            playback=self.recordings,
            stills=self.recordings,
            node=self.board,
        )
