"""What can go wrong with the gateways' reports on their way: each way takes a datagram, decoded, and gives what arrives in its place."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import msgspec

from serving.telemetry.datagrams import Outbox

Datagram = list[Any]
"""As `serving.telemetry.reports` has it: the gateway, when it started, its counts, its rollouts' reports by id, and baselines."""

_GATEWAY, _ROLLOUTS = 0, 3
NONSENSE = (float("nan"), float("inf"), -5, 2**63, "many", None, True, 1.5, [3])
RENUMBERED = 5
"""How often a stale report is told again under a new number, where it is."""


@dataclass
class Trouble:
    """When and with what dice something goes wrong. `seconds`: since the rollout began, in the simulation's time."""

    dice: Random
    seconds: Callable[[], float]
    kept: dict[str, list[Datagram]] = field(default_factory=dict[str, list[Datagram]])
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        """Choose how long all is well, and who is spoken of where it is one gateway's trouble."""
        self.until = self.dice.uniform(0, 9)
        self.gateways = self.dice.choice((["g1"], ["g2"], ["g1", "g2"]))

    def early(self, datagram: Datagram) -> list[Datagram]:
        """This gateway's datagrams of the first moments, when there cannot be evidence enough: never none."""
        kept = self.kept.setdefault(str(datagram[_GATEWAY]), [])
        if not kept or self.seconds() < 1:
            kept.append(datagram)
        return kept


Way = Callable[[Trouble, Datagram], Iterable[Datagram]]


def missing(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """One gateway, or both, cannot be heard at all."""
    return () if datagram[_GATEWAY] in trouble.gateways else (datagram,)


def gone(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """After some seconds nothing comes any more."""
    return (datagram,) if trouble.seconds() < trouble.until else ()


def stale(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """What was first said is said again and again, by one gateway or both."""
    return (trouble.early(datagram)[0],) if datagram[_GATEWAY] in trouble.gateways else (datagram,)


def late(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """What was said at first comes in any order, again and again; nothing newer does."""
    return (trouble.dice.choice(trouble.early(datagram)),)


def repeated(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """A handful of good answers is told over and over under new numbers: counters are cumulative and do not add up twice."""
    first = next((one for one in trouble.early(datagram) if one[_ROLLOUTS]), None)
    if first is None or not datagram[_ROLLOUTS]:
        return (datagram,)
    again = []
    for _ in range(RENUMBERED):
        trouble.numbers[datagram[_GATEWAY]] = number = trouble.numbers.get(datagram[_GATEWAY], 0) + 1
        again.append(_with_reports(first, partial(_numbered, number)))
    return again


def nonsense(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """NaN, infinities, negative and impossible numbers stand where a counter of the candidate should."""
    name, value = trouble.dice.choice(("trials", "failures", "mistakes", "odd")), trouble.dice.choice(NONSENSE)

    def spoilt(report: dict[str, Any]) -> dict[str, Any]:
        totals = report["totals"]
        return {**report, "totals": {**totals, "canary": {**totals["canary"], name: value}}}

    return (_with_reports(datagram, spoilt),)


def one_sided(trouble: Trouble, datagram: Datagram) -> Iterable[Datagram]:
    """Production is counted, the candidate is not."""
    del trouble
    return (_with_reports(datagram, lambda report: {**report, "totals": {**report["totals"], "canary": {}}}),)


WAYS: Mapping[str, Way] = {way.__name__: way for way in (missing, gone, stale, late, repeated, nonsense, one_sided)}


def _numbered(number: int, report: dict[str, Any]) -> dict[str, Any]:
    return {**report, "sequence": number}


def _with_reports(datagram: Datagram, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Datagram:
    reports = {rollout: change(report) for rollout, report in datagram[_ROLLOUTS].items()}
    return [*datagram[:_ROLLOUTS], reports, *datagram[_ROLLOUTS + 1 :]]


class SpoilingOutbox:
    """An outbox before another one, in which datagrams get lost, old, repeated or nonsensical. Without a way nothing does."""

    def __init__(self, sound: Outbox, way: Way | None, trouble: Trouble) -> None:
        self.largest = sound.largest
        self._sound, self._way, self._trouble = sound, way, trouble

    def send(self, datagram: bytes) -> None:
        """Send whatever becomes of it."""
        if self._way is None:
            self._sound.send(datagram)
            return
        for spoilt in self._way(self._trouble, msgspec.msgpack.decode(datagram)):
            self._sound.send(msgspec.msgpack.encode(spoilt))

    def close(self) -> None:
        """Close the other one."""
        self._sound.close()
