"""Stills, timelines and recorded video.

Recorded video is shown only after somebody said why: ``POST …/viewings`` writes the
consultation and hands out a grant that is good for this session, this camera, this span
and ten minutes.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import StreamingResponse

from almenara.console.api.stations import StationDesk, camera_header
from almenara.console.gate import AuditLog, Caller, Gate, Needs
from almenara.console.problems import Problem, not_found
from almenara.console.viewings import Viewings
from almenara.console.wire import Body, Instant, Name, When, Wire, rfc3339
from almenara.core.ids import CameraId
from almenara.core.media import LiveMessage, Timeline
from almenara.evidence.access import Action
from almenara.evidence.audit import AuditObject

LONGEST_TIMELINE = timedelta(days=8)
LONGEST_VIEWING = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    """One picture."""

    jpeg: bytes
    captured_at: datetime


class LiveVideo(Protocol):
    """Moving pictures as they come; the node provides it."""

    def watch(
        self, camera_id: CameraId
    ) -> AbstractAsyncContextManager[AsyncIterator[LiveMessage]]:
        """First an init, then fragments from the next key picture on.

        Ends when the camera is removed. May drop what the caller is too slow for, and
        then goes on with a key picture.
        """
        ...


class Playback(Protocol):
    """Recorded pictures; the node provides it."""

    async def timeline(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> Timeline:
        """What is durable in [start, end)."""
        ...

    def clip(
        self, camera_id: CameraId, start: datetime, end: datetime
    ) -> AsyncIterator[bytes]:
        """One MP4 of what is recorded in [start, end), in pieces.

        Yields nothing at all if nothing is recorded there.
        """
        ...


class Stills(Protocol):
    """The last still of each camera; the node provides it."""

    def latest(self, camera_id: CameraId) -> Still | None:
        """None until there was one."""
        ...


class SpanRow(Wire):
    """Recorded, on the wire."""

    start: Instant
    end: Instant


class GapRow(Wire):
    """Not recorded, on the wire."""

    start: Instant
    end: Instant | None
    cause: str


class TimelineRow(Wire):
    """What is kept, on the wire."""

    spans: list[SpanRow]
    gaps: list[GapRow]


class ViewingBody(Body):
    """Which span somebody wants to see, and why."""

    start: When
    end: When
    reason: Name


class ViewingRow(Wire):
    """Where it can be seen for ten minutes."""

    viewing_id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPorts:
    """What this resource needs from the rest of Almenara."""

    stations: StationDesk
    playback: Playback
    stills: Stills
    audit: AuditLog


def router(ports: VideoPorts, viewings: Viewings, gate: Gate) -> APIRouter:
    """Bind the handlers to their ports."""
    api = APIRouter(tags=["video"])
    looks = Needs(gate, Action.VIDEO_STILL, passive=True)
    plays = Needs(gate, Action.VIDEO_PLAYBACK)
    camera_in_path = Annotated[CameraId, Path(max_length=200)]

    @api.get(
        "/cameras/{camera_id}/still.jpg",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}},
            204: {"description": "The camera has shown no picture yet."},
        },
    )
    async def still(
        camera_id: camera_in_path, caller: Annotated[Caller, Depends(looks)]
    ) -> Response:
        await caller.must(Action.VIDEO_STILL, camera_header(ports.stations, camera_id))
        picture = ports.stills.latest(camera_id)
        if picture is None:
            return Response(status_code=204)
        thing = AuditObject(kind="camera", id=camera_id)
        if viewings.is_news(caller.session.token_hash, camera_id):
            await ports.audit.record(caller.entry(Action.VIDEO_STILL, thing))
            viewings.noted(caller.session.token_hash, camera_id)
        at = rfc3339(picture.captured_at)
        return Response(
            picture.jpeg, media_type="image/jpeg", headers={"X-Captured-At": at}
        )

    @api.get("/cameras/{camera_id}/timeline")
    async def timeline(
        camera_id: camera_in_path,
        start: When,
        end: When,
        caller: Annotated[Caller, Depends(plays)],
    ) -> TimelineRow:
        header = camera_header(ports.stations, camera_id)
        await caller.must(Action.VIDEO_PLAYBACK, header)
        _check_span(start, end, LONGEST_TIMELINE)
        kept = await ports.playback.timeline(camera_id, start, end)
        return TimelineRow.model_validate(kept)

    @api.post("/cameras/{camera_id}/viewings", status_code=201)
    async def view(
        camera_id: camera_in_path,
        body: ViewingBody,
        caller: Annotated[Caller, Depends(plays)],
    ) -> ViewingRow:
        header = camera_header(ports.stations, camera_id)
        await caller.must(Action.VIDEO_PLAYBACK, header)
        _check_span(body.start, body.end, LONGEST_VIEWING)
        thing = AuditObject(kind="camera", id=camera_id, start=body.start, end=body.end)
        await ports.audit.record(
            caller.entry(Action.VIDEO_PLAYBACK, thing, justification=body.reason)
        )
        viewing = viewings.grant(
            caller.session.token_hash, camera_id, body.start, body.end
        )
        url = f"/api/v1/viewings/{viewing.viewing_id}/clip.mp4"
        return ViewingRow(viewing_id=viewing.viewing_id, url=url)

    @api.get(
        "/viewings/{viewing_id}/clip.mp4",
        response_class=Response,
        responses={200: {"content": {"video/mp4": {}}}},
    )
    async def clip(
        viewing_id: Annotated[str, Path(max_length=200)],
        caller: Annotated[Caller, Depends(plays)],
    ) -> Response:
        viewing = viewings.find(viewing_id, caller.session.token_hash)
        if viewing is None:
            raise not_found()
        header = camera_header(ports.stations, viewing.camera_id)
        await caller.must(Action.VIDEO_PLAYBACK, header)
        pieces = ports.playback.clip(viewing.camera_id, viewing.start, viewing.end)
        first = await anext(pieces, None)
        if first is None:
            raise Problem(404, "clip.empty", "nothing is recorded there")
        thing = AuditObject(
            kind="camera", id=viewing.camera_id, start=viewing.start, end=viewing.end
        )
        await ports.audit.record(
            caller.entry(
                Action.VIDEO_PLAYBACK,
                thing,
                act="video.clip",
                justification=f"viewing {viewing.viewing_id[:8]}",
            )
        )
        return StreamingResponse(_joined(first, pieces), media_type="video/mp4")

    return api


async def _joined(
    first: bytes, rest: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


def _check_span(start: datetime, end: datetime, longest: timedelta) -> None:
    if not timedelta() < end - start <= longest:
        raise Problem(422, "span.invalid", f"wants 0 < end - start <= {longest}")
