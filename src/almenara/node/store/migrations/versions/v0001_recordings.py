"""Recordings: segments, fragments, gaps, holds, tombstones.

Precondition: an empty store. A sealed segment's fragments live packed in
``segment_detail``; ``fragment`` holds those of open segments alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the index; names and types are frozen copies, not imports."""
    op.create_table(
        "boot",
        sa.Column("boot_id", sa.Text, primary_key=True),
        sa.Column("started_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "target",
        sa.Column("target_id", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "segment",
        sa.Column("segment_id", sa.Text, primary_key=True),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.CheckConstraint(
            "state in ('open', 'sealed', 'doomed')", name="ck_segment_state"
        ),
        sa.CheckConstraint("started_at <= ended_at", name="ck_segment_times"),
    )
    op.create_index("segment_time", "segment", ["stream_id", "started_at", "ended_at"])
    op.create_index("segment_state", "segment", ["state", "ended_at"])
    op.create_table(
        "segment_detail",
        sa.Column("segment_id", sa.Text, primary_key=True),
        sa.Column("init_size_bytes", sa.Integer, nullable=False),
        sa.Column("init_sha256", sa.LargeBinary, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("software", sa.Text, nullable=False),
        sa.Column("fragments", sa.LargeBinary),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.segment_id"], ondelete="cascade"
        ),
    )
    op.create_table(
        "fragment",
        sa.Column("segment_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False),
        sa.Column("length_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("starts_with_key", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "sequence"),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.segment_id"], ondelete="cascade"
        ),
    )
    _create_absences()


def _create_absences() -> None:
    op.create_table(
        "gap",
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("cause", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "started_at"),
        sa.CheckConstraint(
            "ended_at is null or started_at < ended_at", name="ck_gap_times"
        ),
    )
    op.create_table(
        "hold",
        sa.Column("hold_id", sa.Text, primary_key=True),
        sa.Column("stream_id", sa.Text),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("released_at", sa.BigInteger),
    )
    op.create_table(
        "tombstone",
        sa.Column("segment_id", sa.Text, primary_key=True),
        sa.Column("stream_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("fragments_sha256", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Take everything away."""
    for table in (
        "tombstone",
        "hold",
        "gap",
        "fragment",
        "segment_detail",
        "segment",
        "target",
        "boot",
    ):
        op.drop_table(table)
