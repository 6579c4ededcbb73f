"""Holds drills: rolls back for real, proves it, restores, proves that too, and writes down what it came to.

It needs no leader. Whoever is interrupted leaves the drill in the family's record, and whoever leads restores production from it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from serving.control.operations import Author, Changed
from serving.control.proof import Proof
from serving.core.drilling import BeginDrill, EndDrill, FailDrill
from serving.core.drills import Drilling, DrillResult
from serving.core.errors import PointsmanError, StaleRevision, StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import CannotDrill
from serving.core.rehearsing import PracticeChange
from serving.core.standing import Receipt
from serving.ports import Clock

PROOF_SECONDS = 20.0
"""For both proofs together: the gateways follow and the probes are answered. A rollback is promised in less than one."""

PATIENCE = timedelta(seconds=60)
"""After this, whoever leads restores production: whoever drilled is gone."""

AGAIN_SECONDS = 0.25
"""Between two tries to restore while the store does not answer."""


class ChangesFamilies(Protocol):
    """Whoever makes a change of a family."""

    async def drill(self, family: str, change: PracticeChange, author: Author) -> Changed:
        """Take one step of a drill."""
        ...

    async def read(self, family: str) -> FamilyRecord:
        """The family as it is."""
        ...


class Proves(Protocol):
    """Whoever proves a change."""

    async def verify(self, family: str, *, epoch: int | None = None, timeout: float) -> Proof:  # noqa: ASYNC109 - giving up is an answer here
        """Prove it within about `timeout` seconds."""
        ...


Heard = Callable[[str, DrillResult], Awaitable[None]]
"""Told of a family's drill when it is over."""


async def nobody_hears(family: str, result: DrillResult) -> None:
    """Nobody wants to know."""
    del family, result


@dataclass(frozen=True, slots=True)
class Means:
    """What a drill is held with."""

    operations: ChangesFamilies
    proves: Proves
    clock: Clock
    heard: Heard = nobody_hears


class Drills:
    """Raises what `Operations` does, `CannotDrill` among it, before anything was changed; afterwards what goes wrong is the result."""

    def __init__(self, means: Means) -> None:
        self._operations = means.operations
        self._proves = means.proves
        self._clock = means.clock
        self._heard = means.heard

    async def hold(self, family: str, author: Author, seconds: float = PROOF_SECONDS) -> DrillResult:
        """Hold a drill now, with `seconds` for both proofs together. The same operation id again gives the first one's result."""
        # Once begun it goes to its end, whatever becomes of whoever asked.
        return await asyncio.shield(asyncio.ensure_future(self._hold(family, author, seconds / 2)))

    async def restore(self, family: str, drill: Drilling, author: Author) -> DrillResult:
        """End a drill that somebody else left behind."""
        why = "it was interrupted, and ended by whoever leads"
        return await self._over(family, drill, EndDrill(drill.receipt, why), author, 0.0)

    async def _hold(self, family: str, author: Author, seconds: float) -> DrillResult:
        now = self._clock.now()
        begun = await self._operations.drill(family, BeginDrill(author.operation_id, now, now + PATIENCE), author)
        drill = begun.record.drill
        if begun.commit.replayed or drill is None:
            return known(begun.record, author.operation_id)
        flipped = replace(drill.receipt, flipped=begun.committed_at, epoch=begun.commit.epoch)
        end = EndDrill(*await self._proven(family, flipped, begun.commit.epoch, seconds))
        return await self._over(family, drill, end, author, seconds)

    async def _proven(self, family: str, receipt: Receipt, epoch: int, seconds: float) -> tuple[Receipt, str]:
        """The receipt with what the gateways say, and what is wrong."""
        try:
            proof = await self._proves.verify(family, epoch=epoch, timeout=seconds)
        except PointsmanError as error:
            return receipt, f"the rollback could not be verified: {error}"
        moments = proof.moments
        seen = replace(receipt, last_stray=moments.last_stray, verified=moments.verified)
        return seen, "" if proof.is_given else f"the rollback is not verified: {'; '.join(proof.missing)}"

    async def _over(self, family: str, drill: Drilling, end: EndDrill, author: Author, seconds: float) -> DrillResult:
        over = replace(author, operation_id=f"{drill.id}.over")
        record, epoch = await self._restored(family, end, over, drill.until)
        result = known(record, drill.id)
        if epoch is not None and result.passed:
            result = await self._confirmed(family, result, epoch, seconds, author)
        await self._heard(family, result)
        return result

    async def _restored(self, family: str, end: EndDrill, author: Author, until: datetime) -> tuple[FamilyRecord, int | None]:
        """The family as it was before, and the epoch that made it so; none where a rollback has made the drill serious."""
        while True:
            try:
                ended = await self._operations.drill(family, end, author)
            except StaleRevision:
                continue
            except CannotDrill:
                return await self._operations.read(family), None
            except StoreUnavailable:
                if self._clock.now() > until:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return ended.record, ended.commit.epoch

    async def _confirmed(self, family: str, result: DrillResult, epoch: int, seconds: float, author: Author) -> DrillResult:
        """Whether the way there again is proven too: a drill that leaves the family badly served has not passed."""
        _, failure = await self._proven(family, result.receipt, epoch, seconds)
        if not failure:
            return result
        failed = FailDrill(result.id, failure.replace("the rollback", "the restoration", 1))
        return known((await self._operations.drill(family, failed, replace(author, operation_id=f"{result.id}.failed"))).record, result.id)


def known(record: FamilyRecord, drill: str) -> DrillResult:
    """What a drill came to. Raises `CannotDrill` for one that is under way or forgotten."""
    found = next((one for one in record.drills if one.id == drill), None)
    if found is None:
        raise CannotDrill(record.family, "this one is under way, or so long ago that nobody remembers")
    return found
