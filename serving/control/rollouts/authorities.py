"""Which authority holds for a family: its rollout's pinned policy while that is afoot, else its own policy, else the usual one."""

from serving.control.policies.home import PolicyHome
from serving.control.policies.parsing import InvalidPolicy, parse_pinned
from serving.core.policy import Authority
from serving.ports import StateStore


class PolicyAuthorities:
    """The `Authorities` of an installation. A policy that cannot be read takes no right from anybody, least of all that to go back."""

    def __init__(self, store: StateStore, policies: PolicyHome) -> None:
        self._store = store
        self._policies = policies

    async def __call__(self, family: str) -> Authority:
        """What holds for a family. Raises `StoreUnavailable`."""
        record = (await self._store.snapshot()).families.get(family)
        underway = None if record is None else record.rollout
        try:
            if underway is not None and underway.is_afoot:
                return parse_pinned(underway.policy.encode()).policy.authority
            own = await self._policies.own(family)
        except InvalidPolicy:
            return Authority()
        return Authority() if own is None else own.policy.authority
