"""`python -m tests.rollouts`, or `make bench-rollout`: candidates turn bad under 200 requests a second; how long do they last?

Prints how many requests each regression took beside what is published of its statistic, and writes the results.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import look_around
from benchmarks.progress import say
from benchmarks.rollouts import ERRORS, ROLLOUTS, Rollouts, Row, broken, merged, read_rollouts, table, write_rollouts
from benchmarks.statistics.report import read as read_simulated
from examples.train import build_customer_intent, build_digits
from tests.e2e.families import Bundles
from tests.e2e.installation import Installation
from tests.rollouts.grounds import GROUNDS, policy_of
from tests.rollouts.moody import Mood, Moody
from tests.rollouts.scenes import PATIENCE_S, RATE, Caught, Scene

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / ROLLOUTS
TIMES = 10
NOBODY = "nobody"
FEEDBACK = "feedback drop"


@dataclass(frozen=True, slots=True)
class Case:
    """One way of turning bad. `published`: the candidate's requests that its statistic takes, from the design's simulations."""

    name: str
    mood: Mood
    ground: str
    published: str
    signals: tuple[str, ...]
    is_rated: bool = False
    """Whether callers rate what they got."""
    is_alone: bool = False
    """Whether nobody is left to answer what the candidate fails: it is production."""


def _simulated(regression: str, share: float) -> str:
    """What the simulations of the statistics say that it takes, where the design has no figure."""
    found = next((one for one in read_simulated().detections if (one.name, one.share) == (regression, share)), None)
    return "" if found is None else str(found.median)


FAILING = Mood(fails=0.2)

CASES = (
    Case(ERRORS, FAILING, "canary", "60-68 (for 5 %)", ("errors", "tripwire")),
    Case("latency x2", Mood(slow=1.0, seconds=0.02), "canary", "27-31", ("p50", "p99")),
    Case("tail only", Mood(slow=0.1, seconds=0.1), "canary", "106-116", ("p99",)),
    Case("collapse", Mood(constant=1.0), "canary", "15", ("drift",)),
    Case("wrong labels", Mood(wrong=0.2), "shadow", "88 pairs (for 10 %)", ("disagreement",)),
    Case(FEEDBACK, Mood(wrong=0.5), "canary", _simulated("feedback 97 -> 48 %", 0.05), ("feedback",), is_rated=True),
    Case("errors 20 %, with all callers", FAILING, "soaking", "", ("errors", "tripwire")),
    Case("errors 20 %, once live", FAILING, "live", "", ("errors", "tripwire"), is_alone=True),
    Case("latency x2, once live, held back", Mood(slow=1.0, seconds=0.02), "live-held-back", "", ("p50", "p99")),
)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.rollouts", description="How long bad candidates last under real traffic.")
    parser.add_argument("--times", type=int, default=TIMES, help="how often the candidate that fails 20 %% is started")
    parser.add_argument("--only", action="append", default=[], help="play only what has this in its name, and keep no results")
    parser.add_argument("--add", action="store_true", help="keep them all the same, in place of what was kept of these")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    return parser.parse_args(arguments)


def play(case: Case, times: int, moody: Moody, bundles: Bundles) -> list[Row]:
    """Have as many candidates turn bad, one after the other."""
    scene = Scene(moody, bundles, policy_of(case.ground, moody.folder))
    versions = [f"1.{number}.0" for number in range(1, times + 1)]
    scene.open(*versions)
    return [_caught(scene, case, version) for version in versions]


def _caught(scene: Scene, case: Case, version: str) -> Row:
    ground = GROUNDS[case.ground]
    try:
        caught = scene.catch(version, case.mood, stage=ground.stage, is_rated=case.is_rated, is_live=ground.is_live)
    except AssertionError as error:
        # One that is not caught is a figure too, and must not be in the way of the others.
        say(f"{case.name}: {error}")
        scene.give_up()
        return Row(case.name, NOBODY, case.signals, PATIENCE_S, PATIENCE_S, 0, case.published, 0, 0.0)
    say(f"{case.name}: {caught.signal} after {caught.seconds:.2f} s and {caught.units} requests: {caught.reason}")
    return _row(case, caught)


def good(moody: Moody, bundles: Bundles) -> Row:
    """A good candidate becomes live."""
    scene = Scene(moody, bundles)
    scene.open("1.1.0")
    with scene.load() as load:
        load.wait_answered(RATE)
        scene.start("1.1.0")
        began = load.now().at
        scene.wait_state("live", seconds=180.0)
        seconds = load.now().at - began
        report = load.finish()
    return Row("is good, and is live", NOBODY, (NOBODY,), seconds, seconds, 0, "", report.failed + report.unanswered, report.p99_ms)


def _row(case: Case, caught: Caught) -> Row:
    report = caught.report
    failed = report.failed + report.unanswered
    seconds, verified = caught.seconds, caught.verified_seconds
    parts = (case.name, caught.signal, case.signals, seconds, verified, caught.units, case.published, failed, report.p99_ms)
    return Row(*parts, is_alone=case.is_alone)


def main(arguments: Sequence[str]) -> int:
    """Play what is asked for; 1 when a promise does not hold."""
    given = parse_arguments(arguments)
    machine = look_around()
    with tempfile.TemporaryDirectory(prefix="rollouts-") as place:
        folder = Path(place)
        for build in (build_digits, build_customer_intent):
            build(folder / "bundles")
        installation = Installation.at(folder / "site")
        try:
            installation.start()
            rows = list(_played(given, installation, folder))
        finally:
            if installation.serve is not None and installation.serve.poll() is None:
                installation.stop()
            installation.clean_up()
    print(table(rows))  # noqa: T201 - what the command is for
    faults = list(broken(rows))
    for fault in faults:
        say(f"NOT HELD: {fault}")
    if not given.only or given.add:
        kept = read_rollouts(given.output) if given.only else None
        write_rollouts(given.output, Rollouts(machine, RATE, merged(() if kept is None else kept.rows, rows)))
    return 1 if faults else 0


def _played(given: argparse.Namespace, installation: Installation, folder: Path) -> Iterator[Row]:
    bundles = Bundles(folder / "bundles")
    for index, case in enumerate(CASES):
        if _is_wanted(case.name, given.only):
            yield from play(case, given.times if index == 0 else 1, _moody(installation, f"moody-{index}", folder), bundles)
    if _is_wanted("good", given.only):
        yield good(_moody(installation, "moody-good", folder), bundles)


def _is_wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _moody(installation: Installation, family: str, folder: Path) -> Moody:
    own = folder / family
    own.mkdir()
    return Moody(installation, family, own, folder / "bundles")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
