"""The policy that a family is held to: of the rollout that is afoot, of the one that brought production there, or of production's step."""

import asyncio

from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome, Wanted
from serving.control.policies.parsing import parse_policy
from serving.core.drilling import practice_of
from serving.core.errors import PointsmanError
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Pinned, Tell

FIRST = ModelVersion.parse("0.0.0")
"""What a family without a version in production would go by does not depend on it."""


class HeldPolicies:
    """Finds it. Raises `InvalidPolicy` where a file that says it cannot be used."""

    def __init__(self, home: PolicyHome) -> None:
        self._home = home

    async def of(self, record: FamilyRecord) -> Pinned:
        """The family's policy now."""
        practice, underway = practice_of(record), record.rollout
        production = record.production if practice is None else practice.production
        if underway is not None and (underway.is_afoot or underway.rollout.version == str(production)):
            return await asyncio.to_thread(parse_policy, underway.policy.encode())
        before = None if practice is None else practice.before
        return await self._home.choose(record.family, production or FIRST, before, Wanted())

    async def wishes(self, record: FamilyRecord) -> Tell:
        """Whom the family's policy has told of what; everybody of everything where that cannot be known. Never raises."""
        try:
            return (await self.of(record)).policy.tell
        except PointsmanError:
            return Tell()
