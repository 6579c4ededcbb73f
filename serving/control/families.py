"""What looks at families need of whoever knows them."""

from typing import Protocol

from serving.core.lifecycle import FamilyRecord


class ReadsFamilies(Protocol):
    """Whoever knows the families."""

    async def read(self, family: str) -> FamilyRecord:
        """The family as it is. Raises `UnknownFamilyRecord`, `InvalidRecord` or `StoreUnavailable`."""
        ...
