"""What to load and what to unload: a pure comparison of the versions that should run with those that do.

Availability comes first: a version is unloaded only when nothing has wanted it for a while, and never to make room for another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus, Snapshot


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """How patient the reconciler is, in seconds."""

    grace: float = 30.0
    """A version stays loaded this long after nothing wants it: gateways may still be on the route before."""
    backoff: tuple[float, ...] = (5.0, 20.0, 60.0)
    """The waits before each new try of a version that failed to load; after the last it stays failed until it is tagged anew."""
    at_once: int = 4
    """Versions that load at the same time; more would only slow each other down."""


@dataclass(frozen=True, slots=True)
class Load:
    """Start a version, or start it again when it failed."""

    target: Target


@dataclass(frozen=True, slots=True)
class Unload:
    """Stop a version."""

    target: Target


Action = Load | Unload


@dataclass(frozen=True, slots=True)
class Retry:
    """The tries made to heal a failed version, and when the next is due; None while a try is under way."""

    made: int = 0
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the reconciler remembers between looks; forgotten with the controller, which only makes it more patient."""

    unwanted_since: Mapping[Target, float] = field(default_factory=dict[Target, float])
    retries: Mapping[Target, Retry] = field(default_factory=dict[Target, Retry])

    def patient_with(self, target: Target) -> "Memory":
        """The memory after an unload that failed: the next one waits as long as the first did."""
        return Memory({other: since for other, since in self.unwanted_since.items() if other != target}, self.retries)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at one moment: what should run, what does, and which targets an action is still under way for."""

    aspired: Sequence[Target]
    actual: Sequence[LoadStatus]
    now: float
    busy: frozenset[Target] = frozenset()
    unreadable: frozenset[str] = frozenset()
    """Families whose record cannot be read: what they want is unknown, so nothing of theirs is unloaded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and what to remember."""

    actions: tuple[Action, ...]
    memory: Memory


def aspired(snapshot: Snapshot) -> tuple[Target, ...]:
    """The versions that the records want loaded, the productions of all families before their candidates and standbys."""
    ranked: list[tuple[int, Target]] = []
    for record in snapshot.families.values():
        for rank, version in enumerate(record.aspired()):
            ranked.append((rank, Target(record.family, version, record.digests[version])))
    return tuple(target for _, target in sorted(ranked, key=lambda pair: pair[0]))


def plan(policy: LoadPolicy, look: Look, memory: Memory) -> Plan:
    """Decide what to load and unload."""
    actual = {status.target: status for status in look.actual}
    unwanted = [target for target in actual if target not in look.aspired and target.family not in look.unreadable]
    unwanted_since = {target: memory.unwanted_since.get(target, look.now) for target in unwanted}
    unloads = [
        Unload(target)
        for target, since in unwanted_since.items()
        if target not in look.busy and _may_go(policy, actual[target], look.now - since)
    ]
    retries = _retries(policy, look, memory, actual)
    loading = look.busy | {target for target, status in actual.items() if status.state is LoadState.LOADING}
    due = (Load(target) for target in look.aspired if target not in look.busy and _is_due(target, actual.get(target), retries, look.now))
    loads = tuple(islice(due, max(0, policy.at_once - len(loading))))
    for load in loads:
        if load.target in retries:
            retries[load.target] = Retry(retries[load.target].made + 1)
    return Plan((*loads, *unloads), Memory(unwanted_since, retries))


def _may_go(policy: LoadPolicy, status: LoadStatus, unwanted_for: float) -> bool:
    return status.state is not LoadState.UNLOADING and unwanted_for >= policy.grace


def _retries(policy: LoadPolicy, look: Look, memory: Memory, actual: Mapping[Target, LoadStatus]) -> dict[Target, Retry]:
    """The retries of the wanted versions that are not up: one that became READY, or that nothing wants, starts afresh."""
    retries: dict[Target, Retry] = {}
    for target in look.aspired:
        status = actual.get(target)
        known = memory.retries.get(target)
        if status is not None and status.state is LoadState.FAILED and target not in look.busy:
            retry = known or Retry()
            retries[target] = retry if retry.due is not None else Retry(retry.made, _due(policy, retry.made, look.now))
        elif known is not None and (status is None or status.state is not LoadState.READY):
            retries[target] = Retry(known.made)
    return retries


def _due(policy: LoadPolicy, made: int, now: float) -> float:
    return now + policy.backoff[made] if made < len(policy.backoff) else float("inf")


def _is_due(target: Target, status: LoadStatus | None, retries: Mapping[Target, Retry], now: float) -> bool:
    if status is None:
        return True
    if status.state is not LoadState.FAILED:
        return False
    due = retries[target].due
    return due is not None and now >= due
