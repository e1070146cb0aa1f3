"""Media folders, starts and the database's own uuid; fulfils ``recording.targets``."""

import uuid
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from almenara.node.store.base import UtcMicros, metadata
from almenara.node.store.database import Store
from almenara.node.store.recordings import boot, segment, target
from almenara.recording.identity import TargetRow

NAMELESS = "main"
"""What segments called their folder before folders had uuids."""

store_identity = sa.Table(
    "store_identity",
    metadata,
    sa.Column("database_id", sa.Text, primary_key=True),
    sa.Column("created_at", UtcMicros, nullable=False),
)


class SqlTargets:
    """Every call blocks until it is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def database_id(self, now: datetime) -> str:
        def work(db: sa.Connection) -> str:
            found = known_id(db)
            if found is None:
                found = str(uuid.uuid4())
                row = {"database_id": found, "created_at": now}
                db.execute(sa.insert(store_identity).values(row))
            return found

        return self._store.submit(work).result()

    def begin_boot(self, boot_id: str, now: datetime) -> None:
        row = {"boot_id": boot_id, "started_at": now}
        begun = sa.insert(boot).values(row)
        self._store.submit(lambda db: db.execute(begun).close()).result()

    def targets(self) -> dict[str, TargetRow]:
        return self._store.read_now(rows)

    def add_target(self, target_id: str, path: Path, now: datetime) -> None:
        row = {"target_id": target_id, "path": str(path), "added_at": now}

        def work(db: sa.Connection) -> None:
            first = db.execute(sa.select(target.c.target_id).limit(1)).first() is None
            db.execute(sa.insert(target).values({**row, "generation": 0}))
            if first:
                nameless = sa.update(segment).where(segment.c.target_id == NAMELESS)
                db.execute(nameless.values(target_id=target_id))

        self._store.submit(work).result()

    def move_on(self, target_id: str, path: Path) -> int:
        own = target.c.target_id == target_id
        on = {"generation": target.c.generation + 1, "path": str(path)}

        def work(db: sa.Connection) -> int:
            db.execute(sa.update(target).where(own).values(on))
            return int(
                db.execute(sa.select(target.c.generation).where(own)).scalar_one()
            )

        return self._store.submit(work).result()

    def confirm(self, target_id: str, generation: int) -> None:
        own = sa.update(target).where(target.c.target_id == target_id)
        said = own.values(confirmed=generation)
        self._store.submit(lambda db: db.execute(said).close()).result()

    def has_nameless_segments(self) -> bool:
        wanted = sa.select(segment.c.segment_id).where(segment.c.target_id == NAMELESS)
        return self._store.read_now(
            lambda db: db.execute(wanted.limit(1)).first() is not None
        )


def known_id(db: sa.Connection) -> str | None:
    """The database's own uuid; None before its first start."""
    return db.execute(sa.select(store_identity.c.database_id)).scalar_one_or_none()


def rows(db: sa.Connection) -> dict[str, TargetRow]:
    """Every media folder, by uuid."""
    columns = (
        target.c.target_id,
        target.c.path,
        target.c.generation,
        target.c.confirmed,
    )
    return {
        row.target_id: TargetRow(
            target_id=row.target_id,
            path=Path(row.path),
            generation=row.generation,
            confirmed=row.confirmed,
        )
        for row in db.execute(sa.select(*columns))
    }
