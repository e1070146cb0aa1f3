"""From observations to alarms: fuses, draws the picture, asks the rules, commits.

Four times a second the picture is drawn and the rules are asked about it. What they
find becomes alarms; those are committed first and shown afterwards, so no screen ever
shows an alarm that a power cut could take back. A distress device is judged as it is
heard.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from prometheus_client import Counter, Histogram

from almenara.console.feed import Newest
from almenara.core.ais import DEVICES, AisReport
from almenara.core.coast import Camera, Haven, Station, WatchLine, WatchZone
from almenara.core.errors import StoreError
from almenara.core.ids import ReceiverId, TrackId
from almenara.core.labels import Labels
from almenara.core.radar import RadarReport
from almenara.core.time import Clock
from almenara.incidents.alarm import Alert, Subject, SubjectKind
from almenara.incidents.distress import DistressWatch
from almenara.incidents.doubts import CameraFacts
from almenara.incidents.lookout import lookout
from almenara.incidents.rules import judge
from almenara.incidents.shore import Shore
from almenara.incidents.situation import Chronicle
from almenara.incidents.stores import StoreFacts
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.node.alarm_desk import AlarmDesk
from almenara.node.watch.frames import Look
from almenara.tracking.ais import AisSense
from almenara.tracking.fusion import Fusion
from almenara.tracking.integrity import AisIntegrity
from almenara.tracking.picture import Picture
from almenara.tracking.plots import RadarSense

log = structlog.get_logger()

PERIOD = timedelta(milliseconds=250)

HELD_BACK = Counter(
    "almenara_alarm_commits_failed_total", "Judgements that could not be committed."
)
DELAY = Histogram(
    "almenara_alarm_delay_seconds",
    "From the capture of the deciding picture to the committed alarm.",
    buckets=(0.25, 0.5, 1, 2, 4, 8, 16),
)


class CameraSheet(Protocol):
    """How the node's cameras do, for the rules."""

    def facts(self) -> tuple[CameraFacts, ...]:
        """As of now."""
        ...


class TrackLog(Protocol):
    """Where the points of system tracks are kept."""

    def put(self, picture: Picture) -> None:
        """Keep the points of a picture; may lose the last seconds in a power cut."""
        ...


