"""Limiting what a process may add to its memory. Runs in the component host too: it may import the standard library only."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Let this process add at most `extra` bytes to its address space inside; never more than it was allowed before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space() + extra
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split(maxsplit=1)[0]
    return int(pages) * resource.getpagesize()
