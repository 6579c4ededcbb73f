"""P1: many writers flip while everything goes wrong, until so many flips are made; then the checker judges what they saw."""

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from serving.core.audit import Mark, verify_chain
from tests.chaos.homes import opened
from tests.chaos.writer import WriterPlan
from tests.tools.flipping import Register, audit_of, entry_of
from tests.tools.journal import events_in, history_of
from tests.tools.register import History, Outcome, check

LAST_FLIP_S = 90.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that goes wrong during a storm, and comes right again before it returns."""

    name: str
    happen: Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Storm:
    """So many flips by so many writers, one mishap after the other, with as much calm between two as `calm_s`."""

    location: str
    """As the writers reach the store."""
    judged_at: str
    """As the judge reads it, with nothing in between."""
    flips: int
    mishaps: Sequence[Mishap]
    writers: int = 8
    families: int = 8
    lost: float = 0.02
    calm_s: float = 1.0


class StormReport(msgspec.Struct, frozen=True):
    """What came of it. `flips`: acknowledged; `unknown`: their clients were killed or gave up before they knew."""

    flips: int
    refused: int
    unknown: int
    reads: int
    lookups: int
    writers: int
    seconds: float
    mishaps: dict[str, int]
    violations: list[str]

    @property
    def flips_per_s(self) -> float:
        """Over the whole storm, mishaps included."""
        return self.flips / self.seconds


@dataclass(slots=True)
class Stage:
    """The writers that run, for mishaps to hurt."""

    storm: Storm
    folder: Path
    dice: Random
    seed: int
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict[str, asyncio.subprocess.Process])
    lives: Counter[str] = field(default_factory=Counter[str])

    async def start(self, writer: str) -> None:
        """Start a writer, or the next life of one."""
        self.lives[writer] += 1
        name = f"{writer}.{self.lives[writer]}"
        families = [f"family-{number}" for number in range(self.storm.families)]
        journal = str(self.folder / f"{name}.journal")
        plan = WriterPlan(name, self.storm.location, families, journal, f"{self.seed}-{name}", self.storm.lost)
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.chaos.writer", stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        await process.stdin.drain()
        self.running[writer] = process

    async def kill(self, writer: str) -> None:
        """kill -9, whatever it is doing, and begin its next life."""
        self.running[writer].kill()
        await self.running[writer].wait()
        await self.start(writer)

    async def stop(self) -> None:
        """Let every writer settle its last flip."""
        for process in self.running.values():
            process.terminate()
        async with asyncio.timeout(LAST_FLIP_S):
            ends = [await process.wait() for process in self.running.values()]
        if not set(ends) <= {0, -signal.SIGTERM}:  # the latter: it had not begun yet
            msg = f"writers ended with {ends}"
            raise RuntimeError(msg)


@asynccontextmanager
async def _staged(storm: Storm, folder: Path, seed: int) -> AsyncIterator[Stage]:
    stage = Stage(storm, folder, Random(seed), seed)
    try:
        for number in range(storm.writers):
            await stage.start(f"w{number}")
        yield stage
    finally:
        for process in stage.running.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


async def weather(storm: Storm, folder: Path, seed: int) -> StormReport:
    """Let the storm rage, and judge it."""
    happened = Counter[str]()
    async with opened(storm.judged_at) as store, _staged(storm, folder, seed) as stage:
        began = time.monotonic()
        while not await _calm(store, storm):
            mishap = stage.dice.choice(storm.mishaps)
            happened[mishap.name] += 1
            await mishap.happen(stage)
        seconds = time.monotonic() - began
        await stage.stop()
        audit = await audit_of(store)
    history = _history_in(folder)
    violations = [str(violation) for violation in check(history, [entry_of(entry) for entry in audit])]
    verdict = verify_chain(audit, heads={Mark(read.fence, read.epoch, read.head) for read in history.reads})
    return _judged(history, seconds, happened, [*violations, *([] if verdict.holds else [verdict.sentence])], storm.writers)


def _history_in(folder: Path) -> History:
    return history_of(event for path in folder.glob("*.journal") for event in events_in(path))


async def _calm(store: Register, storm: Storm) -> bool:
    """Let the writers write for a moment; say whether they have written enough."""
    until = time.monotonic() + storm.calm_s
    while (await store.snapshot()).epoch < storm.flips:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def _judged(history: History, seconds: float, happened: Counter[str], violations: list[str], writers: int) -> StormReport:
    outcomes = Counter(flip.outcome for flip in history.flips)
    return StormReport(
        flips=outcomes[Outcome.COMMITTED],
        refused=outcomes[Outcome.REFUSED],
        unknown=outcomes[Outcome.UNKNOWN],
        reads=len(history.reads),
        lookups=len(history.lookups),
        writers=writers,
        seconds=round(seconds, 3),
        mishaps=dict(happened),
        violations=violations,
    )
