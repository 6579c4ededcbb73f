"""Which replicas of which version a gateway has links to: those that Serve says are running, each by its nearest address."""

import asyncio
from collections.abc import Sequence
from functools import partial

from serving.core.routing import Target
from serving.dataplane.addresses import nearest
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.watching import Metadata, Watch

DEPLOYMENT = "version"
"""The name of the one deployment of a version's application."""

LET_GO_S = 20.0
"""How long links to a version outlive its part in the routes: requests under way end as they began. The controller's grace is longer."""


def application_of(digest: str) -> str:
    """The Serve application of a version: named by content, so it is never redeployed with other content."""
    return f"version-{digest[:32]}"


class Membership:
    """Keeps the links of a gateway on `node` in step with the replicas that run."""

    def __init__(self, pool: LinkPool, loop: asyncio.AbstractEventLoop, node: str) -> None:
        self._pool = pool
        self._loop = loop
        self._node = node
        self._watches: dict[str, Watch] = {}
        self._targets: dict[str, Target] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    def watch(self, targets: Sequence[Target]) -> None:
        """Watch these versions; let go of all others a little later. A version may be watched before it is deployed."""
        wanted = {application_of(target.digest): target for target in targets}
        for application in self._leaving.keys() & wanted.keys():
            self._leaving.pop(application).cancel()
        for application in self._watches.keys() - wanted.keys() - self._leaving.keys():
            self._leaving[application] = self._loop.call_later(LET_GO_S, self._let_go, application)
        for application in wanted.keys() - self._watches.keys():
            self._targets[application] = wanted[application]
            self._watches[application] = Watch(self._loop, DEPLOYMENT, application, partial(self._heard, wanted[application]))

    def close(self) -> None:
        """Stop listening."""
        for timer in self._leaving.values():
            timer.cancel()
        for watch in self._watches.values():
            watch.close()
        self._leaving.clear()
        self._watches.clear()

    def _let_go(self, application: str) -> None:
        del self._leaving[application]
        self._watches.pop(application).close()
        self._pool.forget(self._targets.pop(application).digest)

    def _heard(self, target: Target, metadata: Sequence[Metadata]) -> None:
        addresses = {address for entry in metadata if (address := nearest(entry, self._node)) is not None}
        self._pool.set_replicas(target.digest, f"{target.family}@{target.version}", addresses)
