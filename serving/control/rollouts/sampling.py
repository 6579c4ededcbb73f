"""The pairs of a rollout that disagreed, as far as they were kept: for operators who want to see what a figure is made of."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from serving.control.rollouts.desk import NoRollout
from serving.core.errors import FamilyNotServed
from serving.ports import PairShelf, StateStore


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair as a gateway kept it. `at`: seconds since 1970."""

    at: float
    outcome: str
    request: object
    production: object
    candidate: object


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pairs of a rollout, the newest first; what its policy says of them."""

    rollout: str
    pairs: Sequence[Pair]
    keep: int
    """How many each gateway keeps."""
    redact: Sequence[str]
    """JSON pointers to what was replaced before a pair was kept."""


_PAIRS = msgspec.json.Decoder(list[Pair])


class PairSamples:
    """Reads what the gateways of this node have kept."""

    def __init__(self, store: StateStore, shelf: PairShelf) -> None:
        self._store = store
        self._shelf = shelf

    async def of(self, family: str) -> Sampled:
        """The family's rollout's. Raises `FamilyNotServed` or `NoRollout`."""
        record = (await self._store.snapshot()).families.get(family)
        if record is None:
            raise FamilyNotServed(family)
        if record.rollout is None:
            raise NoRollout(family)
        kept = await asyncio.to_thread(self._shelf.read, record.rollout.id)
        pairs = [pair for of_gateway in kept for pair in _PAIRS.decode(of_gateway)]
        terms = record.rollout.terms
        return Sampled(record.rollout.id, sorted(pairs, key=lambda pair: -pair.at), terms.keep_pairs, terms.redact)
