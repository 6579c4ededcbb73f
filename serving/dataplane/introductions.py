"""The handshake on a connection: two protocols that prove both ends to each other, and then hand the connection to the link.

Until an introduction is over, not a byte that arrives is taken for a frame.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from serving.dataplane.handshake import ANSWER_BYTES, HELLO, PROOF_BYTES, GatewayHandshake, HandshakeFailed, VersionHandshake

log = structlog.get_logger()

HANDSHAKE_S = 3.0
"""How long an introduction may take; who connects and says nothing is hung up on."""

PEERS_MOST = 1024
"""Peers whose refusal is remembered, so that each is logged once."""


class LinkCounter(Protocol):
    """Where refused introductions are counted."""

    def link_refused(self, end: str) -> None: ...  # noqa: D102 - one line says it all


class Refusals:
    """The introductions that failed on one end: all are counted, and each peer's first is logged until it succeeds."""

    def __init__(self, end: str, counter: LinkCounter | None = None) -> None:
        self.count = 0
        self._end = end
        self._counter = counter
        self._peers: set[str] = set()

    def refused(self, peer: str, why: str) -> None:
        """An introduction failed."""
        self.count += 1
        if self._counter is not None:
            self._counter.link_refused(self._end)
        if peer not in self._peers and len(self._peers) < PEERS_MOST:
            self._peers.add(peer)
            log.warning("link_refused", end=self._end, peer=peer, why=why)

    def accepted(self, peer: str) -> None:
        """An introduction succeeded."""
        self._peers.discard(peer)


class _Introduction(asyncio.Protocol):
    """Takes messages of known size until the connection is the link's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, refusals: Refusals, peer: str) -> None:
        self.finished: asyncio.Future[bool] = loop.create_future()
        """Whether the other end belongs to the cluster."""
        self.transport: asyncio.Transport | None = None
        self._refusals = refusals
        self._peer = peer
        self._buffer = bytearray()
        self._wanted = 0
        self._timer = loop.call_later(HANDSHAKE_S, self._fail, "it did not introduce itself in time")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's transport; uvloop's is no subclass
        """Begin."""
        self.transport = transport
        if self.finished.done():  # TLS took too long
            transport.abort()
        self._peer = self._peer or str((transport.get_extra_info("peername") or ("unknown",))[0])

    def connection_lost(self, exc: Exception | None) -> None:
        """It hung up before it was over."""
        self._fail("it hung up during the handshake" if exc is None else str(exc))

    def data_received(self, data: bytes) -> None:
        """Gather what arrived, and take a message as soon as it is whole."""
        self._buffer += data
        try:
            while not self.finished.done() and len(self._buffer) >= self._wanted:
                message = bytes(self._buffer[: self._wanted])
                del self._buffer[: self._wanted]
                self._take(message)
        except HandshakeFailed as error:
            self._fail(str(error))

    def _take(self, message: bytes) -> None:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _hand_over(self, link: asyncio.Protocol) -> None:
        """The connection is the link's from here on, with whatever arrived beyond the handshake."""
        self._timer.cancel()
        self._refusals.accepted(self._peer)
        self.finished.set_result(True)
        if self.transport is not None:
            self.transport.set_protocol(link)
            link.connection_made(self.transport)
            if self._buffer:
                link.data_received(bytes(self._buffer))

    def _fail(self, why: str) -> None:
        self._timer.cancel()
        if not self.finished.done():
            self.finished.set_result(False)
            self._refusals.refused(self._peer, why)
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class GatewayIntroduction(_Introduction):
    """The end that dialled: says hello, believes the version, proves itself."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, refusals: Refusals, peer: str, handshake: GatewayHandshake, link: asyncio.Protocol
    ) -> None:
        super().__init__(loop, refusals, peer)
        self._handshake = handshake
        self._link = link
        self._wanted = ANSWER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as above
        """Say hello."""
        super().connection_made(transport)
        transport.write(self._handshake.hello)

    def _take(self, message: bytes) -> None:
        self._write(self._handshake.proof(message, self._certificate()))
        self._hand_over(self._link)

    def _certificate(self) -> bytes:
        shown = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        return (shown.getpeercert(binary_form=True) or b"") if isinstance(shown, ssl.SSLObject) else b""


class VersionIntroduction(_Introduction):
    """The end that was dialled: hears hello, proves itself, believes the gateway."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        refusals: Refusals,
        handshake: VersionHandshake,
        certificate: bytes,
        make_link: Callable[[], asyncio.Protocol],
    ) -> None:
        super().__init__(loop, refusals, "")
        self._handshake = handshake
        self._certificate = certificate
        self._make_link = make_link
        self._wanted = HELLO.size
        self._has_answered = False

    def _take(self, message: bytes) -> None:
        if self._has_answered:
            self._handshake.admit(message)
            self._hand_over(self._make_link())
        else:
            self._write(self._handshake.answer(message, self._certificate))
            self._wanted, self._has_answered = PROOF_BYTES, True


def hang_up(introductions: Iterable[_Introduction]) -> None:
    """End introductions that are under way."""
    for introduction in introductions:
        if introduction.transport is not None:
            introduction.transport.abort()
