"""The checker's own proof (P1): eight writers flip on stores with one seeded bug each, and every one of them must be caught.

A checker that finds nothing proves nothing before it was seen to find what is there.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from benchmarks.chaos import Figure
from serving.ports import Commit, Transition
from tests.chaos.scenario import Scenario, Stage
from tests.fakes.clock import FakeClock
from tests.fakes.store import FakeStore
from tests.tools.broken_stores import (
    AppliesRetriesAgain,
    ForgetsOperations,
    GoesBack,
    IgnoresRevisions,
    LosesAcknowledged,
    LosesAnswers,
    Passing,
    ReadsStale,
    RefusesWithoutReason,
    SkipsAudit,
    TearsReads,
)
from tests.tools.flipping import Event, Flipper, Register, audit_of, entry_of
from tests.tools.journal import history_of
from tests.tools.register import Law, Violation, check

WRITERS, ROUNDS = 8, 40
FAMILIES = ("digits", "intent", "iris")

Make = Callable[[Register, Random], Register]


class _Yielding(Passing):
    """Gives the other writers a turn before every commit, as a real store does."""

    async def commit(self, transition: Transition) -> Commit:
        await asyncio.sleep(0)
        return await self.sound.commit(transition)


def _going_back(sound: Register, dice: Random) -> Register:
    return GoesBack(sound, dice, backup=FakeStore(FakeClock()))


BROKEN: dict[str, tuple[Make, set[Law]]] = {
    "lost update": (IgnoresRevisions, {Law.COMPARE_AND_SET_COMPARES}),
    "retry refused for the client's own change": (ForgetsOperations, {Law.WHAT_WAS_REFUSED_LEAVES_NOTHING}),
    "retry applied twice": (AppliesRetriesAgain, {Law.AN_OPERATION_HAPPENS_ONCE}),
    "acknowledged write lost": (LosesAcknowledged, {Law.WHAT_WAS_ACKNOWLEDGED_STANDS}),
    "stale read": (ReadsStale, {Law.A_READ_IS_NOT_STALE}),
    "torn read": (TearsReads, {Law.A_READ_IS_OF_ONE_EPOCH}),
    "revisions given out again": (_going_back, {Law.WHAT_WAS_ACKNOWLEDGED_STANDS, Law.A_READ_IS_NOT_STALE}),
    "audit entry missing": (SkipsAudit, {Law.EPOCHS_HAVE_NO_GAP}),
    "refusal without a reason": (RefusesWithoutReason, {Law.A_REFUSAL_TELLS_THE_TRUTH}),
}


async def violations_of(make: Make, seed: int) -> list[Violation]:
    """What the checker has to say of eight writers on such a store, over a network that loses answers."""
    events = list[Event]()
    store = make(_Yielding(FakeStore(FakeClock()), Random(seed)), Random(seed))
    lossy = [LosesAnswers(store, Random(f"{seed}-{writer}")) for writer in range(WRITERS)]
    flippers = [Flipper(f"w{writer}", each, FAMILIES, Random(writer), events.append) for writer, each in enumerate(lossy)]

    async def flip(flipper: Flipper) -> None:
        for _ in range(ROUNDS):
            await flipper.flip()

    await asyncio.gather(*(flip(flipper) for flipper in flippers))
    if sum(flipper.flips for flipper in flippers) < WRITERS * ROUNDS / 5:
        msg = "the writers came to nothing, and so would the checker"
        raise RuntimeError(msg)
    return check(history_of(events), [entry_of(entry) for entry in await audit_of(store)])


def _seeded(stage: Stage) -> Sequence[Figure]:
    caught = {bug for bug, (make, laws) in BROKEN.items() if laws <= {each.law for each in asyncio.run(violations_of(make, stage.seed))}}
    stage.notes.extend(sorted(BROKEN.keys() - caught))
    return [
        Figure("seeded bugs", len(BROKEN), at_least=5),
        Figure("not caught", len(BROKEN.keys() - caught), at_most=0),
        Figure("false alarms on a sound store", len(asyncio.run(violations_of(Passing, stage.seed))), at_most=0),
    ]


SEEDED = (Scenario("P1", "seeded bugs", _seeded),)
