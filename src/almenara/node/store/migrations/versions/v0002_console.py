"""The console: people, sessions, links, alarms, the audit, the registry of stations.

Precondition: migration 0001. Entries of the audit can only be added: triggers refuse
the rest, so that no mistake of a program can change what was written.
"""

import sqlalchemy as sa
from alembic import op

from almenara.node.store.migrations.append_only import guard, unguard

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A key that counts: SQLite counts only where the type is INTEGER."""

APPEND_ONLY = ("audit", "alarm_trail", "station_version")


def upgrade() -> None:
    """Create the tables; names and types are frozen copies, not imports."""
    _create_accounts()
    _create_audit()
    _create_alarms()
    _create_stations()
    for table in APPEND_ONLY:
        guard(table)


def downgrade() -> None:
    """Take the tables away, their guards first."""
    for table in APPEND_ONLY:
        unguard(table)
    for table in (
        "station_version",
        "alarm_trail",
        "alarm",
        "audit",
        "entry_link",
        "session",
        "account",
    ):
        op.drop_table(table)


def _create_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("person_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("stations", sa.Text, nullable=False),
        sa.Column("missions", sa.Text, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column(
            "person_id", sa.Text, sa.ForeignKey("account.person_id"), nullable=False
        ),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_table(
        "entry_link",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column(
            "person_id", sa.Text, sa.ForeignKey("account.person_id"), nullable=False
        ),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("session_person", "session", ["person_id"])
    op.create_index("entry_link_person", "entry_link", ["person_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("object_kind", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger),
        sa.Column("end", sa.BigInteger),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("justification", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
    )
    op.create_index("audit_object", "audit", ["object_kind", "object_id"])


def _create_alarms() -> None:
    op.create_table(
        "alarm",
        sa.Column("alarm_id", sa.Text, primary_key=True),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("is_rescue", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("raised_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("alerts", sa.Text, nullable=False),
        sa.CheckConstraint("priority between 1 and 4", name="ck_alarm_priority"),
        sa.CheckConstraint(
            "(acknowledged_by is null) = (acknowledged_at is null)",
            name="ck_alarm_acknowledged",
        ),
    )
    op.create_table(
        "alarm_trail",
        sa.Column("step_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("alarm_id", sa.Text, sa.ForeignKey("alarm.alarm_id"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("state_before", sa.Text),
        sa.Column("state_after", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("announces", sa.Boolean, nullable=False),
        sa.Column("person_id", sa.Text),
    )
    op.create_index(
        "alarm_state", "alarm", ["state", sa.text("priority desc"), "raised_at"]
    )
    op.create_index("alarm_trail_alarm", "alarm_trail", ["alarm_id", "step_id"])


def _create_stations() -> None:
    op.create_table(
        "station_version",
        sa.Column("version", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stations", sa.Text, nullable=False),
    )
