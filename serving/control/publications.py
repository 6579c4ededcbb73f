"""What the registry is asked about a family, in the one way that every kind of registry can answer."""

from contextlib import suppress
from difflib import get_close_matches

from registry_client.errors import RegistryError, UnknownFamily, UnknownVersion
from registry_client.versions import ModelVersion
from serving.ports import Registry


async def is_published(registry: Registry, family: str) -> bool:
    """Whether the family has a published version. Not every registry lists its families; all know the versions of one."""
    try:
        await registry.versions(family)
    except UnknownFamily:
        return False
    return True


async def published(registry: Registry, family: str, version: ModelVersion) -> str:
    """The digest of a published version. Raises as `Registry.digest` does; of one that is not there the near one is named."""
    try:
        return await registry.digest(family, str(version))
    except UnknownVersion as error:
        raise UnknownVersion(family, str(version), near=await _near(registry, family, str(version))) from error


async def _near(registry: Registry, family: str, version: str) -> str:
    # That it is not published is known already, whatever becomes of the second question.
    with suppress(RegistryError):
        return next(iter(get_close_matches(version, await registry.versions(family), n=1)), "")
    return ""
