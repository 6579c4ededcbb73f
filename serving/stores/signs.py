"""Signs of life in the SQLite store: which gateway serves what, which controller leads."""

from collections.abc import Sequence
from datetime import timedelta

import apsw

from serving.core.errors import StoreUnavailable
from serving.ports import Clock, GatewayAck, Leader
from serving.stores.acks import ack_from_document, ack_to_document
from serving.stores.lane import transaction
from serving.stores.rows import rows

LEASE_SECONDS = 5.0
"""A gateway that was not heard of for so long is gone."""

FORGOTTEN_SECONDS = 600.0
"""Gateways gone for so long are swept away."""

_ACK = "INSERT OR REPLACE INTO gateways (gateway, seen_at, document) VALUES (?, ?, ?)"
_ACKS = "SELECT seen_at, document FROM gateways ORDER BY gateway"
_LEAD = "INSERT OR REPLACE INTO leader (id, holder, token, until, seconds) VALUES (1, ?, ?, ?, ?)"


def note_ack(connection: apsw.Connection, ack: GatewayAck) -> None:
    """Note what a gateway serves, and forget those long gone."""
    seen_at = ack.seen_at.timestamp()
    with transaction(connection, "IMMEDIATE"):
        rows(connection, _ACK, ack.gateway, seen_at, ack_to_document(ack))
        rows(connection, "DELETE FROM gateways WHERE seen_at < ?", seen_at - FORGOTTEN_SECONDS)


def acks(connection: apsw.Connection, now: float, *, lapsed: bool) -> Sequence[GatewayAck]:
    """The gateways heard of within their lease, or those whose lease ran out not long ago; `now` in seconds since 1970."""
    found: list[GatewayAck] = []
    for seen_at, document in rows(connection, _ACKS):
        # A clock that was set back leaves acks from the future: those are no sign of life either.
        silent = abs(now - seen_at)
        if silent <= FORGOTTEN_SECONDS and (silent > LEASE_SECONDS) == lapsed:
            found.append(_believed(document, lapsed=lapsed))
    return found


def _believed(document: bytes, *, lapsed: bool) -> GatewayAck:
    try:
        return ack_from_document(document, lapsed=lapsed)
    except ValueError as error:
        msg = f"what a gateway said of itself cannot be read: {error}"
        raise StoreUnavailable(msg) from error


def forget(connection: apsw.Connection, gateway: str) -> None:
    """Forget a gateway that stops."""
    rows(connection, "DELETE FROM gateways WHERE gateway = ?", gateway)


def lead(connection: apsw.Connection, holder: str, now: float, seconds: float) -> int | None:
    """Take or renew the lease, if nobody else holds it; `now` in seconds of the machine's monotonic clock."""
    with transaction(connection, "IMMEDIATE"):
        held = rows(connection, "SELECT holder, token, until, seconds FROM leader")
        leader, token, until, length = held[0] if held else ("", 0, 0.0, 0.0)
        # A lease with more left than it was given is from before the machine started anew. A second is for roundings.
        is_taken = leader != holder and 0 < until - now <= length + 1
        if is_taken:
            return None
        token = token if leader == holder else token + 1
        rows(connection, _LEAD, holder, token, now + seconds, seconds)
    return token


def resign(connection: apsw.Connection, holder: str) -> None:
    """End the lease of a holder, keeping its token from ever being given again."""
    rows(connection, "UPDATE leader SET until = 0, holder = '' WHERE holder = ?", holder)


def leader(connection: apsw.Connection, clock: Clock) -> Leader | None:
    """Who holds the lease."""
    held = rows(connection, "SELECT holder, token, until, seconds FROM leader")
    holder, token, until, length = held[0] if held else ("", 0, 0.0, 0.0)
    left = until - clock.monotonic()
    return Leader(holder, token, clock.now() + timedelta(seconds=left)) if holder and 0 < left <= length + 1 else None


def newest_token(connection: apsw.Connection) -> int:
    """The fencing token that was given last; 0 when none was."""
    held = rows(connection, "SELECT token FROM leader")
    return held[0][0] if held else 0
