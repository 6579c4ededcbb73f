"""Proving a flip: wait for the gateways to serve it and to have nothing of the old kind under way, then ask them as any caller would."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from registry_client.errors import RegistryError
from registry_client.golden import GoldenExample
from serving.control.proof import Probe, Proof, Sight, answering, faults_of
from serving.core.errors import InvalidRecord, UnknownChange, UnknownFamilyRecord
from serving.core.lifecycle import FamilyRecord
from serving.core.routing import Target
from serving.ports import Acks, AuditEntry, Clock, Examples, PublicAnswer, PublicSide, StateStore

LOOK_SECONDS = 0.02
"""Between two looks at what the gateways say."""

PROBES = 20
"""Golden examples asked for one proof, each over a connection of its own, so that the kernel spreads them over the gateways."""

AT_ONCE = 4

LEAST_SECONDS = 2.0
"""What probes get at least, however long the gateways took."""

LOOK_BACK = 20
"""Changes among which the newest one of the traffic is looked for."""

OK = 200


class Verification:
    """Proves flips of families; it changes nothing."""

    def __init__(self, store: StateStore, acks: Acks, examples: Examples, public: PublicSide, clock: Clock) -> None:
        self._store = store
        self._acks = acks
        self._examples = examples
        self._public = public
        self._clock = clock

    async def verify(self, family: str, *, epoch: int | None = None, timeout: float, probes: int = PROBES) -> Proof:  # noqa: ASYNC109 - giving up is an answer here, not an error
        """Prove the family's newest change of its traffic, or the one that made `epoch`, within about `timeout` seconds.

        Raises `UnknownFamilyRecord`, `UnknownChange`, `InvalidRecord` or `StoreUnavailable`.
        """
        deadline = self._clock.monotonic() + timeout
        entry, newest = await self._change(family, epoch)
        record = await self._record(family)
        sight = await self._settled(Sight(family, entry), deadline)
        left = max(deadline - self._clock.monotonic(), LEAST_SECONDS)
        asked = await self._probe(record, entry.epoch, left, probes) if probes else _Asked()
        sight = await self._look(sight)
        missing = (*_superseded(entry, newest), *sight.missing(), *asked.why_none, *faults_of(asked.probes, record))
        return Proof(
            family=family,
            epoch=entry.epoch,
            action=entry.action,
            production=record.production,
            departed=sight.departed,
            gateways=sight.gateways,
            probes=asked.probes,
            missing=missing,
            moments=sight.moments(None if missing else self._clock.now()),
            unread=asked.unread,
        )

    async def _change(self, family: str, epoch: int | None) -> tuple[AuditEntry, AuditEntry]:
        """The change to prove, and the newest one that concerned the family's traffic."""
        history = await self._store.history(family, limit=LOOK_BACK)
        if not history:
            raise UnknownFamilyRecord(family)
        # What a rollout notes of itself moves nobody's traffic, and takes nothing from what came before it.
        newest = next((entry for entry in history if not _is_note(entry)), history[0])
        if epoch is None or epoch == newest.epoch:
            return newest, newest
        entries = await self._store.entries(after=epoch - 1, limit=1)
        if not entries or entries[0].epoch != epoch or entries[0].family not in {family, ""}:
            raise UnknownChange(family, epoch)
        return entries[0], newest

    async def _record(self, family: str) -> FamilyRecord:
        snapshot = await self._store.snapshot()
        if family in snapshot.invalid:
            raise InvalidRecord(family, snapshot.invalid[family])
        return snapshot.families.get(family) or FamilyRecord(family)

    async def _settled(self, sight: Sight, deadline: float) -> Sight:
        """What the gateways say once nothing is missing, or at the deadline."""
        while True:
            sight = await self._look(sight)
            if not any(sight.missing()) or self._clock.monotonic() >= deadline:
                return sight
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, sight: Sight) -> Sight:
        live, lapsed = await self._acks.acks(), await self._acks.lapsed_gateways()
        return Sight(sight.family, sight.entry, live, lapsed)

    async def _probe(self, record: FamilyRecord, epoch: int, seconds: float, probes: int) -> "_Asked":
        if record.production is None:
            return _Asked()
        target = Target(record.family, record.production, record.digests[record.production])
        try:
            examples = await self._examples.golden(target)
        except (RegistryError, OSError) as error:
            return _Asked(unread=f"the golden examples of {record.production} cannot be read: {error}")
        if not examples:
            return _Asked(none=f"{record.production} has no golden examples to ask")
        prober = _Prober(self._public, self._clock, record, epoch)
        return _Asked(await prober.ask(examples, seconds, probes))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What probes found, or why none were asked."""

    probes: tuple[Probe, ...] = ()
    unread: str = ""
    none: str = ""

    @property
    def why_none(self) -> tuple[str, ...]:
        return tuple(why for why in (self.unread, self.none) if why)


class _Prober:
    """Asks golden examples of one family's public side, and says what is wrong with the answers."""

    def __init__(self, public: PublicSide, clock: Clock, record: FamilyRecord, epoch: int) -> None:
        self._public = public
        self._clock = clock
        self._record = record
        self._epoch = epoch
        self._free = asyncio.Semaphore(AT_ONCE)

    async def ask(self, examples: Sequence[GoldenExample], seconds: float, probes: int) -> tuple[Probe, ...]:
        asked = islice(cycle(examples), probes)
        return tuple(await asyncio.gather(*(self._one(example, seconds) for example in asked)))

    async def _one(self, example: GoldenExample, seconds: float) -> Probe:
        async with self._free:
            began = self._clock.monotonic()
            answer = await self._public.predict(self._record.family, example.request, seconds)
            took = self._clock.monotonic() - began
        fault = next(self._faults(example, answer), "")
        return Probe(example.name, answer.version, answer.epoch, took, fault)

    def _faults(self, example: GoldenExample, answer: PublicAnswer) -> Iterator[str]:
        if answer.status != OK:
            yield f"answered with {answer.status}: {answer.trouble}" if answer.status else f"not answered: {answer.trouble}"
            return
        production = str(self._record.production)
        if answer.version not in answering(self._record):
            yield f"answered by {answer.version}, which has no part in it"
        if answer.epoch is None or answer.epoch < self._epoch:
            yield f"answered by the routes of epoch {answer.epoch}"
        if answer.version == production:
            yield from example.differences(answer.document)


def _is_note(entry: AuditEntry) -> bool:
    return set(entry.after) == {"rollout"}


def _superseded(entry: AuditEntry, newest: AuditEntry) -> Iterator[str]:
    if newest.epoch > entry.epoch:
        yield f"epoch {entry.epoch} is history: epoch {newest.epoch} came after it ({newest.action})"
