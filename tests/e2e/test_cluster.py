"""One installation on two Ray nodes: gateways on both, links within and between them, and the loss of one node."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.dataplane.link import EJECTED_AFTER
from tests.e2e.calls import Caller
from tests.e2e.clusters import ClusterInstallation, RayCluster, RayNode
from tests.e2e.families import Bundles, Deployment
from tests.e2e.load import Load, Record
from tests.e2e.waiting import wait_for
from tests.fixtures.redis_server import RedisServer

FAMILY = "spread"
PATH = f"/v1/families/{FAMILY}/predict"
RATE = 100
IMPATIENT_MS = "300"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    cluster = RayCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def installation(
    cluster: RayCluster, redis: RedisServer, bundles: Bundles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterInstallation]:
    """1.0.0 in production, 1.1.0 published."""
    folder = tmp_path_factory.mktemp("cluster")
    installation = ClusterInstallation.on(cluster, redis.url, folder)
    try:
        installation.start()
        Deployment(installation, bundles, folder / "copies").deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
        yield installation
        assert installation.stop() == 0, installation.log
        for node in (cluster.head, cluster.other):
            wait_for(lambda at=node: not [each for each in at.processes() if "ServeReplica" in each.title], "no replica is left")  # type: ignore[misc]
    finally:
        installation.clean_up()


@pytest.fixture(scope="module")
def request_body(bundles: Bundles) -> object:
    return bundles.traffic("digits")[0].request


def answer(installation: ClusterInstallation, node: RayNode, request: object, **headers: str) -> int:
    """Ask a gateway of a node on a connection of its own."""
    with Caller(installation.port, node.address) as caller:
        return caller.predict(FAMILY, request, **headers).status


def both(cluster: RayCluster) -> tuple[RayNode, RayNode]:
    return cluster.head, cluster.other


def links(installation: ClusterInstallation, node: RayNode, kind: str) -> set[float]:
    """How many links of a kind each gateway of a node has."""
    scrape = installation.metrics(node)
    return {value for (name, labels), value in scrape.values.items() if name == "pointsman_links" and ("kind", kind) in labels}


def test_gateways_and_versions_are_on_both_nodes_and_linked_within_and_between_them(
    installation: ClusterInstallation, cluster: RayCluster, request_body: object
) -> None:
    for node in both(cluster):
        assert len(installation.gateways_of(node)) == 1
        assert len(installation.workers_on(node)) == 1
        wait_for(lambda at=node: links(installation, at, "unix") == links(installation, at, "tcp") == {1.0}, "every gateway has both")  # type: ignore[misc]
        assert answer(installation, node, request_body) == 200
        assert installation.metrics(node).total("pointsman_links_refused_total") == 0


def test_a_second_run_that_is_refused_leaves_alone_what_serves(
    installation: ClusterInstallation, cluster: RayCluster, request_body: object, tmp_path: Path
) -> None:
    refused = ClusterInstallation.on(cluster, "sqlite", tmp_path)
    try:
        refused.launch()
        assert refused.serve is not None
        assert refused.serve.wait(90) == 1
    finally:
        refused.clean_up()

    assert "SQLite is on one node, and this cluster has 2" in refused.log
    assert "hint: name a Redis" in refused.log
    assert [answer(installation, node, request_body) for node in both(cluster)] == [200, 200]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_when_a_version_hangs_on_the_gateways_own_node_the_other_node_answers_over_tcp(
    installation: ClusterInstallation, cluster: RayCluster, request_body: object, record_property: Record
) -> None:
    [own] = installation.workers_on(cluster.other)

    with frozen(own):
        # What is under way there ends at its deadline; then the replica is ejected.
        first = [answer(installation, cluster.other, request_body, x_request_timeout_ms=IMPATIENT_MS) for _ in range(24)]
        later = [answer(installation, cluster.other, request_body, x_request_timeout_ms=IMPATIENT_MS) for _ in range(40)]

    assert 0 < first.count(504) <= EJECTED_AFTER
    assert first.count(200) == 24 - first.count(504)
    assert later == [200] * 40
    record_property("hung_replica", {"of_24_answered": first.count(200), "of_40_later_answered": later.count(200)})


def test_every_gateway_of_both_nodes_acks_a_flip(installation: ClusterInstallation, cluster: RayCluster, record_property: Record) -> None:
    installation.do("tag", FAMILY, "1.1.0", "candidate")
    wait_for(lambda: installation.versions(FAMILY)["1.1.0"]["state"] == "ready", "1.1.0 is ready")
    started = time.monotonic()

    promoted = installation.do("promote", FAMILY, "1.1.0", "--reason", "better")
    took = time.monotonic() - started

    assert promoted["settled"]["done"] is True
    acked = {each["gateway"]: each["epoch"] for each in installation.get("gateways")["gateways"]}
    assert set(acked) == installation.gateways_of(cluster.head) | installation.gateways_of(cluster.other)
    assert len(acked) == 2
    assert set(acked.values()) == {promoted["epoch"]}
    record_property("flip", {"gateways": len(acked), "command_ms": round(took * 1000)})


def test_the_controller_hears_what_gateways_of_the_other_node_see(
    installation: ClusterInstallation, cluster: RayCluster, bundles: Bundles, tmp_path: Path, record_property: Record
) -> None:
    family = "failing"
    Deployment(installation, bundles, tmp_path).deploy(family, "digits/1.1.0", "digits/1.3.0")
    requests = [example.request for example in bundles.traffic("digits")]

    def rollbacks() -> list[str]:
        entries = installation.get(f"families/{family}/history")["entries"]
        return [entry["signal"] for entry in entries if entry["action"] == "rollback"]

    # Each node's gateways in turn: one of the nodes is not the controller's.
    for number, node in enumerate(both(cluster), 1):
        with Load(installation.port, f"/v1/families/{family}/predict", requests, rate=RATE, host=node.address) as load:
            load.wait_answered(20)
            installation.do("canary", family, "1.3.0", "--weight", "50", "--override", "--reason", "to see it fail")
            wait_for(lambda expected=number: len(rollbacks()) == expected, "the controller rolls back", seconds=40)  # type: ignore[misc]
            load.finish().refuse_failures()

    assert all(rollbacks())
    record_property("rolled_back_by", rollbacks())


def test_the_other_node_is_killed_and_no_request_through_the_first_fails(
    installation: ClusterInstallation, cluster: RayCluster, bundles: Bundles, record_property: Record
) -> None:
    lost = installation.gateways_of(cluster.other)
    requests = [example.request for example in bundles.traffic("digits")]

    with Load(installation.port, PATH, requests, rate=RATE, host=cluster.head.address) as load:
        load.wait_answered(RATE)
        killed_at = time.monotonic()
        cluster.other.kill()
        wait_for(lambda: not installation.gateways_of(cluster.other), "its gateways are no longer live")
        gone_after = time.monotonic() - killed_at
        flipped = installation.do("rollback", FAMILY, "--reason", "while a node is away")
        load.wait_answered(RATE)
        report = load.finish()

    report.refuse_failures()
    assert flipped["settled"]["done"] is True
    assert set(report.versions) == {"1.1.0", "1.0.0"}
    assert len(lost) == 1
    assert {each["gateway"] for each in installation.get("gateways")["gateways"]} == installation.gateways_of(cluster.head)
    figures = {"sent": report.sent, "failed": report.failed, "max_ms": round(report.max_ms), "gateways_gone_ms": round(gone_after * 1000)}
    record_property("node_kill", figures)


def test_a_node_that_comes_back_gets_its_gateways_again(
    installation: ClusterInstallation, cluster: RayCluster, request_body: object, record_property: Record
) -> None:
    def answers() -> bool:
        try:
            return answer(installation, cluster.other, request_body) == 200
        except ConnectionError:  # it acks its routes before it opens the port
            return False

    started = time.monotonic()
    cluster.join()

    wait_for(lambda: len(installation.gateways_of(cluster.other)) == 1, "its gateway is back", seconds=120)
    took = time.monotonic() - started

    wait_for(answers, "it answers")
    record_property("node_back", {"gateways_ms": round(took * 1000)})
