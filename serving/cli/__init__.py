"""The command line: a thin client of the admin API, plus what runs locally."""

import sys

# httpx brings a command line of its own, which takes longer to import than all the rest of one of our commands; nobody uses it here, and
# httpx does without it where its parts are not installed. A rollback at 3 AM should not wait for it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # None is how a module is said to be absent
