"""Fetching a version that is to be loaded, with a note on how far it is for whoever waits for it."""

import time
from collections.abc import Callable
from typing import Final

from registry_client.client import FetchedBundle, RegistryClient
from registry_client.transfers import Moved
from serving.core.routing import Target
from serving.stores.progress_notes import ProgressNotes

PAUSE_S: Final = 0.25
"""Between two notes: whoever looks looks a few times in a second."""

_MIB = 2**20


class FetchNote:
    """The note on one version; is told of every block, and says it now and then. `clock`: seconds, from any beginning on."""

    def __init__(self, notes: ProgressNotes, digest: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._notes, self._digest, self._clock = notes, digest, clock
        self._due = clock()

    def __call__(self, moved: Moved) -> None:
        """Say it if it is time."""
        now = self._clock()
        if now >= self._due:
            self._due = now + PAUSE_S
            self._notes.say(self._digest, sentence(moved))


def sentence(moved: Moved) -> str:
    """How far it is, in whole MiB."""
    return f"fetching {moved.done // _MIB:,} of {-(-moved.size // _MIB):,} MiB"


def fetch(client: RegistryClient, target: Target, notes: ProgressNotes, clock: Callable[[], float] = time.monotonic) -> FetchedBundle:
    """Bring a version to this machine; meanwhile there are notes on it. Raises as `RegistryClient.fetch` does."""
    try:
        told = FetchNote(notes, target.digest, clock)
        return client.fetch(target.family, str(target.version), expected_digest=target.digest, told=told)
    finally:
        notes.clear(target.digest)
