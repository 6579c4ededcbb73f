"""How the project logs: events with fields, one line each, to stderr or to the installation's log.

The request path logs nothing; it counts. All processes of an installation append to one file; a line is one
write, so lines never mix.
"""

import logging
import sys
from pathlib import Path

import structlog


def configure_logs(*, json: bool, level: str = "info", file: Path | None = None) -> None:
    """Set up this process: JSON for machines, or aligned text for people; events below `level` are dropped."""
    # Kept open for as long as the process lives: the logger writes to it.
    out = sys.stderr if file is None else file.open("a", buffering=1)
    # Local variables may be callers' data: tracebacks go without.
    tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    render = (
        (tracebacks, structlog.processors.JSONRenderer())
        if json
        else (structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback),)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Not the printing one: Ray replaces `print` in its workers.
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
