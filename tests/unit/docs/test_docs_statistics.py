import re

import pytest

from benchmarks.statistics.__main__ import detection
from benchmarks.statistics.detection import SCENARIOS, Scenario
from benchmarks.statistics.report import DOCUMENT, Alarms, Detection, filled, read, tables
from serving.core import statistics
from tests.unit.docs.documents import codes, rows
from tests.unit.docs.documents import read as text_of

SIMULATED = read()
QUICK = {"collapse to one class", "shadow disagreement 2 -> 10 %", "errors 0.1 -> 5 %"}


def test_the_tables_of_the_document_are_those_of_the_last_simulation() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")

    assert tables(SIMULATED) in document
    assert filled(document, tables(SIMULATED)) == document


@pytest.mark.parametrize("found", SIMULATED.detections, ids=lambda found: f"{found.name}, {found.share}")
def test_a_regression_is_found_as_soon_as_the_reference_says(found: Detection) -> None:
    assert found.runs >= 500
    assert found.is_reached


@pytest.mark.parametrize("raised", SIMULATED.alarms, ids=lambda raised: raised.name)
def test_no_statistic_cries_wolf_more_often_than_nominal(raised: Alarms) -> None:
    assert raised.runs >= 1000
    assert raised.alpha_05 <= 0.05
    assert raised.is_kept


def test_callers_who_stick_break_counting_by_request_and_not_by_unit_window() -> None:
    by = {one.name: one for one in SIMULATED.sticky}

    assert by["request"].alpha_001 > 0.1
    assert by["unit window"].alpha_001 <= 0.001
    assert by["unit window"].alpha_05 <= 0.05


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one.name in QUICK and one.share != 0.01], ids=lambda one: one.name)
def test_a_short_simulation_gives_about_the_figure_that_is_kept(scenario: Scenario) -> None:
    [kept] = [one for one in SIMULATED.detections if (one.name, one.share) == (scenario.name, scenario.share)]

    again = detection(scenario, 120, seed=4)

    assert again.median == pytest.approx(kept.median, rel=0.35)


def test_every_statistic_in_the_document_exists() -> None:
    named = {code for cells in rows(text_of("docs/statistics.md"), "## Looking as often") for code in codes(cells[1])}

    assert {re.sub(r"\W.*", "", name) for name in named} <= set(statistics.__all__)
