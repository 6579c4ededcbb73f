"""The registry as serving sees it: which versions are published, and by which digest."""

import asyncio
from collections.abc import Sequence

from registry_client.backends.files import FilesBackend
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.manifest import Manifest
from serving.bootstrap.layout import Layout


class PublishedVersions:
    """The `Registry` and `Manifests` ports on a registry client; its file reads stay off the event loop."""

    def __init__(self, layout: Layout) -> None:
        self._client = RegistryClient(FilesBackend(layout.registry), Cache(layout.cache))

    async def digest(self, family: str, version: str) -> str:
        """The manifest's digest. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.digest, family, version)

    async def manifest(self, family: str, version: str) -> Manifest:
        """What the version says of itself. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.manifest, family, version)

    async def versions(self, family: str) -> Sequence[str]:
        """The published versions, oldest first. Raises `UnknownFamily`."""
        return [str(version) for version in await asyncio.to_thread(self._client.versions, family)]

    async def families(self) -> Sequence[str]:
        """The families that have a published version."""
        return await asyncio.to_thread(self._client.families)
