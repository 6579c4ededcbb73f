"""What people ask of rollouts, decided and committed here and now: nobody has to wait for the controller, which reads of it afterwards."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from registry_client.versions import ModelVersion
from serving.control.operations import ATTEMPTS, Author, Changed, Operations
from serving.control.plans import statuses_of
from serving.control.policies.home import PolicyHome, Wanted
from serving.control.policies.parsing import parse_pinned
from serving.control.publications import published
from serving.control.rollouts.blindness import LOOK_HINT, blindness
from serving.control.rollouts.obstacles import Candidate, obstacles
from serving.core.assessing import Assessment
from serving.core.authority import Operators, roles_named
from serving.core.errors import ChangeRefused, PointsmanError, StaleRevision
from serving.core.happenings import Actor, Advance, Event, RollBack, Start
from serving.core.lifecycle import FamilyRecord
from serving.core.moving import Move
from serving.core.policy import Pinned, Policy
from serving.core.rollout import EventRefused, step
from serving.core.standing import Rollout
from serving.core.underway import MOST_ASKED, Terms, Underway
from serving.ports import Clock, FleetBoard, LoadState, Registry, RolloutBoard


class NoRollout(PointsmanError):
    """The family has no rollout, or only one that is over."""

    hint = "start one: pointsman start FAMILY VERSION"

    def __init__(self, family: str, over: str = "") -> None:
        self.family = family
        super().__init__(f"family {family!r} has no rollout" + (f" but {over}, which is over" if over else ""))


class NobodyListens(ChangeRefused):
    """So many events wait for the controller to write them down that no more are taken, but for a rollback."""

    hint = "look whether a controller leads: pointsman leader; a rollback is taken all the same"

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"{MOST_ASKED} events of {family!r}'s rollout wait for the controller to write them down")


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who asks for something now, and what the guards said last."""

    by: Actor
    at: datetime
    assessment: Assessment = Assessment()  # noqa: RUF009 - frozen


Hindrances = Callable[[str, Policy], Awaitable[tuple[str, ...]]]
"""What else stands in the way of a family's start by a policy, such as a drill that is overdue."""


async def no_hindrance(family: str, policy: Policy) -> tuple[str, ...]:
    """Nothing."""
    del family, policy
    return ()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the desk decides by, besides the family's record."""

    policies: PolicyHome
    fleet: FleetBoard
    board: RolloutBoard
    registry: Registry
    operators: Operators
    hindrances: Hindrances = no_hindrance


class RolloutDesk:
    """Takes what people ask. Raises what `Operations.move` does, `EventRefused`, `InvalidPolicy` and `NoRollout`."""

    def __init__(self, operations: Operations, grounds: Grounds, clock: Clock) -> None:
        self._operations = operations
        self._grounds = grounds
        self._clock = clock

    async def start(
        self, family: str, version: ModelVersion, wanted: Wanted, author: Author, *, override: str = "", expected: int | None = None
    ) -> Changed:
        """Begin a rollout. `override`: the reason for starting what is quarantined, or leaves consumers behind, all the same."""
        grounds = self._grounds
        digest = await published(grounds.registry, family, version)
        states, record = await grounds.fleet.read(), await self._operations.read(family)
        pinned = await grounds.policies.choose(family, version, record.production, wanted)
        hindrances = await grounds.hindrances(family, pinned.policy)
        actor = grounds.operators.actor(author.actor, roles_named(pinned.policy))

        def decide(record: FamilyRecord) -> Move:
            status = statuses_of(replace(record, digests={**record.digests, version: digest}), states).get(version)
            candidate = Candidate(version, status is not None and status.state is LoadState.READY, bool(override))
            at = self._clock.now()
            found = (*obstacles(record, candidate, pinned.policy, at), *hindrances)
            event = Start(at, actor, found, record.quarantined.get(version, ""), override)
            return _started(record, Rollout(family, str(version), digest, pinned.digest, author.actor), pinned, event)

        return await self._operations.move(family, f"{version} starts", decide, replace(author, roles=actor.roles), expected=expected)

    async def insist(
        self, family: str, word: str, event_of: Callable[[Request], Event], author: Author, *, expected: int | None = None
    ) -> Changed:
        """Let something happen whatever else happens meanwhile: to stand still, or to go back. As `happen`."""
        for _ in range(ATTEMPTS if expected is None else 0):
            with suppress(StaleRevision):
                return await self.happen(family, word, event_of, author)
        return await self.happen(family, word, event_of, author, expected=expected)

    async def happen(
        self, family: str, word: str, event_of: Callable[[Request], Event], author: Author, *, expected: int | None = None
    ) -> Changed:
        """Let something happen to the family's rollout. `word`: what the audit calls it."""
        seen = (await self._grounds.board.progress()).get(family)

        def decide(record: FamilyRecord) -> Move:
            underway = record.rollout
            if underway is None or underway.is_over:
                raise NoRollout(family, "" if underway is None else underway.id)
            pinned = parse_pinned(underway.policy.encode())
            actor = self._grounds.operators.actor(author.actor, roles_named(pinned.policy))
            at = self._clock.now()
            look = seen if seen is not None and seen.rollout == underway.id else None
            blind = blindness(underway, look, at, pinned.policy)
            event = event_of(Request(actor, at, Assessment() if look is None or blind else look.assessment))
            if len(underway.asked) >= MOST_ASKED and not isinstance(event, RollBack):
                raise NobodyListens(family)
            try:
                return _happened(record, underway, pinned, event)
            except EventRefused as refused:
                if not (blind and refused.why and isinstance(event, Advance)):
                    raise
                raise EventRefused(refused.kind, refused.state, f"{refused.why}; {blind}", LOOK_HINT) from refused

        return await self._operations.move(family, word, decide, author, expected=expected)


def _started(record: FamilyRecord, rollout: Rollout, pinned: Pinned, event: Start) -> Move:
    revision = record.revision + 1
    after, effects = step(pinned, rollout, event)
    underway = Underway(
        id=f"{rollout.family}-{rollout.version}-{revision}",
        rollout=rollout,
        policy=pinned.document.decode(),
        opened=event.at,
        terms=Terms.of(pinned.policy, after.stage),
    )
    return Move(underway.stepped(after, revision=revision, event=event), effects, override=bool(event.override))


def _happened(record: FamilyRecord, underway: Underway, pinned: Pinned, event: Event) -> Move:
    after, effects = step(pinned, underway.rollout, event)
    stepped = underway.stepped(after, revision=record.revision + 1, event=event)
    return Move(replace(stepped, terms=Terms.of(pinned.policy, after.stage)), effects)
