"""`python -m benchmarks.resumes`: how long a new leader takes to have a rollout's course back, with a checkpoint and without.

A leader writes the decision log of a day with a look each second, in files or in a Redis, and keeps checkpoints as it always does.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from serving.control.rollouts.journal import Journal
from serving.core.course import Course, Turn
from serving.ports import DecisionLog, Tail
from serving.stores.address import SQLITE, parse_store
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.rollouts import RedisRollouts
from serving.stores.rollout_files import RolloutFiles
from tests.fakes.rollout_world import World, track

ROLLOUT = "digits-1.1.0-3"
LOOKS = 86_400
STANDARD = track("standard")


class AllLines:
    """A log as a leader found it before there were checkpoints."""

    def __init__(self, log: DecisionLog) -> None:
        self.append, self.read, self.keep, self.rollouts = log.append, log.read, log.keep, log.rollouts
        self.ends, self.unfinished, self.finish, self.finished = log.ends, log.unfinished, log.finish, log.finished

    async def tail(self, rollout: str) -> Tail:
        """Everything."""
        return Tail(None, await self.read(rollout))


async def led(log: DecisionLog, looks: int) -> Course:
    """A good candidate that is looked at so many times, a second apart; where it stands at the end."""
    leader, world, written = Journal(ROLLOUT, log, lambda: 1), World(STANDARD, trials=200), 0
    world.start()
    for _ in range(looks):
        world.advance(timedelta(seconds=1))
        for line in world.log[written:]:
            await leader.write(Turn(world.course, (), line))
        written = len(world.log)
        await leader.keep(world.course)
    return world.course


async def resumed_in(log: DecisionLog, course: Course) -> float:
    """How long the next leader takes, in seconds, to stand where the last one did."""
    begun = time.perf_counter()
    turn = await Journal(ROLLOUT, log, lambda: 2).resume(STANDARD)
    took = time.perf_counter() - begun
    if turn is None or turn.course != course:
        msg = "the course that was resumed is another one"
        raise AssertionError(msg)
    return took


def told(lines: Sequence[bytes]) -> str:
    """How long a log is."""
    return f"{len(lines):,} lines, {sum(map(len, lines)) / 1e6:.0f} MB"


async def run(store: str, looks: int) -> None:
    """Measure one home of logs and print the figures."""
    found = parse_store(store)
    with tempfile.TemporaryDirectory() as folder:
        log = RolloutFiles(Path(folder)) if found is None else RedisRollouts.open(RedisPlan(address=found, prefix=f"bench-{uuid4()}"))
        course = await led(log, looks)
        print(told(await log.read(ROLLOUT)))
        print(f"with a checkpoint    {await resumed_in(log, course):7.3f} s")
        print(f"without a checkpoint {await resumed_in(AllLines(log), course):7.3f} s")
        await log.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resumes", description=__doc__)
    parser.add_argument("--store", default=SQLITE, help="sqlite (files beside it), or the URL of a Redis")
    parser.add_argument("--looks", type=int, default=LOOKS)
    options = parser.parse_args()
    asyncio.run(run(options.store, options.looks))


if __name__ == "__main__":
    main()
