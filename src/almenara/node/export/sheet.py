"""What the report says: the facts of a package in chapters, in one order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from almenara.core.coast import Camera, Station
from almenara.core.values import Position
from almenara.evidence.disclosure import Approval, Request
from almenara.evidence.package import StreamRow, text_of
from almenara.node.export.report import Chapter, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Everything a report is made of."""

    centre: str
    request: Request
    approval: Approval
    stations: tuple[Station, ...]
    streams: tuple[StreamRow, ...]
    clip_sha256: Mapping[str, str]
    """File to its SHA-256."""

    certificate_sha256: str
    made_at: datetime


def chapters(sheet: Sheet) -> tuple[Chapter, ...]:
    """In the order in which a reader asks."""
    return (
        Chapter(key="request", groups=(_request(sheet),)),
        Chapter(key="cameras", groups=_cameras(sheet)),
        Chapter(key="clips", groups=_clips(sheet)),
        Chapter(key="gaps", groups=_gaps(sheet), if_empty="no_gaps"),
        Chapter(key="proofs", groups=(_proofs(sheet),)),
    )


def _request(sheet: Sheet) -> tuple[Fact, ...]:
    request, approval = sheet.request, sheet.approval
    return (
        Fact(key="centre", value=sheet.centre),
        Fact(key="subject", value=request.subject),
        Fact(key="recipient", value=request.recipient),
        Fact(key="legal_basis", value=request.legal_basis),
        Fact(key="reason", value=request.reason),
        Fact(key="start", value=text_of(request.start)),
        Fact(key="end", value=text_of(request.end)),
        Fact(key="requested_by", value=request.requested_by),
        Fact(key="approved_by", value=approval.approved_by),
        Fact(key="approved_at", value=text_of(approval.approved_at)),
        Fact(key="made_at", value=text_of(sheet.made_at)),
        Fact(key="digest", value=request.digest),
    )


def _cameras(sheet: Sheet) -> tuple[tuple[Fact, ...], ...]:
    clocks = {
        stream.camera_id: sorted(
            {f.clock for segment in stream.segments for f in segment.fragments}
        )
        for stream in sheet.streams
    }
    return tuple(
        _camera(station, camera, clocks[camera.camera_id])
        for station in sheet.stations
        for camera in station.cameras
        if camera.camera_id in clocks
    )


def _camera(station: Station, camera: Camera, clocks: list[str]) -> tuple[Fact, ...]:
    pose = camera.pose
    azimuth = f"{pose.azimuth_deg:.2f}° ± {pose.azimuth_std_deg:.2f}°"
    height = f"{pose.height_m:.1f} m ± {pose.height_std_m:.1f} m"
    return (
        Fact(key="camera", value=camera.camera_id),
        Fact(key="station", value=station.name),
        Fact(key="position", value=position_text(pose.position)),
        Fact(key="azimuth", value=azimuth),
        Fact(key="height", value=height),
        Fact(key="clock", value=", ".join(clocks) or "-"),
    )


def position_text(position: Position) -> str:
    """Degrees with the letter of the hemisphere.

    >>> position_text(Position(latitude_deg=35.88, longitude_deg=-5.31))
    '35.88000° N, 5.31000° W'
    """
    north = "N" if position.latitude_deg >= 0 else "S"
    east = "E" if position.longitude_deg >= 0 else "W"
    latitude, longitude = abs(position.latitude_deg), abs(position.longitude_deg)
    return f"{latitude:.5f}° {north}, {longitude:.5f}° {east}"


def _clips(sheet: Sheet) -> tuple[tuple[Fact, ...], ...]:
    return tuple(
        (
            Fact(key="camera", value=stream.camera_id),
            Fact(key="file", value=clip.file),
            Fact(key="start", value=text_of(clip.origin)),
            Fact(key="end", value=text_of(_end_of(stream, clip.file))),
            Fact(key="sha256", value=sheet.clip_sha256[clip.file]),
        )
        for stream in sheet.streams
        for clip in stream.clips
    )


def _end_of(stream: StreamRow, file: str) -> datetime:
    return max(
        fragment.ended_at
        for segment in stream.segments
        if segment.clip == file
        for fragment in segment.fragments
    )


def _gaps(sheet: Sheet) -> tuple[tuple[Fact, ...], ...]:
    return tuple(
        (
            Fact(key="camera", value=stream.camera_id),
            Fact(key="start", value=text_of(gap.start)),
            Fact(key="end", value="-" if gap.end is None else text_of(gap.end)),
            Fact(key="cause", value=gap.cause),
        )
        for stream in sheet.streams
        for gap in stream.gaps
    )


def _proofs(sheet: Sheet) -> tuple[Fact, ...]:
    proved = [s.is_proved for stream in sheet.streams for s in stream.segments]
    return (
        Fact(key="proved", value=str(sum(proved))),
        Fact(key="unproved", value=str(len(proved) - sum(proved))),
        Fact(key="certificate", value=sheet.certificate_sha256),
    )
