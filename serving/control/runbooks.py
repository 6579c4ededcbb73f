"""Puts a family's runbook together, and says whether a rollback of it would work now."""

from collections.abc import Sequence

from serving.control.drill_book import DrillBook
from serving.control.families import ReadsFamilies
from serving.control.policies.holding import HeldPolicies
from serving.control.readiness import Readiness, hindrances, readiness_of
from serving.control.runbook import Facts, runbook
from serving.core.authority import Operators
from serving.core.policy import Policy
from serving.ports import Clock, FleetBoard


class Runbooks:
    """Looks, and changes nothing. Raises what reading a family does, and `InvalidPolicy`."""

    def __init__(self, families: ReadsFamilies, policies: HeldPolicies, board: FleetBoard, drills: DrillBook, clock: Clock) -> None:
        self._families = families
        self._policies = policies
        self._board = board
        self._drills = drills
        self._clock = clock

    async def readiness(self, family: str) -> Readiness:
        """Whether there is a way back, now."""
        return readiness_of(await self._families.read(family), await self._board.read())

    async def hindrances(self, family: str, policy: Policy) -> tuple[str, ...]:
        """What stands in the way of a rollout's start: how rollback is practised, and that there would be no good way back."""
        record = await self._families.read(family)
        return (*await self._drills.hindrances(family, policy), *hindrances(record, await self._board.read()))

    async def runbook(self, family: str, operators: Operators, webhooks: Sequence[str]) -> tuple[str, str]:
        """The document, and the digest of the policy that it is made from."""
        record = await self._families.read(family)
        pinned, standing = await self._policies.of(record), await self._drills.standing(family)
        facts = Facts(
            record=record,
            pinned=pinned,
            readiness=readiness_of(record, await self._board.read()),
            operators=operators,
            webhooks=webhooks,
            due=standing.due,
            trend=standing.trend,
            at=self._clock.now(),
        )
        return runbook(facts), pinned.digest
