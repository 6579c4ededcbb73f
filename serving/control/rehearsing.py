"""Holds rehearsals: opens the route of a made-up bad version, asks golden examples there until the guards take it out, and proves that.

It needs no leader to begin and to end; the guards are asked by whoever leads. What is interrupted the leader ends.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle, islice
from secrets import token_hex
from typing import Protocol

from registry_client.golden import GoldenExample
from serving.control.operations import Author, Changed, Settled
from serving.control.policies.holding import HeldPolicies
from serving.control.practising import Heard, known, nobody_hears
from serving.core.drills import DrillResult
from serving.core.injections import Injection
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import CannotDrill
from serving.core.rehearsals import BAD, PREFIX, Rehearsal, key_digest, played, terms_of, unseen
from serving.core.rehearsing import BeginRehearsal, EndRehearsal, RehearsalChange
from serving.core.routing import Target
from serving.core.standing import Receipt
from serving.ports import AuditEntry, Clock, Examples, PublicSide

SECONDS = 20.0
"""That the guards have. A canary that fails a fifth of its requests is promised to be out within three."""

PATIENCE = timedelta(seconds=60)
"""After this, whoever leads ends it: whoever held it is gone."""

SETTLE_SECONDS = 5.0
"""That gateways get to open the route, and to close it."""

ASKING = 8
"""Requests under way at once."""

ASK_SECONDS = 5.0
LOOK_SECONDS = 0.02
"""Between two looks at whether it was caught."""

CLOSED = 20
"""Requests that must find the route gone, each over a connection of its own, so that every gateway is asked."""

GONE = 400
"""What a key is answered that leads nowhere: as any text that is no version."""


class Changes(Protocol):
    """Whoever makes a change of a family."""

    async def drill(self, family: str, change: RehearsalChange, author: Author) -> Changed:
        """Take one step of a rehearsal."""
        ...

    async def read(self, family: str) -> FamilyRecord:
        """The family as it is."""
        ...

    async def settle(self, epoch: int, *, timeout: float) -> Settled:  # noqa: ASYNC109 - giving up is an answer here
        """Wait until every live gateway has acked the epoch."""
        ...


class Commits(Protocol):
    """Whoever knows what was committed."""

    async def committed(self, operation_id: str) -> AuditEntry | None:
        """What an operation came to, if it was carried out."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a rehearsal is held with."""

    changes: Changes
    commits: Commits
    policies: HeldPolicies
    examples: Examples
    public: PublicSide
    clock: Clock
    heard: Heard = nobody_hears


@dataclass(slots=True)
class _Seen:
    """What was answered on the route."""

    bad: datetime | None = None
    """The first bad answer."""
    last: datetime | None = None
    """The last answer of any kind."""
    answers: int = 0
    trouble: str = ""


@dataclass(slots=True)
class _Asking:
    """Golden examples that are asked by a key, again and again."""

    family: str
    key: str
    examples: Sequence[GoldenExample]
    public: PublicSide
    clock: Clock
    seen: _Seen = field(default_factory=_Seen)

    async def ask_on(self) -> None:
        """Ask one after the other, until cancelled."""
        for example in cycle(self.examples):
            await self.ask(example)

    async def ask(self, example: GoldenExample) -> bool:
        """Ask one; whether the route is still there."""
        answer = await self.public.predict(self.family, example.request, ASK_SECONDS, f"{PREFIX}{self.key}")
        if answer.status in {0, GONE}:
            self.seen.trouble = answer.trouble
            await asyncio.sleep(LOOK_SECONDS)
            return answer.status != GONE
        now = self.clock.now()
        self.seen.answers, self.seen.last = self.seen.answers + 1, now
        if answer.reason == BAD and self.seen.bad is None:
            self.seen.bad = now
        return True


