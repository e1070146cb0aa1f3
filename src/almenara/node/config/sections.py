"""What an operator may say: every section and key, with unit, limits and default.

The docstring under a key is its manual: ``almenara config explain``, the example file
and ``docs/reference/config.md`` are made from it. Nothing here touches a file or the
network, and nothing here holds a secret. Stations are not in this file: they are
versioned rows of the store, imported and exported as TOML.
"""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from shapely import Polygon

from almenara.core.coast import Direction, Haven, WatchLine, WatchZone
from almenara.core.ids import ZoneId
from almenara.core.values import Position
from almenara.node.config.faults import wrong
from almenara.node.config.rules import RulesConfig
from almenara.node.store.place import Place as StorePlace
from almenara.node.store.place import Server

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,31}$")]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
WIDEST_PREFIX = {4: 8, 6: 16}


class Mode(StrEnum):
    """What this node is."""

    LIVE = "live"
    """A watch; loopback addresses are no stations."""

    DEMO = "demo"
    """The simulated coast; everything is marked as simulated."""

    TEST = "test"
    """As demo, for the test suite."""


class Section(BaseModel):
    """A table of the file: frozen, and a key it does not know is a fault."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class CentreConfig(Section):
    """Who keeps this watch."""

    id: Name = "centre"
    """Short name, unique among partners: lower case letters, digits, -."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = "Watch centre"
    """As people read it."""

    language: Annotated[str, Field(pattern=r"^(ar|en|es|fr)$")] = "en"
    """What the console speaks until somebody chooses otherwise: ar, en, es or fr."""


class ConsoleConfig(Section):
    """Where people reach the watch with a browser."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    """Address or name to listen at; 127.0.0.1 is this machine alone."""

    port: Annotated[Whole, Field(ge=0, le=65535)] = 8080
    """TCP port; 0 takes a free one and says which."""


def _server(url: str) -> str:
    if not url:
        return url
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise wrong(SERVER, "Mend the address.") from None
    if parts.scheme != "postgresql" or not parts.path.strip("/") or parts.fragment:
        raise wrong(SERVER, 'Write "postgresql://user@host/database".')
    if parts.password is not None:
        raise wrong("an address without a password", "Put it into store.password_file.")
    if unknown := sorted(set(asked) - SERVER_WORDS):
        raise wrong(
            f"only {', '.join(sorted(SERVER_WORDS))} after the question mark",
            f"Take {unknown[0]} out.",
        )
    folder = asked.get("host", [""])[0]
    is_near = host in ("", "localhost", "127.0.0.1", "::1")
    is_near = is_near and (not folder or folder.startswith("/"))
    if not is_near and asked.get("sslmode") != ["verify-full"]:
        raise wrong(
            "an encrypted connection to a server whose name is checked",
            "Add ?sslmode=verify-full, and sslrootcert=FILE for a CA of your own.",
        )
    return url


SERVER = 'an address as "postgresql://user@host/database"'
SERVER_WORDS = {"host", "port", "sslmode", "sslrootcert"}


class StoreConfig(Section):
    """Where alarms, audit and stations are kept."""

    directory: Path = Path("data")
    """A folder on a local disk; relative to this file."""

    url: Annotated[str, AfterValidator(_server)] = ""
    """A PostgreSQL database, as "postgresql://user@host/name"; empty: a file there."""

    password_file: str = ""
    """A file that holds the server's password, for this user alone; relative to this
    file. A service credential named store-password needs no key."""


class AreaConfig(Section):
    """One more folder for recordings, on a disk of its own."""

    directory: Path
    """A folder on another disk; relative to this file."""

    tier: Annotated[str, Field(pattern=r"^(hot|bulk)$")] = "bulk"
    """hot for a fast disk that is written first; bulk for a large one."""

    keep_free_percent: Annotated[Number, Field(ge=1, le=50)] = 5.0
    """Percent of its disk that stays free; oldest recordings make room."""


class RecordingConfig(Section):
    """What is recorded, and how long it is kept."""

    directory: Path = Path("data/recordings")
    """A folder with room; relative to this file."""

    keep_days: Annotated[Whole, Field(ge=1, le=90)] = 30
    """Days until a recording is erased, unless a case holds it; the law allows 90."""

    keep_free_percent: Annotated[Number, Field(ge=1, le=50)] = 5.0
    """Percent of the disk that stays free; oldest recordings make room."""

    areas: Mapping[Name, AreaConfig] = Field(default_factory=dict)
    """[recording.areas.<id>]: more folders, each on a disk of its own."""

    @field_validator("areas")
    @classmethod
    def _has_other_names(
        cls, value: Mapping[str, AreaConfig]
    ) -> Mapping[str, AreaConfig]:
        if "main" in value:
            raise wrong(
                "a name other than main",
                "main is recording.directory; give the other folder another name.",
            )
        return value


class WatchConfig(Section):
    """How closely pictures are looked at."""

    workers: Annotated[Whole, Field(ge=0, le=64)] = 0
    """Processes that look at pictures; 0 takes as many as the machine has cores."""

    looks_per_s: Annotated[Number, Field(ge=0.2, le=25)] = 5.0
    """Pictures a second looked at per camera, from an analysis stream."""

    burst_looks: Annotated[Whole, Field(ge=1, le=25)] = 5
    """Pictures per burst, where only a main stream with long groups is at hand."""


def _authority(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise wrong(
            'an address as "http://tsa.example/tsr", without a password',
            "Write the address of an RFC 3161 authority, or nothing.",
        )
    return value


class EvidenceConfig(Section):
    """Who outside this centre vouches for its evidence log, and how often."""

    stamp_url: Annotated[str, AfterValidator(_authority)] = ""
    """An RFC 3161 time-stamp authority, as "http://tsa.example/tsr"; empty: none."""

    stamp_roots: tuple[Path, ...] = ()
    """PEM files of the authority's root certificates; relative to this file."""

    stamp_every_s: Annotated[Whole, Field(ge=60, le=3600)] = 600
    """Seconds between two time stamps of the log's head."""

    notice_after_s: Annotated[Whole, Field(ge=60, le=86_400)] = 900
    """Seconds without anybody's voucher until people are told."""

    not_anchored_after_s: Annotated[Whole, Field(ge=900, le=604_800)] = 14_400
    """Seconds without anybody's voucher until exports say *not anchored*."""

    @model_validator(mode="after")
    def _knows_whom_to_believe(self) -> Self:
        if self.stamp_url and not self.stamp_roots:
            raise wrong(
                "stamp_roots beside stamp_url",
                "Name a PEM file of the authority's root certificates.",
            )
        return self


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(item: object) -> Network:
    expected = 'networks as "192.0.2.0/24"'
    try:
        network = ipaddress.ip_network(str(item), strict=False)
    except ValueError:
        raise wrong(expected, "Write address/length in quotes.") from None
    if str(network) != str(item) and str(network.network_address) != str(item):
        raise wrong(expected, f'Write "{network}".')
    if network.prefixlen < WIDEST_PREFIX[network.version]:
        raise wrong(
            f"networks of at most /{WIDEST_PREFIX[network.version]}",
            "Name the networks the stations are in; a list of everything is none.",
        )
    return network


