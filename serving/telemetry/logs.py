"""How the project logs: events with fields, one line each, on stderr. The request path logs nothing; it counts."""

import logging
import sys

import structlog


def configure_logs(*, json: bool, level: str = "info") -> None:
    """Set up this process: JSON for machines, or aligned text for people; events below `level` are dropped."""
    # Local variables may be callers' data: tracebacks go without.
    tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    render = (
        (tracebacks, structlog.processors.JSONRenderer())
        if json
        else (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
