"""What the replicas of a deployment say of themselves, as Serve's own long poll tells it; nothing is polled, no registry is written.

Serve calls `publish` on a thread of its own, one for all handles of the process; a `Watch` carries it over to its own loop.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

import structlog
from ray.serve.handle import DeploymentHandle

Metadata = Mapping[str, str]
Heard = Callable[[Sequence[Metadata]], None]

AGAIN_S = 1.0
"""Between two tries to watch a deployment, while Serve's controller cannot be asked."""

log = structlog.get_logger()

_lock = threading.Lock()
_listeners: list[Callable[[str, tuple[Metadata, ...]], None]] = []


def publish(application: str, metadata: Sequence[Metadata | None]) -> None:
    """Tell every watch what an application's replicas published."""
    entries = tuple(entry for entry in metadata if entry)
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener(application, entries)


class Watch:
    """Hears of the replicas of one deployment until it is closed, whether the deployment is there yet or not."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deployment: str, application: str, heard: Heard) -> None:
        self._loop = loop
        self._deployment = deployment
        self._application = application
        self._heard = heard
        self._is_closed = False
        with _lock:
            _listeners.append(self._hear)
        self._begin()

    def close(self) -> None:
        """Hear no more."""
        self._is_closed = True
        with _lock:
            _listeners.remove(self._hear)

    def _begin(self) -> None:
        if self._is_closed:
            return
        # Serve keeps routers in a weak set: the handle must live for as long as the watch.
        self._handle = handle = DeploymentHandle(self._deployment, self._application)
        # Starts the long poll without a request. It asks Serve's controller, which may take its time: not on this loop.
        starting = self._loop.run_in_executor(None, handle._init)  # noqa: SLF001
        starting.add_done_callback(self._begun)

    def _begun(self, starting: "asyncio.Future[None]") -> None:
        error = None if starting.cancelled() else starting.exception()
        if error is not None:
            log.error("watch_failed", application=self._application, exc_info=error)
            self._loop.call_later(AGAIN_S, self._begin)

    def _hear(self, application: str, metadata: tuple[Metadata, ...]) -> None:
        if application == self._application and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._pass_on, metadata)

    def _pass_on(self, metadata: tuple[Metadata, ...]) -> None:
        if not self._is_closed:
            self._heard(metadata)
