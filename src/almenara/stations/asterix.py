"""ASTERIX out of bytes, without any I/O: plots, tracks, and the header of radar video.

A data block is a category, a length and records; each record says by its FSPEC which
items it has, in the order of the category's profile. Items nobody here needs are
measured and stepped over. Every length is checked against what is left, so noise costs
a counter and never an exception, and no more memory than one block.

Source: EUROCONTROL-SPEC-0149 part 1 (structure), part 7 (category 010, edition 1.1),
part 4 (048, 1.21 and later), part 9 (062, 1.18) and part 240 (240, 1.3), all public.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from almenara.core.ids import ReceiverId
from almenara.core.radar import RadarReport
from almenara.core.values import Position

HEADER_BYTES: Final = 3
MAX_BLOCK_BYTES: Final = 65_535
CLOCK_APART: Final = timedelta(seconds=30)
"""A radar whose time of day is farther off than this is stamped by arrival."""

NAUTICAL_MILE_M: Final = 1852.0
DAY_S: Final = 86_400
CATEGORIES: Final = frozenset({10, 48, 62, 240})


class _MalformedError(Exception):
    """The record does not end where its items do; stays inside this module."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    octets: int


@dataclass(frozen=True, slots=True)
class _Extended:
    """Parts of equal size; the last bit of each says whether another follows."""

    octets: int = 1


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A count, then so many parts."""

    octets: int


@dataclass(frozen=True, slots=True)
class _Explicit:
    """Its first octet is its length, itself included."""


@dataclass(frozen=True, slots=True)
class _Compound:
    """A field specification of its own, then the parts it names."""

    parts: tuple["_Rule", ...]


_Rule = _Fixed | _Extended | _Repeated | _Explicit | _Compound


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    rule: _Rule


def _fixed(*octets: int) -> tuple[_Rule, ...]:
    return tuple(_Fixed(count) for count in octets)


_SPARE: Final = None
_ONE: Final = _Fixed(1)
_Profile = tuple[_Item | None, ...]


def _profile(*items: tuple[str, _Rule | int] | None) -> _Profile:
    return tuple(
        item
        and _Item(item[0], _Fixed(item[1]) if isinstance(item[1], int) else item[1])
        for item in items
    )


_CAT_010: Final = _profile(
    *(("010", 2), ("000", 1), ("020", _Extended()), ("140", 3), ("041", 8)),
    *(("040", 4), ("042", 4), ("200", 4), ("202", 4), ("161", 2)),
    *(("170", _Extended()), ("060", 2), ("220", 3), ("245", 7)),
    *(("250", _Repeated(8)), ("300", 1), ("090", 2), ("091", 2)),
    *(("270", _Extended()), ("550", 1), ("310", 1), ("500", 4)),
    *(("280", _Repeated(2)), ("131", 1), ("210", 2), _SPARE),
    *(("SP", _Explicit()), ("RE", _Explicit())),
)
_CAT_048: Final = _profile(
    *(("010", 2), ("140", 3), ("020", _Extended()), ("040", 4), ("070", 2)),
    *(("090", 2), ("130", _Compound((_ONE,) * 7)), ("220", 3), ("240", 6)),
    *(("250", _Repeated(8)), ("161", 2), ("042", 4), ("200", 4)),
    *(("170", _Extended()), ("210", 4), ("030", _Extended()), ("080", 2)),
    *(("100", 4), ("110", 2), ("120", _Compound((_Fixed(2), _Repeated(6))))),
    *(("230", 2), ("260", 7), ("055", 1), ("050", 2), ("065", 1), ("060", 2)),
    *(("SP", _Explicit()), ("RE", _Explicit())),
)
_AIRCRAFT: Final = _Compound(
    (
        *_fixed(3, 6, 2, 2, 2, 2, 2, 1),
        _Repeated(15),
        *_fixed(2, 2, 7, 2, 2, 2, 2, 2, 2, 1, 8, 1, 6, 2, 1),
        _Repeated(8),
        *_fixed(2, 2, 2),
    )
)
_FLIGHT: Final = _Compound(
    (
        *_fixed(2, 7, 4, 1, 4, 1, 4, 4, 3, 2, 2),
        _Repeated(4),
        *_fixed(6, 1, 7, 7, 2, 7),
    )
)
_CAT_062: Final = _profile(
    *(("010", 2), _SPARE, ("015", 1), ("070", 3), ("105", 8), ("100", 6)),
    *(("185", 4), ("210", 2), ("060", 2), ("245", 7), ("380", _AIRCRAFT)),
    *(("040", 2), ("080", _Extended())),
    ("290", _Compound(_fixed(1, 1, 1, 1, 2, 1, 1, 1, 1, 1))),
    *(("200", 1), ("295", _Compound((_ONE,) * 31)), ("136", 2), ("130", 2)),
    *(("135", 2), ("220", 2), ("390", _FLIGHT), ("270", _Extended())),
    *(("300", 1), ("110", _Compound(_fixed(1, 4, 6, 2, 2, 1, 1))), ("120", 2)),
    *(("510", _Extended(3)), ("500", _Compound(_fixed(4, 2, 4, 1, 1, 2, 2, 1)))),
    *(("340", _Compound(_fixed(2, 4, 2, 2, 2, 1))), *(_SPARE,) * 5),
    *(("RE", _Explicit()), ("SP", _Explicit())),
)
_CAT_240: Final = _profile(
    *(("010", 2), ("000", 1), ("020", _Repeated(1)), ("030", 4), ("040", 12)),
    *(("041", 12), ("048", 2), ("049", 5), ("050", _Repeated(4))),
    *(("051", _Repeated(64)), ("052", _Repeated(256)), ("140", 3)),
    *(("RE", _Explicit()), ("SP", _Explicit())),
)
_PROFILES: Final[Mapping[int, _Profile]] = {
    10: _CAT_010,
    48: _CAT_048,
    62: _CAT_062,
    240: _CAT_240,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoHeader:
    """What one message of radar video covers; its cells are not read here."""

    start_azimuth_deg: float
    end_azimuth_deg: float
    start_range_m: float
    cell_range_m: float
    """How much range one cell covers."""

    bits_per_cell: int
    compressed: bool
    cells: int


@dataclass(slots=True)
class AsterixCounters:
    """What became of the records of one radar."""

    records: int = 0
    malformed: int = 0
    """Records or blocks whose lengths contradict themselves; the rest is skipped."""

    other_category: int = 0
    """Blocks of a category that the watch has no use for."""

    not_placed: int = 0
    """Service messages, and reports that say of nothing where it is."""

    fixed_or_test: int = 0
    """Test reports and fixed transponders: nothing at sea."""

    clock_off: int = 0
    """Reports whose time of day was too far from their arrival."""


@dataclass(slots=True)
class BlockReader:
    """Cuts a byte stream into data blocks; holds at most one unfinished block."""

    dropped_bytes: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        """The blocks completed by ``data``, header included."""
        self._buffer += data
        blocks: list[bytes] = []
        at = 0
        while len(self._buffer) - at >= HEADER_BYTES:
            length = int.from_bytes(self._buffer[at + 1 : at + 3], "big")
            if length <= HEADER_BYTES:  # no block is that short: look one octet on
                at += 1
                self.dropped_bytes += 1
                continue
            if len(self._buffer) - at < length:
                break
            blocks.append(bytes(self._buffer[at : at + length]))
            at += length
        del self._buffer[:at]
        return blocks

    def end(self) -> None:
        """A datagram is over: what does not make a block is dropped."""
        self.dropped_bytes += len(self._buffer)
        self._buffer.clear()


class AsterixDecoder:
    """Reads the blocks of one radar; never raises."""

    def __init__(self, radar_id: ReceiverId) -> None:
        self.counters = AsterixCounters()
        self.video: VideoHeader | None = None
        """Of the last message of category 240."""

        self._radar_id = radar_id

    def decode(self, block: bytes, received_at: datetime) -> list[RadarReport]:
        """What a block reports of things at sea."""
        category = block[0] if block else -1
        profile = _PROFILES.get(category)
        if profile is None:
            self.counters.other_category += 1
            return []
        length = int.from_bytes(block[1:3], "big")
        reports: list[RadarReport] = []
        try:
            for items in _records(block[HEADER_BYTES:length], profile):
                self.counters.records += 1
                report = self._read(category, items, received_at)
                if report is not None:
                    reports.append(report)
        except _MalformedError:
            self.counters.malformed += 1
        return reports

    def _read(
        self, category: int, items: Mapping[str, bytes], received_at: datetime
    ) -> RadarReport | None:
        if category == 240:
            self.video = _video(items) or self.video
            return None
        flags = _Flags.of(category, items)
        if flags.passes_by:
            self.counters.fixed_or_test += 1
            return None
        polar, position = _polar(category, items), _position(category, items)
        if polar is None and position is None:
            self.counters.not_placed += 1
            return None
        speed_mps, course_deg = _velocity(category, items)
        number = items.get("040" if category == 62 else "161")
        return RadarReport(
            radar_id=self._radar_id,
            received_at=received_at,
            measured_at=self._instant(items, category, received_at),
            track_number=None if number is None else int.from_bytes(number, "big"),
            azimuth_deg=None if polar is None else polar[0],
            range_m=None if polar is None else polar[1],
            position=position,
            speed_mps=speed_mps,
            course_deg=course_deg,
            is_last=flags.last,
            simulated=flags.simulated,
        )

    def _instant(
        self, items: Mapping[str, bytes], category: int, received_at: datetime
    ) -> datetime:
        """The time of day, on the day that brings it nearest to the arrival."""
        said = items.get("070" if category == 62 else "140")
        if said is None:
            return received_at
        midnight = received_at.replace(hour=0, minute=0, second=0, microsecond=0)
        at_s = int.from_bytes(said, "big") / 128
        now_s = (received_at - midnight).total_seconds()
        off_s = (at_s - now_s + DAY_S / 2) % DAY_S - DAY_S / 2
        if at_s >= DAY_S or abs(off_s) > CLOCK_APART.total_seconds():
            self.counters.clock_off += 1
            return received_at
        return received_at + timedelta(seconds=off_s)


@dataclass(frozen=True, slots=True)
class _Flags:
    passes_by: bool
    """A test, a field monitor or a ghost."""

    simulated: bool
    last: bool

    @classmethod
    def of(cls, category: int, items: Mapping[str, bytes]) -> "_Flags":
        if category == 62:
            status = items.get("080", b"")
            return cls(
                passes_by=False,
                simulated=bool(_bit(status, 1, 8)),
                last=bool(_bit(status, 1, 7)),
            )
        descriptor, status = items.get("020", b""), items.get("170", b"")
        if category == 10:
            kind = items.get("000", b"\x01")[0]
            test = _bit(descriptor, 1, 7) or _bit(descriptor, 1, 6) or kind != 1
            return cls(
                passes_by=bool(test),
                simulated=bool(_bit(descriptor, 1, 8)),
                last=bool(_bit(status, 0, 7)),
            )
        test = _bit(descriptor, 1, 8) or _bit(descriptor, 0, 2) or _bit(status, 1, 7)
        return cls(
            passes_by=bool(test),
            simulated=bool(_bit(descriptor, 0, 5)),
            last=bool(_bit(status, 1, 8)),
        )


def _records(data: bytes, profile: _Profile) -> Iterator[Mapping[str, bytes]]:
    at = 0
    while at < len(data):
        present, at = _specification(data, at, len(profile))
        items: dict[str, bytes] = {}
        for number in present:
            item = profile[number]
            if item is None:
                raise _MalformedError
            end = at + _length(item.rule, data, at)
            if end > len(data):
                raise _MalformedError
            items[item.name] = data[at:end]
            at = end
        yield items


def _specification(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Which of ``count`` fields are present, from 0, and where the fields begin."""
    present: list[int] = []
    for octet in range(math.ceil(count / 7)):
        if at >= len(data):
            raise _MalformedError
        bits = data[at]
        at += 1
        for bit in range(7):
            if bits & 0x80 >> bit:
                if 7 * octet + bit >= count:
                    raise _MalformedError
                present.append(7 * octet + bit)
        if not bits & 1:
            return present, at
    raise _MalformedError


