"""kill -9 of what answers: a version's only replica under load, and one of the two gateways."""

import os
import signal
import time

import pytest

from tests.e2e import processes
from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation
from tests.e2e.load import Load, Record
from tests.e2e.waiting import wait_for

FAMILY = "killed"
PATH = f"/v1/families/{FAMILY}/predict"
CONNECTIONS = 24
RATE = 500


@pytest.fixture(scope="module", autouse=True)
def killed(deployment: Deployment) -> None:
    deployment.deploy(FAMILY, "digits/1.0.0")


def test_killing_a_versions_only_replica_fails_no_request(installation: Installation, bundles: Bundles, record_property: Record) -> None:
    [replica] = installation.worker_pids(FAMILY, "1.0.0")

    with Load(installation.port, PATH, [example.request for example in bundles.traffic("digits")], rate=RATE) as load:
        load.wait_answered(RATE)
        killed_at = time.monotonic()
        os.kill(replica, signal.SIGKILL)
        wait_for(lambda: installation.worker_pids(FAMILY, "1.0.0") - {replica}, "the replica is replaced")
        replaced_after = time.monotonic() - killed_at
        load.wait_answered(RATE)
        report = load.finish()

    report.refuse_failures()
    assert report.versions == {"1.0.0": report.sent}
    figures = {"sent": report.sent, "failed": report.failed, "max_ms": round(report.max_ms), "p50_ms": round(report.p50_ms, 1)}
    figures |= {"replaced_after_ms": round(replaced_after * 1000), "client_behind_ms": round(report.behind_ms)}
    record_property("replica_kill", figures)


def test_killing_a_gateway_harms_only_its_own_connections(installation: Installation, bundles: Bundles, record_property: Record) -> None:
    request = bundles.traffic("digits")[0].request
    gateways = installation.gateway_pids()
    victim = min(gateways)
    callers = [Caller(installation.port) for _ in range(CONNECTIONS)]
    gateway_of = {caller: caller.predict(FAMILY, request).gateway for caller in callers}
    assert len(set(gateway_of.values())) == 2

    killed_at = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not processes.is_running(victim), "it is dead", seconds=5)
    fresh = [fresh_answer(installation, request) for _ in range(CONNECTIONS)]
    answered_after = time.monotonic() - killed_at
    broken = {caller for caller in callers if not answers(caller, request)}
    wait_for(lambda: len(installation.gateway_pids() - {victim}) >= 2, "there are two gateways again")
    two_after = time.monotonic() - killed_at

    assert fresh == [200] * CONNECTIONS
    assert len({gateway_of[caller] for caller in broken}) == 1
    assert {gateway_of[caller] for caller in broken}.isdisjoint(gateway_of[caller] for caller in callers if caller not in broken)
    figures = {"new_connections_answered_ms": round(answered_after * 1000), "two_again_ms": round(two_after * 1000)}
    record_property("gateway_kill", figures)


def fresh_answer(installation: Installation, request: object) -> int:
    with Caller(installation.port) as caller:
        return caller.predict(FAMILY, request).status


def answers(caller: Caller, request: object) -> bool:
    with caller:
        try:
            return caller.predict(FAMILY, request).status == 200
        except (ConnectionError, EOFError):
            return False
