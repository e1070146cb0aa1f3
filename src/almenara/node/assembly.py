"""Puts a node together: every part built once, from the store up.

The order is the reason for this file. The store comes first, because nothing may happen
without it; then what a crash left of the recordings is put in order, before anything
new is recorded; then each stage of ``pipeline`` in the order the data meets them; the
console last, because it needs a port of each of them. What needs an end is ended in
reverse.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from importlib.resources import files
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from almenara.console.api.node import Fault as ShownFault
from almenara.console.api.node import NodeState
from almenara.console.app import STATIC, ConsolePorts, ConsoleSettings, create_app
from almenara.core.coast import Station, WatchZone
from almenara.core.errors import Fault, KeyFileError
from almenara.core.ids import CentreId, PersonId, TrackId
from almenara.core.time import Clock
from almenara.core.values import Position
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
)
from almenara.incidents.shore import Shore as Land
from almenara.node.alarm_desk import AlarmDesk
from almenara.node.case_desk import CaseDesk
from almenara.node.clock import SystemClock
from almenara.node.config import Config
from almenara.node.config.rules import limits_of
from almenara.node.health import HealthBook, Outside
from almenara.node.judge import Judge
from almenara.node.log_keeper import LogKeeper
from almenara.node.log_keys import KeyFolder
from almenara.node.media import MediaFolders
from almenara.node.partners import Certificates, Partners, identity
from almenara.node.pipeline import Pipeline, Stages
from almenara.node.rcc import FolderCourier, HonestCourier, WebhookCourier
from almenara.node.recorder_sheet import RecorderSheet
from almenara.node.shore import Shore
from almenara.node.simulated import SimulatedCoast
from almenara.node.storage import Storage, reserve_in
from almenara.node.store.accounts import SqlAccounts
from almenara.node.store.alarms import SqlAlarmDesk
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.cases import SqlCases
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.stations import SqlStationRegistry
from almenara.node.store.track_points import TrackPoints
from almenara.node.store.vouchers import SqlEvidenceLog
from almenara.node.time_stamps import HttpAuthority, Stamper, read_roots
from almenara.node.video import CameraLive, CameraPlayback, LastStills
from almenara.node.watch.pool import WatchPool
from almenara.recording.live import LiveHub
from almenara.recording.playback import Playback
from almenara.recording.recorder import Recorder
from almenara.simulation.clips import default_cache
from almenara.simulation.scenario import stations as simulated_stations
from almenara.simulation.scenario_file import load_scenario
from almenara.stations.addresses import AddressPolicy

SERVICE = AuditActor(person_id=PersonId("service/node"), name="service/node")
COAST = Path(str(files("almenara.node.coast"))) / "strait.geojson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Everything that runs, put together."""

    config: Config
    faults: tuple[Fault, ...]
    clock: Clock
    accounts: SqlAccounts
    shore: Shore
    health: HealthBook
    judge: Judge
    pipeline: Pipeline
    partners: Partners
    media: MediaFolders
    storage: Storage
    cases: CaseDesk
    courier: HonestCourier
    app: ASGIApp
    keeper: LogKeeper
    stamper: Stamper | None
    """None where no authority is configured."""

    coast: SimulatedCoast | None


