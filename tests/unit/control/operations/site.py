"""Operations with everything they stand on: the fake store, registry, board and clock."""

from registry_client.versions import ModelVersion
from serving.control.operations import Author, Operations
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Target
from serving.ports import Acks, LoadState, LoadStatus
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.store import FakeStore

V1, V2, V3, V4 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"))


def status(version: ModelVersion, state: LoadState = LoadState.READY, detail: str = "", digest: str = "") -> LoadStatus:
    return LoadStatus(Target("digits", version, digest or digest_of("digits", str(version))), state, detail, 1)


class Site:
    """Operations with everything they stand on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.registry = FakeRegistry(digits=["1.0.0", "1.1.0", "1.2.0", "2.0.0"])
        self.operations = self.with_acks(self.store)
        self._operation = 0

    def with_acks(self, acks: Acks) -> Operations:
        return Operations(self.store, acks, self.store, self.registry, self.clock)

    def of_term(self, token: int) -> Operations:
        """What a controller changes that leads under a token."""
        return Operations(self.store, self.store, self.store, self.registry, self.clock, lambda: token)

    def author(self, reason: str = "better recall", operation_id: str = "", actor: str = "ada") -> Author:
        self._operation += 1
        return Author(actor, reason, operation_id or f"op-{self._operation}")

    async def runs(self, *statuses: LoadStatus) -> None:
        await self.store.post(statuses)

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families["digits"]

    async def promoted(self, *versions: ModelVersion) -> None:
        for version in versions:
            await self.operations.promote("digits", version, self.author())
