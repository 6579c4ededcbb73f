"""Two releases of scikit-learn, pinned by two versions of one family, serve side by side, each from an environment of its own."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.ledger import Ledger
from tests.e2e import processes
from tests.e2e.calls import Caller
from tests.e2e.installation import Installation, Outcome
from tests.e2e.load import Record
from tests.e2e.releases import Release
from tests.e2e.waiting import wait_for

OLD, NEW = "1.6.1", "1.7.2"
ROW = {"x": [1.0, -1.0, 2.0, -2.0]}

Publish = Callable[[str, str, Release], None]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Release]:
    folder = tmp_path_factory.mktemp("releases")
    return {version: Release.fetched(folder / version, version) for version in (OLD, NEW)}


@pytest.fixture
def publish(installation: Installation, tmp_path: Path) -> Publish:
    """Around the check, which would build the environments before the server does."""
    layout = installation.layout
    registry = open_registry(layout.registry, Cache(layout.cache), Ledger.of(layout.data))

    def put(family: str, version: str, release: Release) -> None:
        registry.publish(load_bundle(release.write(tmp_path / family / version, family, version)))

    return put


def test_conflicting_pins_serve_side_by_side(
    installation: Installation, caller: Caller, releases: dict[str, Release], publish: Publish, record_property: Record
) -> None:
    # given
    publish("pinned", "1.0.0", releases[OLD])
    publish("pinned", "1.1.0", releases[NEW])

    # when
    promoted, cold = _timed(installation, "promote", "pinned", "1.0.0")
    installation.do("canary", "pinned", "1.1.0", "--weight", "50")

    # then
    assert promoted.exit_code == 0, promoted.stderr
    seen = wait_for(lambda: _both(caller), "both versions have answered")
    assert seen == {"1.0.0": f"scikit-learn {OLD}", "1.1.0": f"scikit-learn {NEW}"}
    assert re.search(r"pinned@1\.0\.0 is loading: building environment, \d of \d packages \(\S+==\S+\)", promoted.stderr), promoted.stderr

    # when another family pins the same
    publish("pinned-too", "1.0.0", releases[OLD])
    again, warm = _timed(installation, "promote", "pinned-too", "1.0.0")

    # then
    assert again.exit_code == 0, again.stderr
    assert "building" not in again.stderr
    record_property("cold_promote_s", round(cold, 2))
    record_property("warm_promote_s", round(warm, 2))


def test_a_killed_component_host_costs_no_caller_an_answer_after_it_is_started_again(
    installation: Installation, caller: Caller, releases: dict[str, Release], publish: Publish
) -> None:
    # given
    publish("hosted", "1.0.0", releases[OLD])
    installation.do("promote", "hosted", "1.0.0")
    [replica] = installation.worker_pids("hosted", "1.0.0")
    [host] = processes.children_of(replica)

    # when
    os.kill(host, signal.SIGKILL)

    # then
    wait_for(lambda: caller.predict("hosted", ROW).status == 200, "it answers")
    assert {caller.predict("hosted", ROW).status for _ in range(50)} == {200}
    assert installation.worker_pids("hosted", "1.0.0") == {replica}

    # when the replica is killed, its host is not left behind
    [host] = processes.children_of(replica)
    os.kill(replica, signal.SIGKILL)
    wait_for(lambda: not processes.is_running(host), "the host is gone")
    wait_for(lambda: caller.predict("hosted", ROW).status == 200, "another replica answers")


def test_a_version_whose_environment_cannot_be_built_says_which_package(
    installation: Installation, caller: Caller, releases: dict[str, Release], publish: Publish, tmp_path: Path
) -> None:
    # given
    release = releases[OLD]
    lock = tmp_path / "lock.txt"
    lock.write_text(f"absent==3.0 --hash=sha256:{64 * '7'}\n{release.lock.read_text('utf-8')}", "utf-8")
    publish("unbuildable", "1.0.0", Release(OLD, lock, release.wheels))

    # when
    promoted = installation.run("promote", "unbuildable", "1.0.0")

    # then
    assert promoted.exit_code == 1
    assert re.search(r"the environment cannot be built: absent==3\.0 \(1 of \d packages\)", " ".join(promoted.stderr.split())), (
        promoted.stderr
    )
    assert installation.versions("unbuildable")["1.0.0"]["state"] in {"failed", "loading"}  # it is tried again
    assert caller.predict("unbuildable", ROW).status == 503


def _timed(installation: Installation, *command: str) -> tuple[Outcome, float]:
    started = time.monotonic()
    outcome = installation.run(*command)
    return outcome, time.monotonic() - started


def _both(caller: Caller) -> dict[str, object] | None:
    answers = [caller.predict("pinned", ROW) for _ in range(20)]
    seen = {answer.version: answer.document.get("made_by") for answer in answers if answer.status == 200}
    return seen if len(seen) == 2 else None