@asynccontextmanager
async def assembled(
    config: Config, faults: tuple[Fault, ...], *, scenario: str | None
) -> AsyncIterator[Node]:
    """Build a node; it is taken apart again at the end.

    Raises:
        StoreError: The store cannot be used.
        TimeStampError: The authority's root certificates cannot be read.
        ConfigError: The scenario is wrong, or its coast did not start.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        reserve_in(config.store.directory).lend()
        store = stack.enter_context(open_store(config.store_place, exclusive=True))
        coast, stations, zones = await _simulated(scenario, stack)
        registry = SqlStationRegistry(store)
        if stations and await registry.load() != stations:
            entry = _entry(clock, "station.simulate")
            await registry.save(stations, reason="simulated coast", entry=entry)
        yield await _built(
            config,
            faults,
            clock=clock,
            store=store,
            registry=registry,
            coast=coast,
            simulated=stations,
            zones=(*config.zones, *zones),
            stack=stack,
        )


async def _built(  # long: one line per part, in the order they need each other
    config: Config,
    faults: tuple[Fault, ...],
    *,
    clock: Clock,
    store: Store,
    registry: SqlStationRegistry,
    coast: SimulatedCoast | None,
    simulated: tuple[Station, ...],
    zones: tuple[WatchZone, ...],
    stack: AsyncExitStack,
) -> Node:
    reserve = reserve_in(config.store.directory)
    media = MediaFolders(
        config.recording,
        store,
        clock,
        beside=config.store.directory,
        journal=reserve.journal,
    )
    areas = media.areas
    limits = limits_of(config)
    keeper = await _keeper(config, store, clock)
    index = SqlSegmentIndex(store, before_hold=reserve.plan.protect)
    points = stack.enter_context(TrackPoints(config.store.directory, clock))
    audit = SqlAuditLog(store)
    for fault in media.faults:
        await audit.record(_entry(clock, "media.foreign", "media", fault.place))
    faults = (*faults, *media.faults)
    recorder = Recorder(areas, index, clock)
    stack.callback(recorder.close)
    recorder.start()
    storage = Storage(
        areas,
        index,
        clock,
        reserve=reserve,
        keep_for=timedelta(days=config.recording.keep_days),
        written_bytes=recorder.written_bytes,
    )
    hub = LiveHub(clock)
    health = HealthBook(clock=clock, wanted_looks_per_s=config.watch.looks_per_s)
    if coast is not None:
        health.awaited = {c.camera_id for s in simulated for c in s.cameras}
    desk = AlarmDesk(SqlAlarmDesk(store), limits=limits)
    await desk.reload()
    land = offline_land()
    judge = Judge(
        desk=desk,
        cameras=health,
        track_log=points,
        zones=zones,
        lines=config.lines,
        havens=config.havens,
        shore=land,
        clock=clock,
        new_id=_track_names(clock),
        limits=limits,
        stores=storage.facts,
    )
    stills = LastStills()
    watch = WatchPool(
        config.watch.workers or os.cpu_count() or 1,
        clock=clock,
        seen=(health.look, judge.see),
        pictured=stills.put,
    )
    policy = AddressPolicy(
        networks=config.stations.networks,
        loopback_ports=_loopback_ports(simulated),
        files_under=config.stations.file_folders,
    )
    shore = Shore(
        registry=registry,
        zones=zones,
        policy=policy,
        clock=clock,
        formats=health.formats,
    )
    pipeline = Pipeline(
        Stages(
            make_driver=shore.make_driver,
            recorder=recorder,
            live=hub,
            watch=watch,
            judge=judge,
            health=health,
            clock=clock,
            burst_looks=config.watch.burst_looks,
        )
    )
    await shore.follow(pipeline.watch)
    health.outside = Outside(
        durable_until=recorder.durable_until,
        dropped_looks=watch.dropped,
        recorder=RecorderSheet(recorder, storage, clock).draw,
        workers=watch.health,
    )
    cases = CaseDesk(
        SqlCases(store),
        own=CentreId(config.centre.id),
        partner=CentreId(config.rescue.partner),
        clock=clock,
        shore=land,
    )
    accounts = SqlAccounts(store)
    ports = ConsolePorts(
        accounts=accounts,
        audit=audit,
        alarms=desk,
        cases=cases,
        picture=judge.picture,
        stations=shore,
        health=health,
        live=CameraLive(hub, shore.main_stream),
        playback=CameraPlayback(Playback(areas, index), shore.main_stream),
        stills=stills,
        node=_Board(config, faults, shore),
    )
    return Node(
        config=config,
        faults=faults,
        clock=clock,
        accounts=accounts,
        shore=shore,
        health=health,
        judge=judge,
        pipeline=pipeline,
        partners=_partners(config, store, clock),
        media=media,
        storage=storage,
        cases=cases,
        courier=_courier(config),
        app=create_app(ports, clock, ConsoleSettings(coast=COAST)),
        keeper=keeper,
        stamper=_stamper(config, store, clock),
        coast=coast,
    )


async def _keeper(config: Config, store: Store, clock: Clock) -> LogKeeper:
    """Who signs the evidence log; there is a key from the first start on.

    A key that cannot be used costs signatures, never the watch: the supervisor says so.
    """
    keeper = LogKeeper(
        SqlEvidenceLog(store),
        KeyFolder(config.key_folder, "log"),
        CentreId(config.centre.id),
        clock,
    )
    with suppress(KeyFileError):
        await keeper.begin()
    return keeper


def _stamper(config: Config, store: Store, clock: Clock) -> Stamper | None:
    """Who has the log's head stamped; None where no authority is configured.

    Raises:
        TimeStampError: The root certificates cannot be read.
    """
    evidence = config.evidence
    if not evidence.stamp_url:
        return None
    return Stamper(
        SqlEvidenceLog(store),
        HttpAuthority(evidence.stamp_url),
        read_roots(*evidence.stamp_roots),
        clock,
        every=timedelta(seconds=evidence.stamp_every_s),
    )


def _partners(config: Config, store: Store, clock: Clock) -> Partners:
    """The links to other centres; without a pairing there is none."""
    me, folder = CentreId(config.centre.id), config.key_folder
    shown = config.exchange
    return Partners(
        store,
        me,
        lambda: identity(folder, me, clock),
        clock,
        certificates=Certificates(
            certificate_file=Path(shown.certificate_file), key_file=Path(shown.key_file)
        )
        if shown.certificate_file
        else None,
    )


class _Board:
    """What the node says of itself; fulfils ``console.api.node.NodeBoard``."""

    def __init__(self, config: Config, faults: tuple[Fault, ...], shore: Shore) -> None:
        self._config = config
        self._faults = tuple(
            ShownFault(
                place=fault.place,
                found=fault.found,
                expected=fault.expected,
                cure=fault.cure,
            )
            for fault in faults
        )
        self._shore = shore
        self._build = _build()

    def state(self) -> NodeState:
        return NodeState(
            version=version("almenara"),
            build=self._build,
            centre_id=CentreId(self._config.centre.id),
            centre=self._config.centre.name,
            simulated=any(station.simulated for station in self._shore.stations()),
            faults=self._faults,
        )


async def _simulated(
    scenario: str | None, stack: AsyncExitStack
) -> tuple[SimulatedCoast | None, tuple[Station, ...], tuple[WatchZone, ...]]:
    if scenario is None:
        return None, (), ()
    found = load_scenario(scenario)
    coast = SimulatedCoast(scenario, default_cache())
    stack.push_async_callback(coast.close)
    ports = await coast.open()
    made = simulated_stations(found, ports.rtsp_port, ports.ais_port)
    return coast, made, found.zones


def _loopback_ports(stations: tuple[Station, ...]) -> frozenset[int]:
    """The simulated coast's ports: the only ones here that a driver may use."""
    urls = [
        url
        for station in stations
        for url in (
            *(stream.url for camera in station.cameras for stream in camera.streams),
            *(receiver.url for receiver in station.receivers),
            *(radar.url for radar in station.radars),
        )
    ]
    return frozenset(port for url in urls if (port := urlsplit(url).port) is not None)


