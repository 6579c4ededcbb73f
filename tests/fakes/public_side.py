"""A public listener without HTTP: answers by the store's newest routes, unless a test says otherwise."""

from collections.abc import Mapping

from serving.core.routing import Target
from serving.ports import PublicAnswer, StateStore
from tests.fakes.registry import FakeRegistry, answer_of


class FakePublicSide:
    """Serves every family as its record says, and remembers how often it was asked. `instead` are answers to give first."""

    def __init__(self, store: StateStore, registry: FakeRegistry) -> None:
        self._store = store
        self._registry = registry
        self.instead: list[PublicAnswer] = []
        self.asked = 0

    async def predict(self, family: str, request: Mapping[str, object], seconds: float, selector: str = "") -> PublicAnswer:
        del seconds
        if selector:
            return await self.selected(family, selector)
        self.asked += 1
        good = await self.good_answer(family, request)
        if not self.instead:
            return good
        return self.instead.pop(0)

    async def selected(self, family: str, selector: str) -> PublicAnswer:
        """What a request is answered that names something in place of a version; nothing is served here under any name."""
        del family
        return PublicAnswer(400, trouble=f"there is no {selector}")

    async def good_answer(self, family: str, request: Mapping[str, object]) -> PublicAnswer:
        """What production answers."""
        snapshot = await self._store.snapshot()
        record = snapshot.families[family]
        if record.production is None:
            return PublicAnswer(404, trouble="nothing is in production")
        target = Target(family, record.production, record.digests[record.production])
        return PublicAnswer(200, str(record.production), snapshot.epoch, answer_of(target, request))
