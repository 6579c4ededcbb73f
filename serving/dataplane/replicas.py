"""The process that Ray Serve keeps alive: a replica that runs one service on an event loop of its own.

Ray's loop and the service's loop never wait for each other; Ray only asks, through `check_health`, whether the service is alive.
"""

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Protocol, TypeVar

import uvloop

from serving.dataplane import serve_internals

serve_internals.keep_replicas_on_loopback()

T = TypeVar("T")

START_DEADLINE_S = 1200.0
"""A version may have to build an environment first: gigabytes from an index."""
STOP_DEADLINE_S = 30.0
"""Serve kills whoever takes longer than its deployment's options say, which is sooner."""
HEALTH_DEADLINE_S = 30.0
"""A loop that does not turn for this long is dead. A model may run for seconds on its loop, so this is generous."""


class Service(Protocol):
    """What a replica runs."""

    async def start(self) -> Mapping[str, str]:
        """Get ready to serve; what is returned is published to whoever watches the replica."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and let go of sockets and files."""
        ...


class Replica:
    """A Serve replica around one service. Its constructor returns when the service is ready, or raises why it is not."""

    def __init__(self, open_service: Callable[[], Service]) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)
        self._thread.start()
        self._service = open_service()
        self._metadata = dict(self._call(self._service.start()).result(START_DEADLINE_S))
        self._metadata["pid"] = str(os.getpid())
        # What is there now stays: a full collection, which Ray asks for at times, need not walk all of it while callers wait.
        gc.collect()
        gc.freeze()

    def record_replica_metadata(self) -> dict[str, str]:
        """What Serve's long poll carries to the gateways."""
        return self._metadata

    def check_health(self) -> None:
        """Raise unless the service's loop turns."""
        if not self._thread.is_alive():
            msg = "the service's event loop has ended"
            raise RuntimeError(msg)
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        if not turned.wait(HEALTH_DEADLINE_S):
            msg = f"the service's event loop has not turned for {HEALTH_DEADLINE_S:g} seconds"
            raise RuntimeError(msg)

    async def __call__(self) -> None:
        """Serve wants a callable; no request ever comes this way."""

    def __del__(self) -> None:
        """Stop the service; Serve calls this when it stops a replica in good order."""
        if self._thread.is_alive() and hasattr(self, "_service"):
            self._call(self._service.stop()).result(STOP_DEADLINE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _call(self, coroutine: Coroutine[object, object, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
