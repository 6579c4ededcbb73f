"""The gateway's end of one link: a connection to one replica, and the calls that are under way on it.

Calls of one turn of the event loop travel in one write. A replica that lets calls run over their deadlines weighs more than its calls,
so that others are asked instead; after a few it is asked nothing but whether it is back.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Protocol

import msgspec
import structlog

from serving.dataplane.addresses import Address, TcpAddress
from serving.dataplane.frames import GREETING_ID, BrokenFrame, FrameReader, decode_reply, encode_call
from serving.dataplane.spinning import Spinner
from serving.gateway.messages import failed
from serving.ports import Call, CallKind, Failure, Reply

log = structlog.get_logger()

EJECTED_AFTER = 3
"""Calls that a replica lets run over their deadlines, with no answer in between, before others are asked instead."""

PROBE_S = 1.0
"""Between two questions to an ejected replica whether it is back."""

WRITE_HIGH, WRITE_LOW = 2**20, 2**18
"""Bytes that may wait to be written before a link takes no more calls, and how few must wait before it does again."""

FAR = 1
"""What a replica on another node weighs, in calls: of two that have as much to do, the one on the own node is asked."""

FULL, LEAVING, EJECTED = 2**20, 2**25, 2**30
"""What a link weighs, in calls: rather wait for a full replica than ask one that is said to be gone, or one that does not answer."""


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


class Links(Protocol):
    """Whom a link tells what becomes of it."""

    def joined(self, link: "Link") -> None:
        """The replica greeted."""
        ...

    def lost(self, link: "Link") -> None:
        """A replica that had greeted hung up."""
        ...

    def drained(self) -> None:
        """A link that was full takes calls again."""
        ...


class Link(asyncio.Protocol):
    """One connection to one replica; it counts from the replica's greeting on."""

    def __init__(self, links: Links, address: Address, loop: asyncio.AbstractEventLoop, spin: float) -> None:
        self.address = address
        self.pending: dict[int, Pending] = {}
        self.burden = self._distance = FAR if isinstance(address, TcpAddress) else 0
        """What it weighs beside the calls under way: its distance, the overdue ones, and far more when it is ejected or full."""
        self.greeted: asyncio.Future[bool] = loop.create_future()
        """Whether the replica has greeted before it hung up."""
        self._links = links
        self._loop = loop
        self._reader = FrameReader()
        self._numbers = count(1)
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._spinner = Spinner(loop, spin)
        self._overdue = 0
        self._is_full = False
        self._is_leaving = False
        self._probed_at = float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's transport; uvloop's is no subclass
        """Wait for the greeting."""
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool; what was under way is the pool's to place again."""
        del exc
        self._transport = None
        if not self.greeted.done():
            self.greeted.set_result(False)
        elif not self.greeted.cancelled():
            self._links.lost(self)

    def data_received(self, data: bytes) -> None:
        """Hand every reply that arrived to the one who waits for it; a reply that came after its deadline is dropped."""
        try:
            frames = self._reader.feed(data)
            if self._overdue and frames:
                self._answered_again()
            for number, payload in frames:
                if number in self.pending:
                    reply = decode_reply(payload)
                    self.pending.pop(number).finish(reply)
                elif number == GREETING_ID and not self.greeted.done():
                    self.greeted.set_result(True)
                    self._links.joined(self)
        except BrokenFrame as error:
            log.exception("link_broken", address=str(self.address), why=str(error))
            self.close()

    def pause_writing(self) -> None:
        """The replica does not read as fast as calls come."""
        self._is_full = True
        self._weigh()

    def resume_writing(self) -> None:
        """There is room again."""
        self._is_full = False
        self._weigh()
        self._links.drained()

    def leave(self, *, is_leaving: bool) -> None:
        """Serve no longer names this replica, or does again: others come first, for its node may be gone without a word."""
        self._is_leaving = is_leaving
        self._weigh()

    @property
    def is_full(self) -> bool:
        """Whether no more calls should be given to it."""
        return self._is_full

    @property
    def is_ejected(self) -> bool:
        """Whether it answers so little that others should be asked."""
        return self._overdue >= EJECTED_AFTER

    def send(self, pending: Pending) -> None:
        """Put a call on the wire at the end of this turn of the loop."""
        number = next(self._numbers) & 0xFFFFFFFF
        self.pending[number] = pending
        pending.sends += 1
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(encode_call(number, pending.call))

    def end_overdue(self, now: float, sentence: str) -> bool:
        """End every call that is past its deadline; whether that has ejected the replica."""
        late = [number for number, pending in self.pending.items() if pending.deadline <= now]
        if not late:
            return False
        was_ejected = self.is_ejected
        self._overdue += len(late)
        self._weigh()
        for number in late:
            self.pending.pop(number).finish(failed(Failure.TIMEOUT, sentence))
        return self.is_ejected and not was_ejected

    def take_back(self, *, sends_most: int) -> list[Pending]:
        """The calls under way that may be sent once more elsewhere; their answers from here are then dropped."""
        movable = [number for number, pending in self.pending.items() if pending.patient and pending.sends < sends_most]
        return [self.pending.pop(number) for number in movable]

    def probe(self, now: float, digest: str) -> None:
        """Ask an ejected replica, once in a while, for its metadata: no caller waits for the answer."""
        if now - self._probed_at >= PROBE_S:
            self._probed_at = now
            self.send(Pending(Call(CallKind.METADATA, digest, b""), now + PROBE_S, _ignore, patient=False))

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

    def _answered_again(self) -> None:
        """Any answer, however late, shows that the replica works."""
        if self.is_ejected:
            log.info("replica_back", address=str(self.address))
        self._overdue = 0
        self._weigh()

    def _weigh(self) -> None:
        most = EJECTED * self.is_ejected + LEAVING * self._is_leaving + FULL * self._is_full
        self.burden = self._distance + self._overdue + most


def _ignore(_reply: Reply) -> None:
    """Nobody waits for the answer to a probe."""
