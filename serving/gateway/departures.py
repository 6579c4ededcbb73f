"""The answers that versions still give after a flip took them out of the routes: requests that were on their way, and nothing else.

They are what makes a rollback provable. A gateway whose departed versions have nothing in flight any more gives no answer of theirs again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.core.routing import Arm, FamilyRoute, RouteTable, Target
from serving.gateway.tallies import Tallies, Tally
from serving.ports import Clock, Departed

REMEMBERED = 16
"""Departed versions that are told of, the latest ones; those with requests in flight always are."""

_ARMS = (Arm.PRODUCTION, Arm.CANARY, Arm.HOLDBACK)
"""The parts that callers get without asking for a version. Who pins one gets it for as long as it is served."""


@dataclass(frozen=True, slots=True)
class _Departure:
    target: Target
    epoch: int
    answers: int
    """Given before, as production and canary together."""


class Departures:
    """Told of every table that is swapped in, it knows who has left by it and what they have answered since."""

    def __init__(self, tallies: Tallies, clock: Clock) -> None:
        self._tallies = tallies
        self._clock = clock
        self._routed: dict[str, Target] = {}
        self._left: dict[str, _Departure] = {}

    def swapped(self, table: RouteTable) -> None:
        """Note who has no part in a table any more, and who is back."""
        routed = {target.digest: target for route in table.families.values() for target in _answering(route)}
        for digest, target in self._routed.items():
            if digest not in routed:
                self._left[digest] = _Departure(target, table.epoch, sum(tally.requests for tally in self._played(digest)))
        for digest in routed:
            self._left.pop(digest, None)
        self._routed = routed

    def __call__(self) -> tuple[Departed, ...]:
        """Who has left, and what became of their last requests; the latest last."""
        departed = [self._departed(departure) for departure in self._left.values()]
        told = [one for index, one in enumerate(departed) if one.in_flight or index >= len(departed) - REMEMBERED]
        self._left = {one.target.digest: self._left[one.target.digest] for one in told}
        return tuple(told)

    def _departed(self, departure: _Departure) -> Departed:
        played = tuple(self._played(departure.target.digest))
        strays = sum(tally.requests for tally in played) - departure.answers
        return Departed(
            target=departure.target,
            epoch=departure.epoch,
            in_flight=sum(tally.in_flight for tally in played),
            strays=strays,
            last_stray=_time_of(max(tally.answered_at for tally in played), self._clock) if strays else None,
        )

    def _played(self, digest: str) -> Iterator[Tally]:
        for arm in _ARMS:
            tally = self._tallies.find(digest, arm)
            if tally is not None:
                yield tally


def _answering(route: FamilyRoute) -> Iterator[Target]:
    if route.production is not None:
        yield route.production
    for canary in route.canaries:
        if canary.slice.weight:
            yield canary.target
    if route.holdback is not None:
        yield route.holdback.target


def _time_of(monotonic: float, clock: Clock) -> datetime:
    return clock.now() - timedelta(seconds=clock.monotonic() - monotonic)
