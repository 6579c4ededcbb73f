"""`python -m benchmarks`: measures everything, prints the table, writes the results."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks import figures, report
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Name, Sample
from benchmarks.flips import measure_flips
from benchmarks.machine import look_around
from benchmarks.mirror import measure_mirror
from benchmarks.pointsman import pointsman
from benchmarks.rounds import QUICK, Plan, Start, compare
from benchmarks.servers import RAY_ONGOING_REQUESTS, handwritten, ray_serve, ray_serve_stock_limits
from benchmarks.wrk import find_wrk

RESULTS = Path(__file__).parent / "results"
PARTIAL = RESULTS / "partial"
FLIPS, MIRROR = "flips", "mirror"
PARTS = (*Name, FLIPS, MIRROR)
INTERRUPTED, FAILED = 130, 1


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Pointsman side by side with its peers, on this machine.")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: shows that it works, measures nothing")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this; may be repeated")
    parser.add_argument("--rounds", type=_positive, help="rounds, each with all servers (default 3)")
    parser.add_argument("--seconds", type=_positive, help="seconds of load per measurement (default 8)")
    parser.add_argument("--flips", type=_positive, help="flips to time (default 100)")
    parser.add_argument("--ray-stock-limits", action="store_true", help="leave Ray Serve's max_ongoing_requests at its default of 5")
    parser.add_argument(
        "--output", type=Path, help=f"where the results go (default {RESULTS.name}/, of a partial run {RESULTS.name}/partial/)"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the options ask for."""
    base = QUICK if options.quick else Plan(rounds=3, seconds=8, warm_up=2, flips=100)
    return Plan(
        rounds=options.rounds or base.rounds,
        seconds=options.seconds or base.seconds,
        warm_up=base.warm_up,
        flips=options.flips or base.flips,
    )


def folder_of(options: argparse.Namespace) -> Path:
    """Only a whole run of the comparison as it is documented may replace its figures."""
    if options.output is not None:
        return Path(options.output)
    return PARTIAL if options.quick or options.only or options.ray_stock_limits else RESULTS


def measure(options: argparse.Namespace) -> int:
    """Measure what was asked for; the exit code says whether every round was valid."""
    find_wrk()
    machine, plan, wanted = look_around(), plan_of(options), options.only or PARTS
    starts = _starts(wanted, stock_limits=options.ray_stock_limits)
    samples: list[Sample] = list(compare(starts, plan)) if starts else []
    mirror = measure_mirror(plan) if MIRROR in wanted else None
    flip = measure_flips(plan.flips) if FLIPS in wanted else None
    results = figures.results_of(samples)
    extra = report.Extra(
        machine=machine,
        plan=plan,
        peers={Name.RAY_SERVE: f"max_ongoing_requests={'default' if options.ray_stock_limits else RAY_ONGOING_REQUESTS}"},
        ratios=figures.ratios_of(results),
        spread=report.spread_by_name(figures.spread_of(samples)),
        flip=flip,
        mirror=mirror,
        invalid=[*figures.invalid_of(samples), *(mirror.invalid if mirror else [])],
    )
    report.write(folder_of(options), results, extra)
    print(report.table(results, extra))
    return FAILED if extra.invalid else 0


def _starts(wanted: Sequence[str], *, stock_limits: bool) -> dict[Name, Start]:
    every: dict[Name, Start] = {
        Name.HANDWRITTEN: handwritten,
        Name.POINTSMAN: pointsman,
        Name.RAY_SERVE: ray_serve_stock_limits if stock_limits else ray_serve,
    }
    return {name: start for name, start in every.items() if name in wanted}


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Run, and leave no server behind however it ends."""
    signal.signal(signal.SIGTERM, _end)
    try:
        return measure(parse_arguments(sys.argv[1:]))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
