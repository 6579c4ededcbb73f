"""The gateway's links to the replicas of every version, and the calls that wait for one.

A call whose replica is lost goes to another, or waits for the replacement inside its deadline, if its caller is patient; it is sent at
most twice, since a second loss is likely its own doing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import structlog

from serving.dataplane.addresses import KINDS, Address, kind_of
from serving.dataplane.dialing import Dialer
from serving.dataplane.link import Link, Pending
from serving.gateway.messages import failed
from serving.ports import Call, Failure, Reply

log = structlog.get_logger()

SWEEP_S = 0.05
"""How late a deadline may be noticed. One sweep over the calls under way costs less than a timer for each."""

RECONNECT_S, RECONNECT_MOST_S = 0.05, 1.0
"""Before a replica is dialled again, at first and at most."""

SENDS = 2
"""A call is sent at most this often; inference is idempotent, a request that kills its replica is not to kill them all."""

WAITING_MOST = 10_000
"""Calls that may wait for a replica of one version on one gateway."""


class VersionLinks:
    """All links to the replicas of one version, and the calls that wait for one."""

    def __init__(self, digest: str, loop: asyncio.AbstractEventLoop, dialer: Dialer, spin: float) -> None:
        self.name = "this version"
        self._digest = digest
        self._loop = loop
        self._dialer = dialer
        self._spin = spin
        self.links: list[Link] = []
        self.waiting: deque[Pending] = deque()
        self.was_reached = False
        """Whether a replica was ever there: only then is it the version's own doing that none is."""
        self._is_closed = False
        self._addresses: set[Address] = set()
        self._dialling: dict[Address, asyncio.Task[None]] = {}

    def set_addresses(self, addresses: Collection[Address]) -> None:
        """Dial what is new; a link to what is gone lives until its replica hangs up."""
        self._addresses = set(addresses)
        for link in self.links:
            link.leave(is_leaving=link.address not in self._addresses)
        connected = {link.address for link in self.links}
        for address in self._addresses - connected - self._dialling.keys():
            self._dial(address)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where its replicas are said to be."""
        return tuple(sorted(self._addresses, key=str))

    def invoke(self, pending: Pending) -> None:
        """Send a call to the least loaded replica, or keep it until there is one."""
        links = self.links
        if links:
            link = links[0] if len(links) == 1 else min(links, key=_load)
            if not link.is_full:
                link.send(pending)
                return
        self._keep(pending)

    def _keep(self, pending: Pending) -> None:
        if self._is_closed:
            pending.finish(failed(Failure.UNAVAILABLE, f"{self.name} is no longer served"))
        elif not pending.patient:
            sentence = f"{self.name} has no replica that takes more requests" if self.links else f"{self.name} has no replica that is ready"
            pending.finish(failed(Failure.OVERLOAD if self.links else Failure.UNAVAILABLE, sentence))
        elif len(self.waiting) >= WAITING_MOST:
            sentence = f"{self.name} has no replica that is ready, and {WAITING_MOST} requests wait for one already"
            pending.finish(failed(Failure.OVERLOAD, sentence))
        else:
            self.waiting.append(pending)

    def joined(self, link: Link) -> None:
        """A replica is there: it gets what waited."""
        self.links.append(link)
        self.was_reached = True
        self.drained()

    def drained(self) -> None:
        """There is room: give out what waited."""
        waiting, self.waiting = self.waiting, deque()
        for pending in waiting:
            self.invoke(pending)

    def lost(self, link: Link) -> None:
        """A replica is gone: place its calls again, and dial it again for as long as it is said to live."""
        self.links.remove(link)
        if link.address in self._addresses:
            self._dial(link.address)
        pending, link.pending = link.pending, {}
        for call in pending.values():
            self._replace(call)

    def sweep(self, now: float) -> None:
        """End every call that is past its deadline."""
        for link in self.links:
            if link.end_overdue(now, f"{self.name} gave no answer in time"):
                self._eject(link)
            if link.is_ejected:
                link.probe(now, self._digest)
        if self.waiting and any(pending.deadline <= now for pending in self.waiting):
            waiting, self.waiting = self.waiting, deque()
            for pending in waiting:
                if pending.deadline > now:
                    self.waiting.append(pending)
                else:
                    pending.finish(failed(Failure.UNAVAILABLE, f"{self.name} had no replica that was ready in time"))

    def close(self) -> None:
        """Hang up on every replica; what waits fails now, what is under way when its link is lost."""
        self._is_closed = True
        self._addresses = set()
        for task in self._dialling.values():
            task.cancel()
        for link in list(self.links):
            link.close()
        waiting, self.waiting = self.waiting, deque()
        for pending in waiting:
            pending.finish(failed(Failure.UNAVAILABLE, f"{self.name} is no longer served"))

    def _eject(self, ejected: Link) -> None:
        """Rescue what a replica that does not answer still holds, where there is one that does."""
        log.warning("replica_ejected", version=self.name, address=str(ejected.address))
        if any(not link.is_ejected for link in self.links):
            for pending in ejected.take_back(sends_most=SENDS):
                self.invoke(pending)

    def _replace(self, pending: Pending) -> None:
        if pending.patient and pending.sends < SENDS:
            self.invoke(pending)
        else:
            pending.finish(failed(Failure.UNAVAILABLE, f"the replica of {self.name} was lost while it worked on this request"))

    def _dial(self, address: Address) -> None:
        if address not in self._dialling:
            self._dialling[address] = self._loop.create_task(self._connect(address))

    async def _connect(self, address: Address) -> None:
        pauses = _pauses()
        try:
            while address in self._addresses:
                link = await self._reach(address)
                if link in self.links:  # or it is lost again already
                    return
                await asyncio.sleep(next(pauses))
        finally:
            self._dialling.pop(address, None)

    async def _reach(self, address: Address) -> Link | None:
        """Connect and wait for the greeting or the end; None where nobody listens."""
        link = Link(self, address, self._loop, self._spin)
        if not await self._dialer.reach(address, self._digest, link):
            return None
        try:
            await link.greeted
        except asyncio.CancelledError:
            link.close()
            raise
        return link


def _pauses() -> Iterator[float]:
    seconds = RECONNECT_S
    while True:
        yield seconds
        seconds = min(seconds * 1.5, RECONNECT_MOST_S)


class LinkPool:
    """Reaches every version that has replicas; the `Invoker` of a gateway."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float], spin: float = 0.0, dialer: Dialer | None = None
    ) -> None:
        self._loop = loop
        self._dialer = dialer or Dialer(loop)
        self._spin = spin
        self._monotonic = monotonic
        self._versions: dict[str, VersionLinks] = {}
        self._timer = loop.call_later(SWEEP_S, self._sweep)

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None:
        """Send a call to its version; `done` is called exactly once."""
        self._links(call.digest).invoke(Pending(call, deadline, done, patient))

    def set_replicas(self, digest: str, name: str, addresses: Collection[Address]) -> None:
        """Take the addresses of a version's replicas, as they are now."""
        links = self._links(digest)
        links.name = name
        links.set_addresses(addresses)

    def forget(self, digest: str) -> None:
        """A version is no longer loaded."""
        links = self._versions.pop(digest, None)
        if links is not None:
            links.close()

    def was_reached(self, digest: str) -> bool:
        """Whether a replica of a version was ever connected."""
        links = self._versions.get(digest)
        return links is not None and links.was_reached

    def replicas(self, digest: str) -> int:
        """How many replicas of a version are connected."""
        return len(self.links(digest))

    def transports(self) -> Mapping[str, int]:
        """How many links there are of each kind."""
        kinds = Counter(kind_of(link.address) for links in self._versions.values() for link in links.links)
        return {kind: kinds[kind] for kind in KINDS}

    def links(self, digest: str) -> Sequence[Link]:
        """The links to the replicas of a version."""
        links = self._versions.get(digest)
        return () if links is None else links.links

    def endpoints(self) -> dict[str, tuple[str, ...]]:
        """The addresses of the replicas of each version, by digest, as they were last told; versions without one are left out."""
        return {digest: tuple(map(str, addresses)) for digest, links in self._versions.items() if (addresses := links.addresses)}

    def close(self) -> None:
        """Hang up everywhere."""
        self._timer.cancel()
        for digest in list(self._versions):
            self.forget(digest)

    def _links(self, digest: str) -> VersionLinks:
        links = self._versions.get(digest)
        if links is None:
            links = self._versions[digest] = VersionLinks(digest, self._loop, self._dialer, self._spin)
        return links

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        now = self._monotonic()
        for links in list(self._versions.values()):  # a call that ends may be the first of its fallback
            links.sweep(now)


def _load(link: Link) -> int:
    return len(link.pending) + link.burden
