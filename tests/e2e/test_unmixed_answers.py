"""What callers see of flips: every answer is of one epoch, one version and one pipeline, and soon all are of the new one."""

import uvloop

from tests.chaos.mixing import mix
from tests.chaos.propagation import PROMPT_MS, propagate
from tests.e2e.installation import Installation
from tests.e2e.load import Record

RESPONSES, FLIPS = 15_000, 20


def test_no_answer_mixes_two_epochs_versions_or_pipelines(stamped: Installation, record_property: Record) -> None:
    report = uvloop.run(mix(stamped, responses=RESPONSES, flips=FLIPS))

    record_property("unmixed", {"responses": report.responses, "flips": report.flips, "per_s": round(report.responses_per_s)})
    assert (report.mixed, report.failed, report.went_back) == (0, 0, 0), report.examples
    assert report.responses >= RESPONSES
    assert report.epochs_seen >= FLIPS / 2


def test_a_flip_is_soon_served_by_every_gateway(stamped: Installation, record_property: Record) -> None:
    figures = {(figure.name, figure.unit): figure for figure in uvloop.run(propagate(stamped, FLIPS, PROMPT_MS))}

    record_property("propagation", {name: figure.value for (name, _), figure in figures.items()})
    assert figures["gateways", ""].holds
    assert figures["failed inferences", ""].holds
    # Percentiles of a few flips on a machine that does something else say nothing; that a poll had to find them would show.
    assert figures["at the last gateway, p50", "ms"].value <= PROMPT_MS
