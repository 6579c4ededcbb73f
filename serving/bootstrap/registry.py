"""The registry as serving sees it: which versions are published, and by which digest."""

import asyncio
from collections.abc import Sequence

from registry_client.backends.opening import open_registry
from registry_client.cache import Cache
from registry_client.golden import GoldenExample, parse_golden
from registry_client.manifest import Manifest, Role
from serving.bootstrap.layout import Layout
from serving.core.routing import Target


class PublishedVersions:
    """The `Registry`, `Manifests` and `Examples` ports on a registry client; its reads stay off the event loop."""

    def __init__(self, layout: Layout) -> None:
        self._client = open_registry(layout.registry, Cache(layout.cache))

    async def digest(self, family: str, version: str) -> str:
        """The manifest's digest. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.digest, family, version)

    async def manifest(self, family: str, version: str) -> Manifest:
        """What the version says of itself. Raises `UnknownFamily` or `UnknownVersion`."""
        return await asyncio.to_thread(self._client.manifest, family, version)

    async def versions(self, family: str) -> Sequence[str]:
        """The published versions, oldest first. Raises `UnknownFamily`."""
        return [str(version) for version in await asyncio.to_thread(self._client.versions, family)]

    async def golden(self, target: Target) -> Sequence[GoldenExample]:
        """The golden examples of exactly these bytes, from this machine's cache where they are. Raises `RegistryError`."""
        return await asyncio.to_thread(self._golden, target)

    def _golden(self, target: Target) -> Sequence[GoldenExample]:
        fetched = self._client.fetch(target.family, str(target.version), expected_digest=target.digest)
        files = [fetched.path(artifact.path) for artifact in fetched.manifest.of_role(Role.GOLDEN)]
        return [example for file in files for example in parse_golden(file.read_bytes())]

    async def families(self) -> Sequence[str]:
        """The families that have a published version."""
        return await asyncio.to_thread(self._client.families)
