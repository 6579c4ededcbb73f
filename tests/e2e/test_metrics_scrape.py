"""One scrape of the admin port is right for the whole node, whichever gateway answered, and no counter ever goes down."""

import os
import signal
from itertools import pairwise

import pytest

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation
from tests.e2e.load import Load
from tests.e2e.metrics import Scrape, scrape
from tests.e2e.waiting import wait_for

FAMILY = "counted"
PATH = f"/v1/families/{FAMILY}/predict"
CONNECTIONS = 30
EACH = 8
SCRAPES = 15


@pytest.fixture(scope="module", autouse=True)
def counted(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0")


def total(metrics: Scrape, name: str = "pointsman_requests_total") -> int:
    return int(metrics.total(name, family=FAMILY, version="1.0.0", arm="production"))


def test_every_answer_is_counted_once_whichever_gateway_gave_it(installation: Installation, bundles: Bundles) -> None:
    before = scrape(installation)
    examples = bundles.traffic("digits")[:EACH]

    gateways = set()
    for _ in range(CONNECTIONS):
        with Caller(installation.port) as caller:
            answers = [caller.predict(FAMILY, example.request) for example in examples]
            assert caller.predict(FAMILY, {"pixels": []}).status == 400
        gateways |= {answer.gateway for answer in answers}
    after = scrape(installation)

    assert len(gateways) == 2
    assert total(after) - total(before) == CONNECTIONS * (EACH + 1)
    durations = "pointsman_request_duration_seconds_count"
    assert total(after, durations) - total(before, durations) == CONNECTIONS * (EACH + 1)
    assert after.total("pointsman_errors_total", family=FAMILY, kind="client") == CONNECTIONS
    assert after.total("pointsman_route_weight_ratio", family=FAMILY, arm="production") == 1.0


def test_no_counter_goes_down_under_traffic_nor_when_a_gateway_is_killed(installation: Installation, bundles: Bundles) -> None:
    requests = [example.request for example in bundles.traffic("digits")[:100]]
    gateways = installation.gateway_pids()

    with Load(installation.port, PATH, requests, rate=200) as load:
        load.wait_answered(50)
        scrapes = [scrape(installation) for _ in range(SCRAPES)]
        os.kill(min(gateways), signal.SIGKILL)
        scrapes += [scrape(installation) for _ in range(SCRAPES)]
        wait_for(lambda: len(installation.gateway_pids() - {min(gateways)}) >= 2, "the gateway is replaced")
        load.wait_answered(100)
        scrapes += [scrape(installation) for _ in range(SCRAPES)]
        report = load.finish()
    scrapes.append(scrape(installation))

    assert [earlier.fallen(later) for earlier, later in pairwise(scrapes)] == [[]] * (len(scrapes) - 1)
    assert total(scrapes[-1]) - total(scrapes[0]) > 0
    assert total(scrapes[-1]) >= report.answered
