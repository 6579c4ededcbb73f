"""Signs of life in Redis: who serves which epoch, who leads, what runs. Every lease goes by the server's own clock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from serving.core.errors import StoreUnavailable
from serving.ports import GatewayAck, Leader, LoadStatus
from serving.stores.acks import ack_from_document, ack_to_document
from serving.stores.encoding import board_from_document, board_to_document
from serving.stores.redis import scripts
from serving.stores.redis.connection import Wire
from serving.stores.redis.keys import Keys

LEASE_SECONDS = 5.0
"""A gateway that was not heard of for so long is gone."""

FORGOTTEN_SECONDS = 600.0
"""Gateways gone for so long are swept away."""

MILLISECONDS = 1000


class RedisSigns:
    """The `Leadership`, `Acks` and `FleetBoard` of several nodes."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    # --- Leadership

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease; the fencing token, or None while another holds it."""
        token = await self._wire.script(scripts.LEAD, [self._keys.leader], holder, round(seconds * MILLISECONDS))
        return None if token is None else int(token)

    async def resign(self, holder: str) -> None:
        """Let another lead at once, if this holder does."""
        await self._wire.script(scripts.RESIGN, [self._keys.leader], holder)

    async def leader(self) -> Leader | None:
        """Who holds the lease now."""
        now, (holder, token, until, length) = await self._wire.script(scripts.LEADER, [self._keys.leader])
        if not holder or not 0 < int(until) - now <= int(length):
            return None
        return Leader(holder.decode(), int(token), datetime.fromtimestamp(int(until) / MILLISECONDS, UTC))

    # --- Acks

    async def ack(self, ack: GatewayAck) -> None:
        """Note what a gateway serves, and that it was heard of now: the server's now, not the gateway's."""
        forgotten = round(FORGOTTEN_SECONDS * MILLISECONDS)
        await self._wire.script(scripts.ACK, [self._keys.gateways], ack.gateway, ack_to_document(ack), forgotten)

    async def acks(self) -> Sequence[GatewayAck]:
        """The gateways heard of within their lease, by name."""
        return await self._heard_of(lapsed=False)

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        """Those whose lease ran out not long ago, by name."""
        return await self._heard_of(lapsed=True)

    async def leave(self, gateway: str) -> None:
        """Forget a gateway that stops."""
        await self._wire.call("HDEL", self._keys.gateways, gateway)

    # --- FleetBoard

    async def post(self, states: Sequence[LoadStatus]) -> None:
        """Say what runs."""
        await self._wire.call("HSET", self._keys.board, "document", board_to_document(states))

    async def read(self) -> Sequence[LoadStatus]:
        """What was last posted."""
        document = await self._wire.call("HGET", self._keys.board, "document")
        try:
            return () if document is None else board_from_document(document)
        except ValueError as error:
            msg = f"what was posted of the running versions cannot be read: {error}"
            raise StoreUnavailable(msg) from error

    async def _heard_of(self, *, lapsed: bool) -> Sequence[GatewayAck]:
        now, known = await self._wire.script(scripts.ACKS, [self._keys.gateways])
        found: list[GatewayAck] = []
        for gateway, value in zip(known[::2], known[1::2], strict=True):
            heard, _, document = value.partition(b" ")
            # A clock that was set back leaves acks from the future: those are no sign of life either.
            silent = abs(now - int(heard)) / MILLISECONDS
            if silent <= FORGOTTEN_SECONDS and (silent > LEASE_SECONDS) == lapsed:
                found.append(_ack(gateway.decode(), int(heard), document, lapsed=lapsed))
        return sorted(found, key=lambda ack: ack.gateway)


def _ack(gateway: str, heard: int, document: bytes, *, lapsed: bool) -> GatewayAck:
    try:
        ack = ack_from_document(document, lapsed=lapsed)
    except ValueError as error:
        msg = f"what gateway {gateway!r} serves cannot be read: {error}"
        raise StoreUnavailable(msg) from error
    return replace(ack, seen_at=datetime.fromtimestamp(heard / MILLISECONDS, UTC))
