"""`python -m benchmarks.statistics [--quick]`: simulate, keep the figures, write them into docs/statistics.md.

Minutes on one core. `--quick` runs each simulation a few times, keeps nothing, and only shows that all of them work.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from benchmarks.statistics.alarms import LEVELS, PEACE, share_of, sticky
from benchmarks.statistics.detection import SCENARIOS, Scenario
from benchmarks.statistics.report import DOCUMENT, Alarms, Detection, Simulated, filled, tables, write

SEED = 20_260_101
RUNS, PEACEFUL, STICKY = 600, 5000, 1500
NOT_REACHED = 1

Figure = TypeVar("Figure", Detection, Alarms)


def detection(scenario: Scenario, runs: int, seed: int) -> Detection:
    """Look for a regression again and again."""
    dice = np.random.default_rng(seed)
    needed = sorted(scenario.run(dice, scenario.share) for _ in range(runs))
    median, p90 = needed[runs // 2], needed[runs * 9 // 10]
    return Detection(scenario.name, scenario.share, runs, median, p90, scenario.reference.median, scenario.reference.p90)


def alarms(name: str, runs: int, run: Callable[[], float]) -> Alarms:
    """Look for what is not there."""
    return _alarms(name, [run() for _ in range(runs)])


def _alarms(name: str, worst: list[float]) -> Alarms:
    often, seldom = (share_of(worst, level) for level in LEVELS)
    return Alarms(name, len(worst), often, seldom)


def simulate(share: float = 1.0, seed: int = SEED) -> Simulated:
    """Run everything; `share` of the usual number of runs."""
    found = [_said(detection(one, max(round(RUNS * share), 3), seed + index)) for index, one in enumerate(SCENARIOS)]
    dice = np.random.default_rng(seed)
    peace = [_said(alarms(one.name, max(round(PEACEFUL * share), 3), partial(one.run, dice))) for one in PEACE]
    rollouts = [sticky(dice) for _ in range(max(round(STICKY * share), 3))]
    by = [_said(_alarms(name, [worst[name] for worst in rollouts])) for name in rollouts[0]]
    return Simulated(seed, found, peace, by)


def _said(figure: Figure) -> Figure:
    print(figure, flush=True)
    return figure


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Simulate and keep."""
    parser = argparse.ArgumentParser(prog="benchmarks.statistics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few runs each, nothing is kept")
    if parser.parse_args(list(arguments)).quick:
        simulate(0.005)
        return 0
    simulated = simulate()
    write(simulated)
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), tables(simulated)), encoding="utf-8")
    missed = [one for one in simulated.detections if not one.is_reached]
    for one in missed:
        print(f"not reached: {one}", file=sys.stderr)
    loud = [one for one in simulated.alarms if not one.is_kept]
    for alarm in loud:
        print(f"too many alarms: {alarm}", file=sys.stderr)
    return NOT_REACHED if missed or loud else 0


if __name__ == "__main__":
    sys.exit(main())
