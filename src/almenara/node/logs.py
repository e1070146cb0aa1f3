"""Where the engineer's log goes: never between the lines meant for the operator.

On a terminal the log would bury the address and the sign-in link, so a demo writes it
to a file beside its store; a service writes JSON lines to standard error, which
journald keeps. A log may be lost; the audit may not, and is somewhere else.
"""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog


def log_to_stderr() -> None:
    """One JSON object a line; readable lines on a terminal."""
    _configure(sys.stderr, readable=sys.stderr.isatty())


def log_to_file(path: Path) -> None:
    """Append readable lines to ``path``; its folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _configure(path.open("a", encoding="utf-8", buffering=1), readable=True)


def _configure(out: TextIO, *, readable: bool) -> None:
    renderer = (
        structlog.dev.ConsoleRenderer(colors=False)
        if readable
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=out, level=logging.WARNING, force=True)
