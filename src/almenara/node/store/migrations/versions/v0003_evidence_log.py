"""The evidence log: leaves, tiles, checkpoints, and what vouches for them.

Precondition: migration 0002. The first leaf is written here: it says how many rows
there were before the log began, and commits to those that never change, so that nobody
can later add to the past. Leaves, tiles and checkpoints can only be added.
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

from almenara.node.clock import SystemClock
from almenara.node.store.migrations.append_only import guard, unguard

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("log", "log_leaf", "log_tile", "log_checkpoint")
NUMBERED = {
    "audit": "seq, entry_id, at, person_id, actor, action, act, object_kind, object_id,"
    ' start, "end", result, justification, size_bytes',
    "alarm_trail": "step_id, alarm_id, at, event, state_before, state_after, version,"
    " announces, person_id",
    "station_version": "version, at, author, reason, stations",
}
"""Tables whose rows never change, their number first."""

COUNTED = {
    "gap": "select count(*) from gap",
    "hold": "select count(*) from hold",
    "segment": "select count(*) from segment where state <> 'open'",
}


def upgrade() -> None:
    """Create the tables; names and types are frozen copies, not imports."""
    op.add_column("audit", sa.Column("personal", sa.LargeBinary))
    _create_log()
    _create_vouchers()
    _write_first_leaf()
    for table in APPEND_ONLY:
        guard(table)


def downgrade() -> None:
    """Take the tables away, their guards first."""
    for table in APPEND_ONLY:
        unguard(table)
    for table in (
        "witness_seen",
        "log_freeze",
        "log_stamp",
        "log_cosignature",
        "log_checkpoint",
        "personal_text",
        "log_stream",
        "log_tile",
        "log_leaf",
        "log",
    ):
        op.drop_table(table)
    op.drop_column("audit", "personal")


def _create_log() -> None:
    op.create_table(
        "log",
        sa.Column("log", sa.Integer, primary_key=True),
        sa.Column("first_leaf", sa.Integer, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_leaf",
        sa.Column("leaf_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("log_leaf_subject", "log_leaf", ["kind", "subject"])
    op.create_table(
        "log_tile",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "number"),
    )
    op.create_table(
        "log_stream",
        sa.Column("stream_id", sa.Text, primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "personal_text",
        sa.Column("commitment", sa.LargeBinary, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def _create_vouchers() -> None:
    op.create_table(
        "log_checkpoint",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", "size"),
    )
    op.create_table(
        "log_cosignature",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("witness", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "witness"),
    )
    op.create_table(
        "log_stamp",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "authority"),
    )
    op.create_table(
        "log_freeze",
        sa.Column("log", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "witness_seen",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _write_first_leaf() -> None:
    """As ``evidence.leaves.LogOpening`` is written; bytes that never change."""
    earlier = [_numbered(*item) for item in NUMBERED.items()]
    earlier += [_counted(*item) for item in COUNTED.items()]
    at_us = int(SystemClock().now().timestamp() * 1_000_000)
    opening = {
        "log": 1,
        "at_us": at_us,
        "reason": "migrated" if any(e["rows"] for e in earlier) else "installed",
        "by": "service/node",
        "continues": None,
        "earlier": sorted(earlier, key=lambda each: str(each["table"])),
    }
    data = b"\x00" + json.dumps(opening, sort_keys=True, separators=(",", ":")).encode(
        "ascii"
    )
    log = sa.table("log", *map(sa.column, ("log", "first_leaf", "begun_at")))
    leaf = sa.table(
        "log_leaf",
        *map(sa.column, ("leaf_id", "kind", "subject", "sha256", "data")),
    )
    op.bulk_insert(log, [{"log": 1, "first_leaf": 0, "begun_at": at_us}])
    row = {
        "leaf_id": 0,
        "kind": 0,
        "subject": "1",
        "sha256": hashlib.sha256(b"\x00" + data).digest(),
        "data": data,
    }
    op.bulk_insert(leaf, [row])


def _numbered(table: str, columns: str) -> dict[str, object]:
    """How many rows, the newest, and a hash over one line of JSON for each."""
    total, rows, last = hashlib.sha256(), 0, None
    wanted = f"select {columns} from {table} order by 1"  # noqa: S608  # our own names
    for row in op.get_bind().exec_driver_sql(wanted):
        total.update(json.dumps(list(row), separators=(",", ":")).encode() + b"\n")
        rows, last = rows + 1, row[0]
    return {"table": table, "rows": rows, "last": last, "sha256": total.hexdigest()}


def _counted(table: str, wanted: str) -> dict[str, object]:
    rows = op.get_bind().exec_driver_sql(wanted).scalar_one()
    return {"table": table, "rows": rows, "last": None, "sha256": None}
