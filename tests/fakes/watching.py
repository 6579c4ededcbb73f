"""A rollout of digits that a gateway watches, the answers that its arms give, and what the gateway reports of them."""

from serving.core.totals import Report
from serving.core.watches import Watch
from serving.ports import Failure, Reply
from tests.fakes.gateway import ONE, TWO, Bench

GOOD = Reply(200, b'{"outputs":[]}')
BROKEN = Reply(500, b'{"error":"x"}', failure=Failure.MODEL)
CALLERS_FAULT = Reply(400, b'{"error":"x"}', failure=Failure.CLIENT)
LATE = Reply(504, b'{"error":"x"}', failure=Failure.TIMEOUT)


def watch(**parts: object) -> Watch:
    """What the gateway is told of the rollout."""
    return Watch("digits-1.1.0-1", TWO.digest, ONE.digest, **parts)  # type: ignore[arg-type]  # a test's shorthand


def report(bench: Bench) -> Report:
    """What it has counted of the rollout so far."""
    return bench.gateway.watchings.reports("g1", 1.5)["digits-1.1.0-1"]
