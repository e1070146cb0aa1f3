"""Composes what one person sees from what everybody shares.

Turning contacts and alarms into wire values is done once per picture or change and
shared by all subscribers; what each of them may see is decided anew for every message.
"""

from dataclasses import dataclass

from almenara.console.accounts import Accounts
from almenara.console.api.alarms import AlarmDesk, alarm_row, header_of
from almenara.console.api.health import HealthBoard, health_sheet
from almenara.console.api.node import NodeBoard, node_row
from almenara.console.api.picture import PictureFeed, ray_row, track_row
from almenara.console.api.stations import StationDesk, station_of
from almenara.console.gate import Caller
from almenara.console.scene import Json, Scene
from almenara.core.ids import StationId
from almenara.core.labels import Labels, Purpose
from almenara.evidence.access import Action, Header
from almenara.incidents.alarm import Alarm
from almenara.tracking.picture import Picture

MOST_ALARMS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SightPorts:
    """What is composed."""

    picture: PictureFeed
    alarms: AlarmDesk
    health: HealthBoard
    stations: StationDesk
    node: NodeBoard
    accounts: Accounts


class Sight:
    """One per application."""

    def __init__(self, ports: SightPorts) -> None:
        self._ports = ports
        self._picture: Picture | None = None
        self._tracks: dict[str, tuple[Header, Json]] = {}
        self._rays: tuple[tuple[Header, Json], ...] = ()
        self._alarms: dict[str, tuple[Alarm, Json]] | None = None
        self._needs_setup = True

    async def scene(self, caller: Caller, *, afresh: bool = True) -> Scene:
        """What this person sees now; ``afresh`` asks the alarm desk again."""
        picture = self._ports.picture.latest()
        self._compose(picture)
        if afresh or self._alarms is None:
            self._alarms = await self._alarm_rows()
        if self._needs_setup:
            self._needs_setup = await self._ports.accounts.need_setup()
        node = node_row(
            self._ports.node.state(), needs_setup=self._needs_setup, signed_in=True
        )
        return Scene(
            at=picture.at,
            tracks={
                key: row
                for key, (header, row) in self._tracks.items()
                if caller.sees(Action.PICTURE_READ, header)
            },
            rays=tuple(
                row
                for header, row in self._rays
                if caller.sees(Action.PICTURE_READ, header)
            ),
            alarms={
                alarm.alarm_id: row
                for alarm, row in self._alarms.values()
                if caller.sees(Action.ALARM_READ, header_of(alarm))
            },
            health=self._health(caller),
            node=node.model_dump(mode="json"),
        )

    def _compose(self, picture: Picture) -> None:
        if picture is self._picture:
            return
        self._picture = picture
        self._tracks = {
            track.track_id: (
                Header(
                    kind="track",
                    id=track.track_id,
                    labels=Labels(purpose=Purpose.SAFETY, simulated=track.simulated),
                ),
                track_row(track).model_dump(mode="json"),
            )
            for track in picture.tracks
        }
        self._rays = tuple(
            (
                Header(
                    kind="ray",
                    id=ray.local_track_id,
                    station_id=self._station_of(ray.camera_id),
                ),
                ray_row(ray).model_dump(mode="json"),
            )
            for ray in picture.rays
        )

    async def _alarm_rows(self) -> dict[str, tuple[Alarm, Json]]:
        """Rows of the queue; an alarm that did not change keeps its row."""
        known = self._alarms or {}
        rows: dict[str, tuple[Alarm, Json]] = {}
        for alarm in await self._ports.alarms.queue(limit=MOST_ALARMS):
            kept = known.get(alarm.alarm_id)
            same = kept is not None and kept[0] == alarm
            rows[alarm.alarm_id] = (
                kept
                if kept is not None and same
                else (alarm, alarm_row(alarm).model_dump(mode="json"))
            )
        return rows

    def _health(self, caller: Caller) -> Json:
        if not caller.sees(Action.HEALTH_READ, Header(kind="health", id="-")):
            return None
        sheet = health_sheet(self._ports.health.latest(), caller, self._station_of)
        return sheet.model_dump(mode="json")

    def _station_of(self, sensor_id: str) -> StationId | None:
        return station_of(self._ports.stations, sensor_id)
