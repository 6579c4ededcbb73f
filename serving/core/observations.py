"""From the gateways' cumulative counters to what happened since the last look, whatever was lost or restarted in between.

What a gateway did before it was first heard of is never counted: its counters may reach back to before the canary began.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from serving.core.routing import Arm, Target


@dataclass(frozen=True, slots=True)
class Count:
    """The counters of one target in one arm on one gateway since that gateway started; failures are the version's own."""

    target: Target
    arm: Arm
    requests: int
    failures: int
    failures_in_a_row: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """The counters of one gateway at one moment; `started` tells two lives of one name apart."""

    gateway: str
    started: float
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Increment:
    """What one target did in one arm on one gateway since the last look."""

    gateway: str
    target: Target
    arm: Arm
    requests: int
    failures: int
    failures_in_a_row: int


@dataclass(frozen=True, slots=True)
class _Life:
    started: float
    counts: Mapping[tuple[Target, Arm], Count]

    def after(self, sighting: Sighting) -> "_Life":
        """With what is newer in a sighting: a report that comes late must not turn a counter back, or its rise would count twice."""
        known: Mapping[tuple[Target, Arm], Count] = self.counts if self.started == sighting.started else {}
        new = {(count.target, count.arm): count for count in sighting.counts}
        newer = {key: count for key, count in new.items() if key not in known or count.requests >= known[key].requests}
        return _Life(sighting.started, {**known, **newer})


@dataclass(frozen=True, slots=True)
class Ledger:
    """The counters as they were at the last look, gateway by gateway."""

    lives: Mapping[str, _Life] = field(default_factory=dict[str, _Life])

    def after(self, sightings: Iterable[Sighting]) -> tuple["Ledger", tuple[Increment, ...]]:
        """The ledger as of these sightings, and what is new in them. A gateway that is missing is remembered as it was."""
        lives = dict(self.lives)
        increments: list[Increment] = []
        for sighting in sightings:
            known = lives.get(sighting.gateway)
            if known is None:
                lives[sighting.gateway] = _Life(sighting.started, {}).after(sighting)
            elif known.started <= sighting.started:
                increments += _increments(known, sighting)
                lives[sighting.gateway] = known.after(sighting)
        return Ledger(lives), tuple(increments)


def _increments(known: _Life, sighting: Sighting) -> Iterable[Increment]:
    before: Mapping[tuple[Target, Arm], Count] = known.counts if known.started == sighting.started else {}
    for count in sighting.counts:
        old = before.get((count.target, count.arm))
        requests = count.requests - (old.requests if old else 0)
        failures = count.failures - (old.failures if old else 0)
        if requests > 0:
            # A row of failures goes on over the last look, and a report that contradicts itself shall not stop the guards.
            yield Increment(sighting.gateway, count.target, count.arm, requests, min(max(failures, 0), requests), count.failures_in_a_row)
