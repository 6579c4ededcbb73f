"""When families have how much traffic, as a test says."""

from collections.abc import Mapping

from serving.core.quiet import Profile


class MemoryProfiles:
    """Keeps profiles for as long as the test runs."""

    def __init__(self) -> None:
        self.known: Mapping[str, Profile] = {}

    async def profile(self, family: str) -> Profile:
        return self.known.get(family, Profile())

    async def load(self) -> Mapping[str, Profile]:
        return self.known

    async def keep(self, profiles: Mapping[str, Profile]) -> None:
        self.known = dict(profiles)
