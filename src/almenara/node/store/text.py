"""Values kept as JSON text where no query ever looks inside.

The type of a value is its schema; NaN survives, because a number that nobody knows must
not come back as a fault.
"""

import json
from typing import TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def to_text(schema: TypeAdapter[T], value: T) -> str:
    """The value as JSON, the same text for the same value."""
    plain = schema.dump_python(value, mode="json")
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def from_text(schema: TypeAdapter[T], text: str) -> T:
    """Inverse of :func:`to_text`."""
    return schema.validate_python(json.loads(text))
