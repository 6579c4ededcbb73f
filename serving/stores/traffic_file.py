"""What is known of when families have how much traffic, in one file of the node: written whole by whoever leads, read by whoever asks."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from registry_client.decoding import from_json
from serving.core.quiet import Profile
from serving.stores.durable import sync_folder, write_aside


class TrafficFile:
    """The profiles by family. A file that is not there, or cannot be believed, is an empty one: it is learnt anew in a day."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def profile(self, family: str) -> Profile:
        """One family's."""
        return (await self.load()).get(family, Profile())

    async def load(self) -> Mapping[str, Profile]:
        """All of them."""
        return await asyncio.to_thread(self._load)

    async def keep(self, profiles: Mapping[str, Profile]) -> None:
        """Put them in place of what was there. Raises `OSError`."""
        await asyncio.to_thread(self._keep, profiles)

    def _load(self) -> Mapping[str, Profile]:
        try:
            return from_json(self._path.read_bytes(), dict[str, Profile])
        except (OSError, msgspec.MsgspecError, ValueError):
            return {}

    def _keep(self, profiles: Mapping[str, Profile]) -> None:
        write_aside(self._path, msgspec.json.encode(profiles)).replace(self._path)
        sync_folder(self._path.parent)
