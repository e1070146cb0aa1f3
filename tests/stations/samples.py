"""Where the development data lies; tests that need it skip with a reason."""

import os
from pathlib import Path

import pytest

from almenara import __file__ as here


def sample(name: str) -> Path:
    """A file of the development data, or a skipped test."""
    beside = Path(here).parents[3] / "shared" / "data"
    path = Path(os.environ.get("ALMENARA_DATA", beside)) / name
    if not path.exists():
        pytest.skip(f"{name} is not here; set ALMENARA_DATA")
    return path
