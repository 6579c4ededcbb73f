"""How what the controller last saw of rollouts is written down, for those who ask. Nothing is decided by it but `advance`."""

from collections.abc import Mapping

import msgspec

from registry_client.decoding import from_json
from serving.core.decisions import worded
from serving.core.errors import StoreUnavailable
from serving.ports import Progress


def progress_to_document(progress: Mapping[str, Progress]) -> bytes:
    """Write it down."""
    return msgspec.json.encode(worded(msgspec.to_builtins(progress)))


def progress_from_document(document: bytes) -> Mapping[str, Progress]:
    """Read it. Raises `StoreUnavailable`."""
    try:
        return from_json(document, dict[str, Progress], strict=False)  # not strict: see `worded`
    except (ValueError, RecursionError) as error:
        msg = f"what was posted of the rollouts cannot be read: {error}"
        raise StoreUnavailable(msg) from error


def seen_in(document: bytes, rollout: str) -> Progress | None:
    """What was seen of a rollout last; None where that cannot be read: the log is still there."""
    try:
        return progress_from_document(document).get(rollout)
    except StoreUnavailable:
        return None
