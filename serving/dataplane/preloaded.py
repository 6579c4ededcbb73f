"""What every process that Ray starts here imports before it is given something to do: Serve, which its controller and each replica need.

So the controller's process, which Ray starts as soon as it is joined, is ready when Serve asks for one. `cluster` has Ray import this.
"""

import gc
import sys

gc.disable()  # nothing of an import becomes garbage, and looking for it took a tenth of the time

import ray.serve  # noqa: E402, F401 - with the collector off

# structlog draws tracebacks with rich where that is installed, and then imports it; ours are plain. Whoever else wants it, gets it.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment] # how a module is said to be absent
    import structlog  # noqa: F401 - without rich

    del sys.modules["rich"]

# httpx brings a command line of its own, and imports rich for that; it does without it where its parts are not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # as above

gc.freeze()  # nor does it later: not to be walked again by every full collection, also those while our own modules are imported
gc.enable()
