"""Where contacts were: a file per UTC day, fast, and never more than seconds behind.

Points may lose the last seconds in a power cut, which alarms may not: so they lie in
files of their own, written in batches with ``synchronous=NORMAL``. A file per day makes
deletion the removal of a file.
"""

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
import structlog

from almenara.core.errors import StoreError
from almenara.core.ids import TrackId
from almenara.core.time import Clock
from almenara.core.values import Position
from almenara.detection import ObjectClass
from almenara.evidence.package import TrackRow
from almenara.node.store.base import UtcMicros
from almenara.node.store.database import Durability, Store, open_plain
from almenara.tracking.picture import Picture, SystemTrack, TrackState

log = structlog.get_logger(__name__)

MAX_WAITING = 60
"""Pictures; older ones are given up when the disk does not follow."""

KEPT_SPEED_VAR = 0.25
"""(m/s)²: the points hold a velocity without its error; tracks settle to half that."""
AN_HOUR = timedelta(hours=1)
THINNED = timedelta(seconds=10)

tables = sa.MetaData()
point = sa.Table(
    "point",
    tables,
    sa.Column("track_id", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("latitude_deg", sa.Float, nullable=False),
    sa.Column("longitude_deg", sa.Float, nullable=False),
    sa.Column("east_var_m2", sa.Float, nullable=False),
    sa.Column("north_var_m2", sa.Float, nullable=False),
    sa.Column("covariance_m2", sa.Float, nullable=False),
    sa.Column("east_mps", sa.Float, nullable=False),
    sa.Column("north_mps", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("object_class", sa.Text, nullable=False),
    sa.Column("existence", sa.Float, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("track_id", "at", sqlite_on_conflict="IGNORE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPoint:
    """A contact at one instant, as it was kept."""

    track_id: TrackId
    at: datetime
    position: Position


class TrackPoints:
    """Keeps the points of pictures on a thread of its own; use it as a context."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._waiting: queue.Queue[Picture | None] = queue.Queue(MAX_WAITING)
        self._store: Store | None = None
        self._day = ""
        self.dropped = 0
        """Pictures given up because the disk did not follow."""

        self._thread = threading.Thread(
            target=self._run, name="track-points", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()

    def put(self, picture: Picture) -> None:
        """Keep the points of a picture; never waits, gives up the oldest that wait."""
        while True:
            try:
                self._waiting.put_nowait(picture)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self.dropped += 1
            else:
                return

    def between(
        self, track_id: TrackId, start: datetime, end: datetime
    ) -> list[TrackPoint]:
        """A contact's points in [start, end) of one UTC day; blocking.

        Raises:
            StoreError: The day's file cannot be read.
        """
        path = self._path(f"{start:%Y%m%d}")
        if not path.exists():
            return []
        wanted = (
            sa.select(point)
            .where(point.c.track_id == track_id)
            .where(point.c.at >= start, point.c.at < end)
            .order_by(point.c.at)
        )
        with open_plain(path, durability=Durability.NORMAL) as store:
            rows = store.read_now(partial(_rows, wanted))
        return [
            TrackPoint(
                track_id=TrackId(row["track_id"]),
                at=row["at"],
                position=Position(
                    latitude_deg=row["latitude_deg"],
                    longitude_deg=row["longitude_deg"],
                ),
            )
            for row in rows
        ]

    def pictures(self, start: datetime, end: datetime) -> Iterator[Picture]:
        """Everything that was kept in [start, end), as pictures; blocking.

        What the points do not hold (numbers, names, lengths, who looked) is unknown in
        these pictures, too.

        Raises:
            StoreError: A day's file cannot be read.
        """
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            path = self._path(f"{day:%Y%m%d}")
            if path.exists():
                wanted = (
                    sa.select(point)
                    .where(point.c.at >= start, point.c.at < end)
                    .order_by(point.c.at, point.c.track_id)
                )
                with open_plain(path, durability=Durability.NORMAL) as store:
                    rows = store.read_now(partial(_rows, wanted))
                for at, together in groupby(rows, key=lambda row: row["at"]):
                    yield Picture(at=at, tracks=tuple(map(_kept_track, together)))
            day += timedelta(days=1)

    def _run(self) -> None:
        while (picture := self._waiting.get()) is not None:
            try:
                self._keep(self._with_others(picture))
            except StoreError as error:
                log.error("track_points_lost", reason=str(error))
        if self._store is not None:
            self._store.close()

    def _with_others(self, first: Picture) -> list[Picture]:
        """Whatever waits behind it, of the same day, goes into the same transaction."""
        pictures = [first]
        with suppress(queue.Empty):
            while True:
                following = self._waiting.get_nowait()
                if following is None:
                    self._waiting.put(None)
                    break
                pictures.append(following)
        return pictures

    def _keep(self, pictures: Sequence[Picture]) -> None:
        by_day: dict[str, list[dict[str, object]]] = {}
        for picture in pictures:
            rows = by_day.setdefault(f"{picture.at:%Y%m%d}", [])
            rows += [_row(track, picture.at) for track in picture.tracks]
        for day, rows in by_day.items():
            if rows:
                store = self._of_day(day)
                store.submit(partial(_insert, rows)).result()

    def _of_day(self, day: str) -> Store:
        if self._store is None or self._day != day:
            if self._store is not None:
                self._store.close()
                self._store = None
            store = open_plain(self._path(day), durability=Durability.NORMAL)
            self._store, self._day = store, day
            store.submit(tables.create_all).result()
        return self._store

    def _path(self, day: str) -> Path:
        return _path_of(self._directory, day)


def points_within(directory: Path, start: datetime, end: datetime) -> list[TrackRow]:
    """Every contact's points in [start, end), by time; blocking.

    The node that writes them may be running beside. Of more than an hour, each contact
    has a point every ten seconds: a day of a busy strait would not fit into memory.

    Raises:
        StoreError: A day's file cannot be read.
    """
    step = timedelta() if end - start <= AN_HOUR else THINNED
    found: list[TrackRow] = []
    newest: dict[str, datetime] = {}
    at = start
    while at < end:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(end, at + AN_HOUR, midnight + timedelta(days=1))
        for row in _points_between(_path_of(directory, f"{at:%Y%m%d}"), at, until):
            last = newest.get(row["track_id"])
            if last is None or row["at"] - last >= step:
                newest[row["track_id"]] = row["at"]
                found.append(_track_row(row))
        at = until
    return found


def _points_between(
    path: Path, start: datetime, end: datetime
) -> Sequence[sa.RowMapping]:
    if not path.exists():
        return ()
    wanted = sa.select(point).where(point.c.at >= start, point.c.at < end)
    with open_plain(path, durability=Durability.NORMAL) as store:
        return store.read_now(partial(_rows, wanted.order_by(point.c.at)))


def _track_row(row: sa.RowMapping) -> TrackRow:
    worse_m2 = max(row["east_var_m2"], row["north_var_m2"])
    return TrackRow(
        track_id=TrackId(row["track_id"]),
        at=row["at"],
        position=Position(
            latitude_deg=row["latitude_deg"], longitude_deg=row["longitude_deg"]
        ),
        position_std_m=math.sqrt(worse_m2),
        object_class=row["object_class"],
        simulated=row["simulated"],
    )


def _path_of(directory: Path, day: str) -> Path:
    return directory / f"tracks-{day}.db"


def _insert(rows: Sequence[dict[str, object]], db: sa.Connection) -> None:
    db.execute(sa.insert(point), rows)


def _row(track: SystemTrack, at: datetime) -> dict[str, object]:
    east_var_m2, north_var_m2, covariance_m2 = track.position_cov_m2
    east_mps, north_mps = track.velocity_mps
    return {
        "track_id": track.track_id,
        "at": at,
        "latitude_deg": track.position.latitude_deg,
        "longitude_deg": track.position.longitude_deg,
        "east_var_m2": east_var_m2,
        "north_var_m2": north_var_m2,
        "covariance_m2": covariance_m2,
        "east_mps": east_mps,
        "north_mps": north_mps,
        "state": str(track.state),
        "object_class": str(track.object_class),
        "existence": track.existence,
        "simulated": track.simulated,
    }


def _kept_track(row: sa.RowMapping) -> SystemTrack:
    return SystemTrack(
        track_id=TrackId(row["track_id"]),
        state=TrackState(row["state"]),
        at=row["at"],
        first_seen_at=row["at"],
        last_seen_at=row["at"],
        position=Position(
            latitude_deg=row["latitude_deg"], longitude_deg=row["longitude_deg"]
        ),
        position_cov_m2=(row["east_var_m2"], row["north_var_m2"], row["covariance_m2"]),
        velocity_mps=(row["east_mps"], row["north_mps"]),
        velocity_cov=(KEPT_SPEED_VAR, KEPT_SPEED_VAR, 0.0),
        existence=row["existence"],
        object_class=ObjectClass(row["object_class"]),
        looks=(),
        simulated=row["simulated"],
    )


def _rows(wanted: sa.Select[Any], connection: sa.Connection) -> Sequence[sa.RowMapping]:
    return connection.execute(wanted).mappings().all()
