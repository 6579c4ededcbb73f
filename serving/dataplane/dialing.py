"""How a gateway reaches a replica: a unix socket on its own node, an authenticated TCP connection to another."""

import asyncio

from serving.dataplane.addresses import Address, TcpAddress, UnixAddress
from serving.dataplane.handshake import GatewayHandshake
from serving.dataplane.introductions import HANDSHAKE_S, GatewayIntroduction, Refusals
from serving.dataplane.sockets import tcp_socket
from serving.dataplane.trust import LinkTrust

CONNECT_S = 2.0
"""How long a connection to another node may take; one to a node that is cut off would try for two minutes."""


class Dialer:
    """Makes the connections of one gateway; without `trust` only those within its node."""

    def __init__(self, loop: asyncio.AbstractEventLoop, trust: LinkTrust | None = None, refusals: Refusals | None = None) -> None:
        self.refusals = refusals or Refusals("gateway")
        self._loop = loop
        self._trust = trust

    async def reach(self, address: Address, digest: str, link: asyncio.Protocol) -> bool:
        """Connect a link to a replica of a bundle; False where nobody listens, or nobody who can be believed."""
        try:
            if isinstance(address, UnixAddress):
                await self._loop.create_unix_connection(lambda: link, address.path)
                return True
            async with asyncio.timeout(CONNECT_S + HANDSHAKE_S):
                return await self._introduce(address, digest, link)
        except (OSError, TimeoutError):
            return False

    async def _introduce(self, address: TcpAddress, digest: str, link: asyncio.Protocol) -> bool:
        trust = self._trust
        if trust is None:
            self.refusals.refused(str(address), "this gateway has no secret for links to other nodes")
            return False
        sock = tcp_socket(address.host)
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._loop.sock_connect(sock, (address.host, address.port))
        except BaseException:
            sock.close()
            raise
        handshake = GatewayHandshake(trust.key, digest)
        introduction = GatewayIntroduction(self._loop, self.refusals, str(address), handshake, link)
        name = None if trust.dialling is None else address.host
        await self._loop.create_connection(lambda: introduction, sock=sock, ssl=trust.dialling, server_hostname=name)
        return await introduction.finished
