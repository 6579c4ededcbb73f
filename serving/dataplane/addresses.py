"""Where a replica can be reached: by a unix socket on its own node, and over TCP from the others.

A replica publishes both as metadata that Serve carries to the gateways; each gateway takes the nearer one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

NODE, UNIX, TCP, REPORTS = "node", "unix", "tcp", "reports"
"""The keys of a replica's metadata."""


@dataclass(frozen=True, slots=True, order=True)
class UnixAddress:
    """A socket on this node, in a directory that is this user's alone."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True, order=True)
class TcpAddress:
    """A port on a node's address; who connects there has to prove itself."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "TcpAddress":
        """Read `HOST:PORT` or `[HOST]:PORT`. Raises `ValueError`."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port.isdecimal():
            msg = f"{text!r} is no HOST:PORT"
            raise ValueError(msg)
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


Address = UnixAddress | TcpAddress

KINDS = (UNIX, TCP)


def kind_of(address: Address) -> str:
    """Whether it is within the node."""
    return UNIX if isinstance(address, UnixAddress) else TCP


def parse_address(text: str) -> Address:
    """Read what an address is written as. Raises `ValueError`."""
    return UnixAddress(text) if text.startswith("/") else TcpAddress.parse(text)


def published(node: str, unix: UnixAddress, tcp: TcpAddress | None) -> Mapping[str, str]:
    """What a replica on a node tells the gateways."""
    told = {NODE: node, UNIX: unix.path}
    return told if tcp is None else told | {TCP: str(tcp)}


def nearest(metadata: Mapping[str, str], node: str) -> Address | None:
    """The address by which somebody on `node` reaches a replica; None where it cannot be reached from there."""
    if UNIX in metadata and metadata.get(NODE) == node:
        return UnixAddress(metadata[UNIX])
    return TcpAddress.parse(metadata[TCP]) if TCP in metadata else None
