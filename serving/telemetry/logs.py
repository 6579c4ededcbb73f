"""How the project logs: events with fields, one line each, to stderr or to the installation's log.

The request path logs nothing; it counts. All processes of an installation append to one file; a line is one
write, so lines never mix.
"""

import logging
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import structlog


class _Unfailing(FileIO):
    """A file that drops what cannot be written: on a full disk a service must go on, and only its log be silent."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for that
        """Write a line, or nothing."""
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def _write_traceback(out: TextIO, error: Any) -> None:  # noqa: ANN401 - what sys.exc_info() gives, as structlog hands it on
    # structlog's own prints, and Ray's workers have another `print`.
    out.write("\n" + "".join(traceback.format_exception(*error)).rstrip())


def configure_logs(*, json: bool, level: str = "info", file: Path | None = None) -> None:
    """Set up this process: JSON for machines, or aligned text for people; events below `level` are dropped."""
    # Kept open for as long as the process lives: the logger writes to it.
    out = sys.stderr if file is None else TextIOWrapper(_Unfailing(file, "a"), "utf-8", write_through=True)
    # Local variables may be callers' data: tracebacks go without.
    tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    render = (
        (tracebacks, structlog.processors.JSONRenderer())
        if json
        else (structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=_write_traceback),)
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


@contextmanager
def logged_for_people() -> Generator[None]:
    """What is logged meanwhile goes to stderr as text, without local variables; then it goes where it went before."""
    before = structlog.get_config()
    configure_logs(json=False)
    try:
        yield
    finally:
        structlog.configure(**before)
