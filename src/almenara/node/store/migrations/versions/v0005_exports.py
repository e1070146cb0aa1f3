"""Requests for evidence packages, and the second person's word on them.

Precondition: migration 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0006"


def upgrade() -> None:
    """Create the table; names and types are frozen copies, not imports."""
    op.create_table(
        "export_request",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_at", sa.BigInteger),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("destination", sa.Text),
        sa.Column("finished_at", sa.BigInteger),
        sa.CheckConstraint(
            "(approved_by is null) = (approved_at is null)", name="ck_export_approved"
        ),
    )


def downgrade() -> None:
    """Forget the requests; their entries in the audit stay."""
    op.drop_table("export_request")
