"""A skip that an installation would cure does not pass unnoticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ci", "reason", "status"),
    [
        ("true", "needs chromium: absent", 1),
        ("true", "needs data: recordings", 0),
        ("false", "needs chromium: absent", 0),
    ],
)
def test_a_curable_skip_fails_where_it_could_be_cured(tmp_path, ci, reason, status):
    story = tmp_path / "test_story.py"
    story.write_text(f"import pytest\ndef test_it(): pytest.skip({reason!r})\n")
    words = ["-p", "tests.skips", "-c", os.devnull, "--rootdir", str(tmp_path)]

    done = subprocess.run(  # noqa: S603  # our own story
        [sys.executable, "-m", "pytest", *words, str(story)],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert f"skipped 1: {reason}" in done.stdout
