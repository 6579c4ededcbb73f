"""The runner plays what it is asked for, with one seed, and writes down what came of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.chaos import Figure, read_chaos
from tests.chaos.__main__ import SCENARIOS, chosen, main
from tests.chaos.propagation import Sightings
from tests.chaos.scenario import Full, Scenario, Scenery, Stage

GOOD, BAD = Figure("failed", 0, at_most=0), Figure("failed", 3, at_most=0)


def scenario(name: str, *figures: Figure, needs: str = "") -> Scenario:
    def play(stage: Stage) -> Sequence[Figure]:
        stage.notes.append(f"seed {stage.seed}")
        return [*figures, Figure("first dice", stage.dice.randrange(1000)), Figure("flips", stage.size(Full.STORM_FLIPS, 7))]

    return Scenario("P1", name, play, lambda: needs)


def run(*arguments: str, output: Path) -> int:
    return main(
        ["--output", str(output), *arguments], [scenario("calm", GOOD), scenario("storm", BAD), scenario("mount", GOOD, needs="no root")]
    )


def test_everything_has_a_promise_and_a_name_of_its_own() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert {one.promise for one in SCENARIOS} >= {"P1", "P2", "P3", "P4", "P13", "P14", "P15", "P16"}


def test_what_is_asked_for_is_found_by_a_part_of_its_name_or_by_its_promise() -> None:
    assert [one.name for one in chosen(["STORM OVER SQL"], SCENARIOS)] == ["storm over SQLite"]
    assert {one.promise for one in chosen(["p3"], SCENARIOS)} == {"P3"}
    assert chosen([], SCENARIOS) == list(SCENARIOS)


def test_results_are_written_and_the_exit_code_says_whether_all_holds(tmp_path: Path) -> None:
    path = tmp_path / "chaos.json"

    all_of_it, calm = run(output=path), run("--only", "calm", output=path)

    assert (all_of_it, calm) == (1, 0)
    assert {(result.scenario, result.holds) for result in read_chaos(path)} == {("calm", True), ("storm", False)}


def test_what_cannot_be_played_here_is_left_out_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--only", "mount", output=tmp_path / "chaos.json")

    assert "left out: mount: no root" in capsys.readouterr().err


def test_the_seed_is_printed_and_plays_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    run("--only", "calm", output=first)
    seed = next(line.removeprefix("SEED=") for line in capsys.readouterr().err.splitlines() if line.startswith("SEED="))

    run("--only", "calm", "--seed", seed, output=again)

    figures = [[figure.value for figure in read_chaos(path)[0].figures] for path in (first, again)]
    assert figures[0] == figures[1]
    assert json.loads(again.read_text())[0]["seed"] == int(seed)


def test_a_glance_is_smaller_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--quick", "--only", "calm", output=tmp_path / "chaos.json")

    assert not (tmp_path / "chaos.json").exists()
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines() if "flips" in line] == ["7"]


def test_a_scenario_that_breaks_down_is_a_missed_promise_and_the_others_are_played(tmp_path: Path) -> None:
    def break_down(stage: Stage) -> Sequence[Figure]:
        msg = f"nothing works with seed {stage.seed}"
        raise RuntimeError(msg)

    path = tmp_path / "chaos.json"
    code = main(["--output", str(path), "--seed", "3"], [Scenario("P1", "broken", break_down), scenario("calm", GOOD)])

    broken, calm = read_chaos(path)
    assert (code, broken.holds, calm.holds) == (1, False, True)
    assert "nothing works with seed 3" in broken.notes[0]


def test_scenarios_that_need_the_same_site_share_it_and_another_takes_its_place() -> None:
    scenery, told = Scenery(), list[str]()

    @contextmanager
    def site(folder: Path, *, name: str) -> Iterator[str]:
        told.append(f"{name} up, {folder.is_dir()}")
        yield name
        told.append(f"{name} down")

    for name in ("small", "small", "big"):
        assert scenery.of(name, partial(site, name=name)) == name
    scenery.clear()

    assert told == ["small up, True", "small down", "big up, True", "big down"]


def test_what_a_missed_promise_looks_like_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--seed", "5", output=tmp_path / "chaos.json")

    told = capsys.readouterr().err
    assert "storm: seed 5" in told
    assert "calm: seed 5" not in told


def test_a_flip_is_everywhere_when_the_last_gateway_has_answered_by_it() -> None:
    sightings = Sightings()
    for gateway in (b"a", b"b"):
        sightings.saw(gateway, 3)

    sightings.saw(b"a", 4)
    before = sightings.everywhere_at(4)
    sightings.saw(b"b", 4)
    at = sightings.everywhere_at(4)
    sightings.saw(b"a", 4)

    assert before is None
    assert at is not None
    assert sightings.everywhere_at(4) == at
