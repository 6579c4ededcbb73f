"""How what a gateway says of itself is written down, alike in every home of the store."""

from datetime import datetime

import msgspec

from registry_client.decoding import from_json
from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.ports import Departed, GatewayAck

MOST_BYTES = 1 << 16


class _Departed(msgspec.Struct, frozen=True):
    family: str
    version: str
    digest: str
    epoch: int
    in_flight: int
    strays: int
    last_stray: datetime | None


class _Ack(msgspec.Struct, frozen=True):
    """A field that a newer program added is left alone: gateways of two releases serve side by side while one replaces the other."""

    gateway: str
    epoch: int
    seen_at: datetime
    fence: int
    node: str
    since: datetime | None
    departed: tuple[_Departed, ...]


def ack_to_document(ack: GatewayAck) -> bytes:
    """Write an ack down as JSON. Whether it has lapsed is for the reader to say."""
    departed = tuple(_departed(one) for one in ack.departed)
    return msgspec.json.encode(_Ack(ack.gateway, ack.epoch, ack.seen_at, ack.fence, ack.node, ack.since, departed))


def ack_from_document(document: bytes, *, lapsed: bool) -> GatewayAck:
    """Read an ack. Raises `ValueError`."""
    if len(document) > MOST_BYTES:
        msg = f"an ack of {len(document)} bytes"
        raise ValueError(msg)
    ack = from_json(document, _Ack)
    departed = tuple(
        Departed(Target(one.family, ModelVersion.parse(one.version), one.digest), one.epoch, one.in_flight, one.strays, one.last_stray)
        for one in ack.departed
    )
    return GatewayAck(ack.gateway, ack.epoch, ack.seen_at, ack.fence, ack.node, lapsed, ack.since, departed)


def _departed(one: Departed) -> _Departed:
    target = one.target
    return _Departed(target.family, str(target.version), target.digest, one.epoch, one.in_flight, one.strays, one.last_stray)
