"""Tables that only grow: the database itself refuses to change or delete a row.

Migrations call this; it must do the same for ever, like the migrations themselves.
"""

from alembic import op

VERBS = ("update", "delete")


def guard(table: str) -> None:
    """Refuse every change but an addition, in SQLite and in PostgreSQL."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in VERBS:
            op.execute(
                f"create trigger {table}_no_{verb} before {verb} on {table} "
                f"begin select raise(abort, '{table} is append-only'); end"
            )
        return
    op.execute(
        "create or replace function refuse_change() returns trigger "
        "language plpgsql as $$ begin "
        "raise exception '% is append-only', tg_table_name; end $$"
    )
    for verb, each in (("update", "row"), ("delete", "row"), ("truncate", "statement")):
        op.execute(
            f"create trigger {table}_no_{verb} before {verb} on {table} "
            f"for each {each} execute function refuse_change()"
        )


def unguard(table: str) -> None:
    """Undo :func:`guard`, before a table is taken away."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in VERBS:
            op.execute(f"drop trigger {table}_no_{verb}")
        return
    for verb in (*VERBS, "truncate"):
        op.execute(f"drop trigger {table}_no_{verb} on {table}")
