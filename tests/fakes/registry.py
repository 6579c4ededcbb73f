"""A registry of made-up versions."""

from collections.abc import Sequence
from hashlib import sha256

from registry_client.errors import UnknownFamily, UnknownVersion


def digest_of(family: str, version: str) -> str:
    """The digest that every fake gives a version."""
    return sha256(f"{family}@{version}".encode()).hexdigest()


class FakeRegistry:
    """Knows what it was told was published; `tamper` gives a version other bytes."""

    def __init__(self, **families: Sequence[str]) -> None:
        self._published = {
            family.replace("_", "-"): {version: digest_of(family.replace("_", "-"), version) for version in versions}
            for family, versions in families.items()
        }

    def publish(self, family: str, version: str) -> None:
        self._published.setdefault(family, {})[version] = digest_of(family, version)

    def tamper(self, family: str, version: str) -> None:
        self._published[family][version] = digest_of(family, f"{version} with other bytes")

    async def digest(self, family: str, version: str) -> str:
        published = await self._versions(family)
        if version not in published:
            raise UnknownVersion(family, version)
        return published[version]

    async def versions(self, family: str) -> Sequence[str]:
        return tuple(await self._versions(family))

    async def families(self) -> Sequence[str]:
        return tuple(self._published)

    async def _versions(self, family: str) -> dict[str, str]:
        if family not in self._published:
            raise UnknownFamily(family)
        return self._published[family]
