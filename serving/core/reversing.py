"""What becomes of a rollout when somebody moves the family without asking it: that is refused to nobody, and leaves a receipt."""

from serving.core.happenings import Actor, Kind, RollBack, Supersede
from serving.core.lifecycle import Decided
from serving.core.rollout import TABLE, given_way, taken_back
from serving.core.underway import Underway


def reversed_by(underway: Underway, decided: Decided, revision: int, *, roles: tuple[str, ...], signal: str) -> Underway:
    """The rollout whose candidate a rollback has just condemned. `revision`: the family's, before."""
    event = RollBack(decided.at, Actor(decided.actor, roles), decided.reason, signal, detected=decided.at)
    after = taken_back(underway.rollout, event)
    return underway if after == underway.rollout else underway.stepped(after, revision=revision + 1, event=event)


def superseded_by(underway: Underway, decided: Decided, revision: int, *, to: str) -> Underway:
    """The rollout that lost what it was compared with, or what it had won."""
    if Kind.SUPERSEDE not in TABLE[underway.rollout.state]:
        return underway
    event = Supersede(decided.at, Actor(decided.actor), to, is_done=True)
    return underway.stepped(given_way(underway.rollout), revision=revision + 1, event=event)
