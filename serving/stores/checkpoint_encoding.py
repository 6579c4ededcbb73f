"""How a checkpoint of a decision log is written down, whichever store keeps it. One that was not written whole is none."""

from hashlib import sha256

import msgspec

from registry_client.decoding import from_msgpack
from serving.ports import Checkpoint


class CheckpointDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint; `end`: the byte of the log behind its last line, where the log is a file."""

    lines: int
    last: str
    end: int
    state: bytes
    sha256: str

    def checkpoint(self) -> Checkpoint:
        """What is kept."""
        return Checkpoint(self.lines, self.last, self.state)


def checkpoint_to_document(checkpoint: Checkpoint, *, end: int = 0) -> bytes:
    """Write it down."""
    digest = sha256(checkpoint.state).hexdigest()
    document = CheckpointDocument(lines=checkpoint.lines, last=checkpoint.last, end=end, state=checkpoint.state, sha256=digest)
    return msgspec.msgpack.encode(document)


def checkpoint_from_document(content: bytes) -> CheckpointDocument | None:
    """Read it; None for what is no whole checkpoint: the log is still there."""
    try:
        document = from_msgpack(content, CheckpointDocument)
    except (msgspec.MsgspecError, ValueError):
        return None
    is_whole = document.lines > 0 and document.end >= 0 and sha256(document.state).hexdigest() == document.sha256
    return document if is_whole else None
