"""What an evidence package holds, as bytes: the same content makes the same bytes.

Laid out like BagIt, with one difference: the list of files names every file, not only
those under ``data/``. Documents are JSON with sorted keys; instants stand there in
whole microseconds since 1970 (``_us``), and beside them as text for people. Everything
in it is data: nothing is run, and no text of a person becomes part of a file's name.

Source: RFC 8493 (BagIt); RFC 7946 (GeoJSON); docs/design/evidence-export.md, "Layout".
"""

import base64
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from almenara.core.coast import Camera, Station
from almenara.core.ids import CameraId, SegmentId, StreamId, TrackId
from almenara.core.media import Gap
from almenara.core.time import to_micros
from almenara.core.values import Position
from almenara.evidence.audit import RecordedEntry
from almenara.evidence.disclosure import Approval, Request

FORMAT = "almenara-export/1"
"""Known to the verifier; a change of meaning is a new number."""

MANIFEST = "manifest-sha256.txt"
SIGNATURE = f"{MANIFEST}.p7s"
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
FORMULA = re.compile(r"^\s*[=+\-@\t\r|]")
"""What a spreadsheet would run (OWASP, CSV injection)."""

AIS_COLUMNS = ("at", "mmsi", "name", "latitude", "longitude", "speed_kn", "course_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time stamp over a checkpoint."""

    checkpoint: bytes
    """The signed note."""

    reply: bytes
    """RFC 3161, DER, over the text of the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentProof:
    """What the evidence log gives for one segment."""

    leaf: bytes
    proof: bytes
    """A C2SP tlog-proof: the leaf's place, the checkpoint and who signed it."""

    stamps: tuple[Stamp, ...] = ()
    """Over the checkpoint that the proof leads to."""


class Proofs(Protocol):
    """Where proofs come from: the evidence log."""

    def of_segments(
        self, segment_ids: Sequence[SegmentId]
    ) -> Mapping[SegmentId, SegmentProof]:
        """Those that the log can prove now."""
        ...

    def public_keys(self) -> Sequence[str]:
        """The log's and its witnesses' public keys, one line each, for comparing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentRow:
    """One fragment, where it was recorded and where it lies in its clip."""

    n: int
    """Within its segment, from 0."""

    offset_bytes: int
    """Of its description, in the clip."""

    length_bytes: int
    sha256: bytes
    """Of ``moof`` and ``mdat`` as recorded."""

    description_sha256: bytes
    """Of the private box before it."""

    started_at: datetime
    ended_at: datetime
    number: int
    """The recorded ``moof``'s own number; the clip counts anew."""

    base_90k: int
    """The recorded ``moof``'s own base time; the clip counts from its start."""

    starts_with_key: bool
    clock: str
    """How the capture time is known, as ``core.media.TimeSource``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One recorded segment, or the part of it that the span touches."""

    segment_id: SegmentId
    run: int
    origin: str
    clip: str
    fragments: tuple[FragmentRow, ...]
    """Those that are in the clip."""

    table: bytes
    """Packed: all the segment ever had, with times, as the log's leaf hashes it."""

    is_proved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRow:
    """One MP4: one stream, one format, fragments whole and in order."""

    file: str
    init_bytes: int
    init_sha256: bytes
    origin: datetime
    """The instant of the first picture, which has time zero in the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedRow:
    """A derived copy of a clip, made for disclosure."""

    file: str
    source: str
    """The clip it was made of."""

    source_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """What the package has of one stream."""

    stream_id: StreamId
    camera_id: CameraId
    clips: tuple[ClipRow, ...]
    segments: tuple[SegmentRow, ...]
    gaps: tuple[Gap, ...]
    masked: tuple[MaskedRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    """A contact at one instant."""

    track_id: TrackId
    at: datetime
    position: Position
    position_std_m: float
    """One standard deviation along the worse axis."""

    object_class: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AisRow:
    """One position report, as received."""

    at: datetime
    mmsi: int
    name: str
    position: Position
    speed_kn: float | None
    course_deg: float | None


def clip_name(stream_id: StreamId, origin: datetime) -> str:
    """Where a clip lies; made of an id and a time, never of a person's words."""
    safe = re.sub(r"[^A-Za-z0-9-]", "_", stream_id)[:64]
    return f"data/clip-{safe}-{origin:%Y%m%dT%H%M%S}{origin.microsecond:06d}Z.mp4"


def masked_name(clip: str) -> str:
    """Where the masked copy of a clip lies."""
    return f"{clip.removesuffix('.mp4')}.masked.mp4"


def proof_names(segment_id: SegmentId) -> tuple[str, str]:
    """Where a segment's proof and its leaf lie."""
    safe = re.sub(r"[^A-Za-z0-9-]", "_", segment_id)[:64]
    return f"data/proofs/{safe}.tlog-proof", f"data/proofs/{safe}.leaf"


def document(content: Mapping[str, Any], *, indent: int | None = 1) -> bytes:
    """A JSON document: sorted keys, ASCII, one line feed at its end."""
    tight = (",", ":") if indent is None else None
    text = json.dumps(
        content, sort_keys=True, indent=indent, separators=tight, allow_nan=False
    )
    return text.encode("ascii") + b"\n"


def manifest(sha256_of: Mapping[str, str]) -> bytes:
    """The list of all files with their hashes, by name."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(sha256_of.items()))
    return "".join(lines).encode("ascii")


def bag_info(
    request: Request, *, centre: str, made_at: datetime, octets: int, count: int
) -> bytes:
    """Who made the bag and when; texts on one line each.

    Args:
        request: What was asked for.
        centre: Its name, as people read it.
        made_at: When the bag was made.
        octets: Bytes of all files under ``data/``.
        count: Of those files.
    """
    lines = {
        "Source-Organization": centre,
        "Bagging-Date": f"{made_at:%Y-%m-%d}",
        "External-Identifier": request.digest,
        "External-Description": f"Video evidence: {request.subject}",
        "Payload-Oxum": f"{octets}.{count}",
        "Bag-Software-Agent": "Almenara",
    }
    text = "".join(
        f"{key}: {' '.join(value.split())}\n" for key, value in lines.items()
    )
    return text.encode("utf-8")


def metadata(
    request: Request,
    *,
    stations: Sequence[Station],
    streams: Sequence[StreamRow],
    made_at: datetime,
    local_zone: str,
    software: str,
) -> bytes:
    """Where the pictures come from, when they were taken and how well that is known."""
    wanted = set(request.camera_ids)
    return document(
        {
            "format": FORMAT,
            "centre_id": request.centre_id,
            "request_sha256": request.digest,
            "made_at": text_of(made_at),
            "software": software,
            "local_time_zone": local_zone,
            "span": _span(request.start, request.end),
            "stations": [
                _station(station, wanted)
                for station in stations
                if any(camera.camera_id in wanted for camera in station.cameras)
            ],
            "streams": [_stream(stream) for stream in streams],
            "not_kept": ["ais"],
        },
        indent=None,  # an hour of one camera has some thousand fragments
    )


def custody(entries: Iterable[RecordedEntry]) -> bytes:
    """Every look at these recordings, and every disclosure, in order."""
    return document({"entries": [_entry(entry) for entry in entries]})


def decisions(request: Request, approval: Approval) -> bytes:
    """Who asked, why, on which ground, for whom, and who agreed."""
    return document(
        {
            "request": {
                "sha256": request.digest,
                "requested_by": request.requested_by,
                "subject": request.subject,
                "recipient": request.recipient,
                "legal_basis": request.legal_basis,
                "reason": request.reason,
                "cameras": list(request.camera_ids),
                **_span(request.start, request.end),
            },
            "approval": {
                "request_sha256": approval.digest,
                "approved_by": approval.approved_by,
                "approved_at": text_of(approval.approved_at),
            },
            "masks": [],
        }
    )


def tracks_geojson(rows: Iterable[TrackRow]) -> bytes:
    """Contacts as points; GeoJSON writes longitude first."""
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Point",
                "coordinates": [row.position.longitude_deg, row.position.latitude_deg],
            },
            "properties": {
                "track_id": row.track_id,
                "at": text_of(row.at),
                "at_us": to_micros(row.at),
                "position_std_m": round(row.position_std_m, 1),
                "object_class": row.object_class,
                "simulated": row.simulated,
            },
        }
        for row in sorted(rows, key=lambda row: (row.track_id, row.at))
    ]
    return document({"type": "FeatureCollection", "features": features}, indent=None)


def ais_csv(rows: Iterable[AisRow]) -> bytes:
    """Position reports; a name that a spreadsheet would run is made harmless."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(AIS_COLUMNS)
    for row in sorted(rows, key=lambda row: (row.at, row.mmsi)):
        writer.writerow(
            [
                text_of(row.at),
                row.mmsi,
                harmless(row.name),
                f"{row.position.latitude_deg:.6f}",
                f"{row.position.longitude_deg:.6f}",
                "" if row.speed_kn is None else f"{row.speed_kn:.1f}",
                "" if row.course_deg is None else f"{row.course_deg:.1f}",
            ]
        )
    return out.getvalue().encode("utf-8")


def harmless(text: str) -> str:
    """A cell's text that no spreadsheet takes for a formula.

    >>> harmless("=cmd|calc")
    "'=cmd|calc"
    """
    line = " ".join(text.split())
    return f"'{line}" if FORMULA.match(text) else line


def text_of(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: always the same length."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"


def _span(start: datetime, end: datetime) -> dict[str, object]:
    return {
        "start": text_of(start),
        "start_us": to_micros(start),
        "end": text_of(end),
        "end_us": to_micros(end),
    }


def _station(station: Station, wanted: set[CameraId]) -> dict[str, object]:
    return {
        "station_id": station.station_id,
        "name": station.name,
        "kind": station.kind.value,
        "simulated": station.simulated,
        "position": _position(station.position),
        "cameras": [_camera(c) for c in station.cameras if c.camera_id in wanted],
    }


def _camera(camera: Camera) -> dict[str, object]:
    pose, lens = camera.pose, camera.lens
    return {
        "camera_id": camera.camera_id,
        "sensor": camera.sensor.value,
        "stream_id": camera.main.stream_id,
        "lens": {
            "width_px": lens.width_px,
            "height_px": lens.height_px,
            "hfov_deg": lens.hfov_deg,
        },
        "pose": {
            "position": _position(pose.position),
            "height_m": pose.height_m,
            "height_std_m": pose.height_std_m,
            "azimuth_deg": pose.azimuth_deg,
            "azimuth_std_deg": pose.azimuth_std_deg,
            "tilt_deg": pose.tilt_deg,
            "tilt_std_deg": pose.tilt_std_deg,
            "roll_deg": pose.roll_deg,
        },
    }


def _position(position: Position) -> dict[str, float]:
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
    }


def _stream(stream: StreamRow) -> dict[str, object]:
    return {
        "stream_id": stream.stream_id,
        "camera_id": stream.camera_id,
        "clips": [
            {
                "file": clip.file,
                "init_bytes": clip.init_bytes,
                "init_sha256": clip.init_sha256.hex(),
                "origin": text_of(clip.origin),
                "origin_us": to_micros(clip.origin),
            }
            for clip in stream.clips
        ],
        "masked": [
            {"file": m.file, "source": m.source, "source_sha256": m.source_sha256}
            for m in stream.masked
        ],
        "segments": [_segment(segment) for segment in stream.segments],
        "gaps": [
            {
                "start": text_of(gap.start),
                "start_us": to_micros(gap.start),
                "end_us": None if gap.end is None else to_micros(gap.end),
                "cause": gap.cause,
            }
            for gap in stream.gaps
        ],
    }


def _segment(segment: SegmentRow) -> dict[str, object]:
    proof, leaf = proof_names(segment.segment_id) if segment.is_proved else (None, None)
    return {
        "segment_id": segment.segment_id,
        "run": segment.run,
        "origin": segment.origin,
        "clip": segment.clip,
        "table": base64.b64encode(segment.table).decode("ascii"),
        "proof": proof,
        "leaf": leaf,
        "fragments": [_fragment(fragment) for fragment in segment.fragments],
    }


def _fragment(row: FragmentRow) -> dict[str, object]:
    return {
        "n": row.n,
        "offset_bytes": row.offset_bytes,
        "length_bytes": row.length_bytes,
        "sha256": row.sha256.hex(),
        "description_sha256": row.description_sha256.hex(),
        "started_us": to_micros(row.started_at),
        "ended_us": to_micros(row.ended_at),
        "number": row.number,
        "base_90k": row.base_90k,
        "key": row.starts_with_key,
        "clock": row.clock,
    }


def _entry(recorded: RecordedEntry) -> dict[str, object]:
    entry = recorded.entry
    thing = entry.object
    return {
        "seq": recorded.seq,
        "entry_id": entry.entry_id,
        "at": text_of(entry.at),
        "person_id": entry.actor.person_id,
        "purpose": entry.actor.purpose,
        "action": entry.action.value,
        "act": entry.act,
        "object": {"kind": thing.kind, "id": thing.id},
        "start": None if thing.start is None else text_of(thing.start),
        "end": None if thing.end is None else text_of(thing.end),
        "result": entry.result.value,
        "justification": entry.justification,
    }
