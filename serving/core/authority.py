"""Who may do what: names have roles by configuration, a policy says which roles have a right, and `admitted` puts the two together.

Where no operators are configured nobody is held back: identities are taken on trust there, and roles by them would be for show.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from serving.core.changes import Change, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag
from serving.core.consumers import ClearConsumer, SetConsumer
from serving.core.drilling import BeginDrill, EndDrill, FailDrill
from serving.core.errors import PointsmanError
from serving.core.happenings import AUTO, Actor
from serving.core.policy import Authority, Policy
from serving.core.rehearsing import BeginRehearsal, CatchRehearsal, EndRehearsal, MeasureRehearsal


class Right(StrEnum):
    """What somebody may be entitled to; the fields of a policy's `authority`."""

    START = "start"
    ADVANCE = "advance"
    OVERRIDE = "override"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Operators:
    """The people of an installation, each with roles. `Operators()`: nobody is named, so nobody is held back."""

    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __post_init__(self) -> None:
        """Refuse the rollout's own name and role: a person who had them would pass for a guard."""
        for name, roles in self.roles.items():
            if name == AUTO.name or AUTO.name in roles:
                msg = f"operators.{name}: {AUTO.name!r} is the rollout itself, nobody can be or have it"
                raise ValueError(msg)

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything."""
        return not self.roles

    def actor(self, name: str, named: Iterable[str]) -> Actor:
        """Somebody with the roles they have; of the roles that are named anywhere all, where everybody may do everything."""
        if self.is_open:
            return Actor(name, tuple(role for role in dict.fromkeys(named) if role != AUTO.name))
        return Actor(name, self.roles.get(name, ()))

    def having(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Whoever has at least one of these roles, by name."""
        wanted = frozenset(roles)
        return tuple(sorted(name for name, held in self.roles.items() if wanted & frozenset(held)))


class NotEntitled(PointsmanError):
    """Somebody asked for what they may not: nothing was changed."""

    def __init__(self, name: str, rights: tuple[Right, ...], roles: tuple[str, ...], operators: Operators) -> None:
        self.name, self.rights, self.roles = name, rights, roles
        people = ", ".join(operators.having(roles))
        self.hint = f"ask somebody who may: {people}" if people else "nobody has that role: name somebody under `operators` in the settings"
        super().__init__(f"{name} may not {' or '.join(rights)}: that takes the role {' or '.join(roles) or 'of nobody'}")


def roles_of(authority: Authority, right: Right) -> tuple[str, ...]:
    """The roles that have a right. The rollout's own is not among them."""
    roles: Mapping[Right, tuple[str, ...]] = {
        Right.START: authority.start,
        Right.ADVANCE: authority.advance,
        Right.OVERRIDE: authority.override,
        Right.ROLLBACK: authority.rollback,
    }
    return tuple(role for role in roles[right] if role != AUTO.name)


def roles_named(policy: Policy) -> tuple[str, ...]:
    """Every role that a policy names, approvals included."""
    rights = (role for right in Right for role in roles_of(policy.authority, right))
    approvals = (stage.approve.role for stage in policy.stages if stage.approve is not None)
    return tuple(dict.fromkeys((*rights, *approvals)))


def admitted(operators: Operators, authority: Authority, name: str, *rights: Right) -> Actor:
    """Somebody who has at least one of the rights. Raises `NotEntitled`."""
    wanted = tuple(dict.fromkeys(role for right in rights for role in roles_of(authority, right)))
    actor = operators.actor(name, wanted)
    if not operators.is_open and not frozenset(actor.roles) & frozenset(wanted):
        raise NotEntitled(name, rights, wanted, operators)
    return actor


def rights_for(change: Change) -> tuple[Right, ...]:
    """Any one of these is enough for a change by hand.

    What goes past the guards, or past a quarantine, takes the right to override; what only takes traffic away, that to roll back.
    """
    match change:
        case Promote() | Release():
            return (Right.OVERRIDE,)
        case SetCanary() | SetShadow():
            if change.override:
                return (Right.OVERRIDE,)
            return (Right.ADVANCE,) if change.weight else (Right.ADVANCE, Right.ROLLBACK)
        case SetTag() | ClearTag() | SetConsumer() | ClearConsumer():
            return (Right.ADVANCE,)
        case RollBack() | BeginDrill() | EndDrill() | FailDrill():
            return (Right.ROLLBACK,)
        case BeginRehearsal() | MeasureRehearsal() | CatchRehearsal() | EndRehearsal():
            return (Right.ROLLBACK,)