class StationsConfig(Section):
    """Which addresses stations may have."""

    networks: tuple[Annotated[Network, BeforeValidator(_network)], ...] = ()
    """Networks that stations live in, as "192.0.2.0/24"; all else is refused."""

    file_folders: tuple[Path, ...] = ()
    """Folders whose recordings may play a camera, by file: addresses."""


class RescueConfig(Section):
    """Who else is told of a rescue, and who may be offered its coordination."""

    partner: Name = "partner"
    """Short name of the centre that coordination may be offered to."""

    rcc_url: Annotated[str, Field(max_length=2000, pattern=r"^(https://[^\s@]+)?$")] = (
        ""
    )
    """Where the rescue coordination centre takes notifications; https, or empty."""

    rcc_folder: Path = Path("data/rcc")
    """Notifications as files: all where rcc_url is empty, else exercises alone."""


def _place(value: object) -> object:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise wrong(
            "pairs [latitude, longitude]", "Write [36.0, -5.4] for 36° N, 5.4° W."
        )
    try:
        latitude, longitude = map(float, value)
        return Position(latitude_deg=latitude, longitude_deg=longitude)
    except (TypeError, ValueError):
        raise wrong(
            "latitude from -90 to 90, then longitude from -180 to 180, in degrees",
            "Latitude stands first; write degrees as decimals.",
        ) from None


Place = Annotated[Position, BeforeValidator(_place)]


class ExchangeConfig(Section):
    """How this centre shows itself to its partners; who they are is in the store."""

    certificate_file: str = ""
    """This centre's certificate, PEM; its authority is handed over at the pairing."""

    key_file: str = ""
    """The certificate's private key, PEM, readable by the node alone."""

    @model_validator(mode="after")
    def _is_a_pair(self) -> Self:
        if bool(self.certificate_file) is not bool(self.key_file):
            raise wrong(
                "both certificate_file and key_file, or neither",
                "Name both files, or leave both out.",
            )
        return self


