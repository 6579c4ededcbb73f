"""What goes wrong during a storm, and for how long. A new one is a coroutine that hurts, waits, and heals."""

import asyncio
from pathlib import Path

from tests.chaos.homes import locked
from tests.chaos.storm import Mishap, Stage


async def _kill_a_writer(stage: Stage) -> None:
    await stage.kill(stage.dice.choice(sorted(stage.running)))


KILLED_WRITER = Mishap("writer killed", _kill_a_writer)


def busy_lock(path: Path, *, longest_s: float = 0.5) -> Mishap:
    """Another program holds the write lock of a SQLite file."""

    async def hold(stage: Stage) -> None:
        with locked(path):
            await asyncio.sleep(stage.dice.uniform(0.02, longest_s))

    return Mishap("file locked", hold)
