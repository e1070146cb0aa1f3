"""The exchange: links with partners, what is to be told, what was sealed and applied.

Precondition: migration 0003. What was sealed and what was applied can only be added:
triggers refuse the rest.
"""

import sqlalchemy as sa
from alembic import op

from almenara.node.store.migrations.append_only import guard, unguard

revision = "0007"
down_revision = "0004"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("exchange_sealed", "exchange_inbox")


def upgrade() -> None:
    """Create the tables; names and types are frozen copies, not imports."""
    op.create_table(
        "exchange_link",
        sa.Column("partner", sa.Text, primary_key=True),
        sa.Column("pairing", sa.Text, nullable=False),
        sa.Column("suspended_at", sa.BigInteger),
        sa.Column("suspended_why", sa.Text),
    )
    op.create_table(
        "exchange_stream",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("genesis", sa.Text, nullable=False),
        sa.Column("receipted_seq", sa.BigInteger, nullable=False),
        sa.Column("receipt", sa.LargeBinary),
        sa.Column("receipted_at", sa.BigInteger),
        sa.Column("frozen", sa.Text),
        sa.Column("doubtful", sa.Boolean, nullable=False),
    )
    op.create_table(
        "exchange_outbox",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Text, nullable=False, unique=True),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("sealed_seq", sa.BigInteger),
    )
    op.create_index(
        "exchange_outbox_waiting", "exchange_outbox", ["stream", "sealed_seq", "number"]
    )
    op.create_table(
        "exchange_sealed",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "exchange_inbox",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
    )
    op.create_index("exchange_inbox_message", "exchange_inbox", ["message_id"])
    for table in APPEND_ONLY:
        guard(table)


def downgrade() -> None:
    """Take the tables away, their guards first."""
    for table in APPEND_ONLY:
        unguard(table)
    for table in (
        "exchange_inbox",
        "exchange_sealed",
        "exchange_outbox",
        "exchange_stream",
        "exchange_link",
    ):
        op.drop_table(table)
