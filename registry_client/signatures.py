"""What is known of the signatures beside a version, for whoever shows it: no key is needed for that, nor the library that has them."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Signature:
    """What is to be said of one envelope beside a version. `key` is the trusted key that made it; without one, `why` says why not.

    What an envelope that nobody trusted made says of itself (`at`, `by`) is only what it says.
    """

    key: str
    at: str = ""
    by: str = ""
    keyid: str = ""
    why: str = ""


class Format(StrEnum):
    """How a signature is written."""

    DSSE = "dsse"
    """An envelope around a statement of ours, by an Ed25519 key."""
    SIGSTORE = "sigstore"
    """As sigstore's `model-signing` makes them, by a key of a curve."""
