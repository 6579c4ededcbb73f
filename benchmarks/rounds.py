"""The comparison: in every round each server has its turn alone, so that whatever drifts on the machine hits all alike."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from benchmarks import tiny
from benchmarks.figures import CLIENTS, Name, Sample
from benchmarks.progress import say
from benchmarks.servers import Server, prove_right
from benchmarks.wrk import drive

Start = Callable[[Path], AbstractContextManager[Server]]
"""Starts a server that keeps its files in the given folder, and stops it at the end of the block."""


class Plan(msgspec.Struct, frozen=True):
    """How long and how often: `seconds` of load per measurement, after `warm_up` seconds of the same load."""

    rounds: int
    seconds: int
    warm_up: int
    flips: int


QUICK = Plan(rounds=1, seconds=2, warm_up=1, flips=5)


def compare(starts: Mapping[Name, Start], plan: Plan) -> Iterator[Sample]:
    """Measure all servers in each round, each round beginning with another one."""
    for index in range(plan.rounds):
        for name in rotated(list(starts), index):
            say(f"round {index + 1} of {plan.rounds}: {name}")
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch, starts[name](Path(scratch)) as server:
                yield from _turn(name, server, plan)


def rotated(names: Sequence[Name], index: int) -> list[Name]:
    """The names with another one in front in each round."""
    first = index % len(names)
    return [*names[first:], *names[:first]]


def _turn(name: Name, server: Server, plan: Plan) -> Iterator[Sample]:
    prove_right(server.infer_url)
    for clients in CLIENTS:
        drive(server.infer_url, tiny.REQUEST, clients=clients, seconds=plan.warm_up)
        reading = drive(server.infer_url, tiny.REQUEST, clients=clients, seconds=plan.seconds)
        sample = Sample(name, clients, reading, server.memory_mb())
        say(f"  {clients:>2} clients: {reading.rps:>9,.0f} requests/s, p99 {reading.p99_ms:.2f} ms, {sample.rss_mb:,.0f} MiB")
        yield sample
