"""What an installation on several nodes does between them: by which addresses its processes reach each other, and what they prove."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from serving.bootstrap.layout import Layout
from serving.core.hosts import NODE
from serving.dataplane import nodes
from serving.dataplane.addresses import REPORTS, TcpAddress
from serving.dataplane.handshake import ClusterSecret
from serving.dataplane.trust import Certificate, LinkTrust
from serving.dataplane.watching import Metadata
from serving.stores.opening import StorePlan

REQUEST_IDS = "request-ids"


@dataclass(frozen=True, slots=True)
class Between:
    """What the processes of a cluster are told of it; files are read where they run, and never travel."""

    secret: Path
    certificate: Certificate | None
    bind: str
    advertise: str
    controller: str = ""
    """The application of the controller."""

    def with_controller(self, application: str) -> "Between":
        """The same, with the application that reports go to."""
        return replace(self, controller=application)

    def trust(self) -> LinkTrust:
        """How links to and from other nodes are secured. Raises `UnusableSecret` or `UnusableCertificate`."""
        return LinkTrust.of(ClusterSecret.read(self.secret), self.certificate)

    def key(self, purpose: str) -> bytes:
        """The key of one use of the cluster's secret. Raises `UnusableSecret`."""
        return ClusterSecret.read(self.secret).key(purpose)

    @property
    def bound(self) -> str:
        """The address that ports for other nodes are bound to here."""
        return resolved(self.bind)

    def told(self, port: int) -> TcpAddress:
        """How other nodes reach a port of this one."""
        return TcpAddress(resolved(self.advertise), port)


def resolved(host: str) -> str:
    """An address, for `node` this node's own."""
    return nodes.here().address if host == NODE else host


def url(host: str, port: int) -> str:
    """Where something answers, asked from this node."""
    reached = "127.0.0.1" if host in {"0.0.0.0", "::"} else resolved(host)  # noqa: S104 - compared, not bound
    return f"http://{TcpAddress(reached, port)}"


def host_name(between: Between | None) -> str:
    """What a process is named by, with its id: its machine, on a cluster its node."""
    return socket.gethostname() if between is None else nodes.here().address


@cache
def settled(layout: Layout, *, clustered: bool) -> Layout:
    """The layout on the node that asks; on a cluster that is one of its own, made at the first use."""
    if not clustered:
        return layout
    own = layout.on(nodes.here().address)
    own.create()
    return own


def housed(store: StorePlan, layout: Layout, own: Layout) -> StorePlan:
    """What a process on a node is told of its store, from what all are told."""

    def moved(path: Path) -> Path:
        return own.data / path.relative_to(layout.data)

    return replace(store, state=moved(store.state), traces=tuple(moved(trace) for trace in store.traces))


def receivers(metadata: Sequence[Metadata]) -> list[tuple[str, int]]:
    """Where the controllers hear reports, by what they tell of themselves."""
    addresses = [TcpAddress.parse(entry[REPORTS]) for entry in metadata if REPORTS in entry]
    return [(address.host, address.port) for address in addresses]
