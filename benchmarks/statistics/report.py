"""What the simulations leave: `results/statistics.json`, and its tables in docs/statistics.md."""

import re
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "statistics.json"
DOCUMENT = ROOT / "docs" / "statistics.md"
PLACE = re.compile(r"(<!-- simulated -->\n).*?(<!-- /simulated -->)", re.DOTALL)
SLACK = 0.15
"""How far a figure may lie outside the range it is to reach."""


class Detection(msgspec.Struct, frozen=True):
    """Canary requests (or shadow pairs) until a regression was found; a reference of 0 is none."""

    name: str
    share: float
    runs: int
    median: int
    p90: int
    reference_median: tuple[float, float]
    reference_p90: tuple[float, float]

    @property
    def is_reached(self) -> bool:
        """Whether both figures lie within their ranges, give or take the slack."""
        return _within(self.median, self.reference_median) and _within(self.p90, self.reference_p90)


class Alarms(msgspec.Struct, frozen=True):
    """The share of runs without a regression in which an alarm was raised at any time, by alpha."""

    name: str
    runs: int
    alpha_05: float
    alpha_001: float

    @property
    def is_kept(self) -> bool:
        """Whether both shares are nominal or below, give or take two standard errors of so many runs."""
        return all(share <= level + 2 * sqrt(level / self.runs) for share, level in ((self.alpha_05, 0.05), (self.alpha_001, 0.001)))


class Simulated(msgspec.Struct, frozen=True):
    """Everything of one run."""

    seed: int
    detections: list[Detection]
    alarms: list[Alarms]
    sticky: list[Alarms]


def _within(figure: float, reference: tuple[float, float]) -> bool:
    low, high = reference
    return not high or low * (1 - SLACK) <= figure <= high * (1 + SLACK)


def read(path: Path = RESULTS) -> Simulated:
    """The results of the last full run."""
    return msgspec.json.decode(path.read_bytes(), type=Simulated)


def write(simulated: Simulated, path: Path = RESULTS) -> None:
    """Keep the results."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(simulated), indent=2) + b"\n")


def tables(simulated: Simulated) -> str:
    """The tables of the documentation."""
    return "\n".join([*_detections(simulated.detections), "", *_alarms(simulated.alarms), "", *_sticky(simulated.sticky)]) + "\n"


def _detections(found: Sequence[Detection]) -> Iterator[str]:
    yield "| regression | canary share | requests, median | reference | requests, p90 | reference |"
    yield "|---|---|---|---|---|---|"
    for one in found:
        share = "all pairs" if one.share == 1 else f"{one.share:.0%}"
        references = _range(one.reference_median), _range(one.reference_p90)
        yield f"| {one.name} | {share} | {one.median} | {references[0]} | {one.p90} | {references[1]} |"


def _alarms(raised: Sequence[Alarms]) -> Iterator[str]:
    yield "| nothing wrong | runs | alarms at alpha 5 % | at 0.1 % |"
    yield "|---|---|---|---|"
    for one in raised:
        yield f"| {one.name} | {one.runs:,} | {one.alpha_05:.2%} | {one.alpha_001:.3%} |"


def _sticky(raised: Sequence[Alarms]) -> Iterator[str]:
    yield "| identical version, 0.5 % of the callers always fail; counted by | runs | alarms at alpha 5 % | at 0.1 % |"
    yield "|---|---|---|---|"
    for one in raised:
        yield f"| {one.name} | {one.runs:,} | {one.alpha_05:.2%} | {one.alpha_001:.3%} |"


def _range(reference: tuple[float, float]) -> str:
    low, high = reference
    if not high:
        return ""
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def filled(document: str, text: str) -> str:
    """The document with the tables in their place."""
    return PLACE.sub(lambda place: f"{place[1]}{text}{place[2]}", document)
