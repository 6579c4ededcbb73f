"""Where the policies of an installation are: the ready-made tracks, and a folder of its own with more tracks and with families' policies.

FOLDER/NAME.yaml              a track; one with a ready-made track's name takes its place
FOLDER/families/FAMILY.yaml   the family's own policy
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_client.versions import ModelVersion
from serving.control.policies.parsing import NOWHERE, InvalidPolicy, parse_policy
from serving.control.policies.tracks import Chosen, chosen, read_tracks, step_of
from serving.core.policy import Pinned


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which policy somebody wants for a rollout: by name, as a document, or, with neither, whichever is usual."""

    name: str = ""
    document: bytes = b""


class PolicyHome:
    """Reads the files anew each time, so that a changed one holds from the next rollout on; one that is afoot keeps its own."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    async def choose(self, family: str, candidate: ModelVersion, production: ModelVersion | None, wanted: Wanted) -> Pinned:
        """The policy of a rollout. Raises `InvalidPolicy`, naming the file where one cannot be used."""
        return await asyncio.to_thread(self._choose, family, candidate, production, wanted)

    async def usual(self, family: str, candidate: ModelVersion, production: ModelVersion | None) -> Chosen:
        """The policy of a rollout for which nobody says another, and where it comes from. Raises `InvalidPolicy`."""
        return await asyncio.to_thread(self._usual, family, candidate, production)

    async def own(self, family: str) -> Pinned | None:
        """The family's own policy, if it has one. Raises `InvalidPolicy`."""
        return await asyncio.to_thread(self._own, family)

    def _choose(self, family: str, candidate: ModelVersion, production: ModelVersion | None, wanted: Wanted) -> Pinned:
        if wanted.document:
            return parse_policy(wanted.document)
        if not wanted.name:
            return self._usual(family, candidate, production).pinned
        tracks = self._tracks()
        if wanted.name not in tracks:
            name, known = wanted.name[:80], ", ".join(sorted(tracks))
            hint = f"there are {known}; or send a document, from a terminal as a file: ./{name}"
            raise InvalidPolicy(NOWHERE, f"there is no policy {name!r}", hint)
        return tracks[wanted.name]

    def _usual(self, family: str, candidate: ModelVersion, production: ModelVersion | None) -> Chosen:
        return chosen(self._tracks(), step_of(candidate, production), self._own(family))

    def _tracks(self) -> Mapping[str, Pinned]:
        tracks = dict(read_tracks())
        if self._folder is not None and self._folder.is_dir():
            tracks |= read_tracks(self._folder)
        return tracks

    def _own(self, family: str) -> Pinned | None:
        if self._folder is None:
            return None
        path = self._folder / "families" / f"{family}.yaml"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidPolicy(str(path), f"cannot be read: {error.strerror}") from error
        try:
            return parse_policy(text)
        except InvalidPolicy as error:
            raise InvalidPolicy(f"{path.name}: {error.field}".rstrip(": "), error.reason, error.hint) from error
