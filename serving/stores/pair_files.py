"""Disagreeing pairs on their way from the gateways of a node to its admin API: a file for each gateway and rollout, in the node's memory.

They stay for a week after their last change, also when the rollout is over, but not longer than the installation runs.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from serving.stores.durable import read_private, write_aside

KEPT_S = 7 * 24 * 3600.0
LARGEST = 2**25
"""Bytes of a file that are read."""

_SUFFIX = ".pairs"


class PairFiles:
    """The shelf of a node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, rollout: str, gateway: str, pairs: bytes) -> None:
        """Put a gateway's pairs in place of its earlier ones. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old()
        path = self._folder / f"{rollout}@{gateway}{_SUFFIX}"
        write_aside(path, pairs).replace(path)

    def read(self, rollout: str) -> Sequence[bytes]:
        """What every gateway has put there of a rollout, by the gateways' names. Raises `OSError`."""
        found = [path for path in self._folder.glob(f"*{_SUFFIX}") if path.name.rpartition("@")[0] == rollout]
        return [read_private(path, LARGEST) for path in sorted(found)]

    def _forget_old(self) -> None:
        oldest = time.time() - KEPT_S  # noqa: TID251 - compared with the times of files
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
