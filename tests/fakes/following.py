"""A gateway that serves whatever the fake store says, as soon as it says so."""

from collections.abc import Sequence

from serving.ports import Commit, GatewayAck, Transition
from tests.fakes.admin_server import SelfLoadingStore


class FollowedStore(SelfLoadingStore):
    """Its one gateway is always heard of and serves every change at once, unless `follows` is false: then it is stuck."""

    follows = True
    served: GatewayAck | None = None

    async def commit(self, transition: Transition) -> Commit:
        commit = await super().commit(transition)
        if self.follows or self.served is None:
            self.served = GatewayAck("gateway-1", commit.epoch, transition.at, since=transition.at)
        return commit

    async def acks(self) -> Sequence[GatewayAck]:
        return () if self.served is None else (self.served,)
