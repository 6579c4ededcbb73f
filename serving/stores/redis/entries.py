"""How audit entries lie in the stream: hash and record as they are, the rest as JSON. They are read back strictly."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from registry_client.decoding import from_json
from serving.core.audit import AuditEntry
from serving.core.errors import StoreUnavailable


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside hash and record."""

    fence: int
    epoch: int
    family: str
    revision: int
    at: datetime
    actor: str
    action: str
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]
    operation_id: str
    signal: str
    previous: str


def entry_to_document(entry: AuditEntry) -> bytes:
    """Write down what stands beside hash and record."""
    return msgspec.json.encode(
        _Entry(
            fence=entry.fence,
            epoch=entry.epoch,
            family=entry.family,
            revision=entry.revision,
            at=entry.at.astimezone(UTC),
            actor=entry.actor,
            action=entry.action,
            reason=entry.reason,
            before=dict(entry.before),
            after=dict(entry.after),
            operation_id=entry.operation_id,
            signal=entry.signal,
            previous=entry.previous,
        )
    )


def entry_from_stream(epoch: int, fields: Mapping[bytes, bytes]) -> AuditEntry:
    """Read an entry of the stream. Raises `StoreUnavailable` for one that cannot be read."""
    try:
        parts = from_json(fields[b"entry"], _Entry)
        return AuditEntry(record=fields[b"record"], hash=fields[b"hash"].decode("ascii"), **msgspec.structs.asdict(parts))
    except (ValueError, KeyError, RecursionError) as error:
        msg = f"the audit entry of epoch {epoch} cannot be read: {error}"
        raise StoreUnavailable(msg) from error


def microseconds(at: datetime) -> int:
    """A time as it stands beside an entry's epoch."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
