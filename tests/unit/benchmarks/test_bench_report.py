import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import PARTIAL, RESULTS, folder_of, parse_arguments, plan_of
from benchmarks.figures import Name, Result, ratios_of
from benchmarks.flips import Flip, figures_of
from benchmarks.machine import Machine, model_name_in
from benchmarks.mirror import Mirrored, MirrorReport, shadow_lines
from benchmarks.mirror import figures_of as mirror_figures_of
from benchmarks.mirror import invalid_of as mirror_invalid_of
from benchmarks.report import Extra
from benchmarks.rounds import QUICK, Plan
from benchmarks.wrk import Reading

RESULTS_OF_A_RUN = [
    Result(Name.POINTSMAN, 1, 5_000.0, 0.2, 0.4, 900.0),
    Result(Name.HANDWRITTEN, 1, 5_000.0, 0.2, 0.3, 50.0),
    Result(Name.RAY_SERVE, 1, 200.0, 5.0, 9.0, 850.0),
]


def extra(**changes: object) -> Extra:
    machine = Machine(2, "a processor", 8.0, "6.1", "3.11.7", {"ray": "2.60.0"}, 0.1, "2026-01-05T09:30:00+00:00")
    fields = {"machine": machine, "plan": QUICK, "peers": {}, "spread": {}, "flip": None, "mirror": None, "invalid": []}
    return Extra(**{**fields, "ratios": ratios_of(RESULTS_OF_A_RUN), **changes})  # type: ignore[arg-type] # the fields are right above


def test_the_latest_results_are_a_list_with_exactly_the_promised_keys() -> None:
    written = json.loads(report.results_json(RESULTS_OF_A_RUN))

    assert written[0] == {"server": "pointsman", "clients": 1, "rps": 5000.0, "p50_ms": 0.2, "p99_ms": 0.4, "rss_mb": 900.0}
    assert [one["server"] for one in written] == ["pointsman", "handwritten", "ray-serve"]


def test_both_files_are_written(tmp_path: Path) -> None:
    report.write(tmp_path / "results", RESULTS_OF_A_RUN, extra())

    assert len(json.loads((tmp_path / "results" / "latest.json").read_text())) == 3
    assert json.loads((tmp_path / "results" / "extra.json").read_text())["machine"]["cores"] == 2


def test_the_table_says_which_targets_were_met_and_which_missed() -> None:
    lines = report.table(RESULTS_OF_A_RUN, extra()).splitlines()

    (handwritten,) = [line for line in lines if "0.85x" in line]
    (ray_serve,) = [line for line in lines if "50.00x" in line]
    assert handwritten.split() == ["handwritten", "1", "1.00x", "0.85x", "met"]
    assert ray_serve.split() == ["ray-serve", "1", "25.00x", "50.00x", "MISSED"]


def test_the_table_leaves_out_what_was_not_measured() -> None:
    text = report.table([], extra(ratios=ratios_of([])))

    assert "against" not in text
    assert "flip" not in text
    assert "shadow" not in text


def test_the_table_names_invalid_rounds() -> None:
    text = report.table(RESULTS_OF_A_RUN, extra(invalid=["ray-serve with 64 clients: 3 timeout errors"]))

    assert "INVALID" in text
    assert "ray-serve with 64 clients: 3 timeout errors" in text


def test_the_table_shows_flips_against_their_target() -> None:
    flips = [Flip(last_old_ms=20.0, acked_ms=30.0)] * 99 + [Flip(last_old_ms=260.0, acked_ms=300.0)] * 2

    figures = figures_of(flips, connections=24, requests_per_s=2000.0, failed=0)

    assert (figures.p50_ms, figures.p99_ms, figures.max_ms, figures.acked_p99_ms) == (20.0, 260.0, 260.0, 300.0)
    assert "MISSED" in report.table([], extra(ratios=[], flip=figures))


def mirrored(clients: int, percent: int, rps: float, **errors: int) -> Mirrored:
    return Mirrored(clients, percent, Reading(rps=rps, p50_ms=1.0, p99_ms=2.0, errors=errors))


def test_the_mirror_costs_the_median_with_it_over_the_median_without() -> None:
    measured = [mirrored(8, 0, 1_000.0), mirrored(8, 100, 800.0), mirrored(8, 0, 1_000.0), mirrored(8, 100, 700.0)]

    eight, sixty_four = mirror_figures_of(measured)

    assert (eight.clients, eight.ratio) == (8, 0.75)
    assert (sixty_four.clients, sixty_four.ratio) == (64, None)
    assert "0.75x" in report.table([], extra(mirror=MirrorReport([eight, sixty_four], [], [])))


def test_a_mirrored_round_with_errors_does_not_count_and_is_named() -> None:
    measured = [mirrored(64, 0, 1_000.0), mirrored(64, 100, 990.0, timeout=2)]

    assert mirror_figures_of(measured)[1].ratio is None
    assert mirror_invalid_of(measured) == ["shadow 100 % with 64 clients: 2 timeout errors"]


def test_the_shadows_counters_are_taken_from_the_metrics() -> None:
    metrics = '# HELP pointsman_shadow_total x\npointsman_shadow_total{outcome="agree"} 4.0\npointsman_epoch 3\n'

    assert shadow_lines(metrics) == ['pointsman_shadow_total{outcome="agree"} 4.0']


@pytest.mark.parametrize("arguments", [["--quick"], ["--only", "flips"], ["--ray-stock-limits"]])
def test_only_a_whole_run_replaces_the_latest_results(arguments: list[str]) -> None:
    assert folder_of(parse_arguments(arguments)) == PARTIAL
    assert folder_of(parse_arguments([])) == RESULTS


def test_options_win_over_the_quick_plan() -> None:
    plan = plan_of(parse_arguments(["--quick", "--rounds", "4"]))

    assert plan == Plan(rounds=4, seconds=QUICK.seconds, warm_up=QUICK.warm_up, flips=QUICK.flips)


def test_a_whole_run_has_at_least_three_rounds_and_fifty_flips() -> None:
    plan = plan_of(parse_arguments([]))

    assert plan.rounds >= 3
    assert plan.flips >= 50


def test_the_processor_is_named_where_the_kernel_tells_it() -> None:
    assert model_name_in("processor\t: 0\nmodel name\t: A Processor 3000\n") == "A Processor 3000"
    assert model_name_in("processor\t: 0\n")
