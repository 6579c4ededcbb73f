"""How gateways reach what is elsewhere, within a node or between nodes: versions by a dialer, the controller by an outbox and its inbox."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.bootstrap.between import REQUEST_IDS, Between, receivers
from serving.bootstrap.layout import Layout
from serving.dataplane import addresses
from serving.dataplane.dialing import Dialer
from serving.dataplane.introductions import LinkCounter, Refusals
from serving.dataplane.watching import Metadata, Watch
from serving.telemetry.datagrams import Inbox, Outbox, UdpInbox, UdpOutbox, UnixInbox, UnixOutbox

CONTROLLER = "controller"
"""The name of the one deployment of the controller's application."""

REPORTS = "reports"
"""The purpose of the key that seals reports."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What a gateway goes by."""

    dialer: Dialer
    outbox: Outbox
    request_id_key: bytes
    """All gateways have the same, for one reads what another has signed."""
    watch: Watch | None = None

    def close(self) -> None:
        """Look for the controller no longer."""
        if self.watch is not None:
            self.watch.close()


def ways_of(layout: Layout, between: Between | None, loop: asyncio.AbstractEventLoop, counter: LinkCounter) -> Ways:
    """The ways of a gateway on this node. Raises `UnusableSecret` or `UnusableCertificate` on a cluster."""
    if between is None:
        return Ways(Dialer(loop), UnixOutbox(layout.observations), layout.read_request_id_key())
    outbox = UdpOutbox(between.key(REPORTS))

    def heard(metadata: Sequence[Metadata]) -> None:
        outbox.address_to(receivers(metadata))

    return Ways(
        dialer=Dialer(loop, between.trust(), Refusals("gateway", counter)),
        outbox=outbox,
        request_id_key=between.key(REQUEST_IDS),
        watch=Watch(loop, CONTROLLER, between.controller, heard),
    )


def inbox_of(layout: Layout, between: Between | None) -> tuple[Inbox, Mapping[str, str]]:
    """Where the controller hears reports, and what gateways of other nodes are told of it. Raises `UnusableSecret` on a cluster."""
    if between is None:
        return UnixInbox(layout.observations), {}
    inbox = UdpInbox(between.bound, between.key(REPORTS))
    return inbox, {addresses.REPORTS: str(between.told(inbox.port))}
