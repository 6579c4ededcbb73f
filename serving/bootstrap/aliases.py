"""Following the aliases of the registry, where it has some and the settings name one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from registry_client.address import MlflowAddress
from registry_client.backends.mlflow.aliases import Aliases
from registry_client.backends.mlflow.backend import MlflowBackend
from serving.bootstrap.layout import Layout
from serving.bootstrap.registry import PublishedVersions
from serving.control.controller import TICK_S, Chore
from serving.control.drill_book import DrillBook
from serving.control.entitlement import Entitlement
from serving.control.following_aliases import AliasFollower, Following
from serving.control.operations import Author, Operations
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.promotions import Answered, PromotionRequest, PromotionRequests
from serving.control.rollouts.authorities import PolicyAuthorities
from serving.control.rollouts.desk import Grounds, RolloutDesk
from serving.control.runbooks import Runbooks
from serving.core.authority import Operators, Right
from serving.ports import Clock, RolloutBoard, StateStore
from serving.stores.alias_file import AliasFile
from serving.stores.opening import Store
from serving.stores.traffic_file import TrafficFile


class MlflowAliases:
    """The `AliasRegistry` port on MLflow; its requests stay off the event loop."""

    def __init__(self, backend: MlflowBackend) -> None:
        self._backend = backend

    async def aliases(self, known: Aliases) -> Aliases:
        """Where they all point. Raises `RegistryUnavailable` or `AccessRefused`."""
        return await asyncio.to_thread(self._backend.aliases, known)

    async def annotate(self, family: str, version: str, words: Mapping[str, str]) -> None:
        """Write beside a version what became of it."""
        await asyncio.to_thread(self._backend.annotate, family, version, words)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Promotion requests of one who must have the right to start rollouts of the family."""

    requests: PromotionRequests
    entitlement: Entitlement

    async def ask(self, request: PromotionRequest, author: Author) -> Answered:
        """Take a request one step on. Raises `NotEntitled`, and what the requests raise."""
        await self.entitlement.admit(request.family, author.actor, Right.START)
        return await self.requests.ask(request, author)


@dataclass(frozen=True, slots=True)
class Parts:
    """What promotion requests are taken with."""

    operations: Operations
    policies: PolicyHome
    seen: StateStore
    store: Store
    rollouts: RolloutBoard
    registry: PublishedVersions
    operators: Operators
    clock: Clock

    def asks(self, layout: Layout) -> Admitted:
        """Who takes them, as over HTTP."""
        held = HeldPolicies(self.policies)
        drills = DrillBook(self.operations, held, TrafficFile(layout.traffic), self.clock)
        runbooks = Runbooks(self.operations, held, self.store, drills, self.clock)
        grounds = Grounds(self.policies, self.store, self.rollouts, self.registry, self.operators, runbooks.hindrances)
        requests = PromotionRequests(self.operations, RolloutDesk(self.operations, grounds, self.clock), self.store, self.registry)
        return Admitted(requests, Entitlement(self.operators, PolicyAuthorities(self.seen, self.policies)))


LISTEN_S = 0.1
"""Between two looks at whether there was a hint."""


def alias_loop(layout: Layout, following: Following | None, parts: Parts) -> Mapping[str, Chore]:
    """What a leader does besides, to follow the aliases of this installation's registry; nothing where it has none, or none is named."""
    plan = layout.registry
    if following is None or not isinstance(plan.address, MlflowAddress):
        return {}
    aliases = MlflowAliases(MlflowBackend(plan.address, plan.access))
    follower = AliasFollower(aliases, AliasFile(layout.aliases), parts.asks(layout), parts.clock, following)
    return {"aliases": Chore(follower.step, TICK_S if following.hints is None else LISTEN_S)}
