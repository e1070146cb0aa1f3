"""Says aloud what was skipped; in CI a skip that an installation would cure fails.

A test skips for want of a tool with ``pytest.skip("needs chromium: …")``; what needs
data that may not be shipped says ``needs data: …`` and may be skipped anywhere.
"""

import os

import pytest

CURABLE = "needs "
EXCUSED = "needs data"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List each reason once with how many tests it cost."""
    del config
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reasons[reason_of(report)] = reasons.get(reason_of(report), 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped what an installation would have cured."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI") != "true":
        return
    if any(map(is_curable, map(reason_of, reporter.stats.get("skipped", [])))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def is_curable(reason: str) -> bool:
    """Whether somebody could have installed what was missing."""
    return reason.startswith(CURABLE) and not reason.startswith(EXCUSED)


def reason_of(report: pytest.TestReport) -> str:
    """The words given to ``skip``."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return str(text).removeprefix("Skipped: ")
