"""How datagrams get from the gateways to the controller: a unix socket within a node, sealed UDP between nodes.

Either way sending costs nothing when nobody listens, and a datagram may be lost. A sealed one carries who sent it, a number that only
grows, and an HMAC over all of it: what others made or recorded is dropped. It is not encrypted.

sealed  sender 8 | number u64 | payload | HMAC-SHA256 32
"""

import hmac
import os
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Protocol

HostPort = tuple[str, int]

_BUFFER = 2**16
_HEAD = Struct(">8sQ")
_MAC_BYTES = 32

UNIX_LARGEST = 60_000
"""Bytes in one datagram on a unix socket; Linux takes more, others do not."""

UDP_LARGEST = 1_200
"""Bytes in one sealed datagram: it passes every network in one piece, so that the loss of one piece costs no more than itself."""

SENDERS_MOST = 4096
"""Senders whose newest number is remembered."""


class Outbox(Protocol):
    """Where a sender puts its datagrams; `largest` is what fits into one. Never blocks, never raises."""

    largest: int

    def send(self, datagram: bytes) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Inbox(Protocol):
    """What a receiver reads from; for an event loop it is a file."""

    def open(self) -> None: ...  # noqa: D102
    def fileno(self) -> int: ...  # noqa: D102
    def datagrams(self) -> Iterator[bytes]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class UnixOutbox:
    """Sends to a path."""

    largest = UNIX_LARGEST

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)

    def send(self, datagram: bytes) -> None:
        """Send; a receiver that is away or full does not get it."""
        with suppress(OSError):
            self._socket.sendto(datagram, self._path)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class UnixInbox:
    """A bound socket that appears at its path complete, with its final mode; whoever left one there has lost the path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._inode = 0

    def open(self) -> None:
        """Take over the path. Only this user may send."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        os.fchmod(self._socket.fileno(), 0o600)  # what bind gives the file, so that it is never open to others
        beside = self._path.with_name(f"{self._path.name}~")
        beside.unlink(missing_ok=True)
        self._socket.bind(str(beside))
        self._inode = beside.stat().st_ino
        beside.replace(self._path)

    def fileno(self) -> int:
        """For the event loop."""
        return -1 if self._socket is None else self._socket.fileno()

    def datagrams(self) -> Iterator[bytes]:
        """Whatever has arrived."""
        with suppress(BlockingIOError, InterruptedError):
            while self._socket is not None:
                yield self._socket.recv(_BUFFER)

    def close(self) -> None:
        """Close, and remove the path if it is still ours."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class UdpOutbox:
    """Sends sealed datagrams to every address it was told of last; to none until then."""

    largest = UDP_LARGEST

    def __init__(self, key: bytes, number: Callable[[], int] = time.time_ns) -> None:
        self._key = key
        self._sender = secrets.token_bytes(8)
        self._number = number
        self._last = 0
        self._receivers: tuple[HostPort, ...] = ()
        self._sockets: dict[int, socket.socket] = {}

    def address_to(self, receivers: Collection[HostPort]) -> None:
        """Send to these from now on."""
        self._receivers = tuple(receivers)

    def send(self, datagram: bytes) -> None:
        """Seal and send."""
        if not self._receivers:
            return
        # A clock that was set back must not make this sender a liar.
        self._last = max(self._number(), self._last + 1)
        sealed = _seal(self._key, _HEAD.pack(self._sender, self._last) + datagram)
        for host, port in self._receivers:
            with suppress(OSError):
                self._socket_for(host).sendto(sealed, (host, port))

    def close(self) -> None:
        """Let go of the sockets."""
        for sock in self._sockets.values():
            sock.close()

    def _socket_for(self, host: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if family not in self._sockets:
            self._sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
            self._sockets[family].settimeout(0)
        return self._sockets[family]


class UdpInbox:
    """Receives sealed datagrams on one address, and drops what does not fit its seal or is older than what it has seen.

    It is bound from the beginning, so that its port can be told, and to the end; who opens it hears what comes from then on.
    Raises `OSError` where the address is not this node's.
    """

    def __init__(self, host: str, key: bytes) -> None:
        self._key = key
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        try:
            self._socket.bind((host, 0))
        except OSError:
            self._socket.close()
            raise
        self._newest: OrderedDict[bytes, int] = OrderedDict()
        self.dropped = 0
        """Datagrams that were forged, damaged or repeated, since the start."""

    def open(self) -> None:
        """Forget what has piled up while nobody listened."""
        for _ in self.datagrams():
            pass

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def datagrams(self) -> Iterator[bytes]:
        """Whatever has arrived and can be believed."""
        with suppress(BlockingIOError, InterruptedError):
            while True:
                payload = self._unseal(self._socket.recv(_BUFFER))
                if payload is not None:
                    yield payload

    def close(self) -> None:
        """Nobody listens any more; what comes piles up, and is lost when there is no room."""

    def release(self) -> None:
        """Let go of the port."""
        self._socket.close()

    def _unseal(self, sealed: bytes) -> bytes | None:
        body, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(mac, hmac.digest(self._key, body, "sha256")):
            self.dropped += 1
            return None
        sender, number = _HEAD.unpack_from(body)
        if number <= self._newest.get(sender, -1):
            self.dropped += 1
            return None
        self._newest[sender] = number
        self._newest.move_to_end(sender)
        if len(self._newest) > SENDERS_MOST:
            self._newest.popitem(last=False)
        return body[_HEAD.size :]


def _seal(key: bytes, body: bytes) -> bytes:
    return body + hmac.digest(key, body, "sha256")
