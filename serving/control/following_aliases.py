"""An alias that somebody moves in the registry, followed: it asks for a promotion by the family's policy, and is told what became of it.

It asks again until the version is live, a rollout of it that was begun has come to nothing, or the alias points elsewhere. An alias that is
gone is an alarm and changes nothing. A leader's work; what was seen is kept, so that a move is not missed between two leaders.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from registry_client.backends.mlflow.aliases import Aliased, Aliases, AliasMoved, AliasVanished, compare
from registry_client.errors import RegistryError, RegistryUnavailable
from registry_client.versions import ModelVersion
from serving.control.operations import Author
from serving.control.promotions import Answered, PromotionRequest, Stand
from serving.core.errors import ChangeRefused, StoreUnavailable, UnknownFamilyRecord
from serving.core.rollout import EventRefused
from serving.ports import Clock, Hints

log = structlog.get_logger()

ACTOR = "registry"
"""Who asks, in the history and before the policy's authority."""

REFUSED = "refused"
ENDED = "ended"
FINAL = frozenset({Stand.STARTED, Stand.UNDERWAY, Stand.PROMOTED})
"""After these a refusal is the outcome: the rollout was begun, and is over."""


HINTED_S = 1.0
"""Between two looks, however many hints there are."""


class AliasRegistry(Protocol):
    """A registry with aliases. Raises `RegistryUnavailable` or `AccessRefused`."""

    async def aliases(self, known: Aliases) -> Aliases:
        """Where they all point; of `known`, only what changed need be looked up."""
        ...

    async def annotate(self, family: str, version: str, words: Mapping[str, str]) -> None:
        """Write beside a version what became of it."""
        ...


class AliasNotes(Protocol):
    """Where it is kept what was seen of aliases."""

    async def load(self) -> Aliases | None:
        """What was kept; None when nothing was."""
        ...

    async def keep(self, known: Aliases) -> None:
        """Put it in place of what was there. Raises `OSError`."""
        ...


class Asks(Protocol):
    """Takes promotion requests."""

    async def ask(self, request: PromotionRequest, author: Author) -> Answered:
        """Take a request one step on. Raises what a change raises that is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed: an alias by its exact name, looked at every so many seconds, and sooner where hints are left."""

    alias: str
    every: float
    hints: Hints | None = None


@dataclass(slots=True)
class _Open:
    """A request that is not settled, with what it was told last."""

    moved: AliasMoved
    stand: Stand | None = None
    told: str = ""


class AliasFollower:
    """Follows one alias of every family."""

    def __init__(self, registry: AliasRegistry, notes: AliasNotes, asks: Asks, clock: Clock, following: Following) -> None:
        self._registry, self._notes, self._asks, self._clock = registry, notes, asks, clock
        self._following = following
        self._heard: str | None = None
        """The stamp of the hints that were heard; None before the first look, which needs none."""
        self._known: Aliases | None = None
        self._open: dict[str, _Open] = {}
        self._is_hinted = False
        self._looked = float("-inf")
        self._trouble = ""

    async def step(self) -> None:
        """Look, if it is time, and take every open request one step on. Raises `StoreUnavailable` and `NotLeader`; nothing is lost then."""
        await self._listen()
        if self._clock.monotonic() < self._looked + (HINTED_S if self._is_hinted else self._following.every):
            return
        self._looked, self._is_hinted = self._clock.monotonic(), False
        try:
            await self._look()
            for request in list(self._open.values()):
                await self._pursue(request)
            await self._keep()
        except RegistryUnavailable as error:
            if str(error) != self._trouble:
                log.warning("aliases_not_seen", why=str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _listen(self) -> None:
        """Look sooner when there was a hint, but no sooner than so long after the last look. One that cannot be heard is lost."""
        hints = self._following.hints
        if hints is None:
            return
        with suppress(StoreUnavailable):
            stamp = await hints.stamp()
            self._is_hinted |= self._heard not in (None, stamp)
            self._heard = stamp

    async def _look(self) -> None:
        before = self._known if self._known is not None else await self._notes.load()
        found = await self._registry.aliases(before or {})
        self._known = found
        for event in compare(before, found, self._clock.now()) if before is not None else ():
            if event.alias == self._following.alias:
                self._take(event)

    def _take(self, event: AliasMoved | AliasVanished) -> None:
        self._open.pop(event.family, None)
        match event:
            case AliasVanished(family, alias, last):
                log.error("alias_vanished", family=family, alias=alias, last=last)
            case AliasMoved(family, alias, after=None, number=number):
                log.error("alias_points_at_no_version", family=family, alias=alias, number=number)
            case AliasMoved():
                self._open[event.family] = _Open(event)

    async def _pursue(self, request: _Open) -> None:
        moved = request.moved
        wanted = PromotionRequest(moved.family, ModelVersion.parse(str(moved.after)), f"alias {moved.alias} at number {moved.number}")
        ident = f"alias-{moved.family}-{moved.number}-{int(moved.seen_at.timestamp())}"
        try:
            answered = await self._asks.ask(wanted, Author(ACTOR, "moved in the registry", ident))
        except RegistryUnavailable:
            raise
        except EventRefused as refusal:
            # For now: a rollback that is not proven yet, a cooldown. What was begun has its outcome to come.
            if request.stand not in FINAL:
                await self._tell(request, REFUSED, str(refusal))
            return
        except (ChangeRefused, UnknownFamilyRecord, RegistryError) as refusal:
            await self._tell(request, REFUSED, str(refusal))
            if request.stand in FINAL or isinstance(refusal, RegistryError):
                del self._open[moved.family]
            return
        if request.stand in FINAL and answered.stand is Stand.STARTED:
            # The same request under the same id begins nothing twice: what it once began is neither afoot nor live any more.
            await self._tell(request, ENDED, f"the rollout of {moved.family}@{moved.after} is over, and it is not in production")
            del self._open[moved.family]
            return
        request.stand = answered.stand
        await self._tell(request, answered.stand.value, answered.sentence)
        if answered.stand is Stand.LIVE:
            del self._open[moved.family]

    async def _tell(self, request: _Open, outcome: str, sentence: str) -> None:
        """Write it back once for each outcome, so that people see it where they moved the alias."""
        said = f"{outcome}: {sentence}"
        if said == request.told:
            return
        moved = request.moved
        log.info("alias_answered", family=moved.family, alias=moved.alias, version=moved.after, outcome=outcome, sentence=sentence)
        words = {"promotion": outcome, "promotion.sentence": sentence}
        await self._registry.annotate(moved.family, str(moved.after), words)
        request.told = said

    async def _keep(self) -> None:
        """Keep what was seen, but for what is not settled yet: that is seen again by who leads next."""
        known = dict(self._known or {})
        for family, request in self._open.items():
            before = request.moved.before
            known[family, self._following.alias] = Aliased(0, "", before)
        await self._notes.keep(known)