def _length(rule: _Rule, data: bytes, at: int) -> int:
    """How many octets an item takes from ``at`` on; may run past the end."""
    match rule:
        case _Fixed(octets):
            return octets
        case _Extended(octets):
            length = octets
            while _octet(data, at + length - 1) & 1:
                length += octets
            return length
        case _Repeated(octets):
            return 1 + octets * _octet(data, at)
        case _Explicit():
            length = _octet(data, at)
            if length == 0:
                raise _MalformedError
            return length
        case _Compound(parts):
            present, start = _specification(data, at, len(parts))
            end = start
            for number in present:
                end += _length(parts[number], data, end)
            return end - at


def _octet(data: bytes, at: int) -> int:
    if at >= len(data):
        raise _MalformedError
    return data[at]


def _bit(octets: bytes, octet: int, bit: int) -> int:
    """A bit as the standard numbers it: 8 is the highest; 0 where it was not sent."""
    return octets[octet] >> (bit - 1) & 1 if octet < len(octets) else 0


def _signed(octets: bytes) -> int:
    return int.from_bytes(octets, "big", signed=True)


def _pair(octets: bytes) -> tuple[int, int]:
    half = len(octets) // 2
    return _signed(octets[:half]), _signed(octets[half:])


def _polar(category: int, items: Mapping[str, bytes]) -> tuple[float, float] | None:
    """Azimuth and range at the radar, measured or from its own Cartesian place."""
    if category == 62:
        return None  # its Cartesian origin is the system's, which we do not know
    measured = items.get("040")
    if measured is not None:
        unit_m = 1.0 if category == 10 else NAUTICAL_MILE_M / 256
        range_m = int.from_bytes(measured[:2], "big") * unit_m
        return int.from_bytes(measured[2:], "big") * 360.0 / 65_536, range_m
    made = items.get("042")
    if made is None:
        return None
    unit_m = 1.0 if category == 10 else NAUTICAL_MILE_M / 128
    east, north = _pair(made)
    return _course(east, north), math.hypot(east, north) * unit_m


