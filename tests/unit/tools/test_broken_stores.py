"""Eight writers flip on stores with one seeded bug each, and the checker catches every one of them; on sound ones it finds nothing."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from serving.ports import Commit, Transition
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


class Yielding(Passing):
    """Gives the other writers a turn before every commit, as a real store does."""

    async def commit(self, transition: Transition) -> Commit:
        await asyncio.sleep(0)
        return await self.sound.commit(transition)


def going_back(sound: Register, dice: Random) -> Register:
    return GoesBack(sound, dice, backup=FakeStore(FakeClock()))


BROKEN: dict[str, tuple[Make, set[Law]]] = {
    "lost update": (IgnoresRevisions, {Law.COMPARE_AND_SET_COMPARES}),
    "retry refused for the client's own change": (ForgetsOperations, {Law.WHAT_WAS_REFUSED_LEAVES_NOTHING}),
    "retry applied twice": (AppliesRetriesAgain, {Law.AN_OPERATION_HAPPENS_ONCE}),
    "acknowledged write lost": (LosesAcknowledged, {Law.WHAT_WAS_ACKNOWLEDGED_STANDS}),
    "stale read": (ReadsStale, {Law.A_READ_IS_NOT_STALE}),
    "torn read": (TearsReads, {Law.A_READ_IS_OF_ONE_EPOCH}),
    "revisions given out again": (going_back, {Law.WHAT_WAS_ACKNOWLEDGED_STANDS, Law.A_READ_IS_NOT_STALE}),
    "audit entry missing": (SkipsAudit, {Law.EPOCHS_HAVE_NO_GAP}),
    "refusal without a reason": (RefusesWithoutReason, {Law.A_REFUSAL_TELLS_THE_TRUTH}),
}


async def violations_of(make: Make, seed: int) -> list[Violation]:
    events = list[Event]()
    store = make(Yielding(FakeStore(FakeClock()), Random(seed)), Random(seed))
    lossy = [LosesAnswers(store, Random(f"{seed}-{writer}")) for writer in range(WRITERS)]
    flippers = [Flipper(f"w{writer}", each, FAMILIES, Random(writer), events.append) for writer, each in enumerate(lossy)]

    async def flip(flipper: Flipper) -> None:
        for _ in range(ROUNDS):
            await flipper.flip()

    await asyncio.gather(*(flip(flipper) for flipper in flippers))
    assert sum(flipper.flips for flipper in flippers) > WRITERS * ROUNDS / 5
    return check(history_of(events), [entry_of(entry) for entry in await audit_of(store)])


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_sound_store_breaks_no_law_even_when_answers_are_lost(seed: int) -> None:
    assert await violations_of(Passing, seed) == []


@pytest.mark.parametrize("bug", BROKEN)
async def test_a_seeded_bug_is_caught(bug: str) -> None:
    make, laws = BROKEN[bug]

    violations = await violations_of(make, 1)

    assert laws <= {violation.law for violation in violations}
