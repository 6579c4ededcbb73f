"""One writer as a process of its own, to be killed at any instant: flips until it is told to stop (SIGTERM) or its starter is gone.

Its plan stands on the first line of stdin; what it does and sees goes to its journal.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

import msgspec

from tests.chaos.homes import opened
from tests.tools.broken_stores import LosesAnswers
from tests.tools.flipping import Flipper
from tests.tools.journal import Journal

ORPHANED = 3


class WriterPlan(msgspec.Struct, frozen=True):
    """What a writer is told. `lost`: the share of its answers that it never gets, half of them before they were carried out."""

    name: str
    location: str
    families: list[str]
    journal: str
    seed: str
    lost: float


async def run(plan: WriterPlan) -> None:
    """Flip until told to stop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Nothing more is said on stdin: what can be read is its end, when the starter died. Then there is nobody to settle a flip for.
    loop.add_reader(sys.stdin.fileno(), os._exit, ORPHANED)
    journal = Journal(Path(plan.journal))
    async with opened(plan.location) as store:
        lossy = LosesAnswers(store, Random(f"{plan.seed}-network"), plan.lost / 2)
        flipper = Flipper(plan.name, lossy, plan.families, Random(plan.seed), journal.note)
        while not stop.is_set():
            await flipper.flip()
    journal.close()


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.stdin.readline(), type=WriterPlan)))