def _position(category: int, items: Mapping[str, bytes]) -> Position | None:
    found = items.get({10: "041", 62: "105"}.get(category, ""))
    if found is None:
        return None
    unit_deg = 180.0 / (1 << 31 if category == 10 else 1 << 25)
    latitude, longitude = _pair(found)
    try:
        return Position(
            latitude_deg=latitude * unit_deg, longitude_deg=longitude * unit_deg
        )
    except ValueError:
        return None


def _velocity(
    category: int, items: Mapping[str, bytes]
) -> tuple[float | None, float | None]:
    made = items.get({10: "202", 62: "185"}.get(category, ""))
    if made is not None:
        east, north = _pair(made)
        return math.hypot(east, north) * 0.25, _course(east, north)
    polar = items.get("200") if category in (10, 48) else None
    if polar is None:
        return None, None
    speed = int.from_bytes(polar[:2], "big") * NAUTICAL_MILE_M / (1 << 14)
    return speed, int.from_bytes(polar[2:], "big") * 360.0 / 65_536


def _course(east: float, north: float) -> float:
    course_deg = math.degrees(math.atan2(east, north)) % 360.0
    return 0.0 if course_deg >= 360.0 else course_deg


LIGHT_MPS: Final = 299_792_458.0
_CELL_S: Final = {"040": 1e-9, "041": 1e-15}


def _video(items: Mapping[str, bytes]) -> VideoHeader | None:
    """The geometry of a video message; None where its header is missing."""
    named = next((name for name in _CELL_S if name in items), None)
    resolution, counters = items.get("048"), items.get("049")
    if named is None or resolution is None or counters is None:
        return None
    header = items[named]
    cell_range_m = int.from_bytes(header[8:], "big") * _CELL_S[named] * LIGHT_MPS / 2.0
    return VideoHeader(
        start_azimuth_deg=int.from_bytes(header[:2], "big") * 360.0 / 65_536,
        end_azimuth_deg=int.from_bytes(header[2:4], "big") * 360.0 / 65_536,
        # The standard counts the start in cells, not in metres.
        start_range_m=int.from_bytes(header[4:8], "big") * cell_range_m,
        cell_range_m=cell_range_m,
        bits_per_cell=1 << min(max(resolution[1] & 0x1F, 1) - 1, 5),
        compressed=bool(resolution[0] & 0x80),
        cells=int.from_bytes(counters[2:], "big"),
    )