class Rehearsing:
    """Raises what `Operations` does, `CannotDrill` among it, before anything was changed; afterwards what goes wrong is the result."""

    def __init__(self, means: Means, keys: Callable[[], str] = token_hex) -> None:
        self._means = means
        self._keys = keys

    async def hold(self, family: str, injection: Injection, author: Author, seconds: float = SECONDS) -> DrillResult:
        """Hold one now: the guards have `seconds`. The same operation id again gives the first one's result."""
        return await asyncio.shield(asyncio.ensure_future(self._hold(family, injection, author, seconds)))

    async def _hold(self, family: str, injection: Injection, author: Author, seconds: float) -> DrillResult:
        means, key = self._means, self._keys()
        record = await means.changes.read(family)
        examples = await self._examples(record)
        pinned = await means.policies.of(record)
        stage = played(pinned.policy)
        weight = pinned.policy.stages[stage].weight
        blind = unseen(pinned.policy, stage, injection)
        if blind:
            raise CannotDrill(family, blind)
        document, terms, until = pinned.document.decode(), terms_of(pinned.policy, stage, injection), means.clock.now() + PATIENCE
        begin = BeginRehearsal(author.operation_id, injection, key_digest(key), document, stage, weight, until, terms)
        begun = await means.changes.drill(family, begin, author)
        if begun.commit.replayed or begun.record.rehearsal is None:
            return known(begun.record, author.operation_id)
        await means.changes.settle(begun.commit.epoch, timeout=SETTLE_SECONDS)
        asking = _Asking(family, key, examples, means.public, means.clock)
        end = await self._asked(asking, begun.record.rehearsal, seconds)
        over = await self._over(family, end, replace(author, operation_id=f"{author.operation_id}.over"))
        await means.heard(family, over)
        return over

    async def _examples(self, record: FamilyRecord) -> Sequence[GoldenExample]:
        if record.production is None:
            raise CannotDrill(record.family, "nothing is in production")
        examples = await self._means.examples.golden(Target(record.family, record.production, record.digests[record.production]))
        if not examples:
            raise CannotDrill(record.family, f"{record.production} has no golden examples to ask")
        return examples

    async def _asked(self, asking: _Asking, rehearsal: Rehearsal, seconds: float) -> EndRehearsal:
        """Ask until it is caught, and prove that the route is gone."""
        workers = [asyncio.ensure_future(asking.ask_on()) for _ in range(ASKING)]
        try:
            caught = await self._caught(asking.family, rehearsal.id, seconds)
            if caught is None:
                return EndRehearsal(rehearsal.id, began=asking.seen.bad, failure=_why(asking.seen, seconds))
            entry = await self._means.commits.committed(f"{rehearsal.id}.caught")
            flipped = caught if entry is None else replace(caught, flipped=entry.at, epoch=entry.epoch)
            waiting = () if entry is None else (await self._means.changes.settle(entry.epoch, timeout=SETTLE_SECONDS)).waiting
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return await self._proven(asking, rehearsal, flipped, waiting)

    async def _caught(self, family: str, rehearsal: str, seconds: float) -> Receipt | None:
        """The guards' receipt; None when they did not find harm in time."""
        deadline = self._means.clock.monotonic() + seconds
        while self._means.clock.monotonic() < deadline:
            found = (await self._means.changes.read(family)).rehearsal
            if found is None or found.id != rehearsal:
                return None
            if found.is_caught:
                return found.receipt
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _proven(self, asking: _Asking, rehearsal: Rehearsal, receipt: Receipt, waiting: Sequence[str]) -> EndRehearsal:
        last, began = asking.seen.last, asking.seen.bad
        stray = last if last is not None and receipt.flipped is not None and last > receipt.flipped else None
        receipt = replace(receipt, last_stray=stray)
        found = [await asking.ask(example) for example in islice(cycle(asking.examples), CLOSED)]
        if waiting or any(found):
            behind = f"{', '.join(waiting)} did not take it out" if waiting else f"{sum(found)} of {CLOSED} requests still found it"
            return EndRehearsal(rehearsal.id, receipt, began, f"the guards had the route taken out, and {behind}")
        return EndRehearsal(rehearsal.id, replace(receipt, verified=self._means.clock.now()), began)

    async def _over(self, family: str, end: EndRehearsal, author: Author) -> DrillResult:
        try:
            return known((await self._means.changes.drill(family, end, author)).record, end.id)
        except CannotDrill:
            # The leader ended it meanwhile.
            return known(await self._means.changes.read(family), end.id)


def _why(seen: _Seen, seconds: float) -> str:
    if not seen.answers:
        return f"nothing was answered on its route: {seen.trouble or 'no gateway had it in time'}"
    return f"no guard had it taken out within {seconds:g} s, in {seen.answers:,} answers"
