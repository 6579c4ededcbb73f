"""The gateway's end of the links: connections to the replicas of every version, and the calls that are under way on them.

Calls of one turn of the event loop travel in one write. A call whose replica is lost goes to another, or waits for the
replacement inside its deadline, if its caller is patient; it is sent at most twice, since a second loss is likely its own doing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from itertools import count

import msgspec
import structlog

from serving.dataplane.frames import GREETING_ID, BrokenFrame, FrameReader, decode_reply, encode_call
from serving.dataplane.spinning import Spinner
from serving.gateway.messages import failed
from serving.ports import Call, Failure, Reply

log = structlog.get_logger()

SWEEP_S = 0.05
"""How late a deadline may be noticed. One sweep over the calls under way costs less than a timer for each."""

RECONNECT_S = 0.05
SENDS = 2
"""A call is sent at most this often; inference is idempotent, a request that kills its replica is not to kill them all."""

WAITING_MOST = 10_000
"""Calls that may wait for a replica of one version on one gateway."""


class Pending(msgspec.Struct):
    """A call under way, or waiting for a replica."""

    call: Call
    deadline: float
    done: Callable[[Reply], None]
    patient: bool
    sends: int = 0

    def finish(self, reply: Reply) -> None:
        """Hand the reply over. What its taker does wrong with it must not cost the other calls of the link theirs."""
        try:
            self.done(reply)
        except Exception:
            log.exception("reply_not_taken")


class Link(asyncio.Protocol):
    """One connection to one replica; it counts from the replica's greeting on."""

    def __init__(self, pool: "VersionLinks", address: str) -> None:
        self.address = address
        self.pending: dict[int, Pending] = {}
        self._pool = pool
        self._reader = FrameReader()
        self._numbers = count(1)
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.greeted: asyncio.Future[bool] = pool.loop.create_future()
        """Whether the replica has greeted before it hung up."""
        self._spinner = Spinner(pool.loop, pool.spin)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's transport; uvloop's is no subclass
        """Wait for the greeting."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool; what was under way is the pool's to place again."""
        del exc
        self._transport = None
        if not self.greeted.done():
            self.greeted.set_result(False)
        elif not self.greeted.cancelled():
            self._pool.lost(self)

    def data_received(self, data: bytes) -> None:
        """Hand every reply that arrived to the one who waits for it; a reply that came after its deadline is dropped."""
        try:
            for number, payload in self._reader.feed(data):
                if number in self.pending:
                    reply = decode_reply(payload)
                    self.pending.pop(number).finish(reply)
                elif number == GREETING_ID and not self.greeted.done():
                    self.greeted.set_result(True)
                    self._pool.joined(self)
        except BrokenFrame as error:
            log.exception("link_broken", address=self.address, why=str(error))
            self.close()

    def send(self, pending: Pending) -> None:
        """Put a call on the wire at the end of this turn of the loop."""
        number = next(self._numbers) & 0xFFFFFFFF
        self.pending[number] = pending
        pending.sends += 1
        if not self._out:
            self._pool.loop.call_soon(self._flush)
        self._out.append(encode_call(number, pending.call))

    def close(self) -> None:
        """Hang up; `connection_lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._out))
        self._out.clear()
        self._spinner.sent(len(self.pending), self._is_waiting)

    def _is_waiting(self) -> bool:
        return bool(self.pending)


class VersionLinks:
    """All links to the replicas of one version, and the calls that wait for one."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, spin: float) -> None:
        self.name = name
        self.loop = loop
        self.spin = spin
        self.links: list[Link] = []
        self.waiting: deque[Pending] = deque()
        self.was_reached = False
        """Whether a replica was ever there: only then is it the version's own doing that none is."""
        self._is_closed = False
        self._addresses: set[str] = set()
        self._dialling: dict[str, asyncio.Task[None]] = {}

    def set_addresses(self, addresses: Collection[str]) -> None:
        """Dial what is new; a link to what is gone lives until its replica hangs up."""
        self._addresses = set(addresses)
        connected = {link.address for link in self.links}
        for address in self._addresses - connected - self._dialling.keys():
            self._dial(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where its replicas are said to be."""
        return tuple(sorted(self._addresses))

    def invoke(self, pending: Pending) -> None:
        """Send a call to the least loaded replica, or keep it until there is one."""
        links = self.links
        if links:
            link = links[0] if len(links) == 1 else min(links, key=_load)
            link.send(pending)
        elif self._is_closed:
            pending.finish(failed(Failure.UNAVAILABLE, f"{self.name} is no longer served"))
        elif not pending.patient:
            pending.finish(failed(Failure.UNAVAILABLE, f"{self.name} has no replica that is ready"))
        elif len(self.waiting) >= WAITING_MOST:
            sentence = f"{self.name} has no replica that is ready, and {WAITING_MOST} requests wait for one already"
            pending.finish(failed(Failure.OVERLOAD, sentence))
        else:
            self.waiting.append(pending)

    def joined(self, link: Link) -> None:
        """A replica is there: it gets what waited."""
        self.links.append(link)
        self.was_reached = True
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
            late = [number for number, pending in link.pending.items() if pending.deadline <= now]
            for number in late:
                _time_out(link.pending.pop(number), f"{self.name} gave no answer in time")
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

    def _replace(self, pending: Pending) -> None:
        if pending.patient and pending.sends < SENDS:
            self.invoke(pending)
        else:
            pending.finish(failed(Failure.UNAVAILABLE, f"the replica of {self.name} was lost while it worked on this request"))

    def _dial(self, address: str) -> None:
        if address not in self._dialling:
            self._dialling[address] = self.loop.create_task(self._connect(address))

    async def _connect(self, address: str) -> None:
        try:
            while address in self._addresses:
                link = await self._reach(address)
                if link in self.links:  # or it is lost again already
                    return
                await asyncio.sleep(RECONNECT_S)
        finally:
            self._dialling.pop(address, None)

    async def _reach(self, address: str) -> Link | None:
        """Connect and wait for the greeting or the end; None where nobody listens."""
        try:
            _, link = await self.loop.create_unix_connection(lambda: Link(self, address), address)
        except OSError:
            return None
        try:
            await link.greeted
        except asyncio.CancelledError:
            link.close()
            raise
        return link


class LinkPool:
    """Reaches every version that has replicas; the `Invoker` of a gateway."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float], spin: float = 0.0) -> None:
        self._loop = loop
        self._spin = spin
        self._monotonic = monotonic
        self._versions: dict[str, VersionLinks] = {}
        self._timer = loop.call_later(SWEEP_S, self._sweep)

    def invoke(self, call: Call, deadline: float, done: Callable[[Reply], None], *, patient: bool) -> None:
        """Send a call to its version; `done` is called exactly once."""
        self._links(call.digest).invoke(Pending(call, deadline, done, patient))

    def set_replicas(self, digest: str, name: str, addresses: Collection[str]) -> None:
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
        links = self._versions.get(digest)
        return 0 if links is None else len(links.links)

    def endpoints(self) -> dict[str, tuple[str, ...]]:
        """The addresses of the replicas of each version, by digest, as they were last told; versions without one are left out."""
        return {digest: addresses for digest, links in self._versions.items() if (addresses := links.addresses)}

    def close(self) -> None:
        """Hang up everywhere."""
        self._timer.cancel()
        for digest in list(self._versions):
            self.forget(digest)

    def _links(self, digest: str) -> VersionLinks:
        links = self._versions.get(digest)
        if links is None:
            links = self._versions[digest] = VersionLinks("this version", self._loop, self._spin)
        return links

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        now = self._monotonic()
        for links in list(self._versions.values()):  # a call that ends may be the first of its fallback
            links.sweep(now)


def _load(link: Link) -> int:
    return len(link.pending)


def _time_out(pending: Pending, sentence: str) -> None:
    pending.finish(failed(Failure.TIMEOUT, sentence))
