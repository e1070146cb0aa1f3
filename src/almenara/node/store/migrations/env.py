"""Runs migrations on the connection that ``database.migrate`` opened."""

from alembic import context

from almenara.node.store.base import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
