"""What the benchmark says while it runs; on stderr, for stdout belongs to the figures."""

import sys


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)
