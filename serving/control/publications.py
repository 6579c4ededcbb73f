"""What the registry is asked about a family, in the one way that every kind of registry can answer."""

from registry_client.errors import UnknownFamily
from serving.ports import Registry


async def is_published(registry: Registry, family: str) -> bool:
    """Whether the family has a published version. Not every registry lists its families; all know the versions of one."""
    try:
        await registry.versions(family)
    except UnknownFamily:
        return False
    return True
