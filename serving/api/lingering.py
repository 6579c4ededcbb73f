"""The end of a connection that was refused while its caller still sends: what comes is thrown away, so that the refusal arrives.

A socket that is closed with something unread tells the other end so by a reset, which takes the answer with it (RFC 9112, 9.6).
"""

import asyncio

LINGER_S = 2.0
"""How long a caller may go on sending before the connection is cut."""


class Lingering(asyncio.Protocol):
    """Takes a connection over, whose last answer is written."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._end = loop.call_later(LINGER_S, transport.abort)
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has its answer, or never wanted it."""
        del exc
        self._end.cancel()
