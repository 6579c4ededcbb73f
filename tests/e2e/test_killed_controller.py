"""kill -9 of the controller in the middle of an automatic rollback, and of a leader with another standing by: no caller notices."""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from serving.core.audit import RESEED
from tests.e2e import processes
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation, Json
from tests.e2e.load import Load, Record
from tests.e2e.metrics import scrape
from tests.e2e.waiting import wait_for

FAMILY = "abandoned"
LEASE_S = 3.0


@pytest.fixture(scope="module")
def own(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose controller dies when it has decided to roll back; two controllers, of which one leads."""
    folder = tmp_path_factory.mktemp("own")
    installation = Installation.at(folder, failpoints="auto.decided=kill", controllers="2")
    try:
        installation.start()
        Deployment(installation, bundles, folder / "copies").deploy(FAMILY, "digits/1.1.0", "digits/1.3.0")
        yield installation
    finally:
        installation.clean_up()
        shutil.rmtree(folder, ignore_errors=True)


def leader(installation: Installation) -> Json:
    return installation.get("leader")


def pid_of(leader: Json) -> int:
    return int(leader["holder"].rpartition("-")[2])


def test_a_rollback_whose_controller_is_killed_is_finished_by_another(own: Installation, bundles: Bundles, record_property: Record) -> None:
    first = leader(own)
    requests = [example.request for example in bundles.traffic("digits")]

    def rollback() -> Json | None:
        entries = own.get(f"families/{FAMILY}/history")["entries"]
        return next((entry for entry in entries if entry["action"] == "rollback"), None)

    with Load(own.port, f"/v1/families/{FAMILY}/predict", requests, rate=200) as load:
        load.wait_answered(100)
        own.do("canary", FAMILY, "1.3.0", "--weight", "30")
        wait_for(lambda: not processes.is_running(pid_of(first)), "the controller dies of its decision")
        died = time.monotonic()
        entry = wait_for(rollback, "another rolls back")
        rolled_back_after = time.monotonic() - died
        load.wait_answered(200)
        report = load.finish()

    report.refuse_failures()
    proof = own.do("verify", FAMILY)
    assert (proof["verified"], proof["production"], proof["action"]) == (True, "1.1.0", "rollback")
    entries = own.get(f"families/{FAMILY}/history")["entries"]
    assert [one["action"] for one in entries].count("rollback") == 1
    assert (entry["actor"], bool(entry["signal"])) == ("auto", True)
    assert RESEED not in {one["action"] for one in entries}
    second = leader(own)
    assert second["token"] > first["token"]
    record_property("rolled_back_after_death_s", round(rolled_back_after, 2))
    record_property("sent", report.sent)


def test_another_controller_leads_within_the_lease_and_a_second(own: Installation, record_property: Record) -> None:
    # given
    wait_for(lambda: scrape(own).total("pointsman_leader") == 1 and len(controllers(own)) == 2, "one leads and one stands by")
    first = leader(own)

    # when
    os.kill(pid_of(first), signal.SIGKILL)
    killed = time.monotonic()

    # then
    wait_for(lambda: (leader(own)["token"] or 0) > first["token"], "another leads", seconds=LEASE_S + 1)
    record_property("led_after_s", round(time.monotonic() - killed, 2))


def controllers(installation: Installation) -> set[str]:
    """The controllers that run, as they show themselves on the dashboards."""
    series = (dict(labels) for name, labels in scrape(installation).values if name == "pointsman_leader")
    return {labels["controller"] for labels in series}
