"""Rescue cases: every version of each, the keys of repeated requests, the outbox.

Precondition: migration 0007. A version can only be added: triggers refuse the rest.
"""

import sqlalchemy as sa
from alembic import op

from almenara.node.store.migrations.append_only import guard, unguard

revision = "0006"
down_revision = "0007"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A key that counts: SQLite counts only where the type is INTEGER."""


def upgrade() -> None:
    """Create the tables; names and types are frozen copies, not imports."""
    op.create_table(
        "rescue_case",
        sa.Column("case_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.CheckConstraint("phase between 0 and 3", name="ck_rescue_case_phase"),
    )
    op.create_index("rescue_case_open", "rescue_case", ["closed_at", "opened_at"])
    op.create_table(
        "case_version",
        sa.Column(
            "case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), primary_key=True
        ),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "case_request",
        sa.Column("person_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column(
            "case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "case_outbox",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column(
            "case_id", sa.Text, sa.ForeignKey("rescue_case.case_id"), nullable=False
        ),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("receipt", sa.Text),
    )
    op.create_index("case_outbox_waiting", "case_outbox", ["delivered_at", "seq"])
    guard("case_version")


def downgrade() -> None:
    """Take the tables away, their guards first."""
    unguard("case_version")
    for table in ("case_outbox", "case_request", "case_version", "rescue_case"):
        op.drop_table(table)
