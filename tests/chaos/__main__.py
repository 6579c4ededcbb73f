"""`python -m tests.chaos`: plays the scenarios, prints the seed and a table, writes the results. `make chaos` is the same."""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import NoReturn

from benchmarks.chaos import CHAOS, Figure, Result, merged, read_chaos, table, write_chaos
from benchmarks.machine import look_around
from benchmarks.progress import say
from tests.chaos.killing import KILLING
from tests.chaos.kills import KILLS
from tests.chaos.mutating import MUTATING
from tests.chaos.outages import OUTAGES
from tests.chaos.redis_outages import REDIS_OUTAGES
from tests.chaos.redis_storms import REDIS_STORMS
from tests.chaos.rollouts import ROLLOUTS
from tests.chaos.scenario import Scenario, Scenery, Stage
from tests.chaos.seeded import SEEDED
from tests.chaos.storms import STORMS
from tests.chaos.streams import STREAMS
from tests.chaos.tampering import TAMPERING

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / CHAOS
SCENARIOS = (*SEEDED, *STORMS, *REDIS_STORMS, *STREAMS, *OUTAGES, *REDIS_OUTAGES, *KILLING, *TAMPERING, *KILLS, *MUTATING, *ROLLOUTS)
BITS = 32
INTERRUPTED = 130


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Everything goes wrong, and what was promised is checked.")
    parser.add_argument("--seed", type=int, help="what the dice start from; printed when it is not given")
    parser.add_argument("--only", action="append", default=[], help="play only what has this in its name or promise; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a glance at each: writes no results")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the results, merged into what is there")
    return parser.parse_args(arguments)


def chosen(names: Sequence[str], scenarios: Sequence[Scenario]) -> list[Scenario]:
    """The scenarios that are asked for, all when none is named."""
    wanted = [name.lower() for name in names]
    return [one for one in scenarios if not wanted or any(name in one.name.lower() or name == one.promise.lower() for name in wanted)]


def play(scenario: Scenario, scenery: Scenery, seed: int, *, is_quick: bool) -> Result:
    """Play one, in a folder that is gone afterwards. One that breaks down is a result too: the others are played all the same."""
    say(f"{scenario.promise} {scenario.name}")
    began = time.monotonic()
    machine = look_around()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        stage = Stage(seed, Path(folder), is_quick, scenery)
        try:
            figures = list(scenario.play(stage))
        except Exception:  # noqa: BLE001 - the top of the loop
            figures = [Figure("break-downs of the scenario", 1, at_most=0)]
            stage.notes.append(traceback.format_exc())
            scenery.clear()
    where = f"{machine.cores} cores ({machine.model_name}), Python {machine.python}, load before {machine.load_at_start}"
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(scenario.promise, scenario.name, figures, round(time.monotonic() - began, 1), seed, date, where, stage.notes)


def main(arguments: Sequence[str], scenarios: Sequence[Scenario] = SCENARIOS) -> int:
    """Play what is asked for; the exit code says whether everything held."""
    options = parse_arguments(arguments)
    if options.list:
        print("\n".join(f"{one.promise:<4} {one.name}" for one in scenarios))  # noqa: T201 - a program's output
        return 0
    seed = SystemRandom().getrandbits(BITS) if options.seed is None else options.seed
    say(f"SEED={seed}")
    results = list(_played(chosen(options.only, scenarios), seed, options))
    print(table(results))  # noqa: T201 - a program's output
    return 0 if all(result.holds for result in results) else 1


def _played(scenarios: Sequence[Scenario], seed: int, options: argparse.Namespace) -> Iterator[Result]:
    """Play them one after the other; each result is written down at once."""
    scenery = Scenery()
    try:
        for scenario in scenarios:
            if why := scenario.needs():
                say(f"left out: {scenario.name}: {why}")
                continue
            result = play(scenario, scenery, seed, is_quick=options.quick)
            say(table([result]))
            if not result.holds:
                say("\n".join(f"{result.scenario}: {note}" for note in result.notes))
            if not options.quick:
                write_chaos(options.output, merged(read_chaos(options.output), [result]))
            yield result
    finally:
        scenery.clear()


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt  # so that whatever stands is taken down


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
