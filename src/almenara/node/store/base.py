"""What all tables share: one ``MetaData`` and one way to keep a time.

Times are integer microseconds since 1970-01-01 UTC, so that they sort and compare alike
in every engine; :class:`UtcMicros` turns them into aware ``datetime`` at this border.

Each resource declares its tables beside the functions that read and write them and
hangs them into :data:`metadata`; ``migrations`` is the way to that schema.
"""

from datetime import datetime

import sqlalchemy as sa

from almenara.core.time import from_micros, to_micros


def next_number(table: str, column: str) -> sa.TextClause:
    """One more than the highest: numbers without holes in every engine.

    A sequence would leave a hole at each rollback; one writer at a time needs none.
    """
    highest = f"(select coalesce(max({column}), 0) + 1 from {table})"  # noqa: S608  # our own names
    return sa.text(highest)


metadata = sa.MetaData()
"""The schema of today, once the modules of all resources are imported."""


class UtcMicros(sa.TypeDecorator[datetime]):
    """An aware ``datetime`` kept as integer microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: sa.Dialect
    ) -> int | None:
        del dialect
        return None if value is None else to_micros(value)

    def process_result_value(
        self, value: int | None, dialect: sa.Dialect
    ) -> datetime | None:
        del dialect
        return None if value is None else from_micros(value)
