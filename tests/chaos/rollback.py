"""P14 while nothing is wrong: from the order to roll back to the last answer of what was rolled back, under load."""

import time
from collections.abc import Sequence

from benchmarks.chaos import Figure
from benchmarks.figures import percentile
from tests.chaos.outage import BODIES, NEW, OLD, PATH, RATE, ROLLBACK_S
from tests.chaos.scenario import Stage
from tests.chaos.sites import Site, accepted
from tests.e2e.load import Load


def roll_back(site: Site, stage: Stage, times: int) -> Sequence[Figure]:
    """Promote and roll back so many times."""
    installation, took, acked = site.installation, list[float](), list[float]()
    with Load(installation.port, PATH, BODIES, rate=RATE) as load:
        load.wait_answered(RATE)
        for _ in range(times):
            site.promote(NEW)
            load.wait_gone(OLD)
            began = time.monotonic()
            accepted(site.change("POST", "rollback", {"reason": "chaos", "wait": 10}))
            acked.append(time.monotonic() - began)
            took.append(max(load.wait_gone(NEW) - began, 0.0))
        report = load.finish()
    stage.notes.extend(report.failures)
    return [
        Figure("to the last answer of the old, p99", round(percentile(took, 99), 3), "s", at_most=ROLLBACK_S),
        Figure("to the last answer of the old, p50", round(percentile(took, 50), 3), "s"),
        Figure("to the acks of all gateways, p99", round(percentile(acked, 99), 3), "s", at_most=ROLLBACK_S),
        Figure("rollbacks", times),
        Figure("failed inferences", report.failed + report.unanswered, at_most=0),
        Figure("inferences", report.answered),
    ]
