"""A small package, made once: two cameras, a gap, a change of format."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from almenara.core.coast import (
    Camera,
    Lens,
    Pose,
    Profile,
    Scene,
    SensorKind,
    Station,
    StationKind,
    Stream,
)
from almenara.core.ids import CameraId, CentreId, PersonId, StationId, StreamId, TrackId
from almenara.core.media import Codec, Packet
from almenara.core.time import ManualClock
from almenara.core.values import Position
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    RecordedEntry,
)
from almenara.evidence.disclosure import Approval, Request
from almenara.evidence.package import AisRow, Proofs, TrackRow
from almenara.node.export.create import Exporter, Finished
from almenara.node.export.folder import PackageFolder
from almenara.node.export.gathered import Gathered
from almenara.node.export.signing import ExportKey, export_key
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.playback import Playback
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.node.export.log import NaiveLog
from tests.recording.films import STREAM, film

SECOND = timedelta(seconds=1)
OTHER = StreamId("0d6bb1de-6a53-4d0f-9a77-51a30f3cf702")
CAMERAS = {CameraId("tarifa-day"): STREAM, CameraId("tarifa-thermal"): OTHER}
PLACE = Position(latitude_deg=36.0012, longitude_deg=-5.6098)
CENTRE = CentreId("tarifa")
REASON = "=cmd|' طلب القاضي 7/2026, see 36.0012 N"


def camera(camera_id: CameraId, stream_id: StreamId) -> Camera:
    return Camera(
        camera_id=camera_id,
        station_id=StationId("tarifa"),
        sensor=SensorKind.DAY,
        scene=Scene.SEA,
        pose=Pose(position=PLACE, height_m=41.5, azimuth_deg=178.25),
        lens=Lens(width_px=64, height_px=48, hfov_deg=20.0),
        streams=(
            Stream(stream_id=stream_id, profile=Profile.MAIN, url="rtsp://10.0.0.9/a"),
        ),
    )


STATION = Station(
    station_id=StationId("tarifa"),
    name="Tarifa برج",
    kind=StationKind.TOWER,
    position=PLACE,
    cameras=tuple(camera(*pair) for pair in CAMERAS.items()),
    simulated=True,
)


def request(seconds: float = 7, **changes) -> Request:
    asked = Request(
        centre_id=CENTRE,
        camera_ids=tuple(sorted(CAMERAS)),
        start=NOON + SECOND,
        end=NOON + seconds * SECOND,
        subject="case 7/2026",
        recipient="Juzgado de Instrucción 2",
        legal_basis="LECrim art. 588",
        reason=REASON,
        requested_by=PersonId("ana"),
    )
    return replace(asked, **changes)


def approval(of: Request) -> Approval:
    return Approval(
        digest=of.digest, approved_by=PersonId("driss"), approved_at=NOON + 60 * SECOND
    )


def gathered() -> Gathered:
    entry = AuditEntry(
        entry_id="a1",
        at=NOON + 30 * SECOND,
        actor=AuditActor(person_id=PersonId("ana"), name="ana"),
        action=AuditAction.CONSULTATION,
        act="video.clip",
        object=AuditObject(
            kind="camera", id="tarifa-day", start=NOON, end=NOON + SECOND
        ),
    )
    track = TrackRow(
        track_id=TrackId("a-1"),
        at=NOON + 2 * SECOND,
        position=Position(latitude_deg=35.9, longitude_deg=-5.6),
        position_std_m=22.26,
        object_class="small_boat",
        simulated=True,
    )
    ais = AisRow(
        at=NOON + SECOND,
        mmsi=224_000_001,
        name="=HYPERLINK(0)",
        position=PLACE,
        speed_kn=9.5,
        course_deg=None,
    )
    return Gathered(
        stations=(STATION,),
        streams=CAMERAS,
        entries=(RecordedEntry(seq=9, entry=entry),),
        alarms=(),
        tracks=(track,),
        ais=(ais,),
    )


def later(packets: tuple[Packet, ...], seconds: float) -> tuple[Packet, ...]:
    """The same film, begun later: a camera that was silent in between."""
    shift = seconds * SECOND
    return tuple(
        replace(
            packet,
            captured_at=packet.captured_at + shift,
            received_at=packet.received_at + shift,
            received_monotonic_s=packet.received_monotonic_s + seconds,
            dts_90k=packet.dts_90k + round(seconds * 90_000),
            pts_90k=packet.pts_90k + round(seconds * 90_000),
        )
        for packet in packets
    )


def films() -> dict[StreamId, tuple[Packet, ...]]:
    """Day: H.264, then H.265 from 4 s on. Thermal: silent from 2 s to 5 s."""
    day = film(4)
    hevc = later(film(4, codec=Codec.H265), 4)
    first = film(2, stream_id=OTHER)
    again = later(film(3, stream_id=OTHER), 5)
    form = first[0].format
    again = tuple(replace(packet, format=form) for packet in again)
    return {STREAM: day + hevc, OTHER: first + again}


def quiet(done: int, whole: int) -> None:
    """Progress that nobody follows."""


@dataclass
class Centre:
    """A recorder's store with its films."""

    folder: Path
    store: Store
    index: SqlSegmentIndex
    log: NaiveLog
    key: ExportKey

    def exporter(self, proofs: Proofs | None = None, **changes) -> Exporter:
        given = {
            "playback": Playback(self.folder, self.index),
            "index": self.index,
            "proofs": proofs or self.log,
            "key": self.key,
            "centre": "Tarifa",
            "software": "almenara 0.1",
            "local_zone": "CET",
        }
        return Exporter(**{**given, **changes})

    def export(
        self, out: Path, of: Request | None = None, exporter: Exporter | None = None
    ) -> Finished:
        asked = of or request()
        maker = exporter or self.exporter()
        plan = maker.prepare(asked, CAMERAS, out)
        folder = PackageFolder(out, asked.digest)
        folder.take_up()
        return maker.write(
            plan,
            asked,
            approval(asked),
            gathered(),
            folder=folder,
            made_at=NOON + 90 * SECOND,
            progress=quiet,
        )

    def trust(self) -> str:
        return f"{self.log.trust()}export\n{self.key.pem}"


@contextmanager
def centre(folder: Path, database: str = "store.db") -> Iterator[Centre]:
    """Record the films and keep a log of them."""
    media = folder / "media"
    media.mkdir()
    with open_store(folder / database) as store:
        index = SqlSegmentIndex(store)
        with Recorder(media, index, ManualClock(NOON)) as recorder:
            for stream_id, packets in films().items():
                recorder.expect(stream_id)
                for packet in packets:
                    recorder.put(packet)
        index.settle()
        key = export_key(folder / "keys", centre_id=CENTRE, now=NOON)
        yield Centre(
            folder=media, store=store, index=index, log=NaiveLog(index), key=key
        )
