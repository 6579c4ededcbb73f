"""`python -m benchmarks.stores --store redis://HOST:PORT`: how long a change takes, and how soon another process can know of it."""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from registry_client.versions import ModelVersion
from serving.core.lifecycle import Decided, FamilyRecord
from serving.ports import Snapshot, Transition
from serving.stores.address import SQLITE, parse_store
from serving.stores.opening import Store, StorePlan, open_store
from serving.stores.redis.plan import RedisPlan
from serving.telemetry.clock import SystemClock

FAMILY = "digits"
VERSIONS = tuple(ModelVersion.parse(text) for text in ("1.0.0", "1.1.0"))
PAUSE_S = 0.002
"""Between two changes, so that whoever waits for news is waiting again."""


@dataclass(slots=True)
class Timing:
    """When each epoch was asked for, answered, and seen by somebody else (seconds, monotonic)."""

    asked: dict[int, float] = field(default_factory=dict[int, float])
    answered: dict[int, float] = field(default_factory=dict[int, float])
    seen: dict[int, float] = field(default_factory=dict[int, float])


def transition(snapshot: Snapshot, number: int) -> Transition:
    """The next flip of the family."""
    now = datetime.now(UTC)
    revision = snapshot.families[FAMILY].revision if FAMILY in snapshot.families else 0
    production = VERSIONS[number % 2]
    record = FamilyRecord(FAMILY, revision + 1, dict.fromkeys(VERSIONS, "0" * 64), production, Decided(now, "bench", "to measure it"))
    return Transition(
        record=record,
        expected_revision=revision,
        actor="bench",
        action=f"promote {production}",
        reason="to measure it",
        before={},
        after={"production": str(production)},
        operation_id=str(uuid4()),
        at=now,
        seen=snapshot.mark,
    )


async def measure(writer: Store, reader: Store, changes: int) -> Timing:
    """Make so many changes, one after the other, while somebody else waits for each."""
    timing, snapshot = Timing(), await writer.snapshot()
    last = snapshot.epoch + changes
    watching = asyncio.create_task(watch(reader, await reader.snapshot(), last, timing))
    for number in range(changes):
        await asyncio.sleep(PAUSE_S)
        change = transition(snapshot, number)
        asked = time.monotonic()
        epoch = (await writer.commit(change)).epoch
        timing.asked[epoch], timing.answered[epoch] = asked, time.monotonic()
        snapshot = await writer.poll(snapshot) or snapshot
    await watching
    return timing


async def watch(reader: Store, snapshot: Snapshot, last: int, timing: Timing) -> None:
    """Keep up with the store as a gateway does."""
    while snapshot.epoch < last:
        await reader.changed(snapshot, 1.0)
        newer = await reader.poll(snapshot)
        if newer is not None:
            timing.seen.setdefault(newer.epoch, time.monotonic())
            snapshot = newer


def line(name: str, seconds: Sequence[float]) -> str:
    """Median, 99th percentile and worst, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{name:<28} p50 {cuts[49] * 1e3:7.2f} ms   p99 {cuts[98] * 1e3:7.2f} ms   worst {max(seconds) * 1e3:7.2f} ms"


def plan_of(store: str, folder: Path) -> StorePlan:
    """The store to measure, under a prefix of its own."""
    found = parse_store(store)
    redis = None if found is None else RedisPlan(address=found, prefix=f"bench-{uuid4()}")
    return StorePlan(folder / "state.db", redis=redis)


async def run(store: str, changes: int) -> None:
    """Measure one store and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        plan, clock = plan_of(store, Path(folder)), SystemClock()
        writer, reader = await open_store(plan, clock), await open_store(plan, clock)
        timing = await measure(writer, reader, changes)
        for each in (writer, reader):
            await each.close()
    seen = timing.seen.keys() & timing.answered.keys()
    print(f"{changes:,} changes, one after the other")
    print(line("a change", [timing.answered[epoch] - timing.asked[epoch] for epoch in timing.answered]))
    print(line("seen by another, from asking", [timing.seen[epoch] - timing.asked[epoch] for epoch in seen]))
    print(line("seen by another, from answer", [max(0.0, timing.seen[epoch] - timing.answered[epoch]) for epoch in seen]))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--store", default=SQLITE, help="sqlite, or the URL of a Redis")
    parser.add_argument("--changes", type=int, default=2000)
    options = parser.parse_args()
    asyncio.run(run(options.store, options.changes))


if __name__ == "__main__":
    main()