class Judge:
    """Holds the one picture of the centre."""

    def __init__(
        self,
        *,
        desk: AlarmDesk,
        cameras: CameraSheet,
        track_log: TrackLog,
        zones: tuple[WatchZone, ...],
        lines: tuple[WatchLine, ...] = (),
        havens: tuple[Haven, ...] = (),
        shore: Shore,
        clock: Clock,
        new_id: Callable[[], TrackId],
        limits: Thresholds = DEFAULT,
        stores: Callable[[], tuple[StoreFacts, ...]] = tuple,
    ) -> None:
        self._desk = desk
        self._cameras = cameras
        self._track_log = track_log
        self._zones = zones
        self._lines = lines
        self._havens = havens
        self._shore = shore
        self._clock = clock
        self._limits = limits
        self._stores = stores
        self._fusion = Fusion((), new_id=new_id, is_sea=shore.is_sea)
        self._ais = AisSense()
        self._integrity = AisIntegrity(self._ais)
        self._called: dict[int, TrackId] = {}
        """The track that last bore the number of a ship."""

        self._radars: dict[ReceiverId, RadarSense] = {}
        self._chronicle = Chronicle(thresholds=limits)
        self._distress = DistressWatch(thresholds=limits)
        self._simulated: frozenset[str] = frozenset()
        self._logged_at: datetime | None = None
        self.picture = Newest(Picture(at=clock.now(), tracks=()))

    def watch(self, stations: Iterable[Station]) -> None:
        """Replace the stations; contacts live on."""
        kept = tuple(stations)
        cameras: list[Camera] = [c for s in kept for c in s.cameras]
        self._simulated = frozenset(
            name
            for station in kept
            if station.simulated
            for name in (
                station.station_id,
                *(c.camera_id for c in station.cameras),
                *(r.receiver_id for r in station.receivers),
                *(r.receiver_id for r in station.radars),
            )
        )
        self._fusion.watch(cameras, simulated=self._simulated)
        self._integrity.watch(
            {r.receiver_id: s.position for s in kept for r in s.receivers}
        )
        radars = {r.receiver_id: r for s in kept for r in s.radars}
        self._radars = {
            name: was
            if (was := self._radars.get(name)) is not None and was.radar == radar
            else RadarSense(radar)
            for name, radar in radars.items()
        }

    def see(self, look: Look) -> None:
        """Take in what a camera sees."""
        if look.observations:
            self._fusion.observe(look.observations, self._clock.now())

    def hear(self, report: AisReport) -> None:
        """Take in what a ship says."""
        now = self._clock.now()
        self._distress = self._distress.heard(report)
        if (seen := self._ais.observe(report)) is not None:
            self._fusion.observe((seen,), now)
        self._integrity.hear(report)

    def sweep(self, report: RadarReport) -> None:
        """Take in what a radar reports; one of a radar nobody knows is left out."""
        sense = self._radars.get(report.radar_id)
        if sense is not None:
            self._fusion.observe(sense.observe([report]), self._clock.now())

    def begin_anew(self) -> None:
        """The simulated world jumped back to its start: its contacts are no more."""
        gone = self._fusion.forget_simulated()
        self._ais.forget({contact.mmsi for contact in gone})

    async def run(self) -> None:
        """Judge until cancelled."""
        while True:
            await self._clock.sleep(PERIOD)
            await self.step()

    async def step(self) -> None:
        """Draw one picture, publish it, and judge it."""
        now = self._clock.now()
        picture = self._fusion.picture(now)
        self.picture.publish(picture)
        if self._logged_at is None or now - self._logged_at >= timedelta(seconds=1):
            self._logged_at = now
            self._track_log.put(picture)
        survivors = dict(self._fusion.survivors)
        cameras = self._cameras.facts()
        self._chronicle, situations = self._chronicle.read(
            picture,
            self._zones,
            self._shore,
            survivors=survivors,
            lines=self._lines,
            havens=self._havens,
            watched_by=lookout(cameras, self._limits),
        )
        alerts = judge(
            situations,
            cameras,
            stores=self._stores(),
            limits=self._limits,
            anomalies=self._integrity.anomalies(now),
        )
        alerts += self._distress.alerts(now)
        moved = {_contact(a): _contact(b) for a, b in survivors.items()}
        moved |= self._numbers(picture, alerts)
        try:
            steps = await self._desk.judge(
                alerts,
                now,
                labels=self._labels(alerts, picture),
                survivors=moved,
            )
        except StoreError as error:
            HELD_BACK.inc()
            log.error("alarm_commit_failed", reason=str(error))
            return
        for step in steps:
            seen_at = step.after.alerts[0].observed_at
            if step.before is None and seen_at is not None:
                DELAY.observe((self._clock.now() - seen_at).total_seconds())

    def _numbers(self, picture: Picture, alerts: list[Alert]) -> dict[Subject, Subject]:
        """Alerts about a ship's number are about her track, once there is one."""
        for track in picture.tracks:
            if track.mmsi is not None:
                self._called[track.mmsi] = track.track_id
        said = {alert.subject.id for alert in alerts}
        return {
            Subject(kind=SubjectKind.CONTACT, id=f"mmsi:{mmsi}"): _contact(track_id)
            for mmsi, track_id in self._called.items()
            if mmsi // 1_000_000 not in DEVICES and f"mmsi:{mmsi}" in said
        }

    def _labels(self, alerts: list[Alert], picture: Picture) -> dict[Subject, Labels]:
        made = {t.track_id for t in picture.tracks if t.simulated}
        return {
            alert.subject: Labels(
                simulated=alert.subject.id in made
                or any(sensor in self._simulated for sensor in alert.sensors)
            )
            for alert in alerts
        }


def _contact(track_id: TrackId) -> Subject:
    return Subject(kind=SubjectKind.CONTACT, id=track_id)