class ZoneConfig(Section):
    """A polygon in the world that somebody watches."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """As people read it."""

    vertices: tuple[Place, ...]
    """Corners as [latitude, longitude] in degrees, at least three, in order."""

    @field_validator("vertices")
    @classmethod
    def _is_simple(cls, value: tuple[Position, ...]) -> tuple[Position, ...]:
        ring = value[:-1] if len(value) > 3 and value[0] == value[-1] else value
        if len(ring) < 3:
            raise wrong("at least three corners", "Add corners.")
        if not Polygon([(p.longitude_deg, p.latitude_deg) for p in ring]).is_valid:
            raise wrong(
                "a polygon whose sides do not cross",
                "List the corners in the order of a walk around the zone.",
            )
        return ring


class LineConfig(Section):
    """A line in the world whose crossing is told."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """As people read it."""

    start: Place
    """[latitude, longitude] in degrees."""

    end: Place
    """[latitude, longitude] in degrees."""

    direction: Direction = Direction.BOTH
    """both, leftward or rightward: seen from start to end."""

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.start == self.end:
            raise wrong("two places", "Give start and end different places.")
        return self


class HavenConfig(Section):
    """A harbour or an anchorage: to land, meet and wait there is ordinary."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """As people read it."""

    position: Place
    """[latitude, longitude] of its middle, in degrees."""

    radius_m: Annotated[Number, Field(gt=0, le=20_000)] = 500.0
    """How far it reaches, metres."""


class Config(Section):
    """The whole file. Every key has a default that works on one machine."""

    mode: Mode = Mode.LIVE
    """live for a watch; demo and test for the simulated coast."""

    centre: CentreConfig = CentreConfig()
    console: ConsoleConfig = ConsoleConfig()
    store: StoreConfig = StoreConfig()
    recording: RecordingConfig = RecordingConfig()
    watch: WatchConfig = WatchConfig()
    stations: StationsConfig = StationsConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    exchange: ExchangeConfig = ExchangeConfig()
    rules: RulesConfig = RulesConfig()
    rescue: RescueConfig = RescueConfig()
    zone: Mapping[Name, ZoneConfig] = Field(default_factory=dict)
    """[zone.<id>]: a watch zone."""

    line: Mapping[Name, LineConfig] = Field(default_factory=dict)
    """[line.<id>]: a line whose crossing is told."""

    haven: Mapping[Name, HavenConfig] = Field(default_factory=dict)
    """[haven.<id>]: a harbour or an anchorage."""

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        if self.mode is Mode.LIVE and any(
            n.is_loopback for n in self.stations.networks
        ):
            raise wrong(
                'no loopback network while mode = "live"',
                'Take the loopback network out, or set mode = "demo".',
            )
        return self

    @property
    def zones(self) -> tuple[WatchZone, ...]:
        """The watch zones as the rules and the console know them."""
        return tuple(
            WatchZone(zone_id=ZoneId(key), name=zone.name, vertices=zone.vertices)
            for key, zone in self.zone.items()
        )

    @property
    def lines(self) -> tuple[WatchLine, ...]:
        """The lines as the rules know them."""
        return tuple(
            WatchLine(
                line_id=ZoneId(key),
                name=line.name,
                start=line.start,
                end=line.end,
                direction=line.direction,
            )
            for key, line in self.line.items()
        )

    @property
    def havens(self) -> tuple[Haven, ...]:
        """Harbours and anchorages as the rules know them."""
        return tuple(
            Haven(
                haven_id=ZoneId(key),
                name=haven.name,
                position=haven.position,
                radius_m=haven.radius_m,
            )
            for key, haven in self.haven.items()
        )

    @property
    def store_place(self) -> StorePlace:
        """The must-not-lose database."""
        kept = self.store
        if kept.url:
            secret = Path(kept.password_file) if kept.password_file else None
            return Server(url=kept.url, password_file=secret)
        return kept.directory / "almenara.db"

    @property
    def key_folder(self) -> Path:
        """Where private keys lie, apart from what they sign."""
        return self.store.directory / "keys"

    def beside(self, folder: Path) -> Self:
        """The same with its relative folders resolved against ``folder``."""
        secret = self.store.password_file
        return self.model_copy(
            update={
                "store": self.store.model_copy(
                    update={
                        "directory": folder / self.store.directory,
                        "password_file": str(folder / secret) if secret else "",
                    }
                ),
                "stations": self.stations.model_copy(
                    update={
                        "file_folders": tuple(
                            folder / each for each in self.stations.file_folders
                        )
                    }
                ),
                "evidence": self.evidence.model_copy(
                    update={
                        "stamp_roots": tuple(
                            folder / each for each in self.evidence.stamp_roots
                        )
                    }
                ),
                "exchange": self.exchange.model_copy(
                    update={
                        "certificate_file": _within(
                            folder, self.exchange.certificate_file
                        ),
                        "key_file": _within(folder, self.exchange.key_file),
                    }
                ),
                "rescue": self.rescue.model_copy(
                    update={"rcc_folder": folder / self.rescue.rcc_folder}
                ),
                "recording": self.recording.model_copy(
                    update={
                        "directory": folder / self.recording.directory,
                        "areas": {
                            name: area.model_copy(
                                update={"directory": folder / area.directory}
                            )
                            for name, area in self.recording.areas.items()
                        },
                    }
                ),
            }
        )


def _within(folder: Path, place: str) -> str:
    return str(folder / place) if place else ""
