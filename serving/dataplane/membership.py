"""Which replicas of which version are there, as Serve's own long poll tells it; nothing is polled and no registry is written.

Serve calls `publish` on a thread of its own, one for all handles of the process; `Membership` carries it over to the gateway's loop.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
from ray.serve.handle import DeploymentHandle

from serving.core.routing import Target
from serving.dataplane.link import LinkPool

DEPLOYMENT = "version"
"""The name of the one deployment of a version's application."""

ADDRESS = "address"
"""The key of a replica's metadata under which it publishes its socket."""

Listener = Callable[[str, tuple[str, ...]], None]

LET_GO_S = 20.0
"""How long links to a version outlive its part in the routes: requests under way end as they began. The controller's grace is longer."""

AGAIN_S = 1.0
"""Between two tries to watch a version, while Serve's controller cannot be asked."""

log = structlog.get_logger()

_lock = threading.Lock()
_listeners: list[Listener] = []


def application_of(digest: str) -> str:
    """The Serve application of a version: named by content, so it is never redeployed with other content."""
    return f"version-{digest[:32]}"


def publish(application: str, metadata: Sequence[Mapping[str, str] | None]) -> None:
    """Tell every listener the addresses of an application's replicas."""
    addresses = tuple(sorted(entry[ADDRESS] for entry in metadata if entry and ADDRESS in entry))
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener(application, addresses)


class Membership:
    """Keeps a gateway's links in step with the replicas that run."""

    def __init__(self, pool: LinkPool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        # Serve keeps routers in a weak set: the handle must live for as long as the version is watched.
        self._watched: dict[str, tuple[Target, DeploymentHandle]] = {}
        self._wanted: dict[str, Target] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        with _lock:
            _listeners.append(self._heard)

    def watch(self, targets: Sequence[Target]) -> None:
        """Watch these versions; let go of all others a little later. A version may be watched before it is deployed."""
        self._wanted = {application_of(target.digest): target for target in targets}
        for application in self._leaving.keys() & self._wanted.keys():
            self._leaving.pop(application).cancel()
        for application in self._watched.keys() - self._wanted.keys() - self._leaving.keys():
            self._leaving[application] = self._loop.call_later(LET_GO_S, self._let_go, application)
        for application in self._wanted.keys() - self._watched.keys():
            self._begin(application, self._wanted[application])

    def close(self) -> None:
        """Stop listening."""
        with _lock:
            _listeners.remove(self._heard)
        for timer in self._leaving.values():
            timer.cancel()
        self._leaving.clear()
        self._watched.clear()

    def _begin(self, application: str, target: Target) -> None:
        handle = DeploymentHandle(DEPLOYMENT, application)
        self._watched[application] = (target, handle)
        # Starts the long poll without a request. It asks Serve's controller, which may take its time: not on this loop.
        starting = self._loop.run_in_executor(None, handle._init)  # noqa: SLF001
        starting.add_done_callback(partial(self._begun, application, handle))

    def _begun(self, application: str, handle: DeploymentHandle, starting: "asyncio.Future[None]") -> None:
        error = None if starting.cancelled() else starting.exception()
        if error is not None:
            log.error("watch_failed", application=application, exc_info=error)
            self._loop.call_later(AGAIN_S, self._begin_again, application, handle)

    def _begin_again(self, application: str, failed: DeploymentHandle) -> None:
        watched = self._watched.get(application)
        if watched is not None and watched[1] is failed:
            self._begin(application, watched[0])

    def _let_go(self, application: str) -> None:
        del self._leaving[application]
        target, _ = self._watched.pop(application)
        self._pool.forget(target.digest)

    def _heard(self, application: str, addresses: tuple[str, ...]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._apply, application, addresses)

    def _apply(self, application: str, addresses: tuple[str, ...]) -> None:
        watched = self._watched.get(application)
        if watched is not None:
            target, _ = watched
            self._pool.set_replicas(target.digest, f"{target.family}@{target.version}", addresses)
