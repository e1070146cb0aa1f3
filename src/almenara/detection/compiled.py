"""Loops that run as machine code, typed as the Python functions they are.

Every kernel releases the interpreter lock and keeps its machine code in a cache beside
the source, so only the first start after an installation waits for the compiler. Each
has a twin in plain numpy in ``tests/detection/twins.py`` that says what it must answer.

Source: docs/design/first-light.md, "The path", step 6.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` at its first call; types follow from the arguments."""
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
