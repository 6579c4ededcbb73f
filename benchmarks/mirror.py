"""What a 100 % shadow costs: the primary's throughput and p99 with it over without it, on one running Pointsman."""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import tiny
from benchmarks.figures import ratio, why_invalid
from benchmarks.pointsman import Pointsman
from benchmarks.progress import say
from benchmarks.rounds import Plan
from benchmarks.servers import prove_right
from benchmarks.wrk import Reading, drive

CLIENTS = (8, 64)
TARGET = 0.7
WHOLE_PERCENT = 100


class Mirrored(msgspec.Struct, frozen=True):
    """One measurement. `shadow_percent`: how much of the traffic was mirrored meanwhile."""

    clients: int
    shadow_percent: int
    reading: Reading


class MirrorFigures(msgspec.Struct, frozen=True):
    """Medians with so many clients. `ratio`: throughput with the shadow over without; None when no valid round shows it."""

    clients: int
    rps_alone: float | None
    rps_mirrored: float | None
    p99_alone_ms: float | None
    p99_mirrored_ms: float | None
    ratio: float | None
    target: float = TARGET


class MirrorReport(msgspec.Struct, frozen=True):
    """The figures; the shadow's counters at the end, which tell how many copies were compared and how many shed; what does not count."""

    figures: list[MirrorFigures]
    shadow_counters: list[str]
    invalid: list[str]


def measure_mirror(plan: Plan) -> MirrorReport:
    """Start Pointsman with its defaults and measure with the shadow off and on, in turns."""
    say("mirror: a 100 % shadow on and off")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, Pointsman(Path(scratch)) as server:
        server.load(tiny.SECOND)
        prove_right(server.infer_url)
        measured = list(_on_and_off(server, plan))
        return MirrorReport(figures_of(measured), shadow_lines(server.metrics()), invalid_of(measured))


def _on_and_off(server: Pointsman, plan: Plan) -> Iterator[Mirrored]:
    shadowed = 0
    for index in range(plan.rounds):
        for percent in (0, WHOLE_PERCENT) if index % 2 == 0 else (WHOLE_PERCENT, 0):
            if percent != shadowed:
                server.shadow(tiny.SECOND, percent)
                shadowed = percent
            for clients in CLIENTS:
                drive(server.infer_url, tiny.REQUEST, clients=clients, seconds=plan.warm_up)
                reading = drive(server.infer_url, tiny.REQUEST, clients=clients, seconds=plan.seconds)
                say(f"  shadow {percent:>3} %, {clients:>2} clients: {reading.rps:>9,.0f} requests/s, p99 {reading.p99_ms:.2f} ms")
                yield Mirrored(clients, percent, reading)


def figures_of(measured: Sequence[Mirrored]) -> list[MirrorFigures]:
    """The medians for each number of clients, over the valid rounds."""
    return [_figures(clients, [one for one in measured if one.clients == clients and one.reading.is_valid]) for clients in CLIENTS]


def invalid_of(measured: Sequence[Mirrored]) -> list[str]:
    """A sentence for each measurement that does not count."""
    return [
        f"shadow {one.shadow_percent} % with {one.clients} clients: {why_invalid(one.reading)}"
        for one in measured
        if not one.reading.is_valid
    ]


def _figures(clients: int, valid: Sequence[Mirrored]) -> MirrorFigures:
    alone = [one.reading for one in valid if one.shadow_percent == 0]
    mirrored = [one.reading for one in valid if one.shadow_percent == WHOLE_PERCENT]
    rps_alone, rps_mirrored = _median([reading.rps for reading in alone]), _median([reading.rps for reading in mirrored])
    return MirrorFigures(
        clients=clients,
        rps_alone=rps_alone,
        rps_mirrored=rps_mirrored,
        p99_alone_ms=_median([reading.p99_ms for reading in alone]),
        p99_mirrored_ms=_median([reading.p99_ms for reading in mirrored]),
        ratio=ratio(rps_mirrored, rps_alone),
    )


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def shadow_lines(metrics: str) -> list[str]:
    """The samples of the shadow's counters in a Prometheus text."""
    return [line for line in metrics.splitlines() if line.startswith("pointsman_shadow") and "_bucket" not in line]
