"""The way to the schema of today, and back: numbered changes, run by Alembic."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from almenara.core.errors import SchemaTooNewError

HEAD = "head"


def migrate(engine: sa.Engine, *, name: str | None = None, to: str = HEAD) -> None:
    """Run every migration that this store has not seen; safe to repeat.

    Args:
        engine: Where.
        name: The store, as messages say it.
        to: A revision to stop at.

    Raises:
        SchemaTooNewError: A newer Almenara wrote it; nothing was touched.
    """
    with engine.begin() as connection:
        config = _config(connection)
        unknown = revisions(connection) - known()
        if unknown:
            raise SchemaTooNewError(
                f"{name or engine.url.database}: schema {', '.join(sorted(unknown))} "
                "is newer than this Almenara knows; install the newer one again"
            )
        command.upgrade(config, to)


def migrate_down(engine: sa.Engine, *, to: str) -> None:
    """Undo changes down to ``to``; ``base`` leaves nothing."""
    with engine.begin() as connection:
        command.downgrade(_config(connection), to)


def revisions(connection: sa.Connection) -> set[str]:
    """What the store says of itself; empty before the first migration."""
    return set(MigrationContext.configure(connection).get_current_heads())


def known() -> set[str]:
    """Every revision of this Almenara."""
    script = ScriptDirectory.from_config(_config(None))
    return {each.revision for each in script.walk_revisions()}


def heads() -> set[str]:
    """The newest revision."""
    return set(ScriptDirectory.from_config(_config(None)).get_heads())


def _config(connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "almenara.node.store:migrations")
    config.attributes["connection"] = connection
    return config
