"""The registry of stations: each change is a new version, the old ones stay."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from almenara.core.coast import Station
from almenara.core.ids import PersonId
from almenara.evidence.audit import AuditEntry
from almenara.evidence.leaves import ConfigurationVersion
from almenara.node.store import audit, evidence_log
from almenara.node.store.base import UtcMicros, metadata, next_number
from almenara.node.store.database import Store
from almenara.node.store.text import from_text, to_text

station_version = sa.Table(
    "station_version",
    metadata,
    sa.Column(
        "version",
        sa.BigInteger,
        primary_key=True,
        default=next_number("station_version", "version"),
    ),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("stations", sa.Text, nullable=False),
)

_STATIONS: TypeAdapter[tuple[Station, ...]] = TypeAdapter(tuple[Station, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryVersion:
    """Who changed the registry, when and why."""

    version: int
    at: datetime
    author: PersonId
    reason: str


def version_leaf(row: Mapping[Any, Any], reason: bytes) -> ConfigurationVersion:
    """What the log says of a version, made of its row; ``reason`` commits to why."""
    return ConfigurationVersion(
        what="stations",
        version=row["version"],
        at=row["at"],
        author=row["author"],
        reason=reason,
        sha256=hashlib.sha256(row["stations"].encode()).digest(),
    )


class SqlStationRegistry:
    """Fulfils ``node.shore.Registry``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(
        self, stations: Sequence[Station], *, reason: str, entry: AuditEntry
    ) -> None:
        """Keep a new version, with the audit entry that says who and when."""
        row = {
            "at": entry.at,
            "author": entry.actor.person_id,
            "reason": reason,
            "stations": to_text(_STATIONS, tuple(stations)),
        }

        def work(connection: sa.Connection) -> None:
            done = connection.execute(sa.insert(station_version), row)
            kept = evidence_log.keep_text(connection, reason)
            (version,) = done.inserted_primary_key or (0,)
            leaf = version_leaf({**row, "version": version}, kept)
            evidence_log.append(connection, leaf)
            audit.append(connection, (entry,))

        await self._store.write(work)

    async def load(self) -> tuple[Station, ...]:
        """The newest version; empty before the first."""
        newest = sa.select(station_version.c.stations)
        newest = newest.order_by(station_version.c.version.desc()).limit(1)

        def work(connection: sa.Connection) -> str | None:
            return connection.execute(newest).scalar_one_or_none()

        text = await self._store.read(work)
        return () if text is None else from_text(_STATIONS, text)

    async def history(self) -> tuple[RegistryVersion, ...]:
        """All versions, newest first."""
        table = station_version
        columns = (table.c.version, table.c.at, table.c.author, table.c.reason)
        wanted = sa.select(*columns).order_by(table.c.version.desc())

        def work(connection: sa.Connection) -> tuple[RegistryVersion, ...]:
            rows = connection.execute(wanted).mappings()
            return tuple(RegistryVersion(**row) for row in rows)

        return await self._store.read(work)
