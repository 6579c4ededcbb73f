"""Admits whoever may do what they ask for, by the configured operators and the authority that holds for the family."""

from collections.abc import Awaitable, Callable

from serving.core.authority import Operators, Right, admitted
from serving.core.happenings import Actor
from serving.core.policy import Authority

Authorities = Callable[[str], Awaitable[Authority]]
"""Gives the authority that holds for a family."""


async def by_default(family: str) -> Authority:
    """The authority of a policy that says nothing of it."""
    del family
    return Authority()


class Entitlement:
    """Asked before a change is looked at: whoever may not, learns nothing of how things stand."""

    def __init__(self, operators: Operators, authorities: Authorities = by_default) -> None:
        self._operators = operators
        self._authorities = authorities

    @property
    def operators(self) -> Operators:
        """The people of this installation."""
        return self._operators

    async def admit(self, family: str, name: str, *rights: Right) -> Actor:
        """Whoever has at least one of the rights in the family, with their roles. Raises `NotEntitled` or `StoreUnavailable`."""
        # Where nobody is held back nothing need be read: a rollback shall not wait for a file.
        authority = Authority() if self._operators.is_open else await self._authorities(family)
        return admitted(self._operators, authority, name, *rights)
