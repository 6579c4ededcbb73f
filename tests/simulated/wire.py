"""Datagrams from an outbox to an inbox of the same process: as on a socket, but none is lost for want of room."""

import asyncio
import os
from collections import deque
from collections.abc import Iterator

from serving.telemetry.datagrams import UNIX_LARGEST

PATIENCE_S = 5.0


class Wire:
    """Both ends, an `Outbox` and an `Inbox`."""

    largest = UNIX_LARGEST

    def __init__(self) -> None:
        self._waiting = deque[bytes]()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def open(self) -> None:
        """It is open from the beginning."""

    def fileno(self) -> int:
        """What an event loop waits for."""
        return self._bell

    def send(self, datagram: bytes) -> None:
        """Put one in, and ring."""
        self._is_empty.clear()
        self._waiting.append(datagram)
        os.eventfd_write(self._bell, 1)

    def datagrams(self) -> Iterator[bytes]:
        """Take them out; the bell rings on while any are left."""
        while self._waiting:
            yield self._waiting.popleft()
        os.eventfd_read(self._bell)
        self._is_empty.set()

    async def drained(self) -> None:
        """Wait until whoever listens has taken all of them."""
        async with asyncio.timeout(PATIENCE_S):
            await self._is_empty.wait()

    def close(self) -> None:
        """Let go of the bell; both ends may say so."""
        bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)
