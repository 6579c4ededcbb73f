"""The version's end of the links: takes the calls that have arrived, runs them as one, answers them in one write for each link.

The engine runs on the event loop itself: while it works, calls gather in the sockets, and the next run takes all of them.
"""

import asyncio
from collections.abc import Sequence

import structlog

from serving.dataplane.doors import Doors
from serving.dataplane.frames import GREETING, LARGEST_REPLY, BrokenFrame, FrameReader, decode_call, encode_reply
from serving.dataplane.link import WRITE_HIGH, WRITE_LOW
from serving.dataplane.spinning import Spinner
from serving.gateway.messages import failed, problem
from serving.ports import Call, Engine, Failure, Reply

log = structlog.get_logger()

RUN_MOST = 256
"""Calls in one run. Between runs the loop turns: answers leave, and a slow model that has much to do is not taken for a dead one."""


class WorkerLink(asyncio.Protocol):
    """One gateway that has dialled this worker."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._reader = FrameReader()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's transport; uvloop's is no subclass
        """Keep the way back, and greet: the gateway sends nothing before."""
        self.transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        transport.write(GREETING)
        self._worker.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a gateway that is gone; its calls are answered into the void."""
        del exc
        self.transport = None
        self._worker.links.discard(self)

    def pause_writing(self) -> None:
        """The gateway does not read its answers as fast as they are made: take no more calls from it."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Queue the calls that arrived for this turn's run."""
        try:
            frames = self._reader.feed(data)
            calls: list[tuple[WorkerLink, int, Call]] = [(self, number, decode_call(payload)) for number, payload in frames]
        except (BrokenFrame, ValueError) as error:
            log.exception("link_broken", why=str(error))
            if self.transport is not None:
                self.transport.abort()
            return
        if calls:
            self._worker.arrived(calls)


class Worker:
    """Serves one version to the gateways that come in at its doors. It answers only for the digest that it verified."""

    def __init__(self, engine: Engine, digest: str, loop: asyncio.AbstractEventLoop, spin: float = 0.0) -> None:
        self.links: set[WorkerLink] = set()
        self._engine = engine
        self._digest = digest
        self._loop = loop
        self._queue: list[tuple[WorkerLink, int, Call]] = []
        self.doors = Doors(loop, digest, lambda: WorkerLink(self))
        self._spinner = Spinner(loop, spin)

    def close(self) -> None:
        """Stop listening and hang up."""
        self.doors.close()
        for link in list(self.links):
            if link.transport is not None:
                link.transport.close()

    def arrived(self, calls: list[tuple[WorkerLink, int, Call]]) -> None:
        """Take calls; they run together with whatever else arrives in this turn of the loop."""
        if not self._queue:
            self._loop.call_soon(self._drain)
        self._queue += calls

    def _drain(self) -> None:
        batch, self._queue = self._queue[:RUN_MOST], self._queue[RUN_MOST:]
        if self._queue:
            self._loop.call_soon(self._drain)
        mine = [entry for entry in batch if entry[2].digest == self._digest]
        replies = self._run([call for _, _, call in mine])
        if len(replies) < len(mine):
            self._leave(mine[len(replies) :])
            mine = mine[: len(replies)]
        out: dict[WorkerLink, list[bytes]] = {}
        for (link, number, _), reply in zip(mine, replies, strict=True):
            out.setdefault(link, []).append(encode_reply(number, _bounded(reply)))
        if len(mine) < len(batch):
            self._refuse_strangers(batch, out)
        for link, frames in out.items():
            if link.transport is not None:
                link.transport.write(b"".join(frames))
        self._spinner.sent(len(batch), self._is_waiting)

    def _leave(self, entries: list[tuple[WorkerLink, int, Call]]) -> None:
        """Put back what the run did not take: it comes first in the next one, when these answers are on their way."""
        if not self._queue:
            self._loop.call_soon(self._drain)
        self._queue = entries + self._queue

    def _is_waiting(self) -> bool:
        return not self._queue

    def _run(self, calls: Sequence[Call]) -> Sequence[Reply]:
        try:
            replies = self._engine.run(calls)
            if 0 < len(replies) <= len(calls) or not calls:
                return replies
            log.error("engine_broken", calls=len(calls), replies=len(replies))
        except Exception:
            log.exception("engine_broken", calls=len(calls))
        return [failed(Failure.MODEL, "the version failed on this request")] * len(calls)

    def _refuse_strangers(self, batch: list[tuple[WorkerLink, int, Call]], out: dict[WorkerLink, list[bytes]]) -> None:
        reply: Reply = failed(Failure.UNAVAILABLE, "this process serves another version than the one that was asked for")
        for link, number, call in batch:
            if call.digest != self._digest:
                out.setdefault(link, []).append(encode_reply(number, reply))


def _bounded(reply: Reply) -> Reply:
    if len(reply.body) <= LARGEST_REPLY:
        return reply
    sentence = f"the answer exceeds {LARGEST_REPLY} bytes: send fewer rows per request, or ask for binary outputs"
    return Reply(413, problem(sentence), failure=Failure.CLIENT)
