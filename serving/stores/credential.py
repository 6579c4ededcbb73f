"""The break-glass credential: the secret that signs overrides, issued before it is needed, with an end where one is set."""

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from registry_client.decoding import from_json
from serving.core.errors import PointsmanError
from serving.stores.durable import UnsafeFile, read_private, sync_folder, write_aside

KEY_BYTES = 32
_MOST_BYTES = 4096
_PURPOSE = b"pointsman override 1\n"
"""Signed along, so that what this key signs is never taken for anything else."""


class CredentialRefused(PointsmanError):
    """A break-glass credential that is missing, not this user's alone, malformed, or past its end."""

    hint = "use the installation's own DATA/secrets/break-glass.key, as the user that serves, or a copy of it with mode 0600"

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"the break-glass credential {path} is refused: {why}")


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["break-glass"]
    schema: Literal[1]
    key: Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{2 * KEY_BYTES}}}$")]
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """The secret, and until when overrides may be signed with it; None is for ever."""

    key: bytes
    expires: datetime | None

    def __repr__(self) -> str:
        """Never the key."""
        return f"Credential(expires={self.expires})"

    def has_expired(self, at: datetime) -> bool:
        """Whether it was past its end at a moment."""
        return self.expires is not None and at > self.expires

    def sign(self, message: bytes) -> str:
        """The signature of a message, in hex."""
        return hmac.new(self.key, _PURPOSE + message, sha256).hexdigest()

    def is_same(self, other: "Credential") -> bool:
        """Whether the other one signs alike."""
        return hmac.compare_digest(self.key, other.key)

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether a signature is this credential's over exactly these bytes."""
        return hmac.compare_digest(self.sign(message).encode(), signature)


def read_credential(path: Path) -> Credential:
    """Read it. Raises `CredentialRefused`."""
    try:
        document = from_json(read_private(path, _MOST_BYTES), _Document)
    except UnsafeFile as unsafe:
        raise CredentialRefused(path, unsafe.why) from unsafe
    except OSError as error:
        raise CredentialRefused(path, f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CredentialRefused(path, f"it is no credential ({error})") from error
    return Credential(bytes.fromhex(document.key), document.expires)


def issue_credential(path: Path) -> None:
    """Make a credential without an end where there is none yet."""
    if path.exists():
        return
    document = _Document("break-glass", 1, secrets.token_hex(KEY_BYTES), None)
    aside = write_aside(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    try:
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    sync_folder(path.parent)