def offline_land() -> Land:
    """The shore that the rules judge by: every outer ring of the offline coast."""
    coast = json.loads(COAST.read_text("utf-8"))
    rings: list[list[Position]] = []
    for feature in coast["features"]:
        shape = feature["geometry"]
        polygons = shape["coordinates"]
        many = polygons if shape["type"] == "MultiPolygon" else [polygons]
        # GeoJSON writes longitude first.
        rings += [
            [Position(latitude_deg=y, longitude_deg=x) for x, y in polygon[0]]
            for polygon in many
        ]
    return Land.of(rings)


def _courier(config: Config) -> HonestCourier:
    """Who carries a notification to the rescue coordination centre."""
    language = config.centre.language
    folder = FolderCourier(config.rescue.rcc_folder, language=language)
    if not config.rescue.rcc_url:
        return HonestCourier(folder, folder)
    return HonestCourier(
        WebhookCourier(config.rescue.rcc_url, language=language), folder
    )


def _track_names(clock: Clock) -> Callable[[], TrackId]:
    """Short names that no later run uses again: the start's minute, then a number."""
    start = int(clock.now().timestamp()) // 60
    numbers = count(1)
    return lambda: TrackId(f"{start:x}-{next(numbers)}")


def _entry(
    clock: Clock, act: str, kind: str = "stations", subject: str = "all"
) -> AuditEntry:
    return AuditEntry(
        entry_id=secrets.token_hex(8),
        at=clock.now(),
        actor=SERVICE,
        action=AuditAction.ALTERATION,
        act=act,
        object=AuditObject(kind=kind, id=subject),
    )


def _build() -> str:
    """Changes with the served bundle."""
    try:
        manifest = json.loads((STATIC / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "none"
    return str(manifest.get("build", "unknown"))
