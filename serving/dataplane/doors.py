"""Where gateways come in: the sockets on which a version is dialled, one for its own node and one for the others."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from serving.dataplane.addresses import TcpAddress
from serving.dataplane.handshake import VersionHandshake
from serving.dataplane.introductions import HANDSHAKE_S, Refusals, VersionIntroduction, hang_up
from serving.dataplane.sockets import listening_socket
from serving.dataplane.trust import LinkTrust

STRANGERS_MOST = 64
"""Connections that may be in the handshake at once; who comes when so many are is hung up on."""


class Doors:
    """The listening sockets of one version; `make_link` makes the protocol of a gateway that was let in."""

    def __init__(self, loop: asyncio.AbstractEventLoop, digest: str, make_link: Callable[[], asyncio.Protocol]) -> None:
        self._loop = loop
        self._digest = digest
        self._make_link = make_link
        self._servers: list[asyncio.Server] = []
        self._strangers: set[VersionIntroduction] = set()

    async def open_unix(self, path: Path) -> None:
        """Let in who can open the socket's directory, which is this user alone."""
        self._servers.append(await self._loop.create_unix_server(self._make_link, str(path)))

    async def open_tcp(self, host: str, trust: LinkTrust, refusals: Refusals) -> TcpAddress:
        """Let in who proves the secret, on one address and a port of the system's choice; where that is. Raises `OSError`."""

        def introduce() -> asyncio.Protocol:
            if len(self._strangers) >= STRANGERS_MOST:
                return _Turned()
            handshake = VersionHandshake(trust.key, self._digest)
            introduction = VersionIntroduction(self._loop, refusals, handshake, trust.shown, self._make_link)
            self._strangers.add(introduction)
            introduction.finished.add_done_callback(lambda _: self._strangers.discard(introduction))
            return introduction

        sock = listening_socket(host)
        port: int = sock.getsockname()[1]
        patience = None if trust.listening is None else HANDSHAKE_S
        server = await self._loop.create_server(introduce, sock=sock, ssl=trust.listening, ssl_handshake_timeout=patience)
        self._servers.append(server)
        return TcpAddress(host, port)

    def close(self) -> None:
        """Stop listening; links that are open stay."""
        for server in self._servers:
            server.close()
        hang_up(self._strangers)


class _Turned(asyncio.Protocol):
    """A connection that came when there was no room for strangers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's transport; uvloop's is no subclass
        """Hang up."""
        transport.abort()
