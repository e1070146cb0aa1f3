"""Whose media these are: the database's own uuid, a generation per media folder.

Precondition: migration 0003. Segments of before name their folder ``main``; the first
start gives it a uuid and renames them. ``write_ticket`` tells whether a transaction was
committed whose answer was lost; SQLite leaves it empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add identities; names and types are frozen copies, not imports."""
    op.create_table(
        "store_identity",
        sa.Column("database_id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    for column in ("generation", "confirmed"):
        op.add_column(
            "target",
            sa.Column(column, sa.BigInteger, nullable=False, server_default="0"),
        )
    op.create_table(
        "write_ticket",
        sa.Column("writer", sa.Text, primary_key=True),
        sa.Column("ticket", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Forget them; the files in the media folders stay and are read again later."""
    op.drop_table("write_ticket")
    with op.batch_alter_table("target") as table:
        table.drop_column("confirmed")
        table.drop_column("generation")
    op.drop_table("store_identity")
