"""What `make chaos` leaves: each promise with the figures that were measured, what they must be, and whether they are."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

CHAOS = "chaos.json"


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measured number, with what was promised of it; without a bound it is for information."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return (self.at_most is None or self.value <= self.at_most) and (self.at_least is None or self.value >= self.at_least)

    @property
    def bound(self) -> str:
        """The promise in words; empty where there is none."""
        if self.at_most is not None:
            return "none" if self.at_most == 0 else f"at most {number(self.at_most)}"
        return "" if self.at_least is None else f"at least {number(self.at_least)}"

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`; empty where nothing was promised."""
        return "" if not self.bound else "met" if self.holds else "MISSED"


class Result(msgspec.Struct, frozen=True):
    """One scenario, run to its end. `notes`: what a missed figure looks like, for whoever must find out why."""

    promise: str
    scenario: str
    figures: list[Figure]
    seconds: float
    seed: int
    date: str
    machine: str
    notes: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether every promise of it is kept."""
        return all(figure.holds for figure in self.figures)


def number(value: float) -> str:
    """A number as people write it."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.1e}"  # noqa: PLR2004 - two decimals


def read_chaos(path: Path) -> list[Result]:
    """The results so far; none before the first run."""
    return msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.exists() else []


def merged(earlier: Iterable[Result], new: Sequence[Result]) -> list[Result]:
    """All results, the new ones in place of the earlier ones of the same scenarios, by promise."""
    renewed = {result.scenario for result in new}
    kept = [result for result in earlier if result.scenario not in renewed]
    return sorted([*kept, *new], key=lambda result: (int(result.promise.removeprefix("P")), result.scenario))


def write_chaos(path: Path, results: Sequence[Result]) -> None:
    """Write them down."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def table(results: Iterable[Result]) -> str:
    """All results as text for a terminal."""
    return "\n".join(f"{row[0]:<4} {row[1]:<34} {row[2]:<40} {row[3]:>14} {row[4]:<20} {row[5]}".rstrip() for row in _rows(results))


def markdown(results: Iterable[Result]) -> str:
    """All results as a table for the documentation."""
    heading = "| promise | scenario | figure | measured | promised | |\n|---|---|---|---|---|---|\n"
    return heading + "".join(f"| {' | '.join(row)} |\n" for row in _rows(results))


def _rows(results: Iterable[Result]) -> Iterator[tuple[str, str, str, str, str, str]]:
    for result in results:
        promise, scenario = result.promise, result.scenario
        for figure in result.figures:
            unit = f" {figure.unit}" if figure.unit else ""
            bound = f"{figure.bound}{unit}" if figure.bound not in {"", "none"} else figure.bound
            yield promise, scenario, figure.name, f"{number(figure.value)}{unit}", bound, figure.verdict
            promise = scenario = ""
