"""How what the controller last saw of rollouts is written down, for those who ask. Nothing is decided by it but `advance`."""

from collections.abc import Mapping
from math import isfinite
from typing import cast

import msgspec

from registry_client.decoding import from_json
from serving.core.errors import StoreUnavailable
from serving.ports import Progress


def progress_to_document(progress: Mapping[str, Progress]) -> bytes:
    """Write it down."""
    return msgspec.json.encode(_worded(msgspec.to_builtins(progress)))


def progress_from_document(document: bytes) -> Mapping[str, Progress]:
    """Read it. Raises `StoreUnavailable`."""
    try:
        return from_json(document, dict[str, Progress], strict=False)  # not strict: see `_worded`
    except (ValueError, RecursionError) as error:
        msg = f"what was posted of the rollouts cannot be read: {error}"
        raise StoreUnavailable(msg) from error


def seen_in(document: bytes, rollout: str) -> Progress | None:
    """What was seen of a rollout last; None where that cannot be read: the log is still there."""
    try:
        return progress_from_document(document).get(rollout)
    except StoreUnavailable:
        return None


def _worded(value: object) -> object:
    """The same, with numbers as text that JSON has no word for: a guard that allows every failure has evidence of minus infinity."""
    match value:
        case float():
            return value if isfinite(value) else str(value)
        case dict():
            return {key: _worded(inner) for key, inner in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return [_worded(inner) for inner in cast("list[object]", value)]
        case _:
            return value
