"""A uvicorn server as part of a service: it starts on a socket of ours and leaves signals to whoever owns the process."""

import asyncio
import socket

import uvicorn

START_LOOK_S = 0.01


class Listening:
    """One server, from start to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        self.server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, sock: socket.socket) -> None:
        """Accept connections. What keeps the server from starting is raised here."""
        self._task = asyncio.create_task(self.server.serve(sockets=[sock]))
        while not self.server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(START_LOOK_S)

    async def stop(self) -> None:
        """Answer what is under way and close."""
        self.server.should_exit = True
        if self._task is not None:
            await self._task


def bound_socket(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket on an address. A shared one can be opened by several processes, over which the kernel spreads connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return sock
